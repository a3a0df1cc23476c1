//! Scenes at the edges of maps: across the antimeridian, in the polar seas, past Mercator's end.
//!
//! *Invariants*: sources are ramps written here with `gdalwarp`; wanted values come from PROJ
//! (`gdaltransform`), not from the code under test.
//!
//! *Not here*: every system of the table (`earth/tests/gdal/systems.rs`).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::split::codec;
use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use ingest::cutting::{self, CutScene};
use ingest::limits;
use ingest::plan::{self, Plan};
use ingest::source::{self, Given, Scene};

/// Pixels a side of the sources.
const SIDE: u32 = 300;
/// Digital numbers per source pixel along a row: an error of 0.05 pixels is 5.
const STEEP: f64 = 100.0;
/// Largest error of a position in source pixels. On a grid much finer than the source it is 0.05
/// (`earth/tests/gdal/systems.rs`); at the source's own resolution the kernel is widened as GDAL
/// widens it, and its weights lean by some hundredths of a pixel.
const POSITION_ERROR_MAX: f64 = 0.1;
/// Pixels from the rim within which a widened kernel finds neighbours on one side only.
const RIM: f64 = 3.5;

/// A source: system, western and northern edge, pixel.
struct Ramp {
    crs: &'static str,
    west: f64,
    north: f64,
    pixel: f64,
}

/// Returns what a program prints, given some lines.
fn ask(program: &str, args: &[&str], lines: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{program} {args:?}");
    String::from_utf8(out.stdout).unwrap()
}

impl Ramp {
    /// Writes the ramp as a float GeoTIFF; values grow to the east, 7 is added a row.
    fn write(&self, folder: &Path) -> PathBuf {
        let raw = folder.join("ramp.raw");
        let value = |i: u32| STEEP * (f64::from(i % SIDE) + 0.5) + 7.0 * f64::from(i / SIDE);
        let bytes: Vec<u8> = (0..SIDE * SIDE)
            .flat_map(|i| value(i).to_le_bytes())
            .collect();
        std::fs::write(&raw, bytes).unwrap();
        let head = format!(
            "ENVI\nsamples = {SIDE}\nlines = {SIDE}\nbands = 1\ndata type = 5\n\
             interleave = bsq\nbyte order = 0\n"
        );
        std::fs::write(folder.join("ramp.hdr"), head).unwrap();
        let to = folder.join("ramp.tif");
        let far = f64::from(SIDE) * self.pixel;
        let corners = [self.west, self.north, self.west + far, self.north - far];
        let corners = corners.map(|c| c.to_string());
        let mut args = vec!["-q", "-a_srs", self.crs, "-a_ullr"];
        args.extend(corners.iter().map(String::as_str));
        args.extend([raw.to_str().unwrap(), to.to_str().unwrap()]);
        ask("gdal_translate", &args, "");
        to
    }

    /// Returns the values that belong at some positions of a grid; `None` within three pixels of
    /// the source's rim, where means are one-sided.
    fn wanted(&self, grid: &Grid, at: &[(u32, u32)]) -> Vec<Option<f64>> {
        let points = at.iter().map(|(c, r)| grid.centre_of(*c, *r));
        let lines: Vec<String> = points.map(|(x, y)| format!("{x:.15} {y:.15}")).collect();
        let from = grid.crs().to_string();
        let args = ["-s_srs", &from, "-t_srs", self.crs, "-output_xy"];
        let text = ask("gdaltransform", &args, &(lines.join("\n") + "\n"));
        let value = |line: &str| {
            let mut words = line.split(' ').map(|w| w.parse::<f64>().unwrap());
            let (x, y) = (words.next().unwrap(), words.next().unwrap());
            let (column, row) = ((x - self.west) / self.pixel, (self.north - y) / self.pixel);
            let inner = RIM..f64::from(SIDE) - RIM;
            (inner.contains(&column) && inner.contains(&row))
                .then_some(STEEP * column + 7.0 * (row - 0.5))
        };
        text.lines().map(value).collect()
    }
}

fn has_gdal() -> bool {
    let found = Command::new("gdaltransform")
        .arg("--version")
        .output()
        .is_ok();
    if !found {
        eprintln!("SKIPPED: GDAL's programs are absent (gdal-bin)");
    }
    found
}

fn open(path: &Path) -> Scene {
    limits::set_gdal().unwrap();
    let given = Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2021-03-01T00:00:00Z".parse().unwrap()),
        ..Given::default()
    };
    source::open(path, &given).unwrap()
}

fn cut(scene: &Scene, scheme: Scheme, precision: u8) -> (Plan, CutScene) {
    let collection = Collection {
        name: "edges".to_owned(),
        dataset: "generic".to_owned(),
        scheme,
        precision,
        placement: PlacementRule::Whole,
    };
    let plan = plan::plan(scene, scheme, precision).unwrap();
    let done = cutting::cut(scene, &plan, (&collection, &plan.cells), &mut |_| {}).unwrap();
    (plan, done)
}

/// What came out of a scene.
struct Seen {
    /// Ground covered by valid pixels, in source pixels.
    area: f64,
    /// Cells west of the antimeridian and east of it.
    sides: BTreeSet<bool>,
}

/// Holds every split against PROJ.
fn check(ramp: &Ramp, scheme: Scheme, precision: u8) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let scene = open(&ramp.write(folder.path()));
    let (_, done) = cut(&scene, scheme, precision);
    let mut seen = Seen {
        area: 0.0,
        sides: BTreeSet::new(),
    };
    let mut looked = 0;
    for waiting in &done.splits {
        let cell = waiting.meta.geocode;
        let files = done.spool.read(&waiting.files).unwrap();
        let raster = codec::decode(&files[0].1, &[0]).unwrap().remove(0);
        let grid = plan::grid(&cell, waiting.meta.bands[0].resolution_m).unwrap();
        seen.sides.insert(cell.centre().lon > 0.0);
        seen.area += area(&raster, &grid, ramp);
        let (mut at, mut found) = (Vec::new(), Vec::new());
        for row in (0..grid.height()).step_by(31) {
            for column in (0..grid.width()).step_by(37) {
                let value = raster.get(column, row).unwrap();
                if !value.is_nan() {
                    at.push((column, row));
                    found.push(value);
                }
            }
        }
        let wanted = ramp.wanted(&grid, &at);
        for ((place, a), b) in at.iter().zip(&found).zip(&wanted) {
            let Some(b) = b else {
                continue;
            };
            let error = (a - b).abs() / STEEP;
            looked += 1;
            assert!(
                error < POSITION_ERROR_MAX,
                "{cell} {place:?}: {a}, by PROJ {b}"
            );
        }
    }
    assert!(looked > 50, "{looked} pixels looked at");
    seen
}

/// Returns the ground that valid pixels cover, in pixels of the source.
fn area(raster: &earth::raster::Raster, grid: &Grid, ramp: &Ramp) -> f64 {
    let valid = raster.validity(None).iter().filter(|v| **v).count();
    let transform = grid.transform();
    let middle = grid.edges();
    let middle = f64::midpoint(middle[1], middle[3]);
    let metres = if grid.crs().is_geographic() {
        (111_319.49 * middle.to_radians().cos(), 111_412.0)
    } else {
        let lat = (middle / 6_378_137.0).sinh().atan();
        (lat.cos(), lat.cos())
    };
    let ground = transform.pixel_width * metres.0 * transform.pixel_height * metres.1;
    valid as f64 * ground / ramp.pixel.powi(2)
}

/// Checks that the ground covered is the source's, but for the map's distortion.
fn covers(seen: &Seen, distortion: f64, what: &str) {
    let share = seen.area / f64::from(SIDE).powi(2);
    assert!(
        (share - 1.0).abs() < distortion,
        "{what}: {share} of the source"
    );
}

#[test]
fn scenes_across_the_antimeridian_have_cells_on_both_sides() {
    if !has_gdal() {
        return;
    }
    // Zone 60 ends and zone 1 begins at 180 degrees: Fiji, Chukotka; Mercator reaches past it.
    let ramps = [
        (
            "Fiji, zone 60",
            Ramp {
                crs: "EPSG:32760",
                west: 797_000.0,
                north: 8_160_000.0,
                pixel: 100.0,
            },
        ),
        (
            "Fiji, zone 1",
            Ramp {
                crs: "EPSG:32701",
                west: 160_000.0,
                north: 8_160_000.0,
                pixel: 100.0,
            },
        ),
        (
            "Chukotka, zone 60",
            Ramp {
                crs: "EPSG:32660",
                west: 620_000.0,
                north: 7_290_000.0,
                pixel: 100.0,
            },
        ),
        (
            "Wrangel, polar",
            Ramp {
                crs: "EPSG:3413",
                west: -1_420_000.0,
                north: 1_430_000.0,
                pixel: 250.0,
            },
        ),
    ];
    for (name, ramp) in ramps {
        for (scheme, precision) in [(Scheme::Geohash, 4), (Scheme::QuadTile, 9)] {
            let seen = check(&ramp, scheme, precision);
            assert_eq!(seen.sides.len(), 2, "{name} {scheme}: one side only");
            covers(&seen, 0.06, name);
        }
    }
}

#[test]
fn scenes_at_78_degrees_are_cut_rightly() {
    if !has_gdal() {
        return;
    }
    let ramps = [
        (
            "Svalbard, 33X",
            Ramp {
                crs: "EPSG:32633",
                west: 480_000.0,
                north: 8_690_000.0,
                pixel: 60.0,
            },
        ),
        (
            "Barents Sea",
            Ramp {
                crs: "EPSG:3413",
                west: 880_000.0,
                north: -280_000.0,
                pixel: 250.0,
            },
        ),
        (
            "Ross Ice Shelf",
            Ramp {
                crs: "EPSG:3031",
                west: -150_000.0,
                north: -1_250_000.0,
                pixel: 250.0,
            },
        ),
    ];
    for (name, ramp) in ramps {
        for (scheme, precision) in [(Scheme::Geohash, 4), (Scheme::QuadTile, 9)] {
            covers(&check(&ramp, scheme, precision), 0.06, name);
        }
    }
}

#[test]
fn quad_tiles_refuse_a_scene_past_the_end_of_mercator() {
    if !has_gdal() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ramp = Ramp {
        crs: "EPSG:3413",
        west: 200_000.0,
        north: -150_000.0,
        pixel: 250.0,
    };
    let scene = open(&ramp.write(folder.path()));
    let fault = plan::plan(&scene, Scheme::QuadTile, 8).unwrap_err();
    let said = format!("{fault:?}");
    assert!(said.contains("85") && said.contains("geohash"), "{said}");
    let (plan, done) = cut(&scene, Scheme::Geohash, 3);
    assert!(!done.splits.is_empty() && plan.cells.len() >= done.splits.len());
}

#[test]
fn a_scene_around_the_pole_is_cut() {
    if !has_gdal() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ramp = Ramp {
        crs: "EPSG:3413",
        west: -37_500.0,
        north: 30_000.0,
        pixel: 250.0,
    };
    let scene = open(&ramp.write(folder.path()));
    let (plan, done) = cut(&scene, Scheme::Geohash, 3);
    let lons: BTreeSet<i32> = plan.cells.iter().map(lon_of).collect();
    assert!(lons.len() > 100, "{} of 256 columns", lons.len());
    let cut: BTreeSet<i32> = done
        .splits
        .iter()
        .map(|w| lon_of(&w.meta.geocode))
        .collect();
    assert!(cut.len() > 100, "{} of 256 columns hold pixels", cut.len());
}

#[expect(clippy::cast_possible_truncation, reason = "degrees")]
fn lon_of(cell: &Geocode) -> i32 {
    cell.centre().lon as i32
}
