//! NumPy's archive of arrays: the stored numbers of a cube, and all that they mean.
//!
//! `data` [T, C, H, W], `mask` (true: valid) of the same shape, `times` [T] datetime64[us],
//! `scenes` [T], `bands` [C], `scale`, `offset`, `fill` [C] (NaN: none), `transform` [6] in GDAL's
//! order, `crs` (text).
//!
//! *Invariants*: the same cube gives the same bytes; arrays are not compressed, so that NumPy can
//! map them.
//!
//! *Not here*: the form of one array (`npy`).

use std::io::{Cursor, Write as _};

use earth::cube::Cube;
use wire::fault::{Fault, FaultKind};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::export::npy;

/// From this many bytes on, an entry needs 64-bit lengths.
const LARGE: usize = u32::MAX as usize;

/// Returns the archive of a united cube.
pub(super) fn encode(cube: &Cube) -> Result<Vec<u8>, Fault> {
    let bands = cube.bands();
    let number = |value: fn(&earth::cube::CubeBand) -> f64| {
        let values: Vec<f64> = bands.iter().map(value).collect();
        doubles(&values)
    };
    let names: Vec<&str> = bands.iter().map(|b| b.name.as_str()).collect();
    let scenes: Vec<&str> = cube.times().iter().map(|t| t.scene.as_str()).collect();
    let arrays = [
        ("data", npy::encode(cube)),
        ("mask", mask(cube)),
        ("times", times(cube)),
        ("scenes", texts(&scenes, &[scenes.len()])),
        ("bands", texts(&names, &[names.len()])),
        ("scale", number(|b| b.scale)),
        ("offset", number(|b| b.offset)),
        ("fill", number(|b| b.fill.unwrap_or(f64::NAN))),
        ("transform", doubles(&cube.georef().affine.to_gdal())),
        ("crs", texts(&[&cube.georef().crs.to_string()], &[])),
    ];
    archive(&arrays).map_err(|e| {
        Fault::new(FaultKind::Internal, "the archive cannot be built").because(e.to_string())
    })
}

fn archive(arrays: &[(&str, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes.len() >= LARGE);
        zip.start_file(format!("{name}.npy"), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Returns which samples are valid, as NumPy's booleans.
fn mask(cube: &Cube) -> Vec<u8> {
    let mut bytes = npy::header("|b1", &npy::shape(cube));
    let fills = cube.bands().iter().map(|b| b.fill).cycle();
    for (raster, fill) in cube.rasters().iter().zip(fills) {
        bytes.extend(raster.validity(fill).into_iter().map(u8::from));
    }
    bytes
}

fn times(cube: &Cube) -> Vec<u8> {
    let mut bytes = npy::header("<M8[us]", &[cube.times().len()]);
    for time in cube.times() {
        bytes.extend_from_slice(&time.acquired.as_microsecond().to_le_bytes());
    }
    bytes
}

fn doubles(values: &[f64]) -> Vec<u8> {
    let mut bytes = npy::header("<f8", &[values.len()]);
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// Returns an array of texts, each of UTF-32 code points padded with zeros to the longest.
fn texts(values: &[&str], shape: &[usize]) -> Vec<u8> {
    let length = values.iter().map(|v| v.chars().count()).max();
    let length = length.unwrap_or(0).max(1);
    let mut bytes = npy::header(&format!("<U{length}"), shape);
    for value in values {
        let padded = value.chars().map(u32::from).chain(std::iter::repeat(0));
        bytes.extend(padded.take(length).flat_map(u32::to_le_bytes));
    }
    bytes
}
