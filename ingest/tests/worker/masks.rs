//! A user's cloud mask: stored as a band beside what it judges, and read as it was given.
//!
//! *Invariants*: masks are written here, on the pixels of the scene.
//!
//! *Not here*: cloud cover of real masks (`real_products`).

use std::path::Path;

use earth::raster::cloud::Sky;
use earth::split::codec;
use earth::split::meta::SampleType;
use earth::split::sky::Judge;
use gdal::DriverManager;
use gdal::raster::Buffer;
use ingest::limits;
use ingest::source::{self, Given, Scene};

use crate::real_products::cut_some;
use crate::tiffs;

/// Columns and rows of `tiffs::write`.
const SIZE: (usize, usize) = (61, 47);
/// What a mask holds where it judges nothing.
const VOID: u8 = 9;

/// Writes a mask on the pixels of `tiffs::write`: clear in the west, then cloud, then nothing.
fn write_mask(file: &Path) {
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let (width, height) = SIZE;
    let mut raster = driver
        .create_with_band_type::<u8, _>(file, width, height, 1)
        .unwrap();
    let srs = gdal::spatial_ref::SpatialRef::from_epsg(4326).unwrap();
    raster.set_spatial_ref(&srs).unwrap();
    raster
        .set_geo_transform(&[10.01, 0.0005, 0.0, 50.03, 0.0, -0.0005])
        .unwrap();
    let value = |i: usize| match i % width {
        0..30 => 0,
        30..50 => 7,
        _ => VOID,
    };
    let values: Vec<u8> = (0..width * height).map(value).collect();
    let mut band = raster.rasterband(1).unwrap();
    band.set_no_data_value(Some(f64::from(VOID))).unwrap();
    let mut buffer = Buffer::new(SIZE, values);
    band.write((0, 0), SIZE, &mut buffer).unwrap();
    raster.close().unwrap();
}

/// A scene under that mask, or under none.
fn scene(folder: &Path, masked: bool) -> Scene {
    limits::set_gdal().unwrap();
    let (file, mask) = (folder.join("scene.tif"), folder.join("mask.tif"));
    tiffs::write::<u16>(&file, |v| v + 1.0);
    write_mask(&mask);
    let given = Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2020-06-01T00:00:00Z".parse().unwrap()),
        cloud_mask: masked.then_some(mask),
        ..Given::default()
    };
    source::open(&file, &given).unwrap()
}

#[test]
fn a_users_mask_is_stored_as_a_band_that_says_what_was_counted() {
    let folder = tempfile::tempdir().unwrap();
    let cut = cut_some(&scene(folder.path(), true), 5, |_| 1);
    assert!(!cut.splits.is_empty());
    let (mut cloudy, mut judged) = (0, 0);
    for split in &cut.splits {
        let meta = &split.meta;
        assert_eq!(meta.cloud_source.as_deref(), Some("file"));
        let judge = Judge::of(meta).expect("the mask is stored");
        let band = judge.band;
        assert_eq!(
            (&*band.name, band.sample, band.fill, band.categorical),
            ("CLOUD", SampleType::U8, Some(255.0), true)
        );
        assert_eq!(meta.bands.last().unwrap().name, "CLOUD");
        let files = cut.spool.read(&split.files).unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
        let raster = codec::decode(bytes, &[band.index as usize])
            .unwrap()
            .remove(0);
        let sky = judge.sky(&raster);
        let count = |wanted: Sky| sky.iter().filter(|s| **s == wanted).count() as u64;
        let (cloud, clear) = (count(Sky::Cloud), count(Sky::Clear));
        let counted = meta.counts.mask.unwrap();
        assert_eq!((counted.cloudy, counted.valid), (cloud, cloud + clear));
        cloudy += cloud;
        judged += cloud + clear;
    }
    let share = cloudy as f64 / judged as f64;
    assert!((share - 0.4).abs() < 0.02, "20 of 50 columns: {share}");
    assert!(
        (judged as f64) < 0.9 * cut.counts.valid as f64 / 2.0,
        "what the mask does not judge is not clear"
    );
}

#[test]
fn pixel_counts_and_the_scenes_own_bands_are_the_same_under_a_mask() {
    let folder = tempfile::tempdir().unwrap();
    let with = cut_some(&scene(folder.path(), true), 5, |_| 1);
    let without = cut_some(&scene(folder.path(), false), 5, |_| 1);
    assert_eq!(with.splits.len(), without.splits.len());
    for (with, without) in with.splits.iter().zip(&without.splits) {
        let (with, without) = (&with.meta, &without.meta);
        let named = |m: &earth::split::meta::SplitMeta| {
            let counts = m.counts;
            (counts.pixels, counts.in_footprint, counts.valid)
        };
        assert_eq!(named(with), named(without));
        assert_eq!(with.bands.len(), without.bands.len() + 1);
        assert_eq!(with.bands[..without.bands.len()], without.bands[..]);
        assert!(Judge::of(without).is_none());
    }
}
