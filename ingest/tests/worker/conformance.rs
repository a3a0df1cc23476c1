//! Every split's raster against `gdalwarp -et 0` of the delivered numbers onto the same grid.
//!
//! *Invariants*: bilinear bands differ by at most 1 on at least 99.9 % of valid pixels, classes
//! are equal on as many; validity agrees on as many.
//!
//! *Not here*: rows of other sensors. `GLEBE_NIGHTLY=1` compares all cells instead of a sample.

use std::path::{Path, PathBuf};
use std::process::Command;

use earth::raster::georef::Georef;
use earth::split::codec;
use earth::split::meta::BandMeta;
use ingest::source::{self, Given, Layer, Scene};
use ingest::{limits, plan};

use crate::place::{open, real, t29unu};
use crate::real_products::cut_some;
use crate::warped;

/// Cells compared in an ordinary run: spread over the tile, its edges included.
const SAMPLE: usize = 8;

#[test]
fn splits_of_a_real_product_equal_gdalwarp() {
    let Some(product) = t29unu() else {
        return;
    };
    let scene = open(&product);
    let file = |layer: &Layer, band: &BandMeta| find(&product, layer, band);
    equals_gdalwarp(&scene, 5, &file).check(100_000);
}

#[test]
fn splits_of_real_polar_rasters_equal_gdalwarp() {
    let given = Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2018-07-12T00:00:00Z".parse().unwrap()),
        ..Given::default()
    };
    for (folder, file) in [
        (
            "modis_greenland_sea-50km-20180712",
            "20180712.250m.aqua.truecolor.tiff",
        ),
        (
            "modis_barents_kara_seas-100km-20250507",
            "20250507.250m.terra.falsecolor.tiff",
        ),
    ] {
        let Some(path) = real(&format!("sea_ice/{folder}/{file}")) else {
            return;
        };
        if !warped::is_here() {
            return;
        }
        limits::set_gdal().unwrap();
        let scene = source::open(&path, &given).unwrap();
        let crs = warped::georef(&scene.layers[0]).crs.to_string();
        assert_eq!(crs, "EPSG:3413");
        let done = cut_some(&scene, 4, |cells| cells.div_ceil(SAMPLE));
        warped::Totals::of(&scene, &done).check(10_000);
    }
}

/// Compares cells of a scene with what gdalwarp makes of its delivered files.
pub(crate) fn equals_gdalwarp(
    scene: &Scene,
    precision: u8,
    file: &dyn Fn(&Layer, &BandMeta) -> PathBuf,
) -> Totals {
    let mut totals = Totals::default();
    if Command::new("gdalwarp").arg("--version").output().is_err() {
        eprintln!("SKIPPED: gdalwarp is absent (gdal-bin)");
        return totals;
    }
    let all = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let step = |cells: usize| if all { 1 } else { cells.div_ceil(SAMPLE) };
    let done = cut_some(scene, precision, step);
    for waiting in &done.splits {
        let files = done.spool.read(&waiting.files).unwrap();
        for (band, layer) in waiting.meta.bands.iter().zip(&scene.layers) {
            let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
            let raster = codec::decode(bytes, &[band.index as usize])
                .unwrap()
                .remove(0);
            let ours = raster.samples().to_f64();
            let grid = plan::grid(&waiting.meta.geocode, band.resolution_m).unwrap();
            let theirs = gdalwarp(&file(layer, band), band, &Georef::from(&grid));
            totals.add(&ours, &theirs, band);
        }
    }
    totals
}

/// What was compared so far.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    valid: u64,
    far: u64,
    validity: u64,
    pixels: u64,
}

impl Totals {
    fn add(&mut self, ours: &[f64], theirs: &[f64], band: &BandMeta) {
        assert_eq!(ours.len(), theirs.len());
        let near = if band.categorical { 0.0 } else { 1.0 };
        let fill = band.fill.unwrap_or(0.0);
        for (a, b) in ours.iter().zip(theirs) {
            self.pixels += 1;
            match (a.to_bits() == fill.to_bits(), b.to_bits() == fill.to_bits()) {
                (false, false) => {
                    self.valid += 1;
                    self.far += u64::from((a - b).abs() > near);
                }
                (true, true) => {}
                _ => self.validity += 1,
            }
        }
    }

    /// Fails if more than one in a thousand pixels differs, or fewer than so many were valid.
    pub(crate) fn check(&self, valid_min: u64) {
        let Self {
            valid,
            far,
            validity,
            pixels,
        } = self;
        eprintln!(
            "compared {valid} valid pixels: {far} differ by more than 1; {validity} of {pixels} in validity"
        );
        assert!(*pixels == 0 || *valid > valid_min, "{self:?}");
        assert!(*far * 1000 <= *valid, "{self:?}");
        assert!(*validity * 1000 <= *pixels, "{self:?}");
    }
}

/// Returns the delivered file of a band.
fn find(product: &Path, layer: &Layer, band: &BandMeta) -> PathBuf {
    let granule = std::fs::read_dir(product.join("GRANULE"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let folder = granule
        .path()
        .join("IMG_DATA")
        .join(format!("R{}m", band.resolution_m));
    folder.join(layer.image.label())
}

/// Warps a delivered file onto a grid and returns its numbers.
fn gdalwarp(file: &Path, band: &BandMeta, grid: &Georef) -> Vec<f64> {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("warped.tif");
    let corner = |c, r| grid.affine.to_ground(c, r);
    let (west, north) = corner(0.0, 0.0);
    let (east, south) = corner(f64::from(grid.width), f64::from(grid.height));
    let mut command = Command::new("gdalwarp");
    let fill = band.fill.unwrap_or(0.0).to_string();
    command.args(["-q", "-et", "0", "-srcnodata", &fill, "-dstnodata", &fill]);
    command.arg("-t_srs");
    command.arg(grid.crs.to_string());
    command.args([
        "-r",
        if band.categorical { "near" } else { "bilinear" },
        "-te",
    ]);
    command.args([west, south, east, north].map(|n| format!("{n:.17}")));
    command.args(["-ts", &grid.width.to_string(), &grid.height.to_string()]);
    assert!(command.arg(file).arg(&target).status().unwrap().success());
    let dataset = gdal::Dataset::open(&target).unwrap();
    let buffer = dataset
        .rasterband(1)
        .unwrap()
        .read_band_as::<f64>()
        .unwrap();
    buffer.into_shape_and_vec().1
}
