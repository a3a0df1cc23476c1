//! The sensor products that glebe knows by name, and what their masks mean; a file a family.
//!
//! *Invariants*: names are lower-case; wavelengths in nanometres, resolutions in metres.
//!
//! *Not here*: how a product's files are read (ingest).

pub mod landsat;
pub mod modis;
mod naip;
mod nlcd;
pub mod sentinel2;
pub mod sentinel3;

use crate::raster::cloud::Meaning;
use crate::raster::cloud::meaning::{NON_ZERO, SPECTRAL};

/// A sensor product known by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dataset {
    /// The name, as in `--dataset`.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// The bands in the product's order.
    pub bands: &'static [BandSpec],
    /// The fill value of the product, where it delivers one.
    pub fill: Option<f64>,
}

/// A band of a known product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandSpec {
    /// The product's own band name.
    pub name: &'static str,
    /// What the band shows, in STAC's common names (`red`, `nir`, …); empty if none fits.
    pub common: &'static str,
    /// Centre wavelength in nanometres; 0 where it has no meaning.
    pub centre_nm: f64,
    /// Nominal resolution in metres; 0 where the source decides.
    pub resolution_m: f64,
}

const fn band(name: &'static str, common: &'static str, centre_nm: f64, m: f64) -> BandSpec {
    BandSpec {
        name,
        common,
        centre_nm,
        resolution_m: m,
    }
}

/// Any raster.
const GENERIC: Dataset = Dataset {
    name: "generic",
    title: "any georeferenced raster",
    bands: &[],
    fill: None,
};

/// Every known product, sorted by name.
pub const DATASETS: &[Dataset] = &[
    GENERIC,
    landsat::C1_L1,
    landsat::C2_L1,
    landsat::C2_L2,
    modis::LAND_COVER,
    modis::LEAF_AREA,
    modis::NADIR_REFLECTANCE,
    modis::SURFACE_REFLECTANCE,
    modis::SNOW_COVER,
    modis::TEMPERATURE_DAILY,
    modis::TEMPERATURE_8_DAYS,
    modis::VEGETATION_500M,
    modis::VEGETATION_1KM,
    modis::VEGETATION_250M,
    naip::NAIP,
    nlcd::LAND_COVER,
    sentinel2::L1C,
    sentinel2::L2A,
    sentinel3::OLCI,
    sentinel3::OLCI_L1,
    sentinel3::OLCI_L2_LAND,
    sentinel3::OLCI_L2_WATER,
    sentinel3::SLSTR,
];

/// Every meaning of a delivered mask.
pub const MEANINGS: &[&Meaning] = &[
    &NON_ZERO,
    &SPECTRAL,
    &landsat::BQA,
    &landsat::BQA_BEFORE,
    &landsat::QA_PIXEL,
    &modis::EXTRA_QC,
    &modis::RELIABILITY,
    &modis::SNOW_EXTENT,
    &modis::STATE_QA,
    &modis::TEMPERATURE_QC,
    &sentinel2::CLOUD_PROBABILITY,
    &sentinel2::SCENE_CLASSES,
    &sentinel3::IDEPIX,
    &sentinel3::SLSTR_CONFIDENCE,
];

/// Masks whose void is the product's own word on which pixels are observations: pixels under it are
/// stored as delivered and do not count for coverage.
const OBSERVED_BY: &[&Meaning] = &[&landsat::BQA, &landsat::BQA_BEFORE, &landsat::QA_PIXEL];

/// Tells whether only pixels that a mask of that meaning sees count for coverage.
pub fn says_what_was_observed(meaning: &Meaning) -> bool {
    OBSERVED_BY.contains(&meaning)
}

/// Returns the product of that name.
pub fn dataset(name: &str) -> Option<&'static Dataset> {
    DATASETS.iter().find(|d| d.name == name)
}

/// Returns how masks of that name (`cloud_source` in a split's metadata) are read.
pub fn meaning(name: &str) -> Option<&'static Meaning> {
    MEANINGS.iter().find(|m| m.name == name).copied()
}
