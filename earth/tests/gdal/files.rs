//! GDAL reads our files.

use earth::crs::Crs;
use earth::geotiff::{BandImage, GeoTiff, Image, encode_geotiff};
use earth::raster::Raster;
use earth::raster::georef::{Affine, Georef};
use earth::raster::pixel::Pixel;
use earth::raster::reproject::Kernel;

use crate::programs::{has_gdal, run, samples};

/// A split's file that is kept beside the tests (`tests/split_files.rs`).
const SPLIT: &[u8] = include_bytes!("../golden/split-v1-r10.tif");

fn pattern<T: Pixel>(count: usize, void: Option<f64>) -> Vec<T> {
    let mut state = 99_u32;
    (0..count)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f64::from(state >> 24) + (i % 251) as f64 / 2.0;
            T::nearest(void.filter(|_| i % 13 == 0).unwrap_or(value))
        })
        .collect()
}

/// Writes an image of one sample type and holds what GDAL reads against it.
fn check_with_gdal<T: Pixel>(size: (u32, u32), georef: &Georef, fill: Option<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let tif = folder.path().join("a.tif");
    let count = size.0 as usize * size.1 as usize;
    let first: Vec<T> = pattern(count, fill);
    let second: Vec<T> = first.iter().rev().copied().collect();
    let rasters = [first.clone(), second.clone()]
        .map(|v| Raster::new(size.0, size.1, T::into_samples(v)).unwrap());
    let bands: Vec<_> = ["B02", "a<b>&\"ö"]
        .iter()
        .zip(&rasters)
        .map(|(name, raster)| BandImage {
            name,
            raster,
            scale: 1e-4,
            offset: -0.1,
            overview: Kernel::Bilinear,
        })
        .collect();
    let image = Image {
        georef,
        bands: &bands,
        fill,
        items: &[("WHAT", "test".to_owned())],
    };
    let bytes = encode_geotiff(&image).unwrap();
    std::fs::write(&tif, &bytes).unwrap();
    let read: Vec<T> = samples(&tif);
    let bits = |v: &[T]| {
        let mut bytes = vec![0; size_of_val(v)];
        v.iter()
            .zip(bytes.chunks_exact_mut(size_of::<T>()))
            .for_each(|(s, b)| s.put_bytes(b));
        bytes
    };
    assert!(
        bits(&read) == bits(&[first.clone(), second].concat()),
        "{:?}",
        T::KIND
    );
    let info = run("gdalinfo", &[tif.to_str().unwrap()]);
    for wanted in [
        "INTERLEAVE=BAND",
        "COMPRESSION=ZSTD",
        "Offset: -0.1",
        "WHAT=test",
    ] {
        assert!(info.contains(wanted), "{wanted} is not in {info}");
    }
    assert!(info.contains("Description = a<b>&\"ö"), "{info}");
    let own = GeoTiff::open(&bytes).unwrap();
    assert_eq!(own.fill(), fill.filter(|f| !f.is_nan()));
    let back = own.decode(&bytes, &[0], 0).unwrap();
    assert!(bits(T::of(back[0].samples()).unwrap()) == bits(&first));
}

fn at(code: u32, size: (u32, u32), affine: [f64; 6]) -> Georef {
    let affine = Affine::new(affine).unwrap();
    Georef {
        crs: Crs::from_epsg(code).unwrap(),
        affine,
        width: size.0,
        height: size.1,
    }
}

#[test]
fn gdal_reads_the_very_bits_of_every_sample_type() {
    if !has_gdal() {
        return;
    }
    let small = (37, 29);
    let lonlat = at(4326, small, [-7.5, 1e-4, 0.0, 52.5, 0.0, -1e-4]);
    check_with_gdal::<u8>(small, &lonlat, Some(0.0));
    check_with_gdal::<i16>(small, &lonlat, Some(-9999.0));
    check_with_gdal::<u32>(small, &lonlat, None);
    check_with_gdal::<i32>(small, &lonlat, Some(-2_147_483_648.0));
    let large = (1300, 777);
    let mercator = at(3857, large, [-8e5, 10.0, 0.0, 6.9e6, 0.0, -10.0]);
    check_with_gdal::<u16>(large, &mercator, Some(0.0));
    check_with_gdal::<f32>(large, &mercator, Some(f64::NAN));
    let rotated = at(32_629, large, [5e5, 9.0, 2.0, 5.8e6, 2.0, -9.0]);
    check_with_gdal::<f64>(large, &rotated, None);
}

#[test]
fn gdal_sees_a_splits_place_names_and_fill() {
    if !has_gdal() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r10.tif");
    std::fs::write(&path, SPLIT).unwrap();
    let info = run("gdalinfo", &[path.to_str().unwrap()]);
    for wanted in [
        "ID[\"EPSG\",4326]",
        "Description = B03",
        "NoData Value=0",
        "GLEBE_SPLIT=s2/S2A_20221005T115411_T29UNU~gc6drx",
        "ACQUISITION_TIME=2022-10-05T11:54:11Z",
    ] {
        assert!(info.contains(wanted), "{wanted} is not in {info}");
    }
    // The first directory stands right behind the structural lines, as validators demand.
    let bytes = SPLIT;
    let lines: usize = std::str::from_utf8(&bytes[38..44])
        .unwrap()
        .parse()
        .unwrap();
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    assert_eq!(first, (8 + 43 + lines).next_multiple_of(2));
    assert!(first < 300);
}
