//! What a SEN3 folder's manifest (`xfdumanifest.xml`) says.
//!
//! Source: ESA, Sentinel-3 PDGS product data format specification; SAFE control book volume 1.
//!
//! *Invariants*: nothing is guessed: an absent time or type is an error.
//!
//! *Not here*: the netCDF files beside it (`sen3`).

use jiff::Timestamp;

use crate::source::xml::{XmlError, leaves};

/// Most characters of a wrong text that are shown.
const SHOWN_MAX: usize = 64;
/// Name of the manifest in its folder.
pub(super) const MANIFEST: &str = "xfdumanifest.xml";

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no XML that is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An element is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// The start of sensing is no time.
    #[error("startTime is '{0}'")]
    Time(String),
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Type of the product without its trailing underscores, such as `OL_1_EFR`.
    pub kind: String,
    /// Name as its maker gave it.
    pub name: Option<String>,
    /// Start of sensing.
    pub start: Timestamp,
    /// Spacecraft in lower case, such as `sentinel-3a`.
    pub platform: Option<String>,
}

/// Reads a manifest.
pub fn read(text: &str) -> Result<Manifest, ManifestError> {
    let leaves = leaves(text)?;
    let first = |name: &'static str| {
        let leaf = leaves.iter().find(|l| l.name() == name);
        leaf.map(|l| l.text.as_str())
            .ok_or(ManifestError::Missing(name))
    };
    let start = first("startTime")?;
    let kind = first("productType")?;
    let platform = match (first("familyName"), first("number")) {
        (Ok(family), Ok(number)) => Some(format!("{family}{number}").to_ascii_lowercase()),
        _ => None,
    };
    Ok(Manifest {
        kind: kind.trim_end_matches('_').to_owned(),
        name: first("productName").ok().map(str::to_owned),
        start: start
            .parse()
            .map_err(|_| ManifestError::Time(start.chars().take(SHOWN_MAX).collect()))?,
        platform,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    const TEXT: &str = r#"<?xml version="1.0"?><x:XFDU xmlns:x="x" xmlns:s="s"><m>
        <s:startTime>2021-10-21T07:38:27.254946Z</s:startTime>
        <s:familyName>Sentinel-3</s:familyName><s:number>A</s:number>
        <s:familyName abbreviation="OLCI">Ocean Land Colour Instrument</s:familyName>
        <s:productName>S3A_X.SEN3</s:productName>
        <s:productType>OL_1_EFR___</s:productType></m></x:XFDU>"#;

    #[test]
    fn type_time_and_spacecraft_are_read() {
        let manifest = read(TEXT).unwrap();
        assert_eq!(manifest.kind, "OL_1_EFR");
        assert_eq!(manifest.platform.as_deref(), Some("sentinel-3a"));
        assert_eq!(manifest.start.to_string(), "2021-10-21T07:38:27.254946Z");
    }

    #[test]
    fn a_manifest_without_a_time_or_a_type_is_refused() {
        for absent in ["startTime", "productType"] {
            assert!(read(&TEXT.replace(absent, "other")).is_err(), "{absent}");
        }
        assert!(read(&TEXT.replace("2021-10-21T", "")).is_err());
    }
}
