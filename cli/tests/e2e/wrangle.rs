//! Splits brought together: indices, one resolution, cubes, other sensors, halos, pairs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{expect, glebe, ndjson, real_data, scratch, stderr, stdout};

/// Ingests both dates of one square kilometre in Slovenia: a clear and a clouded one.
pub(crate) fn slovenia(folder: &Path, real: &Path) {
    let tiffs = real.join("s2_timeseries_slovenia/geotiff");
    for (day, time) in [
        ("20150711T100008", "2015-07-11T10:00:08Z"),
        ("20150731T100009", "2015-07-31T10:00:09Z"),
    ] {
        let mut ingest = glebe(folder);
        ingest.args([
            "ingest",
            "--dataset",
            "sentinel-2-l1c",
            "--collection",
            "s2",
        ]);
        ingest.args(["--precision", "6", "--datetime", time, "--cloud-mask"]);
        ingest.arg(tiffs.join(format!("CLM_{day}.tif")));
        ingest.arg(tiffs.join(format!("S2_L1C_{day}.tif")));
        expect(&mut ingest, 0);
    }
}

/// Runs `glebe get` and returns what it says it has written.
fn get(folder: &Path, args: &[&str], out: &str) -> Value {
    let mut command = glebe(folder);
    command.args(["get", "-o", "json", "-O", out]).args(args);
    serde_json::from_slice(&expect(&mut command, 0).stdout).unwrap()
}

/// The files that a `get` has written.
fn files(folder: &Path, said: &Value) -> Vec<PathBuf> {
    let written = said["written"].as_array().unwrap().iter();
    let paths = written.flat_map(|w| w["files"].as_array().unwrap());
    paths.map(|p| folder.join(p.as_str().unwrap())).collect()
}

/// Reads a raster's bands as 64-bit numbers with GDAL, and its geotransform and shape.
fn pixels(path: &Path) -> (Vec<f64>, Value) {
    let raw = path.with_extension("raw");
    let mut convert = Command::new("gdal_translate");
    convert.args([
        "-q",
        "-of",
        "ENVI",
        "-ot",
        "Float64",
        "-co",
        "INTERLEAVE=BSQ",
    ]);
    assert!(convert.arg(path).arg(&raw).status().unwrap().success());
    let bytes = std::fs::read(&raw).unwrap();
    let number = |b: &[u8]| f64::from_le_bytes(b.try_into().unwrap());
    let info = Command::new("gdalinfo")
        .arg("-json")
        .arg(path)
        .output()
        .unwrap();
    let info = serde_json::from_slice(&info.stdout).unwrap();
    (bytes.chunks(8).map(number).collect(), info)
}

#[test]
fn an_index_and_an_expression_are_computed_on_physical_values() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    slovenia(folder, &real);
    let words = ["--datetime", "2015-07-11", "--index", "ndvi"];
    let expr = [
        "--expr",
        "again=(B08 - B04) / (B08 + B04)",
        "--bands",
        "red,nir",
    ];
    let said = get(folder, &[words.as_slice(), &expr].concat(), "out");
    let files = files(folder, &said);
    assert!(!files.is_empty());
    for file in files {
        let (values, info) = pixels(&file);
        let names: Vec<_> = { info["bands"].as_array().unwrap().iter() }
            .map(|b| b["description"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["B04", "B08", "ndvi", "again"]);
        let band: Vec<&[f64]> = values.chunks(values.len() / 4).collect();
        let mut valid = 0;
        for (pixel, ndvi) in band[2].iter().enumerate() {
            let (red, nir) = (band[0][pixel], band[1][pixel]);
            assert_eq!(ndvi.is_nan(), band[3][pixel].is_nan());
            if !ndvi.is_nan() {
                valid += 1;
                // Scale without offset: it cancels out of a ratio of the stored numbers.
                assert!((ndvi - (nir - red) / (nir + red)).abs() < 1e-5);
            }
        }
        assert!(valid > 0, "{} has no pixel", file.display());
    }
}

#[test]
fn a_wrong_name_in_an_expression_is_pointed_at() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    slovenia(folder, &real);
    let wrong = |args: &[&str], says: &[&str]| {
        let output = expect(glebe(folder).args(["get", "-O", "out"]).args(args), 2);
        let said = stderr(&output);
        assert!(
            says.iter().all(|part| said.contains(part)),
            "{args:?}: {said}"
        );
    };
    wrong(
        &["--collection", "s2", "--index", "ndvy"],
        &["no index 'ndvy'", "--index ndvi"],
    );
    wrong(
        &["--collection", "s2", "--expr", "a=red +"],
        &["column 6", "red +\n"],
    );
    wrong(
        &["--collection", "s2", "--expr", "a=rid - nir"],
        &["no band 'rid'; nearest: red"],
    );
    wrong(
        &["--collection", "s2", "--expr", "red - nir"],
        &["has no name"],
    );
    wrong(
        &["--collection", "s2", "--cube", "--every", "10x"],
        &["--every", "10d"],
    );
    wrong(
        &["--collection", "s2", "--with", "modis"],
        &["no collection 'modis'"],
    );
}

#[test]
fn a_cube_has_every_step_and_its_empty_ones_are_fill() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    slovenia(folder, &real);
    let words = [
        "--collection",
        "s2",
        "--bands",
        "red",
        "--format",
        "cog",
        "--cube",
    ];
    let irregular = get(folder, &words, "irregular");
    let regular = get(
        folder,
        &[words.as_slice(), &["--every", "10d"]].concat(),
        "regular",
    );
    let cells = irregular["written"].as_array().unwrap().len();
    assert_eq!(files(folder, &irregular).len(), 2 * cells);
    let steps = files(folder, &regular);
    assert_eq!(steps.len(), 3 * cells);
    let empty: Vec<_> = { steps.iter() }
        .filter(|p| p.display().to_string().contains("_20150721T000000"))
        .collect();
    assert_eq!(empty.len(), cells);
    for path in empty {
        let (values, info) = pixels(path);
        let fill = info["bands"][0]["noDataValue"].as_f64();
        let void = |v: &f64| v.is_nan() || Some(*v) == fill;
        assert!(values.iter().all(void), "{}", path.display());
    }
    let words = [
        "--collection",
        "s2",
        "--cube",
        "--every",
        "1d",
        "--resolution",
        "0.05",
    ];
    let mut large = glebe(folder);
    large.args(["get", "-O", "large"]).args(words);
    let said = stderr(&expect(&mut large, 2));
    assert!(
        said.contains("too large") && said.contains("coarser --resolution"),
        "{said}"
    );
}

#[test]
fn a_cloudy_date_is_paired_with_the_clear_one_of_its_cell() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    slovenia(folder, &real);
    let pairs = ["search", "--pairs", "-o", "ndjson"];
    let pairs = ndjson(&expect(glebe(folder).args(pairs), 0));
    assert!(!pairs.is_empty());
    for pair in &pairs {
        assert_eq!(pair["cloudy"]["geocode"], pair["clear"]["geocode"]);
        assert!(pair["cloudy"]["cloud_cover"].as_f64().unwrap() >= 20.0);
        assert!(pair["clear"]["cloud_cover"].as_f64().unwrap() <= 5.0);
        assert!((pair["days_apart"].as_f64().unwrap() + 20.0).abs() < 0.1);
    }
    let near = ["search", "--pairs", "--within", "10d", "-o", "csv"];
    let near = stdout(&expect(glebe(folder).args(near), 1));
    assert_eq!(near.lines().count(), 1, "only the head: {near}");
    let words = [
        "--collection",
        "s2",
        "--pairs",
        "--bands",
        "red,nir",
        "--format",
        "cog",
    ];
    get(folder, &words, "set");
    let names = |part: &str| {
        let all = std::fs::read_dir(folder.join("set").join(part)).unwrap();
        let mut names: Vec<_> = all.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("cloudy"), names("clear"));
    assert_eq!(names("cloudy").len(), pairs.len());
    let list = std::fs::read_to_string(folder.join("set/pairs.ndjson")).unwrap();
    assert_eq!(list.lines().count(), pairs.len());
    let refused = ["search", "--pairs", "--max-cloud", "10"];
    let said = stderr(&expect(glebe(folder).args(refused), 2));
    assert!(said.contains("--cloudy 20 --clear 5"), "{said}");
}

/// Compares a band with what gdalwarp cuts out of the scene on the same pixels; returns the share
/// of pixels that differ by more than one.
fn differing(file: &Path, scene: &Path, folder: &Path) -> f64 {
    let (ours, info) = pixels(file);
    let place = info["geoTransform"].as_array().unwrap();
    let at = |i: usize| place[i].as_f64().unwrap();
    let size = |i: usize| info["size"][i].as_f64().unwrap();
    let east = at(0) + at(1) * size(0);
    let south = at(3) + at(5) * size(1);
    let cut = folder.join("cut.tif");
    let mut warp = Command::new("gdalwarp");
    warp.args([
        "-q",
        "-overwrite",
        "-et",
        "0",
        "-r",
        "bilinear",
        "-t_srs",
        "EPSG:4326",
    ]);
    warp.args(["-srcnodata", "65535", "-dstnodata", "65535", "-te"]);
    warp.args([at(0), south, east, at(3)].map(|n| format!("{n:.17}")));
    warp.arg("-ts")
        .args([size(0), size(1)].map(|n| n.to_string()));
    assert!(warp.arg(scene).arg(&cut).status().unwrap().success());
    let (theirs, _) = pixels(&cut);
    let pairs = ours.iter().zip(&theirs);
    let off = pairs.filter(|(a, b)| (*a - *b).abs() > 1.0).count();
    off as f64 / ours.len() as f64
}

#[test]
fn a_halo_is_what_a_wider_cut_of_the_scene_would_show() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let scene = real.join("nlcd_zion/landsat_b4.tif");
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "generic", "--collection", "zion"]);
    ingest
        .args(["--precision", "5", "--datetime", "2015-08-18"])
        .arg(&scene);
    expect(&mut ingest, 0);
    let hits = ndjson(&expect(glebe(folder).args(["search", "-o", "ndjson"]), 0));
    let full = |h: &&Value| h["pixel_coverage"].as_f64().unwrap() > 99.9;
    let inner = hits
        .iter()
        .find(full)
        .expect("one cell lies inside the scene");
    let cell = inner["geocode"].as_str().unwrap();
    let asset = inner["assets"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    let width = asset["width"].as_u64().unwrap();
    let words = [
        "--geocode",
        cell,
        "--exact",
        "--halo",
        "24",
        "--format",
        "cog",
    ];
    let mut command = glebe(folder);
    command
        .args(["get", "-O", "halo", "-o", "json"])
        .args(words);
    let output = expect(&mut command, 0);
    let said = stderr(&output);
    assert!(said.contains("8 neighbouring cells"), "{said}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = files(folder, &made).remove(0);
    let (_, info) = pixels(&file);
    assert_eq!(info["size"][0].as_u64().unwrap(), width + 48);
    let share = differing(&file, &scene, folder);
    assert!(share < 0.001, "{share} of the pixels differ");
}

/// Ingests a Landsat band over Zion, and its land cover into coarser cells.
fn zion(folder: &Path, real: &Path) {
    let zion = real.join("nlcd_zion");
    let band = ("landsat", "5", "2015-08-18", "landsat_b5.tif");
    let cover = ("cover", "4", "2011-07-01", "nlcd2011_zion.img");
    for (collection, precision, time, file) in [band, cover] {
        let coarse = collection == "cover";
        let dataset = if coarse { "nlcd" } else { "generic" };
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--collection", collection]);
        ingest.args(["--precision", precision, "--dataset", dataset]);
        ingest.args(["--datetime", time]).arg(zion.join(file));
        expect(&mut ingest, 0);
    }
}

/// Checks that a stack has both sensors' bands, and that the second holds classes only.
fn check_stack(file: &Path) {
    let known = [
        11, 12, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95,
    ];
    let (values, info) = pixels(file);
    let bands = info["bands"].as_array().unwrap();
    let name = |b: &Value| b["description"].as_str().unwrap().to_owned();
    assert!(name(&bands[0]).starts_with("landsat:"), "{info}");
    assert!(name(&bands[1]).starts_with("cover:"), "{info}");
    let fill = bands[1]["noDataValue"].as_f64();
    let half = values.len() / 2;
    let valid = |v: &f64| !v.is_nan() && Some(*v) != fill;
    let classes: Vec<f64> = values[half..].iter().copied().filter(valid).collect();
    assert!(classes.len() * 2 > half, "{} classes", classes.len());
    let is_class = |v: &f64| known.iter().any(|k| (v - f64::from(*k)).abs() < 0.1);
    assert!(
        classes.iter().all(is_class),
        "classes are chosen, never averaged"
    );
}

#[test]
fn land_cover_and_landsat_stand_in_one_stack_at_either_resolution() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    zion(folder, &real);
    let mut search = glebe(folder);
    search.args([
        "search",
        "--collection",
        "landsat",
        "--min-coverage",
        "99.9",
    ]);
    let hits = ndjson(&expect(search.args(["-o", "ndjson"]), 0));
    let cell = hits[0]["geocode"].as_str().unwrap();
    let words = [
        "--collection",
        "landsat",
        "--geocode",
        cell,
        "--with",
        "cover",
    ];
    let mut far = glebe(folder);
    far.args(["get", "-O", "far"]).args(words);
    let said = stderr(&expect(&mut far, 1));
    assert!(said.contains("no split of cover near it in time"), "{said}");
    for metres in ["15", "30", "90"] {
        let more = [
            "--within",
            "2000d",
            "--resolution",
            metres,
            "--format",
            "cog",
        ];
        let said = get(
            folder,
            &[words.as_slice(), &more].concat(),
            &format!("m{metres}"),
        );
        check_stack(&files(folder, &said)[0]);
    }
}
