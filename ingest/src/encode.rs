//! From a measured cell to the files of a split.
//!
//! *Invariants*: the same scene and collection give the same bytes, on any machine and in any
//! order; no clock is read.
//!
//! *Not here*: the files' form (`earth::split::codec`).

use earth::split::codec::{Encoded, encode};
use earth::split::collection::Collection;
use earth::split::meta::{META_VERSION, SplitId, SplitMeta};
use wire::fault::{Fault, FaultKind};

use crate::source::Scene;
use crate::strip::CellCut;

/// What writes splits, as their metadata name it.
pub const SOFTWARE: &str = concat!("glebe ", env!("CARGO_PKG_VERSION"));

/// Encodes one cell of a scene as a split of a collection.
pub fn split(scene: &Scene, collection: &Collection, cell: CellCut) -> Result<Encoded, Fault> {
    let id = id(scene, collection, &cell)?;
    let meta = SplitMeta {
        version: META_VERSION,
        id,
        dataset: scene.dataset.name.to_owned(),
        platform: scene.platform.clone(),
        geocode: cell.cell,
        placement_key: collection.placement.key(&cell.cell),
        acquired: scene.acquired,
        assets: Vec::new(),
        bands: cell.measured.bands,
        counts: cell.measured.counts,
        cloud_source: cell.measured.cloud_source,
        missing_bands: scene.missing.clone(),
        texture: cell.measured.texture,
        source_hash: scene.delivered.hash.clone(),
        software: SOFTWARE.to_owned(),
    };
    encode(meta, &cell.cut.assets).map_err(|e| {
        let what = format!("cell {} cannot be written", cell.cell);
        let source = std::error::Error::source(&e).map(ToString::to_string);
        let fault = Fault::new(FaultKind::Data, what).because(e.to_string());
        source.into_iter().fold(fault, Fault::because)
    })
}

fn id(scene: &Scene, collection: &Collection, cell: &CellCut) -> Result<SplitId, Fault> {
    SplitId::new(&collection.name, &scene.name, &cell.cell).ok_or_else(|| {
        let what = format!("'{}' or '{}' is no name", collection.name, scene.name);
        Fault::new(FaultKind::Usage, what)
            .because("names have 1 to 120 letters, digits, '-', '_' and '.'")
    })
}
