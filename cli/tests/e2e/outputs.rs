//! `glebe get --format …`: what it writes is what rasterio, NumPy, xarray, h5py and Pillow read.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, expect, glebe, ndjson, real_data, scratch, stderr, stdout, world};

/// Lets Python look at a file.
pub(crate) fn judge(path: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join("../.deps/python/bin/python"));
    python.arg(root.join("tests/e2e/judge.py")).arg(path);
    let output = expect(&mut python, 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A store with two clouded and clear dates of thirteen bands in one cell.
fn slovenia(folder: &Path, real: &Path) {
    let tiffs = real.join("s2_timeseries_slovenia/geotiff");
    for (day, time) in [
        ("20150711T100008", "2015-07-11T10:00:08Z"),
        ("20150731T100009", "2015-07-31T10:00:09Z"),
    ] {
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--dataset", "sentinel-2-l1c", "--datetime", time]);
        expect(ingest.arg(tiffs.join(format!("S2_L1C_{day}.tif"))), 0);
    }
}

/// Gets the whole store as a format into a folder of that name; returns what was written.
fn get(folder: &Path, format: &str, more: &[&str]) -> Vec<PathBuf> {
    get_into(folder, (format, format), more)
}

fn get_into(folder: &Path, (format, out): (&str, &str), more: &[&str]) -> Vec<PathBuf> {
    let mut command = glebe(folder);
    command.args([
        "get",
        "--datetime",
        "2000/..",
        "-o",
        "json",
        "--format",
        format,
    ]);
    command.args(["-O", out]).args(more);
    let said: Value = serde_json::from_slice(&expect(&mut command, 0).stdout).unwrap();
    assert_eq!(said["failed"].as_array().unwrap().len(), 0);
    let written = said["written"].as_array().unwrap().iter();
    let files = written.flat_map(|w| w["files"].as_array().unwrap());
    files.map(|f| folder.join(f.as_str().unwrap())).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

pub(crate) fn near(a: &Value, b: &Value) -> bool {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    (a - b).abs() <= 1e-9 * a.abs().max(1.0)
}

#[test]
fn every_format_holds_the_same_numbers_of_two_dates_of_thirteen_bands() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    slovenia(folder, &real);

    let cogs: Vec<Value> = get(folder, "cog", &[]).iter().map(|p| judge(p)).collect();
    assert_eq!(cogs.len(), 2);
    for cog in &cogs {
        assert_eq!(cog["cog"], true, "{cog}");
        assert_eq!(
            (&cog["nodata"], &cog["crs"]),
            (&0.0.into(), &"EPSG:4326".into())
        );
        assert_eq!(cog["bands"][8], "B8A");
        assert!(
            numbers(&cog["scales"])
                .iter()
                .all(|s| (s - 1e-4).abs() < 1e-12)
        );
    }
    let stored: f64 = cogs
        .iter()
        .map(|c| c["data"]["sum"].as_f64().unwrap())
        .sum();

    let npz = judge(&get(folder, "npz", &[])[0]);
    assert!(near(&npz["data"]["sum"], &stored.into()));
    assert!(
        near(&npz["masked"]["sum"], &stored.into()),
        "fill is no number"
    );
    assert!(npz["mask"]["sum"].as_f64() < npz["data"]["valid"].as_f64());
    assert_eq!(npz["times"][1], "2015-07-31T10:00:09.000000");
    assert_eq!(npz["transform"], cogs[0]["transform"]);
    assert_eq!(npz["bands"], cogs[0]["bands"]);
    assert_eq!(npz["data"]["shape"][0], 2);

    let npy: Vec<Value> = get(folder, "npy", &[]).iter().map(|p| judge(p)).collect();
    assert_eq!(npy[0]["data"]["weighted"], cogs[0]["data"]["weighted"]);
    assert_eq!(npy[0]["data"]["shape"][1], 13);

    zarr_and_hdf5_hold(folder, &npz);

    let scaled = npz["masked"]["sum"].as_f64().unwrap() * 1e-4;
    let float = judge(&get_into(folder, ("npz", "physical"), &["--physical"])[0]);
    assert_eq!(float["data"]["dtype"], "float32");
    let physical = float["data"]["sum"].as_f64().unwrap();
    assert!(
        (physical - scaled).abs() < 1e-5 * scaled,
        "{physical} {scaled}"
    );
}

/// Checks the formats that hold all dates and what they mean against the same in npz.
fn zarr_and_hdf5_hold(folder: &Path, npz: &Value) {
    let zarr = judge(&get(folder, "zarr", &[])[0]);
    assert_eq!(
        zarr["stored"], npz["data"],
        "the very numbers, in the same order"
    );
    assert_eq!(
        (&zarr["epsg"], &zarr["code"]),
        (&4326.into(), &"EPSG:4326".into())
    );
    assert_eq!(
        (&zarr["times"], &zarr["scenes"]),
        (&npz["times"], &npz["scenes"])
    );
    assert!(near(&zarr["physical"]["valid"], &npz["mask"]["sum"]));
    let [west, pixel_width, _, north, _, pixel_height] = numbers(&npz["transform"])[..] else {
        panic!("six numbers");
    };
    assert!(
        near(&zarr["x"][0], &(west + pixel_width / 2.0).into()),
        "centres"
    );
    assert!(
        near(&zarr["y"][0], &(north + pixel_height / 2.0).into()),
        "centres"
    );
    let scaled = npz["masked"]["sum"].as_f64().unwrap() * 1e-4;
    let physical = zarr["physical"]["sum"].as_f64().unwrap();
    assert!(
        (physical - scaled).abs() < 1e-6 * scaled,
        "{physical} {scaled}"
    );

    let h5 = judge(&get(folder, "hdf5", &[])[0]);
    assert_eq!(
        h5["keys"],
        serde_json::json!(["data_10m", "scenes", "times"])
    );
    assert_eq!(h5["data_10m"]["data"], npz["data"]);
    assert_eq!(h5["data_10m"]["attributes"]["bands"], npz["bands"]);
}

#[test]
fn a_real_sentinel2_cell_has_its_resolutions_its_classes_and_their_labels() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let safe = "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE";
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--precision", "4"]);
    expect(ingest.arg(real.join("s2_safe").join(safe)), 0);
    let cell = ["--geocode", "gc3c", "--exact"];

    for path in get(folder, "split", &cell)
        .iter()
        .chain(&get(folder, "cog", &cell))
    {
        let said = judge(path);
        assert_eq!(said["cog"], true, "{}: {said}", path.display());
        let side = said["data"]["shape"][1].as_u64().unwrap();
        let reduced = said["overviews"].as_array().unwrap().len();
        assert!(side <= 512 || reduced > 0, "{side} rows without overviews");
    }
    let h5 = judge(&get(folder, "hdf5", &cell)[0]);
    let keys: Vec<_> = h5["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k.as_str().unwrap())
        .collect();
    assert!(
        keys.contains(&"data_60m") && keys.contains(&"classes_20m"),
        "{keys:?}"
    );
    let labels = &h5["classes"];
    assert_eq!(labels["data"]["shape"][0], 1);
    let known = labels["data"]["shape"][1].as_u64().unwrap();
    assert!((2..=12).contains(&known), "{labels}");
    assert!(near(&labels["data"]["sum"], &(known as f64).into()));

    // One file of bands and classes: the classes take the wider type and keep their values.
    let own = get(folder, "split", &cell);
    let classes = own
        .iter()
        .map(|p| judge(p))
        .find(|j| j["bands"][0] == "SCL")
        .unwrap();
    let args = [&cell[..], &["--bands", "SCL"]].concat();
    let only = judge(&get_into(folder, ("cog", "classes"), &args)[0]);
    assert_eq!(only["data"], classes["data"]);

    let picture = judge(&get(folder, "png", &cell)[0]);
    assert_eq!(picture["mode"], "RGBA");
    assert!(picture["greys"].as_u64().unwrap() > 100, "{picture}");
    assert!(picture["title"].as_str().unwrap().contains("T29UNU"));
}

#[test]
fn pictures_of_naip_are_in_colour_and_clear_where_there_is_nothing() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "naip", "--precision", "6"]);
    expect(
        ingest.arg(real.join("naip/m_4709963_se_14_1_20120731.tif")),
        0,
    );
    let hits = ndjson(&expect(
        glebe(folder).args(["search", "--sort", "coverage", "-o", "ndjson"]),
        0,
    ));
    let (poor, rich) = (&hits[0], hits.last().unwrap());
    for (hit, least) in [(poor, 0.0), (rich, 99.0)] {
        let id = hit["id"].as_str().unwrap();
        let mut command = glebe(folder);
        let args = ["get", id, "--format", "png", "-O", "png", "-o", "ndjson"];
        let said = ndjson(&expect(command.args(args), 0));
        let picture = judge(&folder.join(said[0]["files"][0].as_str().unwrap()));
        let shape = numbers(&picture["data"]["shape"]);
        let opaque = picture["opaque"].as_f64().unwrap() / (shape[0] * shape[1]) * 100.0;
        let coverage = hit["pixel_coverage"].as_f64().unwrap();
        assert!(
            (opaque - coverage).abs() < 1.0 && opaque >= least,
            "{opaque} {coverage}"
        );
    }
}

#[test]
fn what_is_there_is_left_or_refused_and_never_half_written() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 1, 300);
    expect(glebe(folder).arg("ingest").arg(&world), 0);
    for format in ["split", "cog", "npy", "npz", "png", "zarr", "hdf5"] {
        let made = get(folder, format, &[]);
        let stamp = |p: &PathBuf| std::fs::metadata(p).unwrap().modified().unwrap();
        let before: Vec<_> = made.iter().map(stamp).collect();
        assert_eq!(get(folder, format, &[]), made, "the same names again");
        let after: Vec<_> = made.iter().map(stamp).collect();
        assert_eq!(before, after, "{format}: the same content is left alone");

        let file = if format == "zarr" {
            made[0].join("zarr.json")
        } else {
            made[0].clone()
        };
        let good = std::fs::read(&file).unwrap();
        std::fs::write(&file, b"mine").unwrap();
        let args = [
            "get",
            "--datetime",
            "2000/..",
            "--format",
            format,
            "-O",
            format,
        ];
        let refused = expect(glebe(folder).args(args), 5);
        assert!(
            stderr(&refused).contains("--overwrite"),
            "{}",
            stderr(&refused)
        );
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
        expect(glebe(folder).args(args).arg("--overwrite"), 0);
        assert!(std::fs::read(&file).unwrap() == good, "{format}");
    }
    assert_eq!(leftovers(folder), Vec::<PathBuf>::new());
}

/// Files and folders below that were meant to be renamed.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let end = path.extension().unwrap_or_default();
        if end == "part" || end == "old" {
            found.push(path);
        } else if path.is_dir() && name != ".glebe" {
            found.extend(leftovers(&path));
        }
    }
    found
}

#[test]
fn a_disk_that_is_full_a_folder_that_is_shut_and_wrong_flags_are_said() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 1, 300);
    expect(glebe(folder).arg("ingest").arg(&world), 0);
    let all = ["get", "--datetime", "2000/..", "--format"];

    // One block of 512 bytes: the shell's limit ends writes as a full disk does. The store of the
    // node is in a process of its own and not under it.
    let node = Node::start(folder, "node", &[]);
    expect(node.ask(folder).arg("ingest").arg(&world), 0);
    for format in ["cog", "npz", "zarr", "hdf5", "png", "npy", "split"] {
        let out = format!("full-{format}");
        let mut shell = Command::new("sh");
        let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
        shell.current_dir(folder).args(["-c", limited, "sh"]);
        shell.arg(env!("CARGO_BIN_EXE_glebe"));
        shell.args(["--cluster", &node.http, "--no-progress"]);
        let output = expect(shell.args(all).args([format, "-O", &out]), 6);
        assert!(
            stderr(&output).contains("cannot write"),
            "{}",
            stderr(&output)
        );
        assert_eq!(leftovers(folder), Vec::<PathBuf>::new(), "{format}");
    }

    std::fs::write(folder.join("file"), b"").unwrap();
    let shut = expect(glebe(folder).args(all).args(["npz", "-O", "file/below"]), 6);
    assert!(stderr(&shut).contains("cannot write"), "{}", stderr(&shut));
    let bands = expect(
        glebe(folder)
            .args(all)
            .args(["cog", "--bands", "B99", "-O", "x"]),
        2,
    );
    assert!(
        stderr(&bands).contains("they have B01"),
        "{}",
        stderr(&bands)
    );
    let own = expect(
        glebe(folder)
            .args(all)
            .args(["split", "--bands", "B04", "-O", "x"]),
        2,
    );
    assert!(stderr(&own).contains("--format cog"), "{}", stderr(&own));
    let help = stdout(&expect(glebe(folder).args(["get", "--help"]), 0));
    assert!(
        help.contains("--physical") && help.contains("zarr"),
        "{help}"
    );
}
