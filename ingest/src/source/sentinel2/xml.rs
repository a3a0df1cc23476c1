//! What a Sentinel-2 product's metadata says (MTD_MSIL1C.xml, MTD_MSIL2A.xml).
//!
//! *Invariants*: nothing is guessed: an absent time or quantification is an error; an absent offset
//! is 0, as baselines before 04.00 mean it (ESA, Sentinel-2 Products Specification Document 14.9).
//!
//! *Not here*: which files exist (`super`), what a document may hold (`source::xml`).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::source::xml::{self, Leaf, leaves_with};

/// The attribute that says which band an element is about, as baselines spell it.
const BAND: [&str; 2] = ["band_id", "bandId"];

/// Processing level of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Top-of-atmosphere reflectance.
    L1C,
    /// Surface reflectance.
    L2A,
}

impl Level {
    /// Returns the name of the product's metadata file.
    pub fn metadata_name(self) -> &'static str {
        match self {
            Self::L1C => "MTD_MSIL1C.xml",
            Self::L2A => "MTD_MSIL2A.xml",
        }
    }

    /// Returns the dataset's name.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::L1C => "sentinel-2-l1c",
            Self::L2A => "sentinel-2-l2a",
        }
    }

    fn quantification(self) -> &'static str {
        match self {
            Self::L1C => "QUANTIFICATION_VALUE",
            Self::L2A => "BOA_QUANTIFICATION_VALUE",
        }
    }

    fn offset(self) -> &'static str {
        match self {
            Self::L1C => "RADIO_ADD_OFFSET",
            Self::L2A => "BOA_ADD_OFFSET",
        }
    }
}

/// What a product's metadata says.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Start of sensing.
    pub start: Timestamp,
    /// Spacecraft, in lower case.
    pub platform: Option<String>,
    /// Digital number per unit of reflectance.
    pub quantification: f64,
    /// Band index (0 = B01 … 8 = B8A … 12 = B12) → what is added to a digital number.
    pub offsets: BTreeMap<u8, f64>,
    /// Images, relative to the product, without `.jp2`.
    pub images: Vec<String>,
    /// Name of the product as its maker gave it.
    pub uri: Option<String>,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// No XML that is read.
    #[error(transparent)]
    Xml(#[from] xml::XmlError),
    /// An element is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// An element holds something else than expected.
    #[error("{name} is '{text}'")]
    Value {
        /// Element.
        name: &'static str,
        /// What it holds.
        text: String,
    },
}

/// Reads a product's metadata.
pub fn product(level: Level, text: &str) -> Result<Product, XmlError> {
    let leaves = leaves_with(text, &BAND)?;
    let first = |name: &str| {
        leaves
            .iter()
            .find(|l| l.name() == name)
            .map(|l| l.text.as_str())
    };
    let start = first("PRODUCT_START_TIME").ok_or(XmlError::Missing("PRODUCT_START_TIME"))?;
    let name = level.quantification();
    let quantification = first(name).ok_or(XmlError::Missing(name))?;
    let all = |name: &'static str| leaves.iter().filter(move |l| l.name() == name);
    let offset = |leaf: &Leaf| {
        let band = leaf.attribute.as_deref().and_then(|b| b.parse().ok());
        let band = band.ok_or(XmlError::Missing("band_id"))?;
        Ok::<_, XmlError>((band, number(level.offset(), &leaf.text)?))
    };
    Ok(Product {
        start: start
            .parse()
            .map_err(|_| value("PRODUCT_START_TIME", start))?,
        platform: first("SPACECRAFT_NAME").map(str::to_ascii_lowercase),
        quantification: positive(name, quantification)?,
        offsets: all(level.offset()).map(offset).collect::<Result<_, _>>()?,
        images: all("IMAGE_FILE").map(|l| l.text.clone()).collect(),
        uri: first("PRODUCT_URI").map(str::to_owned),
    })
}

fn number(name: &'static str, text: &str) -> Result<f64, XmlError> {
    let parsed = text.parse().ok().filter(|v: &f64| v.is_finite());
    parsed.ok_or_else(|| value(name, text))
}

fn positive(name: &'static str, text: &str) -> Result<f64, XmlError> {
    let parsed = number(name, text)?;
    if parsed > 0.0 {
        Ok(parsed)
    } else {
        Err(value(name, text))
    }
}

fn value(name: &'static str, text: &str) -> XmlError {
    let text = text.chars().take(64).collect();
    XmlError::Value { name, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L2A: &str = r#"<?xml version="1.0"?><n1:P xmlns:n1="x"><A>
        <PRODUCT_START_TIME>2022-10-05T11:54:11.024Z</PRODUCT_START_TIME>
        <SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
        <IMAGE_FILE>GRANULE/X/IMG_DATA/R10m/T_B02_10m</IMAGE_FILE>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
        <BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET></A></n1:P>"#;

    #[test]
    fn time_quantification_offsets_and_images_are_read() {
        let product = product(Level::L2A, L2A).unwrap();
        assert_eq!(product.start.to_string(), "2022-10-05T11:54:11.024Z");
        assert_eq!(product.platform.as_deref(), Some("sentinel-2a"));
        assert!((product.quantification - 10_000.0).abs() < f64::EPSILON);
        assert_eq!(product.offsets, BTreeMap::from([(1, -1000.0)]));
        assert_eq!(product.images, ["GRANULE/X/IMG_DATA/R10m/T_B02_10m"]);
    }

    #[test]
    fn wrong_metadata_is_an_error_and_never_a_guess() {
        let cut = &L2A[..L2A.len() - 20];
        assert!(product(Level::L2A, cut).is_err());
        let zero = L2A.replace(">10000<", ">0<");
        assert!(matches!(
            product(Level::L2A, &zero),
            Err(XmlError::Value { .. })
        ));
        let none = L2A.replace("PRODUCT_START_TIME", "X");
        assert!(matches!(
            product(Level::L2A, &none),
            Err(XmlError::Missing(_))
        ));
        let dtd = format!("<!DOCTYPE a [<!ENTITY x \"y\">]>{}", &L2A[21..]);
        assert!(matches!(
            product(Level::L2A, &dtd),
            Err(XmlError::Xml(xml::XmlError::DocType))
        ));
    }
}
