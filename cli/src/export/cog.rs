//! Cloud-optimised GeoTIFF: one time of a cube.
//!
//! *Invariants*: stored numbers with scale, offset and name of each band; one fill for all.
//!
//! *Not here*: the bytes (`earth::geotiff`).

use earth::cube::Cube;
use earth::geotiff::{BandImage, Image, encode_geotiff};
use earth::raster::reproject::Kernel;
use wire::fault::{Fault, FaultKind};

/// Returns the file of one time of a united cube.
pub(super) fn encode(cube: &Cube, time: usize) -> Result<Vec<u8>, Fault> {
    let bands: Vec<_> = cube
        .bands()
        .iter()
        .zip(cube.planes(time))
        .map(|(band, raster)| BandImage {
            name: &band.name,
            raster,
            scale: band.scale,
            offset: band.offset,
            overview: if band.categorical {
                Kernel::Nearest
            } else {
                Kernel::Bilinear
            },
        })
        .collect();
    let mut items = Vec::new();
    if let Some(time) = cube.times().get(time) {
        items.push(("ACQUISITION_TIME", time.acquired.to_string()));
        items.push(("GLEBE_SCENE", time.scene.clone()));
    }
    let notes = cube.notes().iter();
    items.extend(notes.map(|(name, text)| (name.as_str(), text.clone())));
    let image = Image {
        georef: cube.georef(),
        bands: &bands,
        fill: cube.bands().first().and_then(|b| b.fill),
        items: &items,
    };
    encode_geotiff(&image).map_err(|e| {
        Fault::new(FaultKind::Data, "the pixels fit no GeoTIFF").because(e.to_string())
    })
}
