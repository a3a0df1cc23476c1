//! The fixed grid in every coordinate reference system: an analytic ramp comes out where PROJ says
//! it should, and pixels equal `gdalwarp -et 0`.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, Stdio};

use earth::crs::{Crs, Transformer};
use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::georef::{Affine, Georef};
use earth::raster::reproject::{Kernel, SourceBand, Warp};
use earth::raster::{Raster, Samples};

use crate::programs::has_gdal;
use crate::reproject::{Cell, Noise, check, scene};

/// A system, a pixel size in its units and in metres, and points to look at.
struct System {
    crs: &'static str,
    pixel: f64,
    metres: f64,
    places: &'static [(f64, f64)],
}

/// MODIS' sinusoidal grid, which has no EPSG code.
const SINUSOIDAL: &str = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs";

/// Every family of the table in `earth::crs`, at the middle and at the rims of its domain.
const SYSTEMS: &[System] = &[
    system(
        "EPSG:32629",
        30.0,
        &[(-7.4, 52.45), (-11.9, 5.0), (-6.1, 71.0)],
    ),
    system("EPSG:32633", 30.0, &[(15.0, 78.4), (20.5, 77.9)]),
    system("EPSG:32660", 30.0, &[(179.2, 65.5), (176.0, 1.0)]),
    system("EPSG:32701", 30.0, &[(-178.9, -16.8), (-175.2, -79.0)]),
    system("EPSG:32733", 30.0, &[(15.05, -23.0), (17.9, -0.6)]),
    system("EPSG:26914", 30.0, &[(-98.4, 47.1)]),
    system("EPSG:25832", 30.0, &[(9.5, 48.1)]),
    system("EPSG:7855", 30.0, &[(147.1, -37.2)]),
    system(
        SINUSOIDAL,
        463.312_716_528,
        &[(9.4, 45.9), (-61.0, -11.5), (25.0, 61.0)],
    ),
    system("EPSG:5070", 30.0, &[(-113.0, 37.3), (-70.1, 44.0)]),
    system("EPSG:3577", 30.0, &[(145.2, -37.9)]),
    system("EPSG:3035", 30.0, &[(24.0, 61.0)]),
    system("EPSG:6933", 1000.0, &[(31.0, 2.0), (-60.0, 44.0)]),
    system(
        "EPSG:3413",
        250.0,
        &[(45.0, 76.5), (-80.0, 60.5), (-2.0, 79.4), (179.3, 71.0)],
    ),
    system("EPSG:3995", 250.0, &[(100.0, 80.0)]),
    system("EPSG:3031", 250.0, &[(-60.0, -66.0), (166.4, -79.2)]),
    system("EPSG:3857", 30.0, &[(13.3, 52.4), (-70.0, -45.0)]),
    System {
        crs: "EPSG:4326",
        pixel: 0.000_25,
        metres: 27.0,
        places: &[(77.2, 13.1)],
    },
    System {
        crs: "EPSG:4269",
        pixel: 0.000_25,
        metres: 27.0,
        places: &[(-105.3, 40.0)],
    },
];

/// UTM and its like.
const TRANSVERSE: Range<usize> = 0..8;
/// Sinusoidal, Albers, Lambert, cylindrical.
const EQUAL_AREA: Range<usize> = 8..13;
/// Polar stereographic, Mercator, degrees.
const WORLD: Range<usize> = 13..19;

const fn system(crs: &'static str, metres: f64, places: &'static [(f64, f64)]) -> System {
    System {
        crs,
        pixel: metres,
        metres,
        places,
    }
}

/// Pixels a side of ramps, which are looked at through a finer grid.
const RAMP_SIDE: u32 = 180;

/// Pixels a side of sources held against GDAL.
const SIDE: u32 = 420;

/// Grids are this much finer than sources: where they are coarser along an axis the kernel widens
/// as GDAL's does, and a sampled triangle of a width that is no whole number moves a ramp by up to
/// 0.1 pixels. A cell of two to one that lies across its source is coarser along one axis even at
/// half the pixel.
const FINER: f64 = 0.3;

/// Largest error of a position in source pixels.
const POSITION_ERROR_MAX: f64 = 0.05;

impl System {
    fn crs(&self) -> Crs {
        self.crs.parse().unwrap()
    }

    /// Returns a raster around a place.
    fn around(&self, (lon, lat): (f64, f64), side: u32) -> Georef {
        let mut point = [(lon, lat)];
        let there = Transformer::new(&Crs::wgs84(), &self.crs()).unwrap();
        there.transform(&mut point).unwrap();
        let half = f64::from(side) / 2.0 * self.pixel;
        // Off whole pixels, so that nothing falls together by chance.
        let (west, north) = (point[0].0 - half - 0.37 * self.pixel, point[0].1 + half);
        Georef {
            crs: self.crs(),
            affine: Affine::new([west, self.pixel, 0.0, north, 0.0, -self.pixel]).unwrap(),
            width: side,
            height: side,
        }
    }

    /// Returns cells in both schemes that lie about a place and are about as large as its raster.
    fn cells(&self, place: (f64, f64), side: u32, random: &mut Noise) -> Vec<Cell> {
        let mut cells = Vec::new();
        let degrees = f64::from(side) * self.metres / 111_000.0;
        for (scheme, whole) in [
            (Scheme::Geohash, 45.0),
            (Scheme::QuadTile, 360.0 * place.1.to_radians().cos()),
        ] {
            let shrinks = if scheme == Scheme::Geohash { 5.6 } else { 2.0 };
            let precision = (1..20_u8).find(|p| {
                let side = whole / f64::powi(shrinks, i32::from(*p) - 1);
                side < degrees * 0.8
            });
            for _ in 0..2 {
                let mut shift = || (f64::from(random.next(1000)) / 1000.0 - 0.5) * degrees * 0.5;
                let lat = place.1 + shift();
                let lon = place.0 + shift() / lat.to_radians().cos();
                let lon = (lon + 540.0).rem_euclid(360.0) - 180.0;
                if scheme == Scheme::Geohash || lat.abs() < 85.0 {
                    cells.push(Cell(scheme, (lon, lat), precision.unwrap()));
                }
            }
        }
        cells
    }
}

/// Where PROJ says ground positions lie in a raster, in pixels.
fn by_proj(points: &[(f64, f64)], from: &Crs, to: &Georef) -> Vec<(f64, f64)> {
    let mut child = Command::new("gdaltransform")
        .args(["-s_srs", &from.to_string(), "-t_srs", &to.crs.to_string()])
        .args(["-output_xy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.15} {y:.15}"))
        .collect();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all((lines.join("\n") + "\n").as_bytes())
        .unwrap();
    drop(input);
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let numbers = |line: &str| {
        let mut words = line.split(' ').map(|w| w.parse::<f64>().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    };
    let ground: Vec<_> = text.lines().map(numbers).collect();
    assert_eq!(ground.len(), points.len());
    ground
        .iter()
        .map(|(x, y)| to.affine.to_pixel(*x, *y))
        .collect()
}

/// Returns the worst error in source pixels over some valid pixels, and how many were looked at.
fn worst_error(source: &Georef, cell: &Geocode, metres: f64) -> (f64, usize) {
    let grid = Grid::of(cell, metres).unwrap();
    let Some(warp) = Warp::plan(source, &Georef::from(&grid), Kernel::Bilinear).unwrap() else {
        return (0.0, 0);
    };
    let side = source.width;
    let ramp = |of: fn(u32, u32) -> u32| {
        let pixels = (0..side * side).map(|i| f64::from(of(i % side, i / side)) + 0.5);
        let raster = Raster::new(side, side, Samples::F64(pixels.collect())).unwrap();
        let window = source.whole();
        let band = SourceBand {
            raster: &raster,
            window,
            fill: None,
        };
        warp.run(&band).unwrap()
    };
    let (columns, rows) = (ramp(|c, _| c), ramp(|_, r| r));
    let (mut at, mut found) = (Vec::new(), Vec::new());
    for row in (0..grid.height()).step_by(19) {
        for column in (0..grid.width()).step_by(17) {
            let x = columns.raster.get(column, row).unwrap();
            let y = rows.raster.get(column, row).unwrap();
            // Half a kernel from the rim a mean is one-sided and no ramp any more.
            let inner = 3.0..f64::from(side) - 3.0;
            if inner.contains(&x) && inner.contains(&y) {
                at.push(grid.centre_of(column, row));
                found.push((x, y));
            }
        }
    }
    let wanted = by_proj(&at, grid.crs(), source);
    let error = |((x, y), (u, v)): (&(f64, f64), &(f64, f64))| (x - u).abs().max((y - v).abs());
    let worst = found.iter().zip(&wanted).map(error).fold(0.0, f64::max);
    (worst, found.len())
}

/// Looks at ramps in some systems.
fn check_ramps(systems: &[System]) {
    if !has_gdal() {
        return;
    }
    for (seed, system) in (5..).zip(systems) {
        let mut random = Noise::new(seed);
        for place in system.places {
            let (source, mut seen) = (system.around(*place, RAMP_SIDE), 0);
            for cell in system.cells(*place, RAMP_SIDE, &mut random) {
                let code = cell.code();
                let (worst, points) = worst_error(&source, &code, system.metres * FINER);
                let what = format!("{} at {place:?}, {code}", system.crs);
                assert!(worst < POSITION_ERROR_MAX, "{what}: {worst} pixels off");
                seen += points;
            }
            assert!(seen > 40, "{} at {place:?}: only {seen} points", system.crs);
        }
    }
}

#[test]
fn a_ramp_in_any_transverse_mercator_comes_out_where_proj_says() {
    check_ramps(&SYSTEMS[TRANSVERSE]);
}

#[test]
fn a_ramp_in_any_equal_area_system_comes_out_where_proj_says() {
    check_ramps(&SYSTEMS[EQUAL_AREA]);
}

#[test]
fn a_ramp_in_any_polar_or_world_system_comes_out_where_proj_says() {
    check_ramps(&SYSTEMS[WORLD]);
}

/// Holds pixels in some systems against gdalwarp's.
fn check_pixels(systems: &[System]) {
    if !has_gdal() {
        return;
    }
    for (seed, system) in (6..).zip(systems) {
        let mut random = Noise::new(seed);
        let place = system.places[0];
        let source = system.around(place, SIDE);
        let cells = system.cells(place, SIDE, &mut random);
        for scheme in [Scheme::Geohash, Scheme::QuadTile] {
            let Some(cell) = cells.iter().find(|c| c.0 == scheme) else {
                continue;
            };
            let reflectance = scene::<u16>(&source, Some(0.0), 300);
            check::<u16>(&reflectance, *cell, system.metres, Kernel::Bilinear);
            let classes = scene::<u8>(&source, Some(0.0), 12);
            check::<u8>(&classes, *cell, system.metres, Kernel::Nearest);
        }
    }
}

#[test]
fn pixels_of_any_transverse_mercator_equal_gdalwarp() {
    check_pixels(&SYSTEMS[TRANSVERSE]);
}

#[test]
fn pixels_of_any_equal_area_system_equal_gdalwarp() {
    check_pixels(&SYSTEMS[EQUAL_AREA]);
}

#[test]
fn pixels_of_any_polar_or_world_system_equal_gdalwarp() {
    check_pixels(&SYSTEMS[WORLD]);
}

#[test]
fn every_system_is_in_one_of_the_three_groups() {
    assert_eq!(TRANSVERSE.start, 0);
    assert_eq!(
        (TRANSVERSE.end, EQUAL_AREA.end),
        (EQUAL_AREA.start, WORLD.start)
    );
    assert_eq!(WORLD.end, SYSTEMS.len());
}

#[test]
fn quad_tiles_end_where_mercator_does() {
    let point = LonLat {
        lon: 20.0,
        lat: 85.2,
    };
    let error = Geocode::encode(Scheme::QuadTile, point, 8).unwrap_err();
    assert!(error.to_string().contains("geohash"), "{error}");
}
