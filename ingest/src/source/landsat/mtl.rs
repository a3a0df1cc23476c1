//! What a product's metadata says: MTL.txt (ODL), MTL.json and MTL.xml hold the same groups.
//!
//! *Invariants*: values keep the group they stand in, since level 2 metadata repeats level 1's
//! keys; a number that is none is an error, an absent one is `None`.
//!
//! Source: USGS, *Landsat 8-9 Level 2 Data Format Control Book* (LSDS-1328), section 5.
//!
//! *Not here*: which numbers are applied (`super`).

use std::str::FromStr;

use earth::dataset::landsat::Level;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::xml;

/// Extensions of metadata files, in the order they are asked.
pub const EXTENSIONS: [&str; 3] = ["txt", "json", "xml"];

/// Groups that hold the scaling of pixels, by level.
const SCALING_L1: &[&str] = &["LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING"];
const SCALING_L2: &[&str] = &[
    "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",
    "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS",
];

/// Groups that name the product itself.
const OWN: &[&str] = &["PRODUCT_CONTENTS", "METADATA_FILE_INFO"];

/// A product's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtl {
    /// Group, key and value.
    values: Vec<(String, String, String)>,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MtlError {
    /// XML that cannot be read.
    #[error(transparent)]
    Xml(#[from] xml::XmlError),
    /// JSON that cannot be read.
    #[error("it is not well-formed JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It holds no groups, or ends inside one.
    #[error("it is cut short")]
    Short,
    /// A value is something else than expected.
    #[error("{key} is '{text}'")]
    Value {
        /// Key.
        key: String,
        /// What it holds.
        text: String,
    },
}

impl Mtl {
    /// Reads metadata of one of `EXTENSIONS`.
    pub fn parse(extension: &str, text: &str) -> Result<Self, MtlError> {
        let values = match extension {
            "json" => of_json(text)?,
            "xml" => of_xml(text)?,
            _ => of_odl(text)?,
        };
        if values.is_empty() {
            return Err(MtlError::Short);
        }
        Ok(Self { values })
    }

    /// Returns the first value of a key, whatever its group.
    pub fn first(&self, key: &str) -> Option<&str> {
        let found = self.values.iter().find(|(_, k, _)| k == key);
        found.map(|(_, _, value)| value.as_str())
    }

    /// Returns a number that scales pixels of a level.
    pub fn scaling(&self, level: Level, key: &str) -> Result<Option<f64>, MtlError> {
        let groups = match level {
            Level::L1 => SCALING_L1,
            Level::L2 => SCALING_L2,
        };
        self.within(groups, key)
            .map(|text| number(key, text))
            .transpose()
    }

    /// Returns the name of the product, or of the scene before there were collections.
    pub fn product(&self) -> Option<&str> {
        self.within(OWN, "LANDSAT_PRODUCT_ID")
            .or_else(|| self.within(OWN, "LANDSAT_SCENE_ID"))
    }

    fn within(&self, groups: &[&str], key: &str) -> Option<&str> {
        let own = |(group, k, _): &&(String, String, String)| {
            k == key && groups.contains(&group.as_str())
        };
        self.values
            .iter()
            .find(own)
            .map(|(_, _, value)| value.as_str())
    }

    /// Returns the height of the sun over the horizon at the centre of the scene in degrees.
    pub fn sun_elevation(&self) -> Result<Option<f64>, MtlError> {
        let key = "SUN_ELEVATION";
        self.first(key).map(|text| number(key, text)).transpose()
    }

    /// Returns when the centre of the scene was sensed.
    pub fn acquired(&self) -> Result<Option<Timestamp>, MtlError> {
        let Some(date) = self.first("DATE_ACQUIRED") else {
            return Ok(None);
        };
        let Some(time) = self.first("SCENE_CENTER_TIME") else {
            return Ok(None);
        };
        let day: Date = parsed("DATE_ACQUIRED", date)?;
        let time: Time = parsed("SCENE_CENTER_TIME", time.trim_end_matches('Z'))?;
        let instant = day.to_datetime(time).to_zoned(TimeZone::UTC);
        let wrong = |_| value("DATE_ACQUIRED", date);
        instant.map(|z| Some(z.timestamp())).map_err(wrong)
    }
}

fn number(key: &str, text: &str) -> Result<f64, MtlError> {
    let found: f64 = parsed(key, text)?;
    if found.is_finite() {
        Ok(found)
    } else {
        Err(value(key, text))
    }
}

fn parsed<T: FromStr>(key: &str, text: &str) -> Result<T, MtlError> {
    text.trim().parse().map_err(|_| value(key, text))
}

fn value(key: &str, text: &str) -> MtlError {
    MtlError::Value {
        key: key.to_owned(),
        text: text.chars().take(64).collect(),
    }
}

type Values = Vec<(String, String, String)>;

/// Reads `GROUP = X`, `KEY = "VALUE"`, `END_GROUP = X`, `END`.
fn of_odl(text: &str) -> Result<Values, MtlError> {
    let mut open: Vec<&str> = Vec::new();
    let mut values = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line == "END" && open.is_empty() {
            return Ok(values);
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        match key {
            "GROUP" => open.push(value),
            "END_GROUP" => {
                open.pop()
                    .filter(|group| *group == value)
                    .ok_or(MtlError::Short)?;
            }
            _ => {
                let group = open.last().ok_or(MtlError::Short)?;
                values.push(((*group).to_owned(), key.to_owned(), value.to_owned()));
            }
        }
    }
    // Old writers leave out the last line; a group that is open was cut off.
    if open.is_empty() {
        Ok(values)
    } else {
        Err(MtlError::Short)
    }
}

/// Reads `{"LANDSAT_METADATA_FILE": {GROUP: {KEY: VALUE}}}`.
fn of_json(text: &str) -> Result<Values, MtlError> {
    let document: Value = serde_json::from_str(text)?;
    let groups = document.as_object().into_iter().flat_map(|o| o.values());
    let groups = groups.filter_map(Value::as_object).flatten();
    let mut values = Vec::new();
    for (group, members) in groups {
        for (key, value) in members.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            values.push((group.clone(), key.clone(), text));
        }
    }
    Ok(values)
}

fn of_xml(text: &str) -> Result<Values, MtlError> {
    let leaves = xml::leaves(text)?.into_iter();
    let owned = |leaf: xml::Leaf| (leaf.parent().to_owned(), leaf.name().to_owned(), leaf.text);
    Ok(leaves.map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODL: &str = "GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    DATE_ACQUIRED = 2015-07-10
    SCENE_CENTER_TIME = \"14:34:35.9783990Z\"
    SUN_ELEVATION = 40.0
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_1 = 2.75e-05
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    REFLECTANCE_MULT_BAND_1 = 2.0000E-05
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
END_GROUP = LANDSAT_METADATA_FILE
END
";
    const JSON: &str = r#"{"LANDSAT_METADATA_FILE": {"IMAGE_ATTRIBUTES": {"DATE_ACQUIRED":
        "2015-07-10", "SCENE_CENTER_TIME": "14:34:35.9783990Z", "SUN_ELEVATION": 40.0},
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {"REFLECTANCE_MULT_BAND_1": "2.75e-05"},
        "LEVEL1_RADIOMETRIC_RESCALING": {"REFLECTANCE_MULT_BAND_1": "2.0000E-05"}}}"#;
    const XML: &str = "<LANDSAT_METADATA_FILE><IMAGE_ATTRIBUTES><DATE_ACQUIRED>2015-07-10\
        </DATE_ACQUIRED><SCENE_CENTER_TIME>14:34:35.9783990Z</SCENE_CENTER_TIME><SUN_ELEVATION>\
        40</SUN_ELEVATION></IMAGE_ATTRIBUTES><LEVEL2_SURFACE_REFLECTANCE_PARAMETERS>\
        <REFLECTANCE_MULT_BAND_1>2.75e-05</REFLECTANCE_MULT_BAND_1>\
        </LEVEL2_SURFACE_REFLECTANCE_PARAMETERS><LEVEL1_RADIOMETRIC_RESCALING>\
        <REFLECTANCE_MULT_BAND_1>2.0000E-05</REFLECTANCE_MULT_BAND_1>\
        </LEVEL1_RADIOMETRIC_RESCALING></LANDSAT_METADATA_FILE>";

    #[test]
    fn all_three_forms_say_the_same() {
        for (extension, text) in [("txt", ODL), ("json", JSON), ("xml", XML)] {
            let mtl = Mtl::parse(extension, text).unwrap();
            let time = mtl.acquired().unwrap().unwrap();
            assert_eq!(
                time.to_string(),
                "2015-07-10T14:34:35.978399Z",
                "{extension}"
            );
            let key = "REFLECTANCE_MULT_BAND_1";
            assert_eq!(mtl.scaling(Level::L2, key).unwrap(), Some(2.75e-5));
            assert_eq!(mtl.scaling(Level::L1, key).unwrap(), Some(2e-5));
            assert_eq!(mtl.sun_elevation().unwrap(), Some(40.0));
            assert_eq!(
                mtl.scaling(Level::L1, "RADIANCE_MULT_BAND_1").unwrap(),
                None
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_wrong_is_an_error() {
        for (extension, text) in [("txt", ODL), ("json", JSON), ("xml", XML)] {
            assert!(
                Mtl::parse(extension, &text[..text.len() / 2]).is_err(),
                "{extension}"
            );
            assert!(Mtl::parse(extension, "").is_err(), "{extension}");
        }
        let wrong = ODL.replace("2.75e-05", "many").replace("14:34", "34:34");
        let mtl = Mtl::parse("txt", &wrong).unwrap();
        assert!(mtl.scaling(Level::L2, "REFLECTANCE_MULT_BAND_1").is_err());
        assert!(mtl.acquired().is_err());
    }
}
