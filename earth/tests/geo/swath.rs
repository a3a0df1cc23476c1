//! Swaths against analytic ones, against brute force, and across gaps, poles and the antimeridian.

use std::sync::Arc;

use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme, cover};
use earth::grid::Grid;
use earth::polygon::Polygon;
use earth::raster::georef::Georef;
use earth::raster::reproject::{Kernel, SourceBand, Warp};
use earth::raster::swath::{Angles, Place, Swath, Ties};
use earth::raster::{Raster, Samples};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

const EARTH_M: f64 = 6_371_008.8;
/// Spacing of the analytic swath's pixels in the middle.
const METRES: f64 = 300.0;

/// A swath that is turned, wider towards its sides, and bent along its way.
#[derive(Debug, Clone, Copy)]
struct Analytic {
    at: LonLat,
    heading: f64,
    width: u32,
    height: u32,
}

impl Analytic {
    fn ground(&self, column: f64, row: f64) -> LonLat {
        let across = column - f64::from(self.width) / 2.0;
        let share = across / f64::from(self.width);
        let x = across * METRES * (1.0 + 0.6 * share * share);
        let y = (row - f64::from(self.height) / 2.0) * METRES * 1.1 + 2e4 * share * share;
        let (sin, cos) = self.heading.to_radians().sin_cos();
        self.offset((x * cos - y * sin) / EARTH_M, (x * sin + y * cos) / EARTH_M)
    }

    /// Goes from the middle along a great circle.
    fn offset(&self, east: f64, north: f64) -> LonLat {
        let (far, azimuth) = (east.hypot(north), east.atan2(north));
        let ((sin_lat, cos_lat), (sin_far, cos_far)) =
            (self.at.lat.to_radians().sin_cos(), far.sin_cos());
        let lat = (sin_lat * cos_far + cos_lat * sin_far * azimuth.cos()).asin();
        let lon = (azimuth.sin() * sin_far * cos_lat).atan2(cos_far - sin_lat * lat.sin());
        let lon = self.at.lon + lon.to_degrees();
        LonLat {
            lon: lon - 360.0 * (lon / 360.0).round(),
            lat: lat.to_degrees(),
        }
    }

    fn swath(&self, step: u32) -> Swath {
        let (columns, rows) = (
            self.width.div_ceil(step) + 1,
            self.height.div_ceil(step) + 1,
        );
        let ties = Ties {
            first: (0.5, 0.5),
            step: (f64::from(step), f64::from(step)),
        };
        let place =
            |c: u32, r: u32| self.ground(0.5 + f64::from(c * step), 0.5 + f64::from(r * step));
        self.placed(ties, (columns, rows), place)
    }

    fn placed(
        &self,
        ties: Ties,
        (columns, rows): (u32, u32),
        place: impl Fn(u32, u32) -> LonLat,
    ) -> Swath {
        let all = |part: fn(LonLat) -> f64| {
            let values = (0..columns * rows).map(|i| part(place(i % columns, i / columns)));
            Angles {
                raster: Raster::new(columns, rows, Samples::F64(values.collect())).unwrap(),
                scale: 1.0,
                offset: 0.0,
                fill: Some(-999.0),
            }
        };
        let (lon, lat) = (all(|p| p.lon), all(|p| p.lat));
        Swath::new((self.width, self.height), ties, (&lon, &lat)).unwrap()
    }
}

fn metres(a: LonLat, b: LonLat) -> f64 {
    let lat = f64::midpoint(a.lat, b.lat).to_radians();
    let turns = ((b.lon - a.lon) / 360.0).round();
    let (lon, north) = (b.lon - a.lon - 360.0 * turns, b.lat - a.lat);
    (lon.to_radians() * lat.cos()).hypot(north.to_radians()) * EARTH_M
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_point_is_found_where_the_analytic_swath_has_it(
        lon in -180.0_f64..180.0,
        lat in -90.0_f64..90.0,
        heading in 0.0_f64..360.0,
        // Over more pixels than these the analytic swath bends by a twentieth of one.
        step in 1_u32..=4,
        shares in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 64),
    ) {
        let (width, height) = (120, 90);
        let analytic = Analytic { at: LonLat { lon, lat }, heading, width, height };
        let swath = analytic.swath(step);
        for (x, y) in shares {
            let (column, row) = (x * f64::from(width), y * f64::from(height));
            let found = swath.to_pixel(analytic.ground(column, row)).unwrap();
            let off = (found.0 - column).hypot(found.1 - row);
            prop_assert!(off < 0.05, "{off} px at {column}, {row}: {found:?}");
        }
    }

    #[test]
    fn finding_undoes_placing(
        lon in -180.0_f64..180.0,
        lat in -90.0_f64..90.0,
        heading in 0.0_f64..360.0,
        step in 1_u32..=7,
        shares in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 64),
    ) {
        let (width, height) = (70, 110);
        let swath = Analytic { at: LonLat { lon, lat }, heading, width, height }.swath(step);
        for (x, y) in shares {
            let (column, row) = (x * f64::from(width), y * f64::from(height));
            let ground = swath.to_ground(column, row).unwrap();
            let (x, y) = swath.to_pixel(ground).unwrap();
            prop_assert!((x - column).abs() < 1e-6 && (y - row).abs() < 1e-6, "{x} {column}");
        }
    }

    #[test]
    fn the_quick_search_finds_what_trying_every_quad_finds(
        lon in -180.0_f64..180.0,
        lat in -89.9_f64..89.9,
        heading in 0.0_f64..360.0,
        shares in proptest::collection::vec((-0.2_f64..1.2, -0.2_f64..1.2), 32),
    ) {
        let (width, height) = (30, 24);
        let analytic = Analytic { at: LonLat { lon, lat }, heading, width, height };
        let swath = analytic.swath(1);
        for (x, y) in shares {
            let at = analytic.ground(x * f64::from(width), y * f64::from(height));
            let tried = try_all(&swath, at);
            let found = swath.to_pixel(at).filter(|p| inside(*p, width, height));
            // Within a hair of the border rounding decides.
            let near = tried.or(found).is_some_and(|p| !inside_by(p, (width, height), 1e-6));
            prop_assert!(near || found.is_some() == tried.is_some(), "{found:?} {tried:?}");
            if let (Some(found), Some(tried)) = (found, tried) {
                let off = (found.0 - tried.0).hypot(found.1 - tried.1);
                prop_assert!(off < 1e-3, "{found:?} {tried:?}");
            }
        }
    }
}

fn inside(at: (f64, f64), width: u32, height: u32) -> bool {
    inside_by(at, (width, height), 0.0)
}

fn inside_by((x, y): (f64, f64), (width, height): (u32, u32), by: f64) -> bool {
    (by..=f64::from(width) - by).contains(&x) && (by..=f64::from(height) - by).contains(&y)
}

/// Halves the raster's pixels until a quarter of a thousandth is left, keeping the nearest.
fn try_all(swath: &Swath, at: LonLat) -> Option<(f64, f64)> {
    let whole = swath.whole();
    let off = |x: f64, y: f64| swath.to_ground(x, y).map_or(f64::MAX, |p| metres(p, at));
    let corners = (0..whole.width).flat_map(|x| (0..whole.height).map(move |y| (x, y)));
    let centres = corners.map(|(x, y)| (f64::from(x) + 0.5, f64::from(y) + 0.5));
    let (mut x, mut y) = centres.min_by(|a, b| off(a.0, a.1).total_cmp(&off(b.0, b.1)))?;
    let mut step = 0.5;
    while step > 1e-7 {
        let around = [
            (0.0, 0.0),
            (step, 0.0),
            (-step, 0.0),
            (0.0, step),
            (0.0, -step),
        ];
        let best = around
            .map(|(dx, dy)| (x + dx, y + dy))
            .into_iter()
            .min_by(|a, b| off(a.0, a.1).total_cmp(&off(b.0, b.1)))?;
        if best == (x, y) {
            step /= 2.0;
        }
        (x, y) = best;
    }
    (off(x, y) < 1e-2)
        .then_some((x, y))
        .filter(|p| inside(*p, whole.width, whole.height))
}

/// Warps the ramps of columns and rows of a swath onto a cell; returns how many pixels are valid
/// and the greatest error in pixels.
fn ramps(analytic: &Analytic, cell: &Geocode) -> (usize, f64) {
    let target = Georef::from(&Grid::of(cell, METRES).unwrap());
    let place = Place::Swath(Arc::new(analytic.swath(1)));
    let Some(warp) = Warp::plan_place(&place, &target, Kernel::Bilinear).unwrap() else {
        return (0, 0.0);
    };
    let window = warp.window();
    let ramp = |value: fn(u32, u32) -> u32| {
        let (width, height) = (window.width, window.height);
        let values = (0..width * height)
            .map(|i| f64::from(value(window.column + i % width, window.row + i / width)));
        let raster = Raster::new(width, height, Samples::F64(values.collect())).unwrap();
        let band = SourceBand {
            raster: &raster,
            window,
            fill: None,
        };
        warp.run(&band).unwrap()
    };
    let (columns, rows) = (ramp(|c, _| c), ramp(|_, r| r));
    let (mut valid, mut worst) = (0, 0.0_f64);
    for row in 0..target.height {
        for column in 0..target.width {
            let x = columns.raster.get(column, row).unwrap() + 0.5;
            let y = rows.raster.get(column, row).unwrap() + 0.5;
            // Beyond the outermost centres a ramp goes on level.
            if !x.is_nan() && inside_by((x, y), (analytic.width, analytic.height), 1.0) {
                let (lon, lat) = target
                    .affine
                    .to_ground(f64::from(column) + 0.5, f64::from(row) + 0.5);
                let off = metres(analytic.ground(x, y), LonLat { lon, lat }) / METRES;
                (valid, worst) = (valid + 1, worst.max(off));
            }
        }
    }
    (valid, worst)
}

#[test]
fn an_analytic_ramp_is_met_to_a_twentieth_of_a_pixel() {
    for (lon, lat, heading) in [
        (14.5, 46.0, 12.0),
        (179.9, -16.0, 102.0),
        (-63.0, 78.3, 250.0),
    ] {
        let at = LonLat { lon, lat };
        let analytic = Analytic {
            at,
            heading,
            width: 220,
            height: 200,
        };
        let area = Polygon::new(&parts(&analytic.swath(1))).unwrap();
        let cells = cover::of_polygon(Scheme::Geohash, 4, &area).unwrap();
        let found: Vec<_> = cells.iter().map(|c| ramps(&analytic, c)).collect();
        let valid: usize = found.iter().map(|f| f.0).sum();
        let worst = found.iter().map(|f| f.1).fold(0.0, f64::max);
        assert!(worst < 0.05, "{worst} px at {lon}, {lat}");
        // Pixels of the grid are about as large as the swath's in the middle.
        assert!(
            (30_000..90_000).contains(&valid),
            "{valid} pixels at {lon}, {lat}"
        );
    }
}

fn parts(swath: &Swath) -> Vec<Vec<Vec<[f64; 2]>>> {
    swath.rings().into_iter().map(|ring| vec![ring]).collect()
}

#[test]
fn every_pixel_lies_in_a_cell_of_the_outline_also_around_the_pole() {
    for (lon, lat) in [(3.0, 52.0), (180.0, 10.0), (40.0, 89.9), (-120.0, -89.95)] {
        let at = LonLat { lon, lat };
        let analytic = Analytic {
            at,
            heading: 33.0,
            width: 90,
            height: 80,
        };
        let swath = analytic.swath(1);
        let area = Polygon::new(&parts(&swath)).unwrap();
        let cells = cover::of_polygon(Scheme::Geohash, 3, &area).unwrap();
        for i in 0..90 * 80 {
            let at = swath
                .to_ground(f64::from(i % 90) + 0.5, f64::from(i / 90) + 0.5)
                .unwrap();
            let cell = Geocode::encode(Scheme::Geohash, at, 3).unwrap();
            assert!(cells.contains(&cell), "{cell} at {lon}, {lat}");
        }
        assert!(cells.len() < 600, "{} cells at {lon}, {lat}", cells.len());
    }
}

#[test]
fn what_lies_between_two_scans_or_at_missing_positions_has_no_place() {
    let at = LonLat {
        lon: 20.0,
        lat: 0.0,
    };
    let analytic = Analytic {
        at,
        heading: 0.0,
        width: 40,
        height: 40,
    };
    // From row 20 on everything lies thirty rows further on; positions 5..8 of row 5 are missing.
    let swath = analytic.placed(Ties::EACH, (40, 40), |c, r| {
        let jump = if r >= 20 { 30.0 } else { 0.0 };
        let place = analytic.ground(f64::from(c) + 0.5, f64::from(r) + 0.5 + jump);
        let missing = r == 5 && (5..8).contains(&c);
        if missing {
            LonLat {
                lon: -999.0,
                lat: -999.0,
            }
        } else {
            place
        }
    });
    let row_of = |row: f64| swath.to_pixel(analytic.ground(30.5, row));
    assert!(row_of(19.0).is_some_and(|p| (p.1 - 19.0).abs() < 0.05));
    assert_eq!(row_of(35.0), None);
    assert!(row_of(52.0).is_some_and(|p| (p.1 - 22.0).abs() < 0.05));
    assert_eq!(swath.to_pixel(analytic.ground(6.5, 5.4)), None);
    assert!(swath.to_pixel(analytic.ground(6.5, 7.4)).is_some());
    assert_eq!(
        swath
            .to_pixel(analytic.ground(-1.2, 7.4))
            .filter(|p| inside(*p, 40, 40)),
        None
    );
    assert_eq!(
        swath.to_pixel(LonLat {
            lon: -160.0,
            lat: 0.0
        }),
        None
    );
}
