//! MODIS granules: real ones against GDAL and counts over the same pixels, and written ones for
//! the products of which there is no real one (`tests/fixtures/hdf4.py` says how they are made).
//!
//! *Invariants*: expected numbers of real granules come from GDAL or numpy, not from ingest.
//!
//! *Not here*: putting to a node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use earth::crs::{Crs, Transformer};
use ingest::limits;
use ingest::source::{self, Given, Scene};

use crate::place::{open, pack_files, real, worker};
use crate::real_products::cut_some;
use crate::warped::{self, Totals, georef};

const MOD09A1: &str = "modis_hdf4/MOD09A1.A2017193.h18v04.006.2017202035302.hdf";
const MCD15A2H: &str = "modis_hdf4/MCD15A2H.A2016201.h18v05.006.2016215124658.hdf";
const MOD10A2: &str = "modis_hdf4/MOD10A2.A2022033.h09v05.061.2022042050729.hdf";
const MCD12Q1: &str = "modis_hdf4/MCD12Q1.A2001001.h00v08.006.2018142182903.hdf";

/// Returns a written granule, of the fixture's names the one that begins so.
fn written(begins: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let named = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_str().unwrap();
        name.starts_with(begins)
    };
    files.find(named).unwrap()
}

fn names(scene: &Scene) -> Vec<&str> {
    scene.layers.iter().map(|l| l.name.as_str()).collect()
}

#[test]
fn real_granules_say_product_time_satellite_and_place_themselves() {
    let facts = [
        (
            MOD09A1,
            "modis-mod09a1",
            "2017-07-12T00:00:00Z",
            "terra",
            (753_346.477, 5_132_114.961),
        ),
        (
            MCD15A2H,
            "modis-mcd15a2h",
            "2016-07-19T00:00:00Z",
            "terra,aqua",
            (0.0, 4_447_802.079),
        ),
        (
            MOD10A2,
            "modis-mod10a2",
            "2022-02-02T00:00:00Z",
            "terra",
            (-10_007_554.677, 4_447_802.079),
        ),
        (
            MCD12Q1,
            "modis-mcd12q1",
            "2001-01-01T00:00:00Z",
            "terra,aqua",
            (-20_015_109.354, 1_111_950.520),
        ),
    ];
    for (file, dataset, acquired, platform, (west, north)) in facts {
        let Some(path) = real(file) else {
            return;
        };
        let scene = open(&path);
        assert_eq!(scene.dataset.name, dataset);
        assert_eq!(scene.acquired.to_string(), acquired);
        assert_eq!(scene.platform.as_deref(), Some(platform));
        assert_eq!(scene.missing, Vec::<String>::new(), "{file}");
        assert!(
            scene
                .layers
                .iter()
                .all(|l| l.resolution_m.to_string() == "500")
        );
        let [x, width, _, y, _, height] = georef(&scene.layers[0]).affine.to_gdal();
        assert!(
            (x - west).abs() < 0.001 && (y - north).abs() < 0.001,
            "{file} {x} {y}"
        );
        // All granules, a window of a tile too, lie on the one grid of 463.3127 m.
        assert!((width - 463.312_716_53).abs() < 1e-6 && (height + width).abs() < 1e-6);
        let columns = x / width;
        assert!((columns - columns.round()).abs() < 1e-3, "{file} {columns}");
    }
}

/// Shares of the sky of a whole scene, in percent of what the mask judged.
fn sky(scene: &Scene, precision: u8) -> (f64, f64, f64, f64) {
    let counts = cut_some(scene, precision, |_| 1).counts;
    let mask = counts.mask.unwrap();
    let share = |n: u64, of: u64| 100.0 * n as f64 / of as f64;
    (
        share(mask.cloudy, mask.valid),
        share(mask.shadow.unwrap(), mask.valid),
        share(mask.snow.unwrap(), mask.valid),
        share(counts.valid, counts.in_footprint),
    )
}

fn near((what, found): (&str, f64), told: f64) {
    within(0.5, (what, found), told);
}

fn within(points: f64, (what, found): (&str, f64), told: f64) {
    assert!(
        (found - told).abs() < points,
        "{what}: {found:.3} % is not {told:.3} %"
    );
    eprintln!("{what}: {found:.3} % ({told:.3} %)");
}

#[test]
fn cloud_shadow_snow_and_coverage_are_those_of_the_delivered_pixels() {
    let (Some(reflectance), Some(leaves), Some(snow)) =
        (real(MOD09A1), real(MCD15A2H), real(MOD10A2))
    else {
        return;
    };
    // numpy over all 4,818 pixels of the state band: 173 are cloud, 286 shadow and no cloud.
    let (cloud, shadow, snowy, cover) = sky(&open(&reflectance), 4);
    near(("MOD09A1 cloud", cloud), 100.0 * 173.0 / 4818.0);
    near(("MOD09A1 shadow", shadow), 100.0 * 286.0 / 4818.0);
    near(("MOD09A1 snow", snowy), 0.0);
    near(("MOD09A1 coverage", cover), 100.0);
    // FparExtra_QC is 255 on 79.59 % of the pixels; of the rest …
    let (cloud, shadow, snowy, cover) = sky(&open(&leaves), 3);
    near(("MCD15A2H cloud", cloud), 1.813);
    near(("MCD15A2H shadow", shadow), 1.553);
    near(("MCD15A2H snow", snowy), 0.0);
    near(("MCD15A2H coverage", cover), 19.874);
    let (cloud, _, snowy, _) = sky(&open(&snow), 3);
    near(("MOD10A2 cloud", cloud), 100.0 * 7_547.0 / 5_760_000.0);
    near(("MOD10A2 snow", snowy), 100.0 * 2_442_323.0 / 5_760_000.0);
}

#[test]
fn all_codes_that_mean_nothing_become_the_one_fill() {
    let Some(path) = real(MCD15A2H) else {
        return;
    };
    let scene = open(&path);
    let light = scene.layers.iter().find(|l| l.name == "Fpar_500m").unwrap();
    assert_eq!(light.fill, Some(255.0));
    assert!((light.scale - 0.01).abs() < 1e-12 && light.offset.abs() < 1e-12);
    let raster = light.image.read(1, georef(light).whole()).unwrap();
    let mut values = raster.samples().to_f64();
    values.sort_by(f64::total_cmp);
    values.dedup();
    // 0–100 percent and nothing else: 249–254 name kinds of land without leaves.
    assert!(values.contains(&255.0) && values.iter().all(|v| *v <= 100.0 || *v >= 255.0));
}

#[test]
fn sinusoidal_splits_equal_gdalwarp() {
    if !warped::is_here() {
        return;
    }
    for (file, precision, step) in [(MOD09A1, 4, 3), (MOD10A2, 3, 60), (MCD12Q1, 3, 60)] {
        let Some(path) = real(file) else {
            return;
        };
        let mut scene = open(&path);
        if scene.measured().count() == 0 {
            // Thirteen layers of land cover lie alike: two of them are compared.
            scene.layers.truncate(2);
        }
        let done = cut_some(&scene, precision, |_| step);
        Totals::of(&scene, &done).check(1_000);
    }
}

#[test]
fn written_sinusoidal_splits_equal_gdalwarp() {
    if !warped::is_here() {
        return;
    }
    for (file, step) in [("MOD11A1", 4), ("MCD43A4", 4), ("MYD13A1", 1)] {
        let scene = open(&written(file));
        Totals::of(&scene, &cut_some(&scene, 4, |_| step)).check(300);
    }
}

#[test]
fn the_sinusoidal_sphere_is_transformed_as_proj_does() {
    let sphere = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs";
    let albers = "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 \
                  +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs";
    let utm = "+proj=utm +zone=12 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs";
    for (proj, (west, east), (south, north)) in [
        (sphere, (-179.9, 179.9), (-89.0, 89.0)),
        (albers, (-128.0, -65.0), (22.0, 52.0)),
        (utm, (-117.0, -105.0), (0.0, 80.0)),
    ] {
        let shares = (0..400).map(|i| (f64::from(i % 20) / 19.0, f64::from(i / 20) / 19.0));
        let place = |(a, b): (f64, f64)| (west + a * (east - west), south + b * (north - south));
        let places: Vec<_> = shares.map(place).collect();
        let Some(theirs) = gdaltransform(proj, &places) else {
            eprintln!("SKIPPED: gdaltransform is absent (gdal-bin)");
            return;
        };
        let mut ours = places.clone();
        let system = Crs::from_proj_string(proj).unwrap();
        let transformer = Transformer::new(&Crs::wgs84(), &system).unwrap();
        transformer.transform(&mut ours).unwrap();
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a.0 - b.0).hypot(a.1 - b.1) < 1e-4, "{proj}: {a:?} {b:?}");
        }
    }
}

/// Transforms longitudes and latitudes with PROJ.
fn gdaltransform(proj: &str, places: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    use std::io::Write;
    let mut command = Command::new("gdaltransform");
    command.args([
        "-s_srs",
        "+proj=longlat +datum=WGS84",
        "-t_srs",
        proj,
        "-output_xy",
    ]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut process = command.spawn().ok()?;
    let line = |(lon, lat): &(f64, f64)| format!("{lon:.12} {lat:.12}");
    let lines = places.iter().map(line).collect::<Vec<_>>().join(
        "
",
    );
    process
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let text = process.wait_with_output().unwrap().stdout;
    let pair = |line: &str| {
        let mut numbers = line.split_whitespace().map(|n| n.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    };
    Some(String::from_utf8(text).unwrap().lines().map(pair).collect())
}

#[test]
fn an_archive_gives_what_its_granule_gives() {
    let (Some(plain), Some(zip)) = (real(MOD09A1), real(&format!("{MOD09A1}.zip"))) else {
        return;
    };
    let (plain, zip) = (open(&plain), open(&zip));
    assert_eq!(plain.name, zip.name);
    assert_eq!(plain.delivered, zip.delivered);
    let splits = |scene: &Scene| {
        let done = cut_some(scene, 4, |_| 1);
        let files = done
            .splits
            .iter()
            .map(|s| done.spool.read(&s.files).unwrap());
        files.collect::<Vec<_>>()
    };
    assert!(splits(&plain) == splits(&zip) && !splits(&zip).is_empty());
}

#[test]
fn temperature_is_kelvin_where_it_was_made_and_clouds_are_where_it_was_not() {
    let scene = open(&written("MOD11A1"));
    assert_eq!(scene.dataset.name, "modis-mod11a1");
    assert_eq!(scene.acquired.to_string(), "2020-07-01T00:00:00Z");
    let expected = [
        "LST_Day_1km",
        "LST_Night_1km",
        "Emis_31",
        "Emis_32",
        "QC_Day",
        "QC_Night",
    ];
    assert_eq!(names(&scene), expected);
    assert!(
        scene
            .layers
            .iter()
            .all(|l| l.resolution_m.to_string() == "1000")
    );
    let emissivity = &scene.layers[2];
    let physical = 241.0 * emissivity.scale + emissivity.offset;
    assert!((physical - 0.972).abs() < 1e-9, "{physical}");
    let done = cut_some(&scene, 4, |_| 1);
    let day = done
        .splits
        .iter()
        .filter_map(|s| s.meta.bands[0].stats.clone());
    let day = day.reduce(|a, b| a.merge(&b)).unwrap();
    let kelvin = |stored: f64| stored * scene.layers[0].scale + scene.layers[0].offset;
    // The law of the fixture: 286–299.4 K; 140 K (7,000) lies below the valid range.
    assert!(
        kelvin(day.min) > 286.0 && kelvin(day.max) < 299.5,
        "{day:?}"
    );
    let mask = done.counts.mask.unwrap();
    let cloud = 100.0 * mask.cloudy as f64 / mask.valid as f64;
    near(
        ("MOD11A1 cloud", cloud),
        100.0 * 120.0 / (40.0 * 48.0 - 80.0),
    );
    assert_eq!((mask.shadow, mask.snow), (None, None));
    let aqua = open(&written("MYD11A2"));
    assert_eq!(
        (aqua.dataset.name, aqua.platform.as_deref()),
        ("modis-mod11a2", Some("aqua"))
    );
}

#[test]
fn fields_that_were_not_delivered_are_missing_bands() {
    let scene = open(&written("MCD43A4"));
    let quality = (3..=7).map(|n| format!("BRDF_Albedo_Band_Mandatory_Quality_Band{n}"));
    let mut missing = vec!["Nadir_Reflectance_Band7".to_owned()];
    missing.extend(quality);
    assert_eq!(scene.missing, missing);
    let commons: Vec<_> = scene
        .measured()
        .map(|l| l.common.as_deref().unwrap_or(""))
        .collect();
    assert_eq!(commons, ["red", "nir", "blue", "green", "", "swir16"]);
    assert!(scene.measured().all(|l| (l.scale - 1e-4).abs() < 1e-12));
    let done = cut_some(&scene, 4, |_| 1);
    let share = 100.0 * done.counts.valid as f64 / done.counts.in_footprint as f64;
    // One pixel in 37 is a hole.
    near(("MCD43A4 coverage", share), 100.0 * 36.0 / 37.0);
}

#[test]
fn a_scale_factor_of_ten_thousand_divides() {
    let scene = open(&written("MYD13A1"));
    assert_eq!(
        (scene.dataset.name, scene.platform.as_deref()),
        ("modis-mod13a1", Some("aqua"))
    );
    let index = &scene.layers[0];
    assert_eq!((index.name.as_str(), index.fill), ("NDVI", Some(-3_000.0)));
    assert!((index.scale - 1e-4).abs() < 1e-15, "{}", index.scale);
    let raster = index.image.read(1, georef(index).whole()).unwrap();
    let value = |column, row| raster.get(column, row).unwrap();
    // −2,500 lies outside the valid range and means nothing.
    assert_eq!(
        [value(0, 0), value(1, 1), value(2, 1)].map(|v| v.to_string()),
        ["-3000", "-3000", "-1750"]
    );
    let (cloud, _, snow, _) = sky(&scene, 4);
    // A window of 32 × 32 pixels has borders of some percent.
    within(2.0, ("MYD13A1 cloud", cloud), 100.0 * 255.0 / 1023.0);
    within(4.0, ("MYD13A1 snow", snow), 100.0 * 128.0 / 1023.0);
}

/// Cuts a file and checks that it fails as data errors do.
fn fails(path: &Path, says: &str) {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("splits");
    let args = [
        "cut".as_ref(),
        path.as_os_str(),
        "-O".as_ref(),
        target.as_os_str(),
    ];
    let output = worker(&args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{}: {text}", path.display());
    assert!(
        text.starts_with("error: ") && text.contains("\n  because "),
        "{text}"
    );
    assert!(text.contains(says), "'{says}' is not in: {text}");
    assert!(!target.exists());
}

#[test]
fn a_granule_that_is_cut_short_anywhere_fails() {
    let whole = fs::read(written("MOD11A1")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("MOD11A1.A2020183.h18v04.hdf");
    for length in [
        3,
        4,
        300,
        2_000,
        whole.len() / 2,
        whole.len() * 9 / 10,
        whole.len() - 2,
    ] {
        fs::write(&file, &whole[..length]).unwrap();
        fails(&file, "cut short");
    }
    fs::write(&file, b"PK\x03\x04 is something else").unwrap();
    fails(&file, "no HDF4 file");
    if let Some(path) = real(MCD12Q1) {
        let whole = fs::read(path).unwrap();
        for tenths in 1..10 {
            fs::write(&file, &whole[..whole.len() * tenths / 10]).unwrap();
            fails(&file, "cut short");
        }
    }
}

/// Writes a copy of the written granule in which some text of the same length stands for another.
fn changed(folder: &Path, (from, to): (&str, &str)) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(written("MOD11A1")).unwrap();
    let places: Vec<_> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{from}");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    let file = folder.join("MOD11A1.A2020183.h18v04.061.2021001000000.hdf");
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn granules_that_are_not_what_their_name_says_fail() {
    let folder = tempfile::tempdir().unwrap();
    let one = |pair| changed(folder.path(), pair);
    fails(&one(("\"MOD11A1\"", "\"MOD04L2\"")), "MOD04L2");
    fails(&one(("VALUE = \"04\"", "VALUE = \"07\"")), "h18v07");
    fails(&one(("\"2020-07-01\"", "\"2020-17-01\"")), "2020-17-01");
    // Without a day in its metadata the name says it; without both nothing does.
    let file = one(("RANGEBEGINNINGDATE", "RANGEBEGINNINGHOUR"));
    assert_eq!(open(&file).acquired.to_string(), "2020-07-01T00:00:00Z");
    let nameless = folder.path().join("x.hdf");
    fs::rename(&file, &nameless).unwrap();
    fails(&nameless, "sensing time");
}

#[test]
fn flags_must_agree_with_a_granule_and_archives_hold_one() {
    limits::set_gdal().unwrap();
    let given = Given {
        dataset: Some("modis-mod09a1".to_owned()),
        ..Given::default()
    };
    let fault = source::open(&written("MOD11A1"), &given).unwrap_err();
    assert!(fault.because[0].contains("modis-mod11a1"), "{fault:?}");
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("two.zip");
    pack_files(&zip, &[written("MOD11A1"), written("MCD43A4")]);
    fails(&zip, "2 files");
}
