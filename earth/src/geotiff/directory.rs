//! The head of a file: TIFF header, GDAL's structural lines, directories and their values.
//!
//! *Invariants*: the first directory stands right after the structural lines; tags ascend; the
//! head's length is known before any offset is written.
//!
//! *Not here*: reading (`read`), tiles (`tile`).

use crate::geotiff::predictor::predictor_of;
use crate::geotiff::tile::Shape;
use crate::geotiff::{FILE_BYTES_MAX, Image, WriteError};
use crate::raster::georef::Georef;
use crate::split::meta::SampleType;

/// Tags that we write, by TIFF 6.0, GeoTIFF 1.1 and GDAL.
pub(super) mod tag {
    pub(in crate::geotiff) const SUBFILE: u16 = 254;
    pub(in crate::geotiff) const WIDTH: u16 = 256;
    pub(in crate::geotiff) const HEIGHT: u16 = 257;
    pub(in crate::geotiff) const BITS: u16 = 258;
    pub(in crate::geotiff) const COMPRESSION: u16 = 259;
    pub(in crate::geotiff) const PHOTOMETRIC: u16 = 262;
    pub(in crate::geotiff) const SAMPLES: u16 = 277;
    pub(in crate::geotiff) const PLANAR: u16 = 284;
    pub(in crate::geotiff) const PREDICTOR: u16 = 317;
    pub(in crate::geotiff) const TILE_WIDTH: u16 = 322;
    pub(in crate::geotiff) const TILE_HEIGHT: u16 = 323;
    pub(in crate::geotiff) const TILE_OFFSETS: u16 = 324;
    pub(in crate::geotiff) const TILE_BYTES: u16 = 325;
    pub(in crate::geotiff) const EXTRA_SAMPLES: u16 = 338;
    pub(in crate::geotiff) const SAMPLE_FORMAT: u16 = 339;
    pub(in crate::geotiff) const PIXEL_SCALE: u16 = 33_550;
    pub(in crate::geotiff) const TIEPOINT: u16 = 33_922;
    pub(in crate::geotiff) const TRANSFORMATION: u16 = 34_264;
    pub(in crate::geotiff) const GEO_KEYS: u16 = 34_735;
    pub(in crate::geotiff) const GDAL_METADATA: u16 = 42_112;
    pub(in crate::geotiff) const GDAL_NODATA: u16 = 42_113;
    /// In the range that TIFF leaves to private use.
    pub(in crate::geotiff) const SPLIT_JSON: u16 = 65_000;
}

/// Compression: ZSTD, as registered by libtiff.
pub(super) const ZSTD: u16 = 50_000;

/// Planes one after another.
pub(super) const SEPARATE: u16 = 2;

/// TIFF header: little-endian, 42, offset of the first directory.
const HEADER_BYTES: usize = 8;

/// The line that opens GDAL's structural metadata; its number counts what follows.
const GHOST_LEAD: &str = "GDAL_STRUCTURAL_METADATA_SIZE=";

/// Structural lines of every file; the last ends in a blank by GDAL's definition.
const GHOST_LAYOUT: &str = "LAYOUT=IFDS_BEFORE_DATA\n";
const GHOST_EDITION: &str = "KNOWN_INCOMPATIBLE_EDITION=NO\n ";

/// What a split's file holds beside the image.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extras<'a> {
    /// Further structural lines.
    pub(super) ghost: &'a str,
    /// The private tag; empty for none.
    pub(super) json: &'a [u8],
}

/// What directories tell of an image.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) georef: &'a Georef,
    pub(super) bands: Vec<BandFacts<'a>>,
    pub(super) kind: SampleType,
    pub(super) fill: Option<f64>,
    pub(super) items: &'a [(&'a str, String)],
}

/// What directories tell of a band.
#[derive(Debug)]
pub(super) struct BandFacts<'a> {
    pub(super) name: &'a str,
    pub(super) scale: f64,
    pub(super) offset: f64,
}

/// A resolution: its shape, and the bytes of its tiles in their order.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) shape: Shape,
    pub(super) lengths: Vec<usize>,
}

impl<'a> Facts<'a> {
    /// Tells an image that is there as a whole.
    pub(super) fn of(image: &Image<'a>) -> Self {
        let band = |b: &crate::geotiff::BandImage<'a>| BandFacts {
            name: b.name,
            scale: b.scale,
            offset: b.offset,
        };
        let kind = image.bands.first().map(|b| b.raster.sample_type());
        Self {
            georef: image.georef,
            bands: image.bands.iter().map(band).collect(),
            kind: kind.unwrap_or(SampleType::U8),
            fill: image.fill,
            items: image.items,
        }
    }
}

/// A value of a tag.
#[derive(Debug, Clone)]
enum Value {
    Short(Vec<u16>),
    Long(Vec<u32>),
    Double(Vec<f64>),
    Ascii(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// Returns TIFF's type number, the count and the bytes.
    fn encode(&self) -> (u16, usize, Vec<u8>) {
        match self {
            Self::Short(v) => (3, v.len(), v.iter().flat_map(|n| n.to_le_bytes()).collect()),
            Self::Long(v) => (4, v.len(), v.iter().flat_map(|n| n.to_le_bytes()).collect()),
            Self::Double(v) => (
                12,
                v.len(),
                v.iter().flat_map(|n| n.to_le_bytes()).collect(),
            ),
            Self::Ascii(text) => (2, text.len() + 1, [text.as_bytes(), &[0]].concat()),
            Self::Bytes(bytes) => (7, bytes.len(), bytes.clone()),
        }
    }
}

/// One directory: tags ascending.
type Directory = Vec<(u16, Value)>;

/// Returns the bytes before the pixel data.
pub(super) fn lay_out(
    facts: &Facts<'_>,
    levels: &[Measured],
    extras: &Extras<'_>,
) -> Result<Vec<u8>, WriteError> {
    let ghost = ghost(extras.ghost);
    let first = (HEADER_BYTES + ghost.len()).next_multiple_of(2);
    // Offsets take four bytes whatever they are: lay out twice, first to learn the length.
    let blank = directories(facts, levels, extras, 0)?;
    let length = blank.iter().fold(first, |at, d| at + directory_bytes(d));
    let total = length as u64
        + levels
            .iter()
            .flat_map(|l| &l.lengths)
            .map(|n| *n as u64)
            .sum::<u64>();
    if total > FILE_BYTES_MAX {
        return Err(WriteError::TooLarge(total));
    }
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(b"II\x2a\x00");
    bytes.extend_from_slice(&offset(first).to_le_bytes());
    bytes.extend_from_slice(ghost.as_bytes());
    bytes.resize(first, 0);
    let found = directories(facts, levels, extras, length)?;
    for (number, directory) in found.iter().enumerate() {
        let next = bytes.len() + directory_bytes(directory);
        let next = if number + 1 < found.len() { next } else { 0 };
        put_directory(&mut bytes, directory, next);
    }
    Ok(bytes)
}

/// Returns GDAL's structural metadata with further lines.
fn ghost(further: &str) -> String {
    let lines = format!("{GHOST_LAYOUT}{further}{GHOST_EDITION}");
    format!("{GHOST_LEAD}{:06} bytes\n{lines}", lines.len())
}

/// Returns a position as TIFF stores it; callers have checked `FILE_BYTES_MAX`.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Bytes of a directory and the values behind it.
fn directory_bytes(directory: &Directory) -> usize {
    let values: usize = directory
        .iter()
        .map(|(_, value)| value.encode().2.len())
        .filter(|bytes| *bytes > 4)
        .map(|bytes| bytes.next_multiple_of(2))
        .sum();
    2 + 12 * directory.len() + 4 + values
}

/// Appends a directory, then the values that do not fit into it.
fn put_directory(bytes: &mut Vec<u8>, directory: &Directory, next: usize) {
    let mut values = Vec::new();
    let after = bytes.len() + 2 + 12 * directory.len() + 4;
    let entries = u16::try_from(directory.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&entries.to_le_bytes());
    for (tag, value) in directory {
        let (kind, count, mut data) = value.encode();
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&offset(count).to_le_bytes());
        if data.len() <= 4 {
            data.resize(4, 0);
            bytes.extend_from_slice(&data);
        } else {
            bytes.extend_from_slice(&offset(after + values.len()).to_le_bytes());
            data.resize(data.len().next_multiple_of(2), 0);
            values.extend(data);
        }
    }
    bytes.extend_from_slice(&offset(next).to_le_bytes());
    bytes.extend(values);
}

/// Returns the directories, finest first, with pixel data from `data` on.
fn directories(
    facts: &Facts<'_>,
    levels: &[Measured],
    extras: &Extras<'_>,
    data: usize,
) -> Result<Vec<Directory>, WriteError> {
    let mut starts = Vec::new();
    let mut at = data;
    for level in levels.iter().rev() {
        starts.push(at);
        at += level.lengths.iter().sum::<usize>();
    }
    starts.reverse();
    let mut found = Vec::new();
    for (number, (level, start)) in levels.iter().zip(starts).enumerate() {
        let mut directory = picture(facts, &level.shape, number > 0);
        directory.extend(tiles(level, start));
        if number == 0 {
            directory.extend(place(facts.georef)?);
            directory.push((tag::GDAL_METADATA, Value::Ascii(gdal_metadata(facts))));
            if !extras.json.is_empty() {
                directory.push((tag::SPLIT_JSON, Value::Bytes(extras.json.to_vec())));
            }
        }
        directory.sort_by_key(|(tag, _)| *tag);
        found.push(directory);
    }
    Ok(found)
}

/// Returns the tags that say what the samples are.
fn picture(facts: &Facts<'_>, shape: &Shape, coarse: bool) -> Directory {
    let bands = facts.bands.len();
    let kind = facts.kind;
    let bits = u16::try_from(kind.bytes() * 8).unwrap_or(u16::MAX);
    let planar = if bands > 1 { SEPARATE } else { 1 };
    let mut directory = vec![
        (tag::SUBFILE, Value::Long(vec![u32::from(coarse)])),
        (tag::WIDTH, Value::Long(vec![shape.width])),
        (tag::HEIGHT, Value::Long(vec![shape.height])),
        (tag::BITS, Value::Short(vec![bits; bands])),
        (tag::COMPRESSION, Value::Short(vec![ZSTD])),
        (tag::PHOTOMETRIC, Value::Short(vec![1])),
        (
            tag::SAMPLES,
            Value::Short(vec![u16::try_from(bands).unwrap_or(u16::MAX)]),
        ),
        (tag::PLANAR, Value::Short(vec![planar])),
        (
            tag::PREDICTOR,
            Value::Short(vec![predictor_of(kind.is_integer())]),
        ),
        (
            tag::SAMPLE_FORMAT,
            Value::Short(vec![format_of(kind); bands]),
        ),
    ];
    if bands > 1 {
        directory.push((tag::EXTRA_SAMPLES, Value::Short(vec![0; bands - 1])));
    }
    if let Some(text) = nodata(facts.fill, kind) {
        directory.push((tag::GDAL_NODATA, Value::Ascii(text)));
    }
    directory
}

/// Returns TIFF's `SampleFormat`.
pub(super) fn format_of(kind: SampleType) -> u16 {
    match kind {
        SampleType::U8 | SampleType::U16 | SampleType::U32 => 1,
        SampleType::I16 | SampleType::I32 => 2,
        SampleType::F32 | SampleType::F64 => 3,
    }
}

/// Returns the fill value as GDAL writes it.
fn nodata(fill: Option<f64>, kind: SampleType) -> Option<String> {
    match fill {
        Some(value) if value.is_nan() => Some("nan".to_owned()),
        Some(value) => Some(value.to_string()),
        None => (!kind.is_integer()).then(|| "nan".to_owned()),
    }
}

/// Returns the tags that say where tiles lie.
fn tiles(level: &Measured, start: usize) -> Directory {
    let lengths: Vec<u32> = level.lengths.iter().map(|n| offset(*n)).collect();
    let mut at = start;
    let mut offsets = Vec::with_capacity(lengths.len());
    for length in &level.lengths {
        offsets.push(offset(at));
        at += length;
    }
    vec![
        (tag::TILE_WIDTH, Value::Long(vec![level.shape.tile_width])),
        (tag::TILE_HEIGHT, Value::Long(vec![level.shape.tile_height])),
        (tag::TILE_OFFSETS, Value::Long(offsets)),
        (tag::TILE_BYTES, Value::Long(lengths)),
    ]
}

/// Returns the tags that place the image on the ground (GeoTIFF 1.1 §B, §D).
fn place(georef: &Georef) -> Result<Directory, WriteError> {
    let code = georef
        .crs
        .epsg()
        .ok_or_else(|| WriteError::NoEpsg(georef.crs.clone()))?;
    let [x, xu, xv, y, yu, yv] = georef.affine.to_gdal();
    let upright = xv.abs() == 0.0 && yu.abs() == 0.0 && xu > 0.0 && yv < 0.0;
    let mut directory = if upright {
        vec![
            (tag::PIXEL_SCALE, Value::Double(vec![xu, -yv, 0.0])),
            (tag::TIEPOINT, Value::Double(vec![0.0, 0.0, 0.0, x, y, 0.0])),
        ]
    } else {
        let matrix = [xu, xv, 0.0, x, yu, yv, 0.0, y];
        let rest = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        vec![(tag::TRANSFORMATION, Value::Double([matrix, rest].concat()))]
    };
    // Model type (projected 1, geographic 2), pixel is area, the code of the system.
    let (model, key) = if georef.crs.is_geographic() {
        (2, 2048)
    } else {
        (1, 3072)
    };
    let keys = vec![
        1, 1, 0, 3, 1024, 0, 1, model, 1025, 0, 1, 1, key, 0, 1, code,
    ];
    directory.push((tag::GEO_KEYS, Value::Short(keys)));
    Ok(directory)
}

/// Returns GDAL's metadata: items, and name, scale and offset of each band.
fn gdal_metadata(facts: &Facts<'_>) -> String {
    let general = facts
        .items
        .iter()
        .map(|(name, value)| item(name, "", value));
    let of_band = |(number, band): (usize, &BandFacts<'_>)| {
        let role = |role: &str| format!(" sample=\"{number}\" role=\"{role}\"");
        let name = item("DESCRIPTION", &role("description"), band.name);
        if (band.scale - 1.0).abs() > 0.0 || band.offset.abs() > 0.0 {
            let offset = item("OFFSET", &role("offset"), &band.offset.to_string());
            name + &offset + &item("SCALE", &role("scale"), &band.scale.to_string())
        } else {
            name
        }
    };
    let bands = facts.bands.iter().enumerate().map(of_band);
    let items: String = general.chain(bands).collect();
    format!("<GDALMetadata>\n{items}</GDALMetadata>\n")
}

/// Returns one line of GDAL's metadata.
fn item(name: &str, role: &str, value: &str) -> String {
    format!(
        "  <Item name=\"{}\"{role}>{}</Item>\n",
        escape(name),
        escape(value)
    )
}

/// Escapes text for XML twice, as GDAL writes and reads it.
fn escape(text: &str) -> String {
    escape_once(&escape_once(text))
}

/// Escapes text for XML; characters that TIFF's ASCII lacks become references.
fn escape_once(text: &str) -> String {
    let character = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        ' '..='~' => c.to_string(),
        other => format!("&#{};", u32::from(other)),
    };
    text.chars().map(character).collect()
}
