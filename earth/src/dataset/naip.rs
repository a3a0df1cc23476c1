//! NAIP aerial imagery.
//!
//! *Invariants*: band 4 is near infrared, whatever its colour tag says.
//!
//! *Not here*: file names and FGDC metadata (ingest).

use super::{BandSpec, Dataset, band};

/// Aerial imagery of the conterminous United States.
pub(super) const NAIP: Dataset = Dataset {
    name: "naip",
    title: "NAIP aerial imagery",
    bands: BANDS,
    fill: None,
};

/// NAIP: band 4 is near infrared, whatever its colour tag says.
const BANDS: &[BandSpec] = &[
    band("R", "red", 660.0, 0.0),
    band("G", "green", 560.0, 0.0),
    band("B", "blue", 480.0, 0.0),
    band("N", "nir", 840.0, 0.0),
];
