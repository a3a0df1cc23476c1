//! What an heir is brought: its donor's file of weights, by way of the worker's own node.
//!
//! *Invariants*: bytes that are not those that the lease names are never started from; a donor
//! whose file is gone costs its heir the warm start, not the model.
//!
//! *Not here*: starting from it (`job::heir`).

use wire::client::collect;
use wire::fault::{Fault, FaultKind};
use wire::hit::FileEntry;
use wire::params::ModelFileParams;
use wire::run::Lease;
use wire::transfer::{Heritage, Legacy};

use super::{Worker, told};
use crate::job::heir::Gift;
use crate::log::say;

/// Greatest file that an heir starts from: a thousand times ours.
const FILE_BYTES_MAX: u64 = 1 << 30;

impl Worker {
    /// Fetches what a job is to start from; none where it is nobody's heir. A fault is worth
    /// another attempt.
    pub(super) async fn gift(&mut self, lease: &Lease) -> Result<Option<Gift>, Fault> {
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
