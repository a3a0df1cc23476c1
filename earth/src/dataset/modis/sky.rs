//! What the quality fields of MODIS land products say of the sky.
//!
//! Sources: MOD09 user guide, table 13 (state QA of 500 m); MOD15A2H, the file's own
//! `MOD15A2_FparExtra_QC_DOC`; MOD11 user guide, table 13 (QC_Day); MOD13 user guide (pixel
//! reliability); MOD10A2, the file's own `Key`.
//!
//! *Invariants*: a pixel that was not seen or not decided is void, never clear.
//!
//! *Not here*: which product has which field (ingest).

use crate::raster::cloud::{Meaning, Sky};

/// MOD09A1 and MYD09A1.
pub const STATE_QA: Meaning = of(("modis_state", "sur_refl_state_500m"), state_qa);
/// MCD15A2H.
pub const EXTRA_QC: Meaning = of(("modis_fparextra", "FparExtra_QC"), extra_qc);
/// MOD11A1, MOD11A2 and Aqua's.
pub const TEMPERATURE_QC: Meaning = Meaning {
    tells_shadow_and_snow: false,
    ..of(("modis_lst_qc", "QC_Day"), temperature_qc)
};
/// MOD10A2 and MYD10A2.
pub const SNOW_EXTENT: Meaning = of(("modis_snow", "Maximum_Snow_Extent"), snow_extent);
/// MOD13 and MYD13.
pub const RELIABILITY: Meaning = of(("modis_reliability", "pixel_reliability"), reliability);

/// Describes a field that tells snow (and shadow, where the product knows it) and what was not
/// seen.
const fn of((name, band): (&'static str, &'static str), sky: fn(u32) -> Sky) -> Meaning {
    Meaning {
        name,
        band,
        sky,
        tells_shadow_and_snow: true,
        tells_void: true,
    }
}

/// MOD09A1 `sur_refl_state_500m`: bits 0–1 cloud state (1 cloudy, 2 mixed), 2 shadow,
/// 10 internal cloud, 12 and 15 snow or ice.
fn state_qa(bits: u32) -> Sky {
    match bits {
        0xFFFF => Sky::Void,
        b if matches!(b & 0b11, 1 | 2) || bit(b, 10) => Sky::Cloud,
        b if bit(b, 2) => Sky::Shadow,
        b if bit(b, 12) || bit(b, 15) => Sky::Snow,
        _ => Sky::Clear,
    }
}

/// MCD15A2H `FparExtra_QC`: bits 2 snow or ice, 4 cirrus, 5 internal cloud, 6 shadow.
fn extra_qc(bits: u32) -> Sky {
    match bits {
        0xFF => Sky::Void,
        b if bit(b, 5) || bit(b, 4) => Sky::Cloud,
        b if bit(b, 6) => Sky::Shadow,
        b if bit(b, 2) => Sky::Snow,
        _ => Sky::Clear,
    }
}

/// MOD11 `QC_Day`: bits 0–1 are 2 where clouds, 3 where other reasons left no temperature.
fn temperature_qc(bits: u32) -> Sky {
    match bits & 0b11 {
        2 => Sky::Cloud,
        3 => Sky::Void,
        _ => Sky::Clear,
    }
}

/// MOD10A2 `Maximum_Snow_Extent`; lake ice counts as snow or ice.
fn snow_extent(class: u32) -> Sky {
    match class {
        25 | 37 | 39 => Sky::Clear,
        50 => Sky::Cloud,
        100 | 200 => Sky::Snow,
        _ => Sky::Void,
    }
}

/// MOD13 `pixel reliability`.
fn reliability(class: u32) -> Sky {
    match class {
        0 | 1 => Sky::Clear,
        2 => Sky::Snow,
        3 => Sky::Cloud,
        _ => Sky::Void,
    }
}

fn bit(bits: u32, number: u32) -> bool {
    bits >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_bits_name_cloud_shadow_and_snow() {
        let cases = [
            (0b0_1000, Sky::Clear),
            (0b0_1001, Sky::Cloud),
            (0b0_1010, Sky::Cloud),
            (0b0_1011, Sky::Clear),
            (0b0_1100, Sky::Shadow),
            (1 << 10, Sky::Cloud),
            (1 << 12, Sky::Snow),
            (1 << 15, Sky::Snow),
            (0xFFFF, Sky::Void),
        ];
        for (bits, sky) in cases {
            assert_eq!(state_qa(bits), sky, "{bits:#b}");
        }
    }

    #[test]
    fn what_was_not_seen_is_never_clear() {
        assert_eq!([extra_qc(255), temperature_qc(3)], [Sky::Void; 2]);
        for class in [0, 1, 11, 254, 255] {
            assert_eq!(snow_extent(class), Sky::Void, "{class}");
        }
        assert_eq!(reliability(255), Sky::Void);
        assert_eq!(
            [extra_qc(32), extra_qc(16), extra_qc(64)],
            [Sky::Cloud, Sky::Cloud, Sky::Shadow]
        );
        assert_eq!(
            [temperature_qc(65), temperature_qc(2)],
            [Sky::Clear, Sky::Cloud]
        );
    }
}
