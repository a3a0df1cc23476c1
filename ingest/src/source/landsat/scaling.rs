//! How stored numbers become physical values.
//!
//! | level | bands | physical value |
//! |---|---|---|
//! | 2 | `SR_*` | surface reflectance: `REFLECTANCE_MULT`, `_ADD` (2.75e-5, −0.2) |
//! | 2 | `ST_*` | temperature in kelvin: `TEMPERATURE_MULT`, `_ADD` (0.00341802, 149) |
//! | 1 | reflective | top-of-atmosphere reflectance: `REFLECTANCE_MULT`, `_ADD`, by the sun |
//! | 1 | others | radiance in W/(m² sr µm): `RADIANCE_MULT`, `_ADD` |
//!
//! "By the sun": both are divided by the sine of `SUN_ELEVATION` at the scene's centre. "Others"
//! are thermal bands, and reflective ones without a reflectance scale.
//!
//! *Invariants*: nothing is assumed of a single product; without metadata only the constants that
//! hold for all products of a level and sensor are applied, and that is said.
//!
//! Source: USGS, *Landsat 8 Data Users Handbook* (LSDS-1574), chapter 5; *Landsat Collection 2
//! Level-2 Science Products*.
//!
//! *Not here*: reading the metadata (`mtl`).

use earth::dataset::BandSpec;
use earth::dataset::landsat::{Level, Sensor};

use super::mtl::{Mtl, MtlError};
use super::product::Product;

/// Scale and offset of surface reflectance in Collection 2.
const SURFACE_REFLECTANCE: (f64, f64) = (2.75e-5, -0.2);
/// Scale and offset of surface temperature in Collection 2, in kelvin.
const SURFACE_TEMPERATURE: (f64, f64) = (0.003_418_02, 149.0);
/// Scale and offset of OLI's level 1 reflectance, before the sun's elevation is divided out.
const OLI_REFLECTANCE: (f64, f64) = (2e-5, -0.1);

const NO_SUN: &str = "no MTL: reflectance is without the correction for the sun's elevation";
const NO_SCALE: &str = "no MTL: the numbers of some bands have no known scale";

/// Physical value = stored number × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaling {
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// What a user should know of it.
    pub(super) note: Option<&'static str>,
}

impl Scaling {
    fn new((scale, offset): (f64, f64), note: Option<&'static str>) -> Self {
        Self {
            scale,
            offset,
            note,
        }
    }
}

/// Returns how a band is scaled.
pub(super) fn of(
    product: &Product,
    spec: &BandSpec,
    mtl: Option<&Mtl>,
) -> Result<Scaling, MtlError> {
    let told = match mtl {
        Some(mtl) => told(product.level, spec, mtl)?,
        None => None,
    };
    Ok(told.map_or_else(|| assumed(product, spec), |pair| Scaling::new(pair, None)))
}

/// Returns what the metadata says: reflectance or temperature, else radiance.
fn told(level: Level, spec: &BandSpec, mtl: &Mtl) -> Result<Option<(f64, f64)>, MtlError> {
    let band = key_of(spec.name);
    let pair = |kind: &str| -> Result<Option<(f64, f64)>, MtlError> {
        let scale = mtl.scaling(level, &format!("{kind}_MULT_BAND_{band}"))?;
        let offset = mtl.scaling(level, &format!("{kind}_ADD_BAND_{band}"))?;
        Ok(scale.zip(offset))
    };
    match level {
        Level::L2 if spec.name.starts_with("ST_") => pair("TEMPERATURE"),
        Level::L2 => pair("REFLECTANCE"),
        Level::L1 => match (pair("REFLECTANCE")?, mtl.sun_elevation()?) {
            (Some((scale, offset)), Some(degrees)) if degrees > 0.0 => {
                let sine = degrees.to_radians().sin();
                Ok(Some((scale / sine, offset / sine)))
            }
            _ => pair("RADIANCE"),
        },
    }
}

/// Returns what holds for every product of the level and sensor.
fn assumed(product: &Product, spec: &BandSpec) -> Scaling {
    let thermal = spec.common.starts_with("lwir");
    let oli = matches!(product.sensor, Sensor::OliTirs | Sensor::Oli);
    match product.level {
        Level::L2 if thermal => Scaling::new(SURFACE_TEMPERATURE, None),
        Level::L2 => Scaling::new(SURFACE_REFLECTANCE, None),
        Level::L1 if oli && !thermal => Scaling::new(OLI_REFLECTANCE, Some(NO_SUN)),
        Level::L1 => Scaling::new((1.0, 0.0), Some(NO_SCALE)),
    }
}

/// Returns a band as the metadata's keys name it: `SR_B4` → `4`, `ST_B10` → `ST_B10`.
fn key_of(band: &str) -> &str {
    let band = band.strip_prefix("SR_").unwrap_or(band);
    band.strip_prefix('B').unwrap_or(band)
}

#[cfg(test)]
mod tests {
    use earth::dataset::landsat::bands;

    use super::*;
    use crate::source::landsat::product::parse;

    const L1: &str = "GROUP = RADIOMETRIC_RESCALING\nREFLECTANCE_MULT_BAND_3 = 2.0E-05\n\
        REFLECTANCE_ADD_BAND_3 = -0.1\nRADIANCE_MULT_BAND_10 = 3.3420E-04\n\
        RADIANCE_ADD_BAND_10 = 0.1\nEND_GROUP = RADIOMETRIC_RESCALING\n\
        GROUP = IMAGE_ATTRIBUTES\nSUN_ELEVATION = 30.0\nEND_GROUP = IMAGE_ATTRIBUTES\nEND\n";

    fn scaled(product: &str, band: &str, mtl: Option<&str>) -> (f64, f64, bool) {
        let (product, _) = parse(product).unwrap();
        let specs = bands(product.sensor, product.level);
        let spec = specs.iter().find(|s| s.name == band).unwrap();
        let mtl = mtl.map(|text| Mtl::parse("txt", text).unwrap());
        let found = of(&product, spec, mtl.as_ref()).unwrap();
        (found.scale, found.offset, found.note.is_some())
    }

    #[test]
    fn level_1_reflectance_is_divided_by_the_sine_of_the_suns_elevation() {
        let product = "LC08_L1TP_014031_20180106_20180119_01_T1";
        let (scale, offset, noted) = scaled(product, "B3", Some(L1));
        assert!((scale - 4e-5).abs() < 1e-15 && (offset + 0.2).abs() < 1e-12 && !noted);
        let (scale, offset, noted) = scaled(product, "B10", Some(L1));
        assert!((scale - 3.342e-4).abs() < 1e-15 && (offset - 0.1).abs() < 1e-12 && !noted);
    }

    #[test]
    fn without_metadata_only_what_always_holds_is_applied() {
        let l2 = "LC08_L2SP_005009_20150710_20200908_02_T2";
        assert_eq!(scaled(l2, "SR_B4", None), (2.75e-5, -0.2, false));
        assert_eq!(scaled(l2, "ST_B10", None), (0.003_418_02, 149.0, false));
        let l1 = "LC08_L1TP_014031_20180106_20180119_01_T1";
        assert_eq!(scaled(l1, "B4", None), (2e-5, -0.1, true));
        assert_eq!(scaled(l1, "B10", None), (1.0, 0.0, true));
        let tm = "LT05_L1TP_014031_19880106_20180119_02_T1";
        assert_eq!(scaled(tm, "B4", None), (1.0, 0.0, true));
    }
}
