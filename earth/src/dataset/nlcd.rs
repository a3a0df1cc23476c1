//! The National Land Cover Database of the United States.
//!
//! *Invariants*: one band of classes.
//!
//! *Not here*: names of the classes (ingest).

use super::{BandSpec, Dataset, band};

const BANDS: &[BandSpec] = &[band("land_cover", "", 0.0, 30.0)];

/// NLCD, any year.
pub(super) const LAND_COVER: Dataset = Dataset {
    name: "nlcd",
    title: "NLCD land cover of the United States, 30 m",
    bands: BANDS,
    fill: Some(0.0),
};
