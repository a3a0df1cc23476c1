//! What nodes are given to keep: splits, and models.
//!
//! *Invariants*: each number gives an object of its own, that nothing compresses; of some half a
//! mebibyte unless it is asked to be small.
//!
//! *Not here*: who keeps them (`cluster`, `startup`).

use anyhow::{Context as _, Result, ensure};
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::{Raster, Samples};
use earth::split::codec::encode;
use earth::split::cut::AssetRaster;
use earth::split::meta::{BandMeta, META_VERSION, PixelCounts, SampleType, SplitId, SplitMeta};
use earth::split::placement::PlacementRule;
use node::store::{Object, ObjectFile, ObjectKey};
use wire::bundle::Kind;

/// Bytes of an object: a split of one band group, and what DESIGN §5 was measured with.
pub(crate) const OBJECT_BYTES: usize = 512 << 10;
/// Width of a pixel with which a geohash of five digits, 40 degrees from the equator, holds
/// `OBJECT_BYTES` of 16 bits each.
const PIXEL_M: f64 = 9.2;
/// The same of a small split: some fifty pixels.
const SMALL_PIXEL_M: f64 = 640.0;
/// An area that holds one in 1,024 of all cells; what is placed by whole geocodes is at all nodes.
pub(crate) const AREA: &str = "9x00";
/// The one file of a split.
const FILE: &str = "pixels.tif";

/// Returns a split of one band, as an ingest puts it.
pub(crate) fn split(n: u64) -> Result<Object> {
    let object = split_of(n, PIXEL_M)?;
    let bytes: usize = object.files.iter().map(|file| file.bytes.len()).sum();
    ensure!(
        bytes.abs_diff(OBJECT_BYTES) < OBJECT_BYTES / 8,
        "{bytes} bytes"
    );
    Ok(object)
}

/// Returns a split of few pixels: what many of cost is their number.
pub(crate) fn small_split(n: u64) -> Result<Object> {
    split_of(n, SMALL_PIXEL_M)
}

fn split_of(n: u64, pixel_m: f64) -> Result<Object> {
    let cell = cell(n);
    let grid = Grid::of(&cell, pixel_m)?;
    let samples: Vec<u16> = noise(n)
        .flat_map(|word| {
            let [a, b, c, d, ..] = word.to_le_bytes();
            [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
        })
        .take(usize::try_from(grid.pixels())?)
        .collect();
    let raster = Raster::new(grid.width(), grid.height(), Samples::U16(samples))?;
    let pixels = grid.pixels();
    let assets = [AssetRaster {
        name: FILE.to_owned(),
        resolution_m: pixel_m,
        grid,
        fill: None,
        rasters: vec![raster],
    }];
    let encoded = encode(meta(n, cell, (pixels, pixel_m))?, &assets)?;
    let file = |(name, bytes): (String, Vec<u8>)| ObjectFile {
        name,
        bytes: bytes.into(),
    };
    Ok(Object {
        key: ObjectKey::new(Kind::Split, encoded.meta.id.as_str()),
        placement_key: encoded.meta.placement_key.clone(),
        files: encoded.files.into_iter().map(file).collect(),
    })
}

fn meta(n: u64, geocode: Geocode, (pixels, pixel_m): (u64, f64)) -> Result<SplitMeta> {
    let band = BandMeta {
        name: "B1".to_owned(),
        common: None,
        centre_nm: None,
        asset: FILE.to_owned(),
        index: 0,
        resolution_m: pixel_m,
        sample: SampleType::U16,
        fill: None,
        scale: 1.0,
        offset: 0.0,
        categorical: false,
        stats: None,
        classes: None,
        class_names: Vec::new(),
    };
    Ok(SplitMeta {
        version: META_VERSION,
        id: SplitId::new("bench", &format!("s{n}"), &geocode).context("an id")?,
        dataset: "generic".to_owned(),
        platform: None,
        geocode,
        placement_key: PlacementRule::Whole.key(&geocode),
        acquired: "2026-11-22T10:00:00Z".parse()?,
        assets: Vec::new(),
        bands: vec![band],
        counts: PixelCounts {
            pixels,
            in_footprint: pixels,
            valid: pixels,
            mask: None,
        },
        cloud_source: None,
        missing_bands: Vec::new(),
        texture: None,
        source_hash: "00".repeat(32),
        software: "glebe bench".to_owned(),
    })
}

/// Returns a model.
pub(crate) fn model(n: u64) -> Object {
    let cell = cell(n).to_string();
    let config = format!(r#"{{"run":"r","geocode":"{cell}"}}"#);
    let weights: Vec<u8> = noise(n)
        .take(OBJECT_BYTES / 8)
        .flat_map(u64::to_le_bytes)
        .collect();
    let file = |name: &str, bytes: Vec<u8>| ObjectFile {
        name: name.to_owned(),
        bytes: bytes.into(),
    };
    Object {
        key: ObjectKey::new(Kind::Model, format!("r/{cell}")),
        placement_key: PlacementRule::Whole.key(&self::cell(n)),
        files: vec![
            file("config.json", config.into_bytes()),
            file("model.safetensors", weights),
        ],
    }
}

/// Returns a cell, another one for each of 32,768 numbers.
fn cell(n: u64) -> Geocode {
    let digits = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let digit = |shift: u32| char::from(digits[usize::try_from((n >> shift) & 31).unwrap_or(0)]);
    let text = format!("9x{}{}{}", digit(10), digit(5), digit(0));
    Geocode::parse(Scheme::Geohash, &text).expect("five digits of a geohash")
}

/// Returns what looks like chance (the finaliser of SplitMix64).
fn noise(n: u64) -> impl Iterator<Item = u64> {
    (0..u64::MAX).map(move |i| {
        let z = (i ^ (n << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 27)
    })
}
