//! Sentinel-2 MSI, levels 1C and 2A.
//!
//! *Invariants*: bands in the order of their numbers, B8A after B08.
//!
//! *Not here*: how a SAFE product is read (ingest).

use super::{BandSpec, Dataset, band};
use crate::raster::cloud::{Meaning, Sky};

/// Percent of probability from which a pixel is cloud (`MSK_CLDPRB`).
const PROBABILITY_MIN: u32 = 50;

/// Level 1C.
pub(super) const L1C: Dataset = Dataset {
    name: "sentinel-2-l1c",
    title: "Sentinel-2 top-of-atmosphere reflectance",
    bands: SENTINEL2,
    fill: Some(0.0),
};

/// Level 2A.
pub(super) const L2A: Dataset = Dataset {
    name: "sentinel-2-l2a",
    title: "Sentinel-2 surface reflectance",
    bands: SENTINEL2_L2A,
    fill: Some(0.0),
};

/// Sentinel-2 MSI bands (ESA, Sentinel-2 MSI User Guide, spectral resolutions of S2A).
const SENTINEL2: &[BandSpec] = &[
    band("B01", "coastal", 442.7, 60.0),
    band("B02", "blue", 492.4, 10.0),
    band("B03", "green", 559.8, 10.0),
    band("B04", "red", 664.6, 10.0),
    band("B05", "rededge071", 704.1, 20.0),
    band("B06", "rededge075", 740.5, 20.0),
    band("B07", "rededge078", 782.8, 20.0),
    band("B08", "nir", 832.8, 10.0),
    band("B8A", "nir08", 864.7, 20.0),
    band("B09", "nir09", 945.1, 60.0),
    band("B10", "cirrus", 1373.5, 60.0),
    band("B11", "swir16", 1613.7, 20.0),
    band("B12", "swir22", 2202.4, 20.0),
];

/// The same at level 2A, which has no cirrus band: it shows no surface.
const SENTINEL2_L2A: &[BandSpec] = &[
    band("B01", "coastal", 442.7, 60.0),
    band("B02", "blue", 492.4, 10.0),
    band("B03", "green", 559.8, 10.0),
    band("B04", "red", 664.6, 10.0),
    band("B05", "rededge071", 704.1, 20.0),
    band("B06", "rededge075", 740.5, 20.0),
    band("B07", "rededge078", 782.8, 20.0),
    band("B08", "nir", 832.8, 10.0),
    band("B8A", "nir08", 864.7, 20.0),
    band("B09", "nir09", 945.1, 60.0),
    band("B11", "swir16", 1613.7, 20.0),
    band("B12", "swir22", 2202.4, 20.0),
];

/// Scene classes: 8, 9, 10 cloud, 3 shadow, 11 snow, 0 no data (Sen2Cor product definition).
pub const SCENE_CLASSES: Meaning = Meaning {
    name: "scl",
    band: "SCL",
    sky: |class| match class {
        0 => Sky::Void,
        3 => Sky::Shadow,
        8..=10 => Sky::Cloud,
        11 => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: true,
    tells_void: true,
};

/// Cloud probability in percent; 0 also stands where there is no data.
pub const CLOUD_PROBABILITY: Meaning = Meaning {
    name: "cldprb",
    band: "",
    sky: |percent| {
        if percent >= PROBABILITY_MIN {
            Sky::Cloud
        } else {
            Sky::Clear
        }
    },
    tells_shadow_and_snow: false,
    tells_void: false,
};
