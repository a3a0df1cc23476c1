//! What a job is brought by way of the worker's own node: of an heir its donor's file of weights,
//! of a run with a user's module its file.
//!
//! *Invariants*: bytes that are not those that the lease names are never started from; a donor
//! whose file is gone costs its heir the warm start, not the model.
//!
//! *Not here*: starting from it (`job::heir`).

use std::sync::Arc;

use wire::client::collect;
use wire::fault::{Fault, FaultKind};
use wire::hit::FileEntry;
use wire::module::BYTES_MAX;
use wire::params::{ModelFileParams, ModuleParams};
use wire::run::Lease;
use wire::transfer::{Heritage, Legacy};

use super::{Worker, told};
use crate::job::heir::Gift;
use crate::log::say;
use crate::module::permitted;

/// A module's hash and file.
pub(super) type Kept = (String, Arc<Vec<u8>>);
/// What a job starts from, and the file of its run's module.
pub(super) type Brought = (Option<Gift>, Option<Arc<Vec<u8>>>);

/// Greatest file that an heir starts from: a thousand times ours.
const FILE_BYTES_MAX: u64 = 1 << 30;

impl Worker {
    /// Fetches all that a job needs beside its splits; or says why it cannot be done, and whether
    /// another attempt is hopeless.
    pub(super) async fn brought(&mut self, lease: &Lease) -> Result<Brought, (String, bool)> {
        let module = self.module(lease).await.map_err(|fault| {
            let hopeless = fault.kind == FaultKind::Refused;
            let reason = format!("the run's module cannot be used: {}", told(&fault));
            (reason, hopeless)
        })?;
        let gift = self.gift(lease).await.map_err(|fault| {
            let reason = format!("the donor's weights cannot be read: {}", told(&fault));
            (reason, false)
        })?;
        Ok((gift, module))
    }

    /// Fetches what a job is to start from; none where it is nobody's heir. A fault is worth
    /// another attempt.
    async fn gift(&mut self, lease: &Lease) -> Result<Option<Gift>, Fault> {
        let Some(Heritage { donor, legacy }) = &lease.heritage else {
            return Ok(None);
        };
        let file = match legacy {
            Legacy::Weights(file) => file,
            Legacy::Lost(reason) => return Ok(Some(Err(reason.clone()))),
            Legacy::Awaited => return Ok(Some(Err("its donor has not ended".to_owned()))),
        };
        let params = ModelFileParams {
            run: lease.run.name.clone(),
            geocode: donor.clone(),
            name: file.name.clone(),
        };
        match self.fetch(&params, file).await {
            Ok(bytes) => {
                let (run, cell, size) = (&lease.run.name, &lease.geocode, bytes.len());
                say(&format!(
                    "{run}: job {cell} is given {size} bytes of {donor}"
                ));
                Ok(Some(Ok(bytes)))
            }
            Err(fault) if matches!(fault.kind, FaultKind::Nothing | FaultKind::Data) => {
                let reason = told(&fault);
                Ok(Some(Err(format!("the weights of donor {donor}: {reason}"))))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Fetches the file of a run's module, or finds it as it was brought for the job before.
    async fn module(&mut self, lease: &Lease) -> Result<Option<Arc<Vec<u8>>>, Fault> {
        let Some(module) = &lease.run.module else {
            return Ok(None);
        };
        permitted()?;
        let mut brought = self.modules.lock().await;
        if let Some((_, file)) = brought.as_ref().filter(|(hash, _)| *hash == module.blake3) {
            return Ok(Some(Arc::clone(file)));
        }
        let max = usize::try_from(module.bytes.min(BYTES_MAX)).unwrap_or(usize::MAX);
        let params = ModuleParams {
            blake3: module.blake3.clone(),
        };
        let ask = || async { collect(self.client.module(&params).await?, max).await };
        let file = Arc::new(ask().await?);
        *brought = Some((module.blake3.clone(), Arc::clone(&file)));
        Ok(Some(file))
    }

    async fn fetch(
        &mut self,
        params: &ModelFileParams,
        file: &FileEntry,
    ) -> Result<Vec<u8>, Fault> {
        if file.bytes > FILE_BYTES_MAX {
            let what = format!("they have {} bytes, more than {FILE_BYTES_MAX}", file.bytes);
            return Err(Fault::new(FaultKind::Data, what));
        }
        let max = usize::try_from(file.bytes).unwrap_or(usize::MAX);
        let client = self.client.clone();
        let ask = || async { collect(client.model_file(params).await?, max).await };
        let stopped = || Fault::new(FaultKind::Unreachable, "the worker is to stop");
        let bytes = self.insist(ask).await?.ok_or_else(stopped)?;
        if blake3::hash(&bytes).to_hex().as_str() == file.blake3 {
            return Ok(bytes);
        }
        let what = "they are not those that the lease names";
        Err(Fault::new(FaultKind::Data, what))
    }
}
