//! STAC Items as they are written: 1.0 with `eo:bands` and `raster:bands`, 1.1 with `bands`.
//!
//! *Invariants*: unknown fields are passed over; what is there has the form that the specification
//! gives it, or the item is refused; lists are bounded.
//!
//! Source: STAC 1.1.0 item specification and common metadata; extensions eo 1.1 and 2.0, raster
//! 1.1 and 2.0.
//!
//! *Not here*: files (`super`).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::super::sidecar::SidecarBand;

/// Greatest number of items in one list: ten years of one tile are some 1,500.
const ITEMS_MAX: usize = 100_000;
/// Greatest number of assets of an item: products have some 40.
const ASSETS_MAX: usize = 1_000;
/// Nanometres in the micrometres that STAC counts in.
const NANOMETRES: f64 = 1_000.0;

/// A STAC Item.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    pub(super) id: String,
    #[serde(default)]
    pub(super) collection: Option<String>,
    pub(super) properties: Properties,
    /// Its files, by key.
    pub assets: BTreeMap<String, Asset>,
}

/// What is used of an item's properties.
#[derive(Debug, Clone, Deserialize)]
pub struct Properties {
    #[serde(default)]
    datetime: Option<Timestamp>,
    #[serde(default)]
    start_datetime: Option<Timestamp>,
    #[serde(default)]
    pub(super) platform: Option<String>,
}

impl Properties {
    /// Returns the sensing time: `datetime`, else the beginning of the interval.
    pub(super) fn acquired(&self) -> Option<Timestamp> {
        self.datetime.or(self.start_datetime)
    }
}

/// One file of an item.
#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub(super) href: String,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    bands: Vec<Band>,
    #[serde(default, rename = "eo:bands")]
    eo_bands: Vec<Band>,
    #[serde(default, rename = "raster:bands")]
    raster_bands: Vec<Band>,
    /// What holds for all bands of the asset (STAC 1.1).
    #[serde(flatten)]
    all: Band,
}

/// What is used of a band, in the spelling of any version.
#[derive(Debug, Clone, Default, Deserialize)]
struct Band {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "eo:common_name")]
    common_name: Option<String>,
    #[serde(default, alias = "eo:center_wavelength")]
    center_wavelength: Option<f64>,
    #[serde(default)]
    nodata: Option<Value>,
    #[serde(default, alias = "raster:scale")]
    scale: Option<f64>,
    #[serde(default, alias = "raster:offset")]
    offset: Option<f64>,
    #[serde(default, rename = "classification:classes")]
    classes: Option<Value>,
    #[serde(default, rename = "classification:bitfields")]
    bits: Option<Value>,
}

impl Band {
    /// Fills what this band does not say from another description of it.
    fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            common_name: self.common_name.or(other.common_name),
            center_wavelength: self.center_wavelength.or(other.center_wavelength),
            nodata: self.nodata.or(other.nodata),
            scale: self.scale.or(other.scale),
            offset: self.offset.or(other.offset),
            classes: self.classes.or(other.classes),
            bits: self.bits.or(other.bits),
        }
    }

    fn described(self) -> SidecarBand {
        SidecarBand {
            name: self.name,
            common: self.common_name,
            centre_nm: self.center_wavelength.map(|um| um * NANOMETRES),
            scale: self.scale,
            offset: self.offset,
            // "nan", "inf" and "-inf" are texts; NaN means nothing anyway.
            fill: self.nodata.as_ref().and_then(Value::as_f64),
            categorical: self.classes.is_some() || self.bits.is_some(),
        }
    }
}

impl Asset {
    /// Returns what is said of the bands of a file that has so many.
    pub fn described(&self, count: usize) -> Vec<SidecarBand> {
        let all = Band {
            name: None,
            common_name: None,
            ..self.all.clone()
        };
        let at = |bands: &[Band], i: usize| bands.get(i).cloned().unwrap_or_default();
        let band = |i: usize| {
            let band = at(&self.bands, i).or(at(&self.eo_bands, i));
            band.or(at(&self.raster_bands, i))
                .or(all.clone())
                .described()
        };
        (0..count).map(band).collect()
    }

    /// Tells whether the asset has a role.
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }
}

/// Returns the items of a text: one item, an item collection, or one item a line.
pub fn items(path: &Path, text: &str) -> Result<Vec<Value>, String> {
    let lines = ["ndjson", "jsonl"].iter().any(|e| {
        let extension = path.extension();
        extension.is_some_and(|x| x.eq_ignore_ascii_case(e))
    });
    let found = if lines {
        let lines = text.lines().filter(|l| !l.trim().is_empty());
        let parsed = lines.enumerate().map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1))
        });
        parsed.collect::<Result<Vec<Value>, _>>()?
    } else {
        let mut document: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        match document.get_mut("features").map(Value::take) {
            Some(Value::Array(features)) => features,
            _ => vec![document],
        }
    };
    if found.len() > ITEMS_MAX {
        return Err(format!("it lists over {ITEMS_MAX} items"));
    }
    Ok(found)
}

/// Reads one item.
pub fn parse(item: &Value) -> Result<Item, String> {
    let parsed: Item = Item::deserialize(item).map_err(|e| e.to_string())?;
    if parsed.assets.len() > ASSETS_MAX {
        return Err(format!("it has over {ASSETS_MAX} assets"));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(text: &str) -> Asset {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn bands_are_read_in_the_spelling_of_either_version() {
        let old = asset(
            r#"{"href": "B04.tif", "eo:bands": [{"name": "B04", "common_name": "red",
            "center_wavelength": 0.665}], "raster:bands": [{"nodata": 0, "scale": 0.0001,
            "offset": -0.1}]}"#,
        );
        let new = asset(
            r#"{"href": "B04.tif", "nodata": 0, "raster:scale": 0.0001, "bands": [{"name": "B04",
            "eo:common_name": "red", "eo:center_wavelength": 0.665, "raster:offset": -0.1}]}"#,
        );
        for asset in [old, new] {
            let band = asset.described(1).remove(0);
            assert_eq!(
                (band.name.as_deref(), band.common.as_deref()),
                (Some("B04"), Some("red"))
            );
            assert_eq!(
                (band.fill, band.scale, band.offset),
                (Some(0.0), Some(1e-4), Some(-0.1))
            );
            assert!((band.centre_nm.unwrap() - 665.0).abs() < 1e-9 && !band.categorical);
        }
    }

    #[test]
    fn classes_are_no_measurements_and_nan_is_no_number() {
        let text = r#"{"href": "x.tif", "raster:bands": [{"nodata": "nan"}],
            "classification:classes": [{"value": 1}]}"#;
        let band = asset(text).described(1).remove(0);
        assert!(band.categorical && band.fill.is_none());
    }

    #[test]
    fn lists_come_as_collections_or_lines() {
        let one = r#"{"type":"Feature","id":"a"}"#;
        let collection = format!(r#"{{"type":"FeatureCollection","features":[{one},{one}]}}"#);
        let count = |name: &str, text: &str| items(Path::new(name), text).map(|i| i.len());
        assert_eq!(count("i.json", one), Ok(1));
        assert_eq!(count("i.json", &collection), Ok(2));
        assert_eq!(count("i.ndjson", &format!("{one}\n\n{one}\n")), Ok(2));
        assert!(
            count("i.ndjson", "{}\n{")
                .unwrap_err()
                .starts_with("line 2")
        );
        assert!(parse(&serde_json::json!({"id": "a"})).is_err());
    }
}
