//! What `gdalwarp -et 0` makes of a raster on the grid of a cell, and how far ours lies from it.
//!
//! *Invariants*: the raster handed over holds the numbers that ingest reads, so that only the
//! reprojection is compared.
//!
//! *Not here*: which cells and scenes (the tests of each sensor).

use std::path::Path;
use std::process::Command;

use earth::raster::georef::{Affine, Georef};
use earth::raster::swath::Place;
use earth::split::codec;
use earth::split::meta::BandMeta;
use gdal::raster::Buffer;
use gdal::{Dataset, DriverManager};
use ingest::cutting::CutScene;
use ingest::plan;
use ingest::source::{Layer, Scene};

/// Tells whether gdalwarp can be asked; says loudly if not.
pub(crate) fn is_here() -> bool {
    let here = Command::new("gdalwarp").arg("--version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: gdalwarp is absent (gdal-bin)");
    }
    here
}

/// Pixels compared so far.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    valid: u64,
    far: u64,
    validity: u64,
    pixels: u64,
}

impl Totals {
    /// Compares all bands of some splits with what gdalwarp makes of the scene's rasters.
    pub(crate) fn of(scene: &Scene, done: &CutScene) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut totals = Self::default();
        for (number, layer) in scene.layers.iter().enumerate() {
            let file = folder.path().join(format!("{number}.tif"));
            write(layer, &file);
            for waiting in &done.splits {
                let bands = &waiting.meta.bands;
                let band = bands.iter().find(|b| b.name == layer.name).unwrap();
                let files = done.spool.read(&waiting.files).unwrap();
                let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
                let index = [band.index as usize];
                let ours = codec::decode(bytes, &index).unwrap().remove(0);
                let grid = plan::grid(&waiting.meta.geocode, band.resolution_m).unwrap();
                let theirs = gdalwarp(&file, (layer, &Georef::from(&grid)));
                totals.add((&ours.samples().to_f64(), band), &theirs, layer.fill);
            }
        }
        totals
    }

    fn add(&mut self, (ours, band): (&[f64], &BandMeta), theirs: &[f64], fill: Option<f64>) {
        assert_eq!(ours.len(), theirs.len());
        let near = if band.categorical { 0.0 } else { 1.0 };
        let is = |value: f64, fill: Option<f64>| fill.is_some_and(|f| (f - value).abs() <= 0.0);
        for (a, b) in ours.iter().zip(theirs) {
            self.pixels += 1;
            // A band without a declared fill: gdalwarp leaves 0 outside, ours says what it chose.
            let void = is(*b, fill) || (fill.is_none() && is(*a, band.fill));
            match (is(*a, band.fill), void) {
                (false, false) => {
                    self.valid += 1;
                    self.far += u64::from((a - b).abs() > near);
                }
                (true, true) => {}
                _ => self.validity += 1,
            }
        }
    }

    /// Fails unless 99.9 % of the pixels are the same to 1, classes exactly, and as many valid.
    pub(crate) fn check(&self, least: u64) {
        let Self {
            valid,
            far,
            validity,
            pixels,
        } = self;
        eprintln!(
            "compared {valid} valid pixels: {far} differ; {validity} of {pixels} in validity"
        );
        assert!(*valid >= least, "{self:?}");
        assert!(
            *far * 1000 <= *valid && *validity * 1000 <= *pixels,
            "{self:?}"
        );
    }
}

/// Returns where a layer lies; tests compare no swaths.
pub(crate) fn georef(layer: &Layer) -> &Georef {
    match layer.image.georef() {
        Place::Mapped(georef) => georef,
        Place::Swath(_) => panic!("{} is a swath", layer.name),
    }
}

/// Writes a layer, as ingest reads it, into a GeoTIFF of doubles.
fn write(layer: &Layer, file: &Path) {
    let georef = georef(layer);
    let raster = layer.image.read(layer.band, georef.whole()).unwrap();
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let size = (georef.width as usize, georef.height as usize);
    let mut dataset = driver
        .create_with_band_type::<f64, _>(file, size.0, size.1, 1)
        .unwrap();
    dataset.set_geo_transform(&georef.affine.to_gdal()).unwrap();
    let srs = gdal::spatial_ref::SpatialRef::from_definition(&georef.crs.to_string()).unwrap();
    dataset.set_spatial_ref(&srs).unwrap();
    let mut buffer = Buffer::new(size, raster.samples().to_f64());
    dataset
        .rasterband(1)
        .unwrap()
        .write((0, 0), size, &mut buffer)
        .unwrap();
    dataset.close().unwrap();
}

fn gdalwarp(file: &Path, (layer, grid): (&Layer, &Georef)) -> Vec<f64> {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("warped.tif");
    let corner = |affine: &Affine, c, r| affine.to_ground(c, r);
    let (west, north) = corner(&grid.affine, 0.0, 0.0);
    let (east, south) = corner(&grid.affine, f64::from(grid.width), f64::from(grid.height));
    let mut command = Command::new("gdalwarp");
    command
        .args(["-q", "-et", "0", "-t_srs"])
        .arg(grid.crs.to_string());
    if let Some(fill) = layer.fill {
        let fill = fill.to_string();
        command.args(["-srcnodata", &fill, "-dstnodata", &fill]);
    }
    command.args([
        "-r",
        if layer.categorical {
            "near"
        } else {
            "bilinear"
        },
        "-te",
    ]);
    command.args([west, south, east, north].map(|n| format!("{n:.17}")));
    command.args(["-ts", &grid.width.to_string(), &grid.height.to_string()]);
    assert!(command.arg(file).arg(&target).status().unwrap().success());
    let dataset = Dataset::open(&target).unwrap();
    let buffer = dataset
        .rasterband(1)
        .unwrap()
        .read_band_as::<f64>()
        .unwrap();
    buffer.into_shape_and_vec().1
}
