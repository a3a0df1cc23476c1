//! Landsat.
//!
//! *Not here*: how a scene's files are read (ingest).

use crate::raster::cloud::{Meaning, Sky};

/// Collection 2 `QA_PIXEL` bits: 0 fill, 2 cirrus, 3 cloud, 4 shadow, 5 snow.
pub const QA_PIXEL: Meaning = Meaning {
    name: "qa_pixel",
    band: "QA_PIXEL",
    sky: |bits| match bits {
        b if b & 1 != 0 => Sky::Void,
        b if b & 0b1100 != 0 => Sky::Cloud,
        b if b & 0b1_0000 != 0 => Sky::Shadow,
        b if b & 0b10_0000 != 0 => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: true,
    tells_void: true,
};
