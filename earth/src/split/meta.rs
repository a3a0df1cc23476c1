//! Everything that is known about a split; it travels inside each of the split's files.
//!
//! *Invariants*: shares are 0..=1 here and percent only where a person or STAC sees them;
//! counts are pooled over bands, so they add up over splits and scenes.
//!
//! *Not here*: the bytes of the files (`codec`), owners (node).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::geocode::{Geocode, GeocodeError, Scheme};
use crate::raster::classes::{ClassCount, ClassName};
use crate::raster::histogram::Histogram;
use crate::split::collection::is_name;
use crate::split::placement::PlacementKey;

/// Version of the metadata written into files.
pub const META_VERSION: u32 = 1;

/// The deterministic name of a split: `COLLECTION/SCENE~GEOCODE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SplitId(String);

/// Why a text is no split id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no split id (COLLECTION/SCENE~GEOCODE)")]
pub struct SplitIdError {
    text: String,
}

impl SplitId {
    /// Builds the id; `None` if collection or scene are no names.
    pub fn new(collection: &str, scene: &str, geocode: &Geocode) -> Option<Self> {
        (is_name(collection) && is_name(scene))
            .then(|| Self(format!("{collection}/{scene}~{geocode}")))
    }

    /// Parses an id.
    pub fn parse(text: &str) -> Result<Self, SplitIdError> {
        let wrong = || SplitIdError {
            text: text.to_owned(),
        };
        let (collection, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (scene, geocode) = rest.rsplit_once('~').ok_or_else(wrong)?;
        let code = !geocode.is_empty()
            && geocode.len() <= 23
            && geocode
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if is_name(collection) && is_name(scene) && code {
            Ok(Self(text.to_owned()))
        } else {
            Err(wrong())
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the collection's name.
    pub fn collection(&self) -> &str {
        self.0.split_once('/').map_or("", |(c, _)| c)
    }

    /// Returns the scene's name.
    pub fn scene(&self) -> &str {
        let rest = self.0.split_once('/').map_or("", |(_, r)| r);
        rest.rsplit_once('~').map_or("", |(s, _)| s)
    }

    /// Returns the geocode's text.
    pub fn geocode(&self) -> &str {
        self.0.rsplit_once('~').map_or("", |(_, g)| g)
    }
}

impl TryFrom<String> for SplitId {
    type Error = SplitIdError;

    fn try_from(text: String) -> Result<Self, SplitIdError> {
        Self::parse(&text)
    }
}

impl From<SplitId> for String {
    fn from(id: SplitId) -> Self {
        id.0
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A geocode with its scheme, as it stands in files: `{"scheme":"geohash","code":"9xj5k"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CodeText {
    scheme: Scheme,
    code: String,
}

impl Serialize for Geocode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        CodeText {
            scheme: self.scheme(),
            code: self.to_string(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Geocode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CodeText::deserialize(deserializer)?;
        let parsed: Result<Self, GeocodeError> = Self::parse(text.scheme, &text.code);
        parsed.map_err(serde::de::Error::custom)
    }
}

/// How a pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleType {
    /// Unsigned 8 bit.
    U8,
    /// Unsigned 16 bit.
    U16,
    /// Signed 16 bit.
    I16,
    /// Unsigned 32 bit.
    U32,
    /// Signed 32 bit.
    I32,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

impl SampleType {
    /// Returns the bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Returns the type that holds the values of both.
    #[must_use]
    pub fn wider(self, other: Self) -> Self {
        use SampleType::{F32, F64, I16, I32, U8, U16, U32};
        match (self, other) {
            (a, b) if a == b => a,
            (U8, U16) | (U16, U8) => U16,
            (U8, I16) | (I16, U8) => I16,
            (U8 | U16, U32) | (U32, U8 | U16) => U32,
            (U8 | U16 | I16, I32) | (I32, U8 | U16 | I16) | (U16, I16) | (I16, U16) => I32,
            (U8 | U16 | I16, F32) | (F32, U8 | U16 | I16) => F32,
            _ => F64,
        }
    }

    /// Tells whether samples are integers, which have no NaN.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F32 | Self::F64)
    }
}

/// Mergeable statistics of one band's valid, finite pixels, in delivered digital numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandStats {
    /// Valid pixels.
    pub count: u64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Sum of squared differences from the mean (Welford/Chan), so that two can be merged.
    pub m2: f64,
    /// How values are spread; absent for classes and in files of before version 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// One band of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandMeta {
    /// The product's name of the band (`B04`, `N`, …).
    pub name: String,
    /// STAC common name (`red`, `nir`, …) where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<String>,
    /// Centre wavelength in nanometres where it has a meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre_nm: Option<f64>,
    /// Asset (file) that holds the band.
    pub asset: String,
    /// Index of the band in that file, from 0.
    pub index: u32,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// How a pixel is stored.
    pub sample: SampleType,
    /// The value that means "nothing"; NaN for floats is `None` and implied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<f64>,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// True for classes and masks: nearest neighbour only, no arithmetic.
    #[serde(default)]
    pub categorical: bool,
    /// Statistics of valid pixels; absent if none is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<BandStats>,
    /// How often each class of a categorical band occurs; absent where there are more than
    /// `CLASSES_MAX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ClassCount>>,
    /// What the product calls its classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<ClassName>,
}

/// One file of a split: all bands of one native resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssetMeta {
    /// File name inside the split, such as `r10.tif`.
    pub name: String,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// BLAKE3 (hex) of the compressed raster data, in file order.
    pub checksum: String,
}

/// Pixel counts, pooled over the bands of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PixelCounts {
    /// All pixels of the split's grids, one per band.
    pub pixels: u64,
    /// Those inside the delivered raster (valid or fill).
    pub in_footprint: u64,
    /// Those that are not fill.
    pub valid: u64,
    /// Valid pixels of the mask grid judged, when a cloud mask was delivered or derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskCounts>,
}

/// Counts on the mask's own grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MaskCounts {
    /// Pixels judged: not fill.
    pub valid: u64,
    /// Those that are cloud.
    pub cloudy: u64,
    /// Those in cloud shadow, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<u64>,
    /// Those of snow or ice, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snow: Option<u64>,
}

impl MaskCounts {
    /// Returns the counts of two cells.
    fn plus(self, other: Self) -> Self {
        let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        Self {
            valid: self.valid + other.valid,
            cloudy: self.cloudy + other.cloudy,
            shadow: both(self.shadow, other.shadow),
            snow: both(self.snow, other.snow),
        }
    }
}

impl PixelCounts {
    /// Returns the counts of two cells.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            pixels: self.pixels + other.pixels,
            in_footprint: self.in_footprint + other.in_footprint,
            valid: self.valid + other.valid,
            mask: match (self.mask, other.mask) {
                (Some(a), Some(b)) => Some(a.plus(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Returns valid / all pixels, 0..=1.
    pub fn coverage(&self) -> f64 {
        if self.pixels == 0 {
            0.0
        } else {
            self.valid as f64 / self.pixels as f64
        }
    }

    /// Returns cloudy / valid, 0..=1; `None` where no mask judged a valid pixel.
    pub fn cloud(&self) -> Option<f64> {
        self.mask
            .filter(|m| m.valid > 0)
            .map(|m| m.cloudy as f64 / m.valid as f64)
    }
}

/// Everything that is known about a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitMeta {
    /// Version of this structure, `META_VERSION` when written.
    pub version: u32,
    /// The id.
    pub id: SplitId,
    /// The dataset's name.
    pub dataset: String,
    /// Satellite or aircraft, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The cell.
    pub geocode: Geocode,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// Sensing time, UTC.
    pub acquired: Timestamp,
    /// Files, coarsest last.
    pub assets: Vec<AssetMeta>,
    /// Bands, in the dataset's order.
    pub bands: Vec<BandMeta>,
    /// Pixel counts.
    pub counts: PixelCounts,
    /// Where the cloud mask came from: `scl`, `cldprb`, `file`, `spectral`; absent if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_source: Option<String>,
    /// Bands that the product should have and did not deliver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_bands: Vec<String>,
    /// 18 GLCM values (S001 §II.E), where computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texture: Option<Vec<f64>>,
    /// BLAKE3 (hex) of the delivered source.
    pub source_hash: String,
    /// What wrote it: `glebe 0.1.0`.
    pub software: String,
}
