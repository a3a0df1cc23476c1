//! Sentinel-3 OLCI and SLSTR.
//!
//! *Invariants*: bands in the order of their numbers; radiances have no common name.
//!
//! *Not here*: how products are read (ingest).

use super::{BandSpec, Dataset, band};
use crate::raster::cloud::{Meaning, Sky};

/// OLCI, as IdePix, C2RCC and SNAP's conversion from radiance write it.
pub(super) const OLCI: Dataset = Dataset {
    name: "sentinel-3-olci",
    title: "Sentinel-3 OLCI top-of-atmosphere reflectance",
    bands: OLCI_REFLECTANCE,
    fill: None,
};

/// OLCI at level 1, in mW m⁻² sr⁻¹ nm⁻¹.
pub(super) const OLCI_L1: Dataset = Dataset {
    name: "sentinel-3-olci-l1",
    title: "Sentinel-3 OLCI top-of-atmosphere radiance",
    bands: OLCI_RADIANCE,
    fill: None,
};

/// OLCI at level 2 over water: clouds, land and glint are fill already.
pub(super) const OLCI_L2_WATER: Dataset = Dataset {
    name: "sentinel-3-olci-l2-water",
    title: "Sentinel-3 OLCI water-leaving reflectance",
    bands: OLCI_WATER,
    fill: None,
};

/// OLCI at level 2 over land: clouds and water are fill already.
pub(super) const OLCI_L2_LAND: Dataset = Dataset {
    name: "sentinel-3-olci-l2-land",
    title: "Sentinel-3 OLCI fAPAR, chlorophyll index, rectified reflectance and water vapour",
    bands: OLCI_LAND,
    fill: None,
};

/// SLSTR at level 1: S1–S6 in mW m⁻² sr⁻¹ nm⁻¹, S7–S9 in kelvin.
pub(super) const SLSTR: Dataset = Dataset {
    name: "sentinel-3-slstr",
    title: "Sentinel-3 SLSTR radiance (S1 to S6) and brightness temperature (S7 to S9), nadir view",
    bands: SLSTR_BANDS,
    fill: None,
};

/// OLCI bands (ESA, Sentinel-3 OLCI User Guide, radiometric resolution).
const OLCI_REFLECTANCE: &[BandSpec] = &[
    band("Oa01", "", 400.0, 300.0),
    band("Oa02", "", 412.5, 300.0),
    band("Oa03", "coastal", 442.5, 300.0),
    band("Oa04", "blue", 490.0, 300.0),
    band("Oa05", "", 510.0, 300.0),
    band("Oa06", "green", 560.0, 300.0),
    band("Oa07", "", 620.0, 300.0),
    band("Oa08", "red", 665.0, 300.0),
    band("Oa09", "", 673.75, 300.0),
    band("Oa10", "", 681.25, 300.0),
    band("Oa11", "rededge071", 708.75, 300.0),
    band("Oa12", "rededge075", 753.75, 300.0),
    band("Oa13", "", 761.25, 300.0),
    band("Oa14", "", 764.375, 300.0),
    band("Oa15", "", 767.5, 300.0),
    band("Oa16", "rededge078", 778.75, 300.0),
    band("Oa17", "nir", 865.0, 300.0),
    band("Oa18", "", 885.0, 300.0),
    band("Oa19", "", 900.0, 300.0),
    band("Oa20", "nir09", 940.0, 300.0),
    band("Oa21", "", 1020.0, 300.0),
];

/// The same as radiances.
const OLCI_RADIANCE: &[BandSpec] = &{
    let mut bands = [band("", "", 0.0, 0.0); OLCI_REFLECTANCE.len()];
    let mut i = 0;
    while i < bands.len() {
        let BandSpec {
            name,
            centre_nm,
            resolution_m,
            ..
        } = OLCI_REFLECTANCE[i];
        bands[i] = band(name, "", centre_nm, resolution_m);
        i += 1;
    }
    bands
};

/// What is left once the atmosphere was taken away; no common names, since no index or cloud
/// likelihood of reflectances at the top of the atmosphere fits.
const OLCI_WATER: &[BandSpec] = &[
    band("Oa01", "", 400.0, 300.0),
    band("Oa02", "", 412.5, 300.0),
    band("Oa03", "", 442.5, 300.0),
    band("Oa04", "", 490.0, 300.0),
    band("Oa05", "", 510.0, 300.0),
    band("Oa06", "", 560.0, 300.0),
    band("Oa07", "", 620.0, 300.0),
    band("Oa08", "", 665.0, 300.0),
    band("Oa09", "", 673.75, 300.0),
    band("Oa10", "", 681.25, 300.0),
    band("Oa11", "", 708.75, 300.0),
    band("Oa12", "", 753.75, 300.0),
    band("Oa16", "", 778.75, 300.0),
    band("Oa17", "", 865.0, 300.0),
    band("Oa18", "", 885.0, 300.0),
    band("Oa21", "", 1020.0, 300.0),
];

/// What is derived over land; rectified reflectances are those of a standard geometry, and have no
/// common names.
const OLCI_LAND: &[BandSpec] = &[
    band("GIFAPAR", "", 0.0, 300.0),
    band("OTCI", "", 0.0, 300.0),
    band("RC681", "", 681.25, 300.0),
    band("RC865", "", 865.0, 300.0),
    band("IWV", "", 0.0, 300.0),
];

/// SLSTR bands (ESA, Sentinel-3 SLSTR User Guide, radiometric resolution).
const SLSTR_BANDS: &[BandSpec] = &[
    band("S1", "", 554.27, 500.0),
    band("S2", "", 659.47, 500.0),
    band("S3", "", 868.0, 500.0),
    band("S4", "", 1374.8, 500.0),
    band("S5", "", 1613.4, 500.0),
    band("S6", "", 2255.7, 500.0),
    band("S7", "", 3742.0, 1000.0),
    band("S8", "lwir11", 10_854.0, 1000.0),
    band("S9", "lwir12", 12_022.5, 1000.0),
];

/// The flags of IdePix that are read, with their bits.
pub const IDEPIX_BITS: &[(&str, u32)] = &[
    ("IDEPIX_INVALID", 1),
    ("IDEPIX_CLOUD", 2),
    ("IDEPIX_CLOUD_AMBIGUOUS", 4),
    ("IDEPIX_CLOUD_SURE", 8),
    ("IDEPIX_CLOUD_SHADOW", 32),
    ("IDEPIX_SNOW_ICE", 64),
];

/// `pixel_classif_flags` of IdePix; the buffer around clouds is clear.
pub const IDEPIX: Meaning = Meaning {
    name: "idepix",
    band: "pixel_classif_flags",
    sky: |bits| match bits {
        b if b & 1 != 0 => Sky::Void,
        b if b & 0b1110 != 0 => Sky::Cloud,
        b if b & 64 != 0 => Sky::Snow,
        b if b & 32 != 0 => Sky::Shadow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: true,
    tells_void: true,
};

/// The flags of SLSTR's confidence word that are read, with their bits.
pub const SLSTR_CONFIDENCE_BITS: &[(&str, u32)] =
    &[("unfilled", 32), ("snow", 8192), ("summary_cloud", 16_384)];

/// `confidence_an` of SLSTR: its summary of all cloud tests; shadows are not told.
pub const SLSTR_CONFIDENCE: Meaning = Meaning {
    name: "slstr_confidence",
    band: "confidence_an",
    sky: |bits| match bits {
        b if b & 32 != 0 => Sky::Void,
        b if b & 16_384 != 0 => Sky::Cloud,
        b if b & 8192 != 0 => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: false,
    tells_void: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_alone_means_what_its_name_says() {
        let sky = |flags: &[(&str, u32)], meaning: &Meaning, name: &str| {
            let (_, bit) = flags.iter().find(|(own, _)| *own == name).unwrap();
            (meaning.sky)(*bit)
        };
        let idepix = |name| sky(IDEPIX_BITS, &IDEPIX, name);
        assert_eq!(idepix("IDEPIX_INVALID"), Sky::Void);
        for name in [
            "IDEPIX_CLOUD",
            "IDEPIX_CLOUD_AMBIGUOUS",
            "IDEPIX_CLOUD_SURE",
        ] {
            assert_eq!(idepix(name), Sky::Cloud, "{name}");
        }
        assert_eq!(idepix("IDEPIX_CLOUD_SHADOW"), Sky::Shadow);
        assert_eq!(idepix("IDEPIX_SNOW_ICE"), Sky::Snow);
        assert_eq!((IDEPIX.sky)(16), Sky::Clear, "the buffer around clouds");
        let slstr = |name| sky(SLSTR_CONFIDENCE_BITS, &SLSTR_CONFIDENCE, name);
        assert_eq!(slstr("unfilled"), Sky::Void);
        assert_eq!(slstr("summary_cloud"), Sky::Cloud);
        assert_eq!(slstr("snow"), Sky::Snow);
    }
}
