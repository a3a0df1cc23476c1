//! Real scenes (`../shared/data` or `GLEBE_REAL_DATA`; skipped loudly where they are absent).

use std::path::{Path, PathBuf};

use earth::crs::Crs;
use earth::geocode::Scheme;
use earth::raster::cloud::Sky;
use earth::raster::cloud::spectral::{Reflectances, spectral_mask};
use earth::raster::georef::{Affine, Georef};
use earth::raster::pixel::Pixel;
use earth::raster::reproject::Kernel;
use earth::raster::{Raster, Samples};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::programs::{has_gdal, samples};
use crate::reproject::{Cell, Source, check};

/// The 60 m folder of a real Sentinel-2 product, without band and ending.
const IRELAND: &str = "s2_safe/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE/\
    GRANULE/L2A_T29UNU_A038058_20221005T115407/IMG_DATA/R60m/T29UNU_20221005T115411_";

/// Columns and rows of its 60 m bands.
const IRELAND_SIDE: u32 = 1830;

/// Returns the path of real data, or says that it is not there.
#[allow(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn real(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("GLEBE_REAL_DATA").map_or_else(beside, PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no real imagery at {}", path.display());
        return None;
    }
    has_gdal().then_some(path)
}

fn ireland(band: &str) -> Option<PathBuf> {
    real(&format!("{IRELAND}{band}_60m.jp2"))
}

fn source<T: Pixel>(band: &str) -> Option<Source> {
    let values: Vec<T> = samples(&ireland(band)?);
    let raster = Raster::new(IRELAND_SIDE, IRELAND_SIDE, T::into_samples(values)).unwrap();
    let georef = Georef {
        crs: Crs::from_epsg(32_629).unwrap(),
        affine: Affine::new([499_980.0, 60.0, 0.0, 5_900_040.0, 0.0, -60.0]).unwrap(),
        width: IRELAND_SIDE,
        height: IRELAND_SIDE,
    };
    Some(Source {
        georef,
        raster,
        fill: Some(0.0),
    })
}

#[test]
fn a_real_scene_is_cut_as_gdalwarp_cuts_it() {
    let (Some(red), Some(classes)) = (source::<u16>("B04"), source::<u8>("SCL")) else {
        return;
    };
    for place in [(-8.2, 53.1), (-8.95, 52.35)] {
        for precision in [4, 5] {
            let cell = Cell(Scheme::Geohash, place, precision);
            check::<u16>(&red, cell, 60.0, Kernel::Bilinear);
            check::<u8>(&classes, cell, 60.0, Kernel::Nearest);
        }
        check::<u16>(
            &red,
            Cell(Scheme::QuadTile, place, 10),
            60.0,
            Kernel::Bilinear,
        );
    }
}

/// Returns cloudy / judged of true and found clouds: precision and recall.
fn precision_and_recall(found: &[Sky], truth: &[bool]) -> (f64, f64) {
    let count = |test: fn(bool, bool) -> bool| {
        let cloud = found.iter().map(|s| *s == Sky::Cloud);
        cloud
            .zip(truth)
            .filter(|(found, truth)| test(*found, **truth))
            .count() as f64
    };
    let both = count(|found, truth| found && truth);
    (
        both / count(|found, _| found),
        both / count(|_, truth| truth),
    )
}

#[test]
fn clouds_judged_by_reflectance_are_mostly_those_of_the_scene_classes() {
    let Some(classes) = ireland("SCL") else {
        return;
    };
    let classes: Vec<u8> = samples(&classes);
    let bands =
        ["B02", "B03", "B04", "B8A", "B11"].map(|band| samples::<u16>(&ireland(band).unwrap()));
    // Processing baseline 04.00: reflectance = (number - 1000) / 10000.
    let value = |band: usize, i: usize| {
        let number = f64::from(bands[band][i]);
        (number > 0.0).then_some((number - 1000.0) / 10_000.0)
    };
    let mask = spectral_mask((0..classes.len()).into_par_iter().map(|i| Reflectances {
        blue: value(0, i),
        green: value(1, i),
        red: value(2, i),
        nir: value(3, i),
        swir: value(4, i),
        cirrus: None,
    }));
    let truth: Vec<bool> = classes.iter().map(|c| (8..=10).contains(c)).collect();
    let (precision, recall) = precision_and_recall(mask.pixels(), &truth);
    assert!(
        precision > 0.97 && recall > 0.80,
        "precision {precision}, recall {recall}"
    );
    let data = classes.iter().filter(|c| **c != 0).count() as f64;
    let judged = mask.counts().valid as f64;
    assert!(
        (judged / data - 1.0).abs() < 0.01,
        "{judged} judged of {data} with data"
    );
}

#[test]
fn clear_and_clouded_dates_of_one_place_are_told_apart() {
    for (date, low, high) in [
        ("20150711T100008", 0.0, 0.02),
        ("20150731T100009", 0.6, 1.0),
        ("20150909T100017", 0.0, 0.02),
    ] {
        let name = format!("s2_timeseries_slovenia/geotiff/S2_L1C_{date}.tif");
        let Some(path) = real(&name) else {
            return;
        };
        let values: Vec<u16> = samples(&path);
        let raster = Samples::U16(values);
        let pixels = raster.len() / 13;
        let value = |band: usize, i: usize| raster.get(band * pixels + i).map(|v| v / 10_000.0);
        let mask = spectral_mask((0..pixels).into_par_iter().map(|i| Reflectances {
            blue: value(1, i),
            green: value(2, i),
            red: value(3, i),
            nir: value(7, i),
            swir: value(11, i),
            cirrus: value(10, i),
        }));
        let counts = mask.counts();
        let share = counts.cloudy as f64 / counts.valid as f64;
        assert!((low..=high).contains(&share), "{date}: {share}");
    }
}
