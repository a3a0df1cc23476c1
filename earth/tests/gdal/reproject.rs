//! Reprojection equals `gdalwarp -et 0 -r bilinear|near`.

use std::path::Path;

use earth::crs::Crs;
use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use earth::geotiff::{BandImage, Image, encode_geotiff};
use earth::grid::Grid;
use earth::raster::georef::{Affine, Georef};
use earth::raster::pixel::Pixel;
use earth::raster::reproject::{Kernel, SourceBand, Warp, Warped};
use earth::raster::{Raster, Samples};
use earth::split::meta::SampleType;

use crate::programs::{has_gdal, raw_samples, run};

/// A small generator: the tests' noise.
pub(crate) struct Noise(u32);

impl Noise {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % below
    }
}

/// A source: where it lies, its pixels and its fill.
pub(crate) struct Source {
    pub(crate) georef: Georef,
    pub(crate) raster: Raster,
    pub(crate) fill: Option<f64>,
}

/// A ramp with noise and round holes of fill, in any sample type.
pub(crate) fn scene<T: Pixel>(georef: &Georef, fill: Option<f64>, noise: u32) -> Source {
    let mut random = Noise(7);
    let mut values = Vec::new();
    for row in 0..georef.height {
        for column in 0..georef.width {
            let ramp = f64::from(column) * 3.0 + f64::from(row) * 2.0;
            let value = ramp + f64::from(random.next(noise)) + 1.0;
            let (a, b) = (column % 97, row % 83);
            let hole = a.pow(2) + b.pow(2) < 200 || (column * 31 + row * 17) % 211 == 0;
            let value = if T::KIND == SampleType::U8 {
                value % 250.0 + 1.0
            } else {
                value
            };
            values.push(T::nearest(fill.filter(|_| hole).unwrap_or(value)));
        }
    }
    let raster = Raster::new(georef.width, georef.height, T::into_samples(values)).unwrap();
    Source {
        georef: georef.clone(),
        raster,
        fill,
    }
}

pub(crate) fn utm(zone: u32, (west, north): (f64, f64), pixel: f64, size: (u32, u32)) -> Georef {
    Georef {
        crs: Crs::from_epsg(32_600 + zone).unwrap(),
        affine: Affine::new([west, pixel, 0.0, north, 0.0, -pixel]).unwrap(),
        width: size.0,
        height: size.1,
    }
}

fn write(source: &Source, path: &Path) {
    let band = BandImage {
        name: "B04",
        raster: &source.raster,
        scale: 1.0,
        offset: 0.0,
        overview: Kernel::Bilinear,
    };
    // What has no EPSG code is named on the command line.
    let crs = match source.georef.crs.epsg() {
        Some(_) => source.georef.crs.clone(),
        None => Crs::web_mercator(),
    };
    let georef = Georef {
        crs,
        ..source.georef.clone()
    };
    let image = Image {
        georef: &georef,
        bands: &[band],
        fill: source.fill,
        items: &[],
    };
    std::fs::write(path, encode_geotiff(&image).unwrap()).unwrap();
}

/// Warps with `gdalwarp` and returns raw samples.
fn gdalwarp<T: Pixel>(source: &Source, grid: &Grid, kernel: Kernel) -> Vec<T> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (
        folder.path().join("source.tif"),
        folder.path().join("warped.raw"),
    );
    write(source, &from);
    let [west, south, east, north] = grid.edges();
    let method = if kernel == Kernel::Nearest {
        "near"
    } else {
        "bilinear"
    };
    let fill = source
        .fill
        .map_or(String::new(), |f| format!("-srcnodata {f} -dstnodata {f}"));
    let line = format!(
        "-q -overwrite -et 0 -r {method} -ovr NONE -t_srs {} -te {west} {south} {east} {north} \
         -ts {} {} {fill} -of ENVI {} {}",
        grid.crs(),
        grid.width(),
        grid.height(),
        from.display(),
        to.display()
    );
    let system = source.georef.crs.to_string();
    let words = ["-s_srs", &system].into_iter();
    run(
        "gdalwarp",
        &words.chain(line.split_whitespace()).collect::<Vec<_>>(),
    );
    raw_samples(&to)
}

/// Warps with our code, reading no more than the window that was asked for.
fn ours(source: &Source, grid: &Grid, kernel: Kernel) -> Warped {
    let warp = Warp::plan(&source.georef, &Georef::from(grid), kernel)
        .unwrap()
        .unwrap();
    let window = warp.window();
    let mut part = Vec::new();
    for row in window.row..window.row + window.height {
        for column in window.column..window.column + window.width {
            part.push(source.raster.get(column, row).unwrap());
        }
    }
    let samples = match source.raster.sample_type() {
        SampleType::U8 => Samples::U8(part.into_iter().map(u8::nearest).collect()),
        SampleType::U16 => Samples::U16(part.into_iter().map(u16::nearest).collect()),
        SampleType::I16 => Samples::I16(part.into_iter().map(i16::nearest).collect()),
        _ => Samples::F32(part.into_iter().map(f32::nearest).collect()),
    };
    let raster = Raster::new(window.width, window.height, samples).unwrap();
    warp.run(&SourceBand {
        raster: &raster,
        window,
        fill: source.fill,
    })
    .unwrap()
}

/// Holds both results against each other: validity and values within `tolerance`.
pub(crate) fn check<T: Pixel>(source: &Source, cell: Cell, resolution: f64, kernel: Kernel) {
    let cell = cell.code();
    let grid = Grid::of(&cell, resolution).unwrap();
    let theirs = gdalwarp::<T>(source, &grid, kernel);
    let found = ours(source, &grid, kernel);
    let mine = T::of(found.raster.samples()).unwrap();
    let fill = source.fill.and_then(T::exactly);
    let (mut valid, mut unlike, mut differ) = (0_u32, 0_u32, 0_u32);
    let mut worst = 0.0_f64;
    for ((a, b), is_valid) in mine.iter().zip(&theirs).zip(&found.valid) {
        let their_valid = Some(*b) != fill && !b.is_nan();
        valid += u32::from(their_valid);
        unlike += u32::from(source.fill.is_some() && their_valid != *is_valid);
        if *is_valid && their_valid {
            let difference = (a.to_f64() - b.to_f64()).abs();
            worst = worst.max(difference);
            differ += u32::from(difference > 1e-3 * (1.0 + a.to_f64().abs()) && difference > 1.0);
        }
    }
    assert!(valid > 1000, "{cell}: only {valid} valid pixels");
    let allowed = f64::from(valid) * 0.001;
    assert!(
        f64::from(unlike) <= allowed,
        "{cell}: {unlike} of {valid} differ in validity"
    );
    assert!(
        f64::from(differ) <= allowed,
        "{cell}: {differ} of {valid} differ, by up to {worst}"
    );
}

/// A cell: scheme, a point in it, precision.
#[derive(Clone, Copy)]
pub(crate) struct Cell(pub(crate) Scheme, pub(crate) (f64, f64), pub(crate) u8);

impl Cell {
    pub(crate) fn code(self) -> Geocode {
        let Self(scheme, (lon, lat), precision) = self;
        Geocode::encode(scheme, LonLat { lon, lat }, precision).unwrap()
    }
}

/// 52.45 N, 7.4 W, where zone 29's meridians converge by 1.3 degrees.
const INLAND: (f64, f64) = (-7.4, 52.45);

fn ireland(pixel: f64) -> Georef {
    let side = u32::nearest(42_000.0 / pixel);
    utm(29, (595_000.0, 5_830_000.0), pixel, (side, side - 20))
}

#[test]
fn reflectance_on_geohash_cells_equals_gdalwarp() {
    if !has_gdal() {
        return;
    }
    let cells = [
        Cell(Scheme::Geohash, INLAND, 3),
        Cell(Scheme::Geohash, INLAND, 4),
        Cell(Scheme::Geohash, INLAND, 5),
        Cell(Scheme::Geohash, (-7.6, 52.3), 5),
    ];
    let source = scene::<u16>(&ireland(60.0), Some(0.0), 300);
    for cell in cells {
        check::<u16>(&source, cell, 60.0, Kernel::Bilinear);
    }
    check::<i16>(
        &scene::<i16>(&ireland(60.0), Some(-7.0), 300),
        cells[1],
        60.0,
        Kernel::Bilinear,
    );
    check::<f32>(
        &scene::<f32>(&ireland(60.0), Some(-1.0), 300),
        cells[1],
        60.0,
        Kernel::Bilinear,
    );
    check::<u8>(
        &scene::<u8>(&ireland(60.0), None, 200),
        cells[2],
        60.0,
        Kernel::Bilinear,
    );
}

#[test]
fn the_kernel_widens_as_gdalwarps_does_where_the_source_is_finer() {
    if !has_gdal() {
        return;
    }
    for pixel in [57.0, 49.0, 25.0] {
        let source = scene::<u16>(&ireland(pixel), Some(0.0), 300);
        for precision in [4, 5] {
            let cell = Cell(Scheme::Geohash, INLAND, precision);
            check::<u16>(&source, cell, 60.0, Kernel::Bilinear);
        }
        let plain = scene::<u8>(&ireland(pixel), None, 200);
        check::<u8>(
            &plain,
            Cell(Scheme::Geohash, INLAND, 4),
            60.0,
            Kernel::Bilinear,
        );
    }
}

#[test]
fn reflectance_on_quad_tiles_equals_gdalwarp() {
    if !has_gdal() {
        return;
    }
    let source = scene::<u16>(&ireland(60.0), Some(0.0), 300);
    for zoom in [8, 10, 11] {
        check::<u16>(
            &source,
            Cell(Scheme::QuadTile, INLAND, zoom),
            60.0,
            Kernel::Bilinear,
        );
    }
    let zone33 = utm(33, (500_000.0, 100_000.0), 20.0, (900, 800));
    let equator = scene::<u16>(&zone33, Some(0.0), 300);
    check::<u16>(
        &equator,
        Cell(Scheme::QuadTile, (15.05, 0.85), 10),
        20.0,
        Kernel::Bilinear,
    );
}

#[test]
fn classes_equal_gdalwarps_nearest_neighbour() {
    if !has_gdal() {
        return;
    }
    let classes = scene::<u8>(&ireland(60.0), Some(0.0), 12);
    for precision in [3, 4, 5] {
        check::<u8>(
            &classes,
            Cell(Scheme::Geohash, INLAND, precision),
            60.0,
            Kernel::Nearest,
        );
    }
    check::<u8>(
        &classes,
        Cell(Scheme::QuadTile, INLAND, 10),
        60.0,
        Kernel::Nearest,
    );
}
