//! Landsat 4 to 9: bands by sensor and level.
//!
//! A dataset lists the bands of the newest sensor (OLI and TIRS); scenes of TM and ETM+ belong to
//! the same datasets with the bands of their own sensor, which `bands` gives.
//!
//! Sources: USGS, *Landsat Collection 2 Data Dictionary*; *Landsat 8-9 Level 2 Data Format Control
//! Book* (LSDS-1328), section 3, and *Landsat Collection 1 Level 1 Quality Assessment Band* for
//! bits; J. A. Barsi et al., "The Spectral Response of the Landsat-8 Operational Land Imager",
//! Remote Sensing 6 (2014), for OLI's centres; middles of the declared passbands for the others.
//!
//! *Invariants*: bands stand in the order of their numbers, with the centres of their sensor.
//!
//! *Not here*: reading products (ingest).

use super::{BandSpec, Dataset, band};
use crate::raster::cloud::{Meaning, Sky};

/// Collection 2 `QA_PIXEL` bits: 0 fill, 3 cloud, 4 shadow, 5 snow. High-confidence cirrus (bit 2)
/// that is no cloud is clear, as in the product's own `CLOUD_COVER` and in bit 6, "clear".
pub const QA_PIXEL: Meaning = Meaning {
    name: "qa_pixel",
    band: "QA_PIXEL",
    sky: |bits| match bits {
        b if b & 1 != 0 => Sky::Void,
        b if b & (1 << 3) != 0 => Sky::Cloud,
        b if b & (1 << 4) != 0 => Sky::Shadow,
        b if b & (1 << 5) != 0 => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: true,
    tells_void: true,
};

/// Collection 1 `BQA` bits: 0 fill, 4 cloud, 7–8 confidence of shadow, 9–10 of snow (3 is high).
pub const BQA: Meaning = Meaning {
    name: "bqa",
    band: "BQA",
    sky: |bits| match bits {
        b if b & 1 != 0 => Sky::Void,
        b if b & (1 << 4) != 0 => Sky::Cloud,
        b if is_high(b, 7) => Sky::Shadow,
        b if is_high(b, 9) => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: true,
    tells_void: true,
};

/// `BQA` before there were collections (OLI): 0 fill, 10–11 confidence of snow, 14–15 of cloud.
pub const BQA_BEFORE: Meaning = Meaning {
    name: "bqa-0",
    band: "BQA-0",
    sky: |bits| match bits {
        b if b & 1 != 0 => Sky::Void,
        b if is_high(b, 14) => Sky::Cloud,
        b if is_high(b, 10) => Sky::Snow,
        _ => Sky::Clear,
    },
    tells_shadow_and_snow: false,
    tells_void: true,
};

/// Tells whether the two bits from a place on say that something is there with high confidence.
const fn is_high(bits: u32, first: u32) -> bool {
    (bits >> first) & 0b11 == 0b11
}

/// What recorded a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensor {
    /// Thematic Mapper, Landsat 4 and 5.
    Tm,
    /// Enhanced Thematic Mapper Plus, Landsat 7.
    EtmPlus,
    /// Operational Land Imager and Thermal Infrared Sensor, Landsat 8 and 9.
    OliTirs,
    /// Operational Land Imager alone.
    Oli,
    /// Thermal Infrared Sensor alone.
    Tirs,
}

/// How far a scene was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Top of the atmosphere.
    L1,
    /// Surface reflectance and temperature.
    L2,
}

/// Returns the bands of a sensor at a level, in the product's order.
pub fn bands(sensor: Sensor, level: Level) -> &'static [BandSpec] {
    match (sensor, level) {
        (Sensor::Tm, Level::L1) => TM_L1,
        (Sensor::Tm, Level::L2) => TM_L2,
        (Sensor::EtmPlus, Level::L1) => ETM_L1,
        (Sensor::EtmPlus, Level::L2) => ETM_L2,
        (Sensor::OliTirs, Level::L1) => OLI_TIRS_L1,
        (Sensor::OliTirs | Sensor::Tirs, Level::L2) => OLI_TIRS_L2,
        (Sensor::Oli, Level::L1) => OLI_TIRS_L1.split_at(OLI_BANDS_L1).0,
        (Sensor::Oli, Level::L2) => OLI_TIRS_L2.split_at(OLI_BANDS_L2).0,
        (Sensor::Tirs, Level::L1) => OLI_TIRS_L1.split_at(OLI_BANDS_L1).1,
    }
}

const TM_L1: &[BandSpec] = &[
    band("B1", "blue", 485.0, 30.0),
    band("B2", "green", 560.0, 30.0),
    band("B3", "red", 660.0, 30.0),
    band("B4", "nir08", 830.0, 30.0),
    band("B5", "swir16", 1650.0, 30.0),
    band("B6", "lwir", 11_450.0, 30.0),
    band("B7", "swir22", 2215.0, 30.0),
];

const TM_L2: &[BandSpec] = &[
    band("SR_B1", "blue", 485.0, 30.0),
    band("SR_B2", "green", 560.0, 30.0),
    band("SR_B3", "red", 660.0, 30.0),
    band("SR_B4", "nir08", 830.0, 30.0),
    band("SR_B5", "swir16", 1650.0, 30.0),
    band("SR_B7", "swir22", 2215.0, 30.0),
    band("ST_B6", "lwir", 11_450.0, 30.0),
];

const ETM_L1: &[BandSpec] = &[
    band("B1", "blue", 485.0, 30.0),
    band("B2", "green", 560.0, 30.0),
    band("B3", "red", 660.0, 30.0),
    band("B4", "nir08", 835.0, 30.0),
    band("B5", "swir16", 1650.0, 30.0),
    // Thermal at low and at high gain.
    band("B6_VCID_1", "lwir", 11_450.0, 30.0),
    band("B6_VCID_2", "lwir", 11_450.0, 30.0),
    band("B7", "swir22", 2215.0, 30.0),
    band("B8", "pan", 710.0, 15.0),
];

const ETM_L2: &[BandSpec] = &[
    band("SR_B1", "blue", 485.0, 30.0),
    band("SR_B2", "green", 560.0, 30.0),
    band("SR_B3", "red", 660.0, 30.0),
    band("SR_B4", "nir08", 835.0, 30.0),
    band("SR_B5", "swir16", 1650.0, 30.0),
    band("SR_B7", "swir22", 2215.0, 30.0),
    band("ST_B6", "lwir", 11_450.0, 30.0),
];

/// Bands of OLI at level 1; those of TIRS follow.
const OLI_BANDS_L1: usize = 9;
/// Bands of OLI at level 2; that of TIRS follows.
const OLI_BANDS_L2: usize = 7;

const OLI_TIRS_L1: &[BandSpec] = &[
    band("B1", "coastal", 443.0, 30.0),
    band("B2", "blue", 482.0, 30.0),
    band("B3", "green", 561.4, 30.0),
    band("B4", "red", 654.6, 30.0),
    band("B5", "nir08", 864.7, 30.0),
    band("B6", "swir16", 1608.9, 30.0),
    band("B7", "swir22", 2200.7, 30.0),
    band("B8", "pan", 589.5, 15.0),
    band("B9", "cirrus", 1373.4, 30.0),
    band("B10", "lwir11", 10_895.0, 30.0),
    band("B11", "lwir12", 12_005.0, 30.0),
];

const OLI_TIRS_L2: &[BandSpec] = &[
    band("SR_B1", "coastal", 443.0, 30.0),
    band("SR_B2", "blue", 482.0, 30.0),
    band("SR_B3", "green", 561.4, 30.0),
    band("SR_B4", "red", 654.6, 30.0),
    band("SR_B5", "nir08", 864.7, 30.0),
    band("SR_B6", "swir16", 1608.9, 30.0),
    band("SR_B7", "swir22", 2200.7, 30.0),
    band("ST_B10", "lwir11", 10_895.0, 30.0),
];

/// Collection 1 and products before there were collections.
pub(super) const C1_L1: Dataset = Dataset {
    name: "landsat-c1-l1",
    title: "Landsat 4-9 level 1, Collection 1 and before",
    bands: OLI_TIRS_L1,
    fill: Some(0.0),
};

/// Collection 2, level 1.
pub(super) const C2_L1: Dataset = Dataset {
    name: "landsat-c2-l1",
    title: "Landsat 4-9 top-of-atmosphere reflectance, Collection 2",
    bands: OLI_TIRS_L1,
    fill: Some(0.0),
};

/// Collection 2, level 2.
pub(super) const C2_L2: Dataset = Dataset {
    name: "landsat-c2-l2",
    title: "Landsat 4-9 surface reflectance and temperature, Collection 2",
    bands: OLI_TIRS_L2,
    fill: Some(0.0),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_that_fly_alone_have_their_part_of_the_bands() {
        let names =
            |sensor, level| -> Vec<&str> { bands(sensor, level).iter().map(|b| b.name).collect() };
        assert_eq!(names(Sensor::Tirs, Level::L1), ["B10", "B11"]);
        assert_eq!(names(Sensor::Oli, Level::L1).last(), Some(&"B9"));
        assert_eq!(names(Sensor::Oli, Level::L2).last(), Some(&"SR_B7"));
        assert!(names(Sensor::Tm, Level::L2).contains(&"ST_B6"));
    }

    #[test]
    fn every_bit_of_a_quality_band_means_what_usgs_says() {
        let check = |meaning: &Meaning, told: &[(u32, Sky)]| {
            for (bits, sky) in told {
                assert_eq!((meaning.sky)(*bits), *sky, "{} {bits:b}", meaning.name);
            }
        };
        let clear = (0, Sky::Clear);
        let told = [(1, Sky::Void), (1 << 3, Sky::Cloud), (1 << 4, Sky::Shadow)];
        check(&QA_PIXEL, &told);
        check(
            &QA_PIXEL,
            &[clear, (1 << 5, Sky::Snow), (1 << 2, Sky::Clear)],
        );
        let told = [(1, Sky::Void), (1 << 4, Sky::Cloud), (3 << 7, Sky::Shadow)];
        check(&BQA, &told);
        check(&BQA, &[clear, (3 << 9, Sky::Snow), (1 << 7, Sky::Clear)]);
        let told = [(1, Sky::Void), (3 << 14, Sky::Cloud), (3 << 10, Sky::Snow)];
        check(&BQA_BEFORE, &told);
        check(&BQA_BEFORE, &[clear, (1 << 14, Sky::Clear)]);
    }
}
