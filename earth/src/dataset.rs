//! The sensor products that glebe knows by name.
//!
//! *Invariants*: names are lower-case; wavelengths in nanometres, resolutions in metres.
//!
//! *Not here*: how a product's files are read (ingest).

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

/// NAIP: band 4 is near infrared, whatever its colour tag says.
const NAIP: &[BandSpec] = &[
    band("R", "red", 660.0, 0.0),
    band("G", "green", 560.0, 0.0),
    band("B", "blue", 480.0, 0.0),
    band("N", "nir", 840.0, 0.0),
];

/// Every known product, sorted by name.
pub const DATASETS: &[Dataset] = &[
    Dataset {
        name: "generic",
        title: "any georeferenced raster",
        bands: &[],
        fill: None,
    },
    Dataset {
        name: "naip",
        title: "NAIP aerial imagery",
        bands: NAIP,
        fill: None,
    },
    Dataset {
        name: "sentinel-2-l1c",
        title: "Sentinel-2 top-of-atmosphere reflectance",
        bands: SENTINEL2,
        fill: Some(0.0),
    },
    Dataset {
        name: "sentinel-2-l2a",
        title: "Sentinel-2 surface reflectance",
        bands: SENTINEL2_L2A,
        fill: Some(0.0),
    },
];

/// Returns the product of that name.
pub fn dataset(name: &str) -> Option<&'static Dataset> {
    DATASETS.iter().find(|d| d.name == name)
}
