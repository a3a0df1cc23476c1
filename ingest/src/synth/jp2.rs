//! Writing images: lossless JPEG 2000 as Sentinel-2 delivers it, and GeoTIFF for truth masks.
//!
//! *Invariants*: what is written reads back bit for bit; the same pixels give the same bytes.
//!
//! *Not here*: which images a product has (`safe`).

use std::path::Path;

use gdal::raster::{Buffer, GdalType, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager};

/// Where an image lies: system, upper left corner and pixel size in metres.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// EPSG code.
    pub epsg: u32,
    /// Easting of the left edge.
    pub west: f64,
    /// Northing of the upper edge.
    pub north: f64,
    /// Pixel size.
    pub pixel: f64,
}

/// Lossless, in tiles of 1,024 like ESA's 10 m images, so that readers decode in strips.
const JP2_OPTIONS: &[&str] = &[
    "QUALITY=100",
    "REVERSIBLE=YES",
    "YCC=NO",
    "BLOCKXSIZE=1024",
    "BLOCKYSIZE=1024",
    "WRITE_METADATA=NO",
];
const TIFF_OPTIONS: &[&str] = &["COMPRESS=DEFLATE", "TILED=YES"];

/// Writes one square band as lossless JPEG 2000.
pub fn write<T: GdalType + Copy>(path: &Path, place: Place, pixels: Vec<T>) -> anyhow::Result<()> {
    copy(("JP2OpenJPEG", JP2_OPTIONS), path, &memory(place, pixels)?)
}

/// Writes one square band as GeoTIFF with a fill value.
pub fn write_tiff(path: &Path, place: Place, pixels: Vec<u8>, fill: u8) -> anyhow::Result<()> {
    let dataset = memory(place, pixels)?;
    dataset
        .rasterband(1)?
        .set_no_data_value(Some(f64::from(fill)))?;
    copy(("GTiff", TIFF_OPTIONS), path, &dataset)
}

fn memory<T: GdalType + Copy>(place: Place, pixels: Vec<T>) -> anyhow::Result<Dataset> {
    let side = pixels.len().isqrt();
    let driver = DriverManager::get_driver_by_name("MEM")?;
    let mut dataset = driver.create_with_band_type::<T, _>("", side, side, 1)?;
    dataset.set_geo_transform(&[place.west, place.pixel, 0.0, place.north, 0.0, -place.pixel])?;
    dataset.set_spatial_ref(&SpatialRef::from_epsg(place.epsg)?)?;
    let mut buffer = Buffer::new((side, side), pixels);
    dataset
        .rasterband(1)?
        .write((0, 0), (side, side), &mut buffer)?;
    Ok(dataset)
}

fn copy((driver, options): (&str, &[&str]), path: &Path, from: &Dataset) -> anyhow::Result<()> {
    let driver = DriverManager::get_driver_by_name(driver)?;
    let options: RasterCreationOptions = options.iter().copied().collect();
    from.create_copy(&driver, path, &options)?.close()?;
    Ok(())
}
