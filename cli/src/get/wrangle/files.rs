//! Files of splits in memory: fetched once, checked, decoded in windows.
//!
//! *Invariants*: nothing is decoded whose hash is not what the index says; what is kept is bounded.
//!
//! *Not here*: which files are needed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use earth::cube::CubeBand;
use earth::raster::Raster;
use earth::raster::georef::Georef;
use earth::raster::lattice::{overlap, part};
use earth::split::codec;
use earth::split::meta::BandMeta;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::get::slices;

/// Most bytes of fetched files kept for later: the neighbours of some hundred cells of 10 m.
const KEPT_BYTES_MAX: u64 = 512 << 20;

/// Pixels around a window that another lattice needs to be resampled.
const OTHER_LATTICE_MARGIN: u32 = 4;

/// Pixels of one band of one split.
#[derive(Debug)]
pub(super) struct Part {
    /// Where they lie.
    pub(super) georef: Georef,
    /// What they are.
    pub(super) band: CubeBand,
    /// The pixels.
    pub(super) raster: Raster,
}

/// What was fetched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fetched {
    /// Files.
    pub(super) files: u64,
    /// Bytes of these.
    pub(super) bytes: u64,
}

/// Files by split and name.
#[derive(Debug)]
pub(super) struct Files<'a> {
    client: &'a Client,
    kept: BTreeMap<String, Arc<Vec<u8>>>,
    order: VecDeque<String>,
    bytes: u64,
    /// What was fetched of splits that were asked for, and of others.
    pub(super) own: Fetched,
    pub(super) others: Fetched,
}

/// Whether a split is one of those asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Own,
    Other,
}

impl<'a> Files<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            kept: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            own: Fetched::default(),
            others: Fetched::default(),
        }
    }

    /// Returns the part of a band that lies in a window; `None` where they do not meet.
    pub(super) async fn part(
        &mut self,
        (hit, role): (&Hit, Role),
        band: &BandMeta,
        window: &Georef,
    ) -> Result<Option<Part>, Fault> {
        let asset =
            { hit.assets.get(&band.asset) }.ok_or_else(|| slices::damaged(hit, &band.asset))?;
        let georef = slices::georef(hit, asset)?;
        let wrong = |e: String| slices::damaged(hit, &band.asset).because(e);
        let found = overlap(&georef, window, OTHER_LATTICE_MARGIN);
        let Some(at) = found.map_err(|e| wrong(e.to_string()))? else {
            return Ok(None);
        };
        let bytes = self.file((hit, role), &band.asset).await?;
        let decode = || codec::decode_window(&bytes, band.index as usize, at);
        let raster = tokio::task::block_in_place(decode).map_err(|e| wrong(slices::chain(&e)))?;
        Ok(Some(Part {
            georef: part(&georef, at),
            band: CubeBand::from(band),
            raster,
        }))
    }

    async fn file(&mut self, (hit, role): (&Hit, Role), name: &str) -> Result<Arc<Vec<u8>>, Fault> {
        let key = format!("{}/{name}", hit.id);
        if let Some(known) = self.kept.get(&key) {
            return Ok(Arc::clone(known));
        }
        let asset = { hit.assets.get(name) }.ok_or_else(|| slices::damaged(hit, name))?;
        let bytes = slices::bytes(self.client, hit, (name, asset)).await?;
        let fetched = match role {
            Role::Own => &mut self.own,
            Role::Other => &mut self.others,
        };
        fetched.files += 1;
        fetched.bytes += bytes.len() as u64;
        let bytes = Arc::new(bytes);
        self.keep(key, &bytes);
        Ok(bytes)
    }

    fn keep(&mut self, key: String, bytes: &Arc<Vec<u8>>) {
        self.bytes += bytes.len() as u64;
        self.kept.insert(key.clone(), Arc::clone(bytes));
        self.order.push_back(key);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let gone = self.kept.remove(&oldest);
            self.bytes -= gone.map_or(0, |file| file.len() as u64);
        }
    }
}

/// Returns where a band of a split lies.
pub(super) fn lattice(hit: &Hit, band: &BandMeta) -> Result<Georef, Fault> {
    let asset = { hit.assets.get(&band.asset) }.ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("{} has no file {}", hit.id, band.asset),
        )
        .try_("glebe cluster verify")
    })?;
    slices::georef(hit, asset)
}
