//! `POST /v1/compose`: splits of each cell made into one image where they lie.
//!
//! ```text
//! message = u32 LE header length | header (JSON) | the bytes of its files, one after the other
//! ```
//! A `plan` comes first, then a `cell` as soon as each is composed, in no order, then the `end`.
//!
//! *Invariants*: percent 0–100; lengths and BLAKE3 of files stand in the header and are checked on
//! reading; the last message is always `end`; sizes are bounded.
//!
//! *Not here*: how pixels are combined (earth), which node composes (node).

use bytes::{Bytes, BytesMut};
use earth::geocode::{Geocode, Scheme};
use earth::raster::splice::Rule;
use earth::split::compose::{Limits, Resampling, Wish};
use earth::split::meta::{SampleType, SplitId, SplitMeta};
use jiff::Timestamp;
use query::Query;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultKind};
use crate::hit::FileEntry;
use crate::search::EmptyReason;

/// Media type of the answer.
pub const MEDIA_TYPE: &str = "application/x-glebe-compositions";
/// Greatest header: a plan of 10^4 cells of a dozen splits.
pub const HEADER_BYTES_MAX: usize = 64 << 20;
/// Greatest composed image: what a split may be.
pub const FILES_BYTES_MAX: u64 = crate::bundle::BUNDLE_BYTES_MAX as u64;
/// Most cells of one request; more are asked for region by region.
pub const CELLS_MAX: usize = 10_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComposeRequest {
    /// Which splits.
    #[serde(default)]
    pub query: Query,
    /// How pixels are chosen.
    pub rule: Rule,
    /// Least coverage of a cell's image in percent.
    #[serde(default = "whole")]
    pub min_coverage: f64,
    /// Greatest cloud cover of a cell's image in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cloud: Option<f64>,
    /// Greatest time between two splits of an image in days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<f64>,
    /// Bands by name or STAC common name; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<String>,
    /// Nominal resolution in metres; the finest of the bands if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_m: Option<f64>,
    /// How bands get there.
    #[serde(default)]
    pub resampling: Resampling,
    /// Answer each composed image with models, and give the answers in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predict: Option<Predict>,
    /// Say what would be composed, compose nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Whose models answer, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predict {
    /// The run.
    pub run: String,
    /// Geocode text of the one model of the run that answers, for whatever cell; each cell's own,
    /// or what stands in for it, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geocode: Option<String>,
    /// Pixels on either side of a border over which neighbours' models are blended; the side of a
    /// chip if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin_px: Option<u32>,
}

/// One message of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComposeHeader {
    /// What will be composed.
    Plan(ComposePlan),
    /// One cell's image; its files follow.
    Cell(Box<CellImage>),
    /// The end of the answer.
    End(ComposeEnd),
}

/// What will be composed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ComposePlan {
    /// The cells, by geocode.
    pub cells: Vec<CellPlan>,
}

/// What one cell's image will be made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellPlan {
    /// Geocode text.
    pub geocode: String,
    /// `geohash` or `quadtile`.
    pub scheme: Scheme,
    /// Dataset name.
    pub dataset: String,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Names and sample types of the bands, without provenance.
    pub bands: Vec<(String, SampleType)>,
    /// Splits in the order in which pixels are taken.
    pub splits: Vec<PlannedPart>,
    /// How many of them are needed at least, as far as their counts tell.
    pub expected: usize,
    /// Stored bytes of the files that are read of those.
    pub bytes: u64,
    /// Who may compose it, the first owner first.
    pub owners: Vec<String>,
}

/// One split of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedPart {
    /// The split.
    pub id: SplitId,
    /// Sensing time, UTC.
    pub acquired: Timestamp,
    /// Valid pixels in percent of all.
    pub pixel_coverage: f64,
    /// Cloud cover in percent; null if unknown.
    pub cloud_cover: Option<f64>,
}

/// One cell's image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellImage {
    /// What was reached, and with which splits.
    pub report: CellReport,
    /// Everything that is known about the image, as of a split.
    pub split: SplitMeta,
    /// Its files, in order.
    pub files: Vec<FileEntry>,
}

/// What was reached in one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellReport {
    /// Geocode text.
    pub geocode: String,
    /// Dataset name.
    pub dataset: String,
    /// How pixels were chosen.
    pub rule: Rule,
    /// The limits are reached.
    pub reached: bool,
    /// Valid pixels of the image in percent, pooled over bands that are no classes.
    pub pixel_coverage: f64,
    /// Cloud cover of the pixels used in percent; null if unknown.
    pub cloud_cover: Option<f64>,
    /// Clouds are known pixel by pixel; else from the splits' shares.
    pub cloud_by_pixel: bool,
    /// What the provenance band holds.
    pub provenance: Provenance,
    /// Splits looked at; the first is provenance 1.
    pub parts: Vec<PartReport>,
    /// Node that composed it.
    pub node: String,
    /// Who answered, where the image is of a model's answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
}

/// Who answered for a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicted {
    /// The model, `RUN/GEOCODE`.
    pub model: String,
    /// How it relates to the cell: `own`, `ancestor`, `donor` or `global`.
    pub kinship: String,
    /// Pixels with an answer.
    pub pixels: u64,
    /// Of those, pixels that are unlike what the models learned from.
    pub pixels_outside: u64,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What the provenance band holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Which part each pixel came from, from 1 on; 0 for none.
    Part,
    /// How many parts were looked at for each pixel.
    Count,
}

/// What one split gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartReport {
    /// The split.
    pub id: SplitId,
    /// Sensing time, UTC.
    pub acquired: Timestamp,
    /// Its own valid pixels in percent of all.
    pub pixel_coverage: f64,
    /// Its own cloud cover in percent; null if unknown.
    pub cloud_cover: Option<f64>,
    /// Pixels of the image that are its own, or that it had a part in.
    pub pixels_used: u64,
    /// Coverage of the image before it was added, in percent.
    pub coverage_before: f64,
    /// Coverage of the image after it was added, in percent.
    pub coverage_after: f64,
}

/// A cell that could not be composed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellFailure {
    /// Geocode text.
    pub geocode: String,
    /// Why.
    pub fault: Fault,
}

/// What is known once all cells have been sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ComposeEnd {
    /// Images sent.
    pub cells: u64,
    /// All of them reach the limits, and none failed.
    pub reached: bool,
    /// Every slot that can hold a split was answered for, and no cell failed.
    pub complete: bool,
    /// Slots that nobody alive could answer for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_slots: Vec<u16>,
    /// Slots that can hold a split.
    pub slots_asked: u64,
    /// Cells that could not be composed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<CellFailure>,
    /// Cells that no model of the run answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_model: Vec<String>,
    /// Why nothing matched, when nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<EmptyReason>,
    /// Milliseconds at the conduit.
    pub millis: f64,
}

/// A message with the bytes of its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ComposeMessage {
    /// The header.
    pub header: ComposeHeader,
    /// The files of a cell's image, in the header's order.
    pub files: Vec<Bytes>,
}

fn whole() -> f64 {
    100.0
}

impl ComposeRequest {
    /// Checks the numbers and returns what each cell's image shall be.
    pub fn wish(&self) -> Result<Wish, Fault> {
        let percent = |name: &str, value: f64| {
            if (0.0..=100.0).contains(&value) {
                return Ok(value / 100.0);
            }
            let what = format!("{name} {value} is outside 0..=100 percent");
            Err(Fault::new(FaultKind::Usage, what))
        };
        if let Some(days) = self.window_days
            && !(days > 0.0 && days.is_finite())
        {
            let what = format!("a window of {days} days holds nothing");
            return Err(Fault::new(FaultKind::Usage, what).try_("--window 30"));
        }
        Ok(Wish {
            rule: self.rule,
            bands: self.bands.clone(),
            resolution_m: self.resolution_m,
            resampling: self.resampling,
            limits: Limits {
                coverage_min: percent("min_coverage", self.min_coverage)?,
                cloud_max: self
                    .max_cloud
                    .map(|c| percent("max_cloud", c))
                    .transpose()?,
            },
        })
    }
}

impl CellPlan {
    /// Returns the cell.
    pub fn cell(&self) -> Result<Geocode, Fault> {
        Geocode::parse(self.scheme, &self.geocode)
            .map_err(|e| Fault::new(FaultKind::Data, "a plan names no cell").because(e.to_string()))
    }
}

impl ComposeMessage {
    /// Builds a message without files.
    pub fn bare(header: ComposeHeader) -> Self {
        Self {
            header,
            files: Vec::new(),
        }
    }

    /// Returns the message as chunks of bytes; files are shared, not copied.
    pub fn chunks(&self) -> Result<Vec<Bytes>, Fault> {
        let json = serde_json::to_vec(&self.header)
            .map_err(|e| wrong("the header cannot be written").because(e.to_string()))?;
        let length = u32::try_from(json.len())
            .ok()
            .filter(|_| json.len() <= HEADER_BYTES_MAX);
        let length = length.ok_or_else(|| wrong("the header is too long"))?;
        let mut chunks = vec![[&length.to_le_bytes()[..], &json].concat().into()];
        chunks.extend(self.files.iter().cloned());
        Ok(chunks)
    }

    /// Takes the first message off the buffer once it is there as a whole, checked.
    ///
    /// # Errors
    /// Lengths past a limit, a header that is none, files whose hash is wrong.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Self>, Fault> {
        let Some(length) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > HEADER_BYTES_MAX {
            return Err(wrong("a header is too long"));
        }
        let Some(json) = buffer.get(4..4 + length) else {
            return Ok(None);
        };
        let header: ComposeHeader = serde_json::from_slice(json)
            .map_err(|e| wrong("a header cannot be read").because(e.to_string()))?;
        let entries: &[FileEntry] = match &header {
            ComposeHeader::Cell(image) => &image.files,
            ComposeHeader::Plan(_) | ComposeHeader::End(_) => &[],
        };
        let total = entries
            .iter()
            .fold(0_u64, |sum, f| sum.saturating_add(f.bytes));
        if total > FILES_BYTES_MAX {
            return Err(wrong("an image is too large"));
        }
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        if buffer.len() - 4 - length < total {
            buffer.reserve(total);
            return Ok(None);
        }
        let mut rest = buffer
            .split_to(4 + length + total)
            .freeze()
            .slice(4 + length..);
        let mut files = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = rest.split_to(usize::try_from(entry.bytes).unwrap_or(usize::MAX));
            if blake3::hash(&bytes).to_hex().as_str() != entry.blake3 {
                return Err(wrong(&format!("{} is damaged", entry.name)).try_("ask again"));
            }
            files.push(bytes);
        }
        Ok(Some(Self { header, files }))
    }
}

impl CellImage {
    /// Describes files by name.
    pub fn entries(files: &[(String, Bytes)]) -> Vec<FileEntry> {
        let entry = |(name, bytes): &(String, Bytes)| FileEntry {
            name: name.clone(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        };
        files.iter().map(entry).collect()
    }
}

fn wrong(what: &str) -> Fault {
    Fault::new(FaultKind::Data, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cells: u64) -> ComposeMessage {
        ComposeMessage::bare(ComposeHeader::End(ComposeEnd {
            cells,
            ..ComposeEnd::default()
        }))
    }

    #[test]
    fn messages_are_read_however_they_were_cut() {
        let all = [message(1), message(2)];
        let bytes: Vec<u8> = all
            .iter()
            .flat_map(|m| m.chunks().unwrap().concat())
            .collect();
        for step in [1, 3, bytes.len()] {
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for part in bytes.chunks(step) {
                buffer.extend_from_slice(part);
                while let Some(found) = ComposeMessage::take(&mut buffer).unwrap() {
                    read.push(found);
                }
            }
            assert_eq!(read, all);
        }
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let mut buffer = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
        assert!(ComposeMessage::take(&mut buffer).is_err());
        let mut buffer = BytesMut::from(&b"\x02\0\0\0{]"[..]);
        assert!(ComposeMessage::take(&mut buffer).is_err());
    }

    #[test]
    fn numbers_outside_their_range_are_usage_faults() {
        let request = |text: &str| serde_json::from_str::<ComposeRequest>(text).unwrap();
        assert!(request(r#"{"rule":"newest"}"#).wish().is_ok());
        for wrong in [
            r#"{"rule":"newest","min_coverage":101}"#,
            r#"{"rule":"newest","max_cloud":-1}"#,
            r#"{"rule":"newest","window_days":0}"#,
        ] {
            let fault = request(wrong).wish().unwrap_err();
            assert_eq!(fault.kind, FaultKind::Usage, "{wrong}");
        }
    }
}
