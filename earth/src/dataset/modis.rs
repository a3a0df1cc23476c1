//! MODIS land products on the sinusoidal grid, Terra's, Aqua's and combined.
//!
//! Sources: NASA, MODIS specifications (band centres: the middle of each bandwidth); LP DAAC and
//! NSIDC product pages. Nominal resolutions are the products' own (250, 500, 1000 m); a pixel of
//! the grid measures 231.656, 463.313 or 926.625 m.
//!
//! *Invariants*: band names are those of the product's fields; one dataset a product code, whatever
//! the satellite.
//!
//! *Not here*: quality fields and names of classes (ingest).

mod sky;

pub use self::sky::{EXTRA_QC, RELIABILITY, SNOW_EXTENT, STATE_QA, TEMPERATURE_QC};

use super::{BandSpec, Dataset, band};

const MOD09A1: &[BandSpec] = &[
    band("sur_refl_b01", "red", 645.0, 500.0),
    band("sur_refl_b02", "nir", 858.5, 500.0),
    band("sur_refl_b03", "blue", 469.0, 500.0),
    band("sur_refl_b04", "green", 555.0, 500.0),
    band("sur_refl_b05", "", 1240.0, 500.0),
    band("sur_refl_b06", "swir16", 1640.0, 500.0),
    band("sur_refl_b07", "swir22", 2130.0, 500.0),
];

const MCD43A4: &[BandSpec] = &[
    band("Nadir_Reflectance_Band1", "red", 645.0, 500.0),
    band("Nadir_Reflectance_Band2", "nir", 858.5, 500.0),
    band("Nadir_Reflectance_Band3", "blue", 469.0, 500.0),
    band("Nadir_Reflectance_Band4", "green", 555.0, 500.0),
    band("Nadir_Reflectance_Band5", "", 1240.0, 500.0),
    band("Nadir_Reflectance_Band6", "swir16", 1640.0, 500.0),
    band("Nadir_Reflectance_Band7", "swir22", 2130.0, 500.0),
];

const MOD11: &[BandSpec] = &[
    band("LST_Day_1km", "", 0.0, 1000.0),
    band("LST_Night_1km", "", 0.0, 1000.0),
    band("Emis_31", "", 11_030.0, 1000.0),
    band("Emis_32", "", 12_020.0, 1000.0),
];

const MOD13_250: &[BandSpec] = &vegetation(250.0);
const MOD13_500: &[BandSpec] = &vegetation(500.0);
const MOD13_1000: &[BandSpec] = &vegetation(1000.0);

const fn vegetation(m: f64) -> [BandSpec; 6] {
    [
        band("NDVI", "", 0.0, m),
        band("EVI", "", 0.0, m),
        band("red_reflectance", "red", 645.0, m),
        band("NIR_reflectance", "nir", 858.5, m),
        band("blue_reflectance", "blue", 469.0, m),
        band("MIR_reflectance", "swir22", 2130.0, m),
    ]
}

const MCD15A2H: &[BandSpec] = &[
    band("Fpar_500m", "", 0.0, 500.0),
    band("Lai_500m", "", 0.0, 500.0),
    band("FparStdDev_500m", "", 0.0, 500.0),
    band("LaiStdDev_500m", "", 0.0, 500.0),
];

const MOD10A2: &[BandSpec] = &[
    band("Maximum_Snow_Extent", "", 0.0, 500.0),
    band("Eight_Day_Snow_Cover", "", 0.0, 500.0),
];

const MCD12Q1: &[BandSpec] = &[
    band("LC_Type1", "", 0.0, 500.0),
    band("LC_Type2", "", 0.0, 500.0),
    band("LC_Type3", "", 0.0, 500.0),
    band("LC_Type4", "", 0.0, 500.0),
    band("LC_Type5", "", 0.0, 500.0),
    band("LC_Prop1", "", 0.0, 500.0),
    band("LC_Prop2", "", 0.0, 500.0),
    band("LC_Prop3", "", 0.0, 500.0),
];

/// MCD12Q1.
pub(super) const LAND_COVER: Dataset = Dataset {
    name: "modis-mcd12q1",
    title: "MODIS yearly land cover, 500 m (MCD12Q1)",
    bands: MCD12Q1,
    fill: Some(255.0),
};

/// MCD15A2H, MOD15A2H, MYD15A2H.
pub(super) const LEAF_AREA: Dataset = Dataset {
    name: "modis-mcd15a2h",
    title: "MODIS 8-day leaf area and absorbed light, 500 m (MCD15A2H)",
    bands: MCD15A2H,
    fill: Some(255.0),
};

/// MCD43A4.
pub(super) const NADIR_REFLECTANCE: Dataset = Dataset {
    name: "modis-mcd43a4",
    title: "MODIS daily nadir reflectance, 500 m (MCD43A4)",
    bands: MCD43A4,
    fill: Some(32_767.0),
};

/// MOD09A1, MYD09A1.
pub(super) const SURFACE_REFLECTANCE: Dataset = Dataset {
    name: "modis-mod09a1",
    title: "MODIS 8-day surface reflectance, 500 m (MOD09A1, MYD09A1)",
    bands: MOD09A1,
    fill: Some(-28_672.0),
};

/// MOD10A2, MYD10A2.
pub(super) const SNOW_COVER: Dataset = Dataset {
    name: "modis-mod10a2",
    title: "MODIS 8-day snow cover, 500 m (MOD10A2, MYD10A2)",
    bands: MOD10A2,
    fill: Some(255.0),
};

/// MOD11A1, MYD11A1.
pub(super) const TEMPERATURE_DAILY: Dataset = Dataset {
    name: "modis-mod11a1",
    title: "MODIS daily surface temperature, 1 km (MOD11A1, MYD11A1)",
    bands: MOD11,
    fill: Some(0.0),
};

/// MOD11A2, MYD11A2.
pub(super) const TEMPERATURE_8_DAYS: Dataset = Dataset {
    name: "modis-mod11a2",
    title: "MODIS 8-day surface temperature, 1 km (MOD11A2, MYD11A2)",
    bands: MOD11,
    fill: Some(0.0),
};

/// MOD13A1, MYD13A1.
pub(super) const VEGETATION_500M: Dataset = Dataset {
    name: "modis-mod13a1",
    title: "MODIS 16-day vegetation indices, 500 m (MOD13A1, MYD13A1)",
    bands: MOD13_500,
    fill: Some(-3_000.0),
};

/// MOD13A2, MYD13A2.
pub(super) const VEGETATION_1KM: Dataset = Dataset {
    name: "modis-mod13a2",
    title: "MODIS 16-day vegetation indices, 1 km (MOD13A2, MYD13A2)",
    bands: MOD13_1000,
    fill: Some(-3_000.0),
};

/// MOD13Q1, MYD13Q1.
pub(super) const VEGETATION_250M: Dataset = Dataset {
    name: "modis-mod13q1",
    title: "MODIS 16-day vegetation indices, 250 m (MOD13Q1, MYD13Q1)",
    bands: MOD13_250,
    fill: Some(-3_000.0),
};
