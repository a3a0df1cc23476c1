//! Maps of answers: by stand-ins where a cell has no model, and of stored splits where they lie.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use earth::geocode::{Geocode, Scheme};
use earth::geotiff::GeoTiff;
use earth::raster::Samples;
use serde_json::Value;

use crate::compose::pixels_sent;
use crate::harness::{Node, cluster, expect, glebe, ndjson, scratch, stderr, world};
use crate::outputs::judge;

/// Bands of a map, row by row.
fn bands(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = GeoTiff::open(&bytes).unwrap();
    let all: Vec<usize> = (0..file.bands()).collect();
    let rasters = file.decode(&bytes, &all, 0).unwrap().into_iter();
    let floats = |samples: Samples| match samples {
        Samples::F32(values) => values,
        other => panic!("no 32-bit floats: {other:?}"),
    };
    rasters.map(|r| floats(r.into_samples())).collect()
}

fn scene(scenes: &Path) -> PathBuf {
    let found = std::fs::read_dir(scenes).unwrap();
    let found = found.map(|e| e.unwrap().path());
    let safe = found.filter(|p| p.extension().is_some_and(|e| e == "SAFE"));
    safe.min().unwrap()
}

fn valid(band: &[f32]) -> usize {
    band.iter().filter(|v| !v.is_nan()).count()
}

#[test]
fn a_cell_without_a_model_is_answered_by_its_groups_donor_or_stays_fill_and_that_is_said() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 420);
    expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let train = [
        "train", "ndvi-cnn", "--name", "kin", "--epochs", "2", "--chip", "8",
    ];
    let whole = ["--min-coverage", "95", "--max-cloud", "10"];
    let kin = ["--transfer", "texture", "-k", "2", "-o", "json"];
    let run = expect(glebe(folder).args(train).args(whole).args(kin), 0);
    let run: Value = serde_json::from_slice(&run.stdout).unwrap();
    let donors = run["run"]["inheritance"]["donors"].as_array().unwrap();
    let donor = donors
        .iter()
        .find(|d| !d["heirs"].as_array().unwrap().is_empty());
    let donor = donor.unwrap_or_else(|| panic!("no heirs: {run}"));
    let (donor, heir) = (
        donor["geocode"].as_str().unwrap(),
        donor["heirs"][0].as_str().unwrap(),
    );
    let scene = scene(&scenes);
    let predict = || {
        let words = ["predict", "kin", "-O", "map.tif", "--overwrite"];
        let said = stderr(&expect(glebe(folder).args(words).arg(&scene), 0));
        (said, valid(&bands(&folder.join("map.tif"))[0]))
    };
    let (_, all) = predict();

    let delete = |code: &str| {
        let name = format!("kin/{code}");
        let asked = expect(glebe(folder).args(["model", "delete", &name]), 2);
        assert!(stderr(&asked).contains("with --yes"), "{}", stderr(&asked));
        let deleted = expect(glebe(folder).args(["model", "delete", &name, "--yes"]), 0);
        let told = "run kin does not learn them again";
        assert!(stderr(&deleted).contains(told), "{}", stderr(&deleted));
    };
    delete(heir);
    let pull = ["model", "pull", "kin", "--geocode", heir, "-O", "m"];
    let said = stderr(&expect(glebe(folder).args(pull), 0));
    let told =
        format!("{heir} has no model of its own; this is that of {donor}, the donor of the group");
    assert!(said.contains(&told), "{said}");
    let (said, pixels) = predict();
    let told = format!("answered by kin/{donor}, the donor's of their group");
    assert!(said.contains(&told), "{said}");
    assert_eq!(pixels, all, "all is answered as before");
    a_bundle_answers_as_its_run_does(folder, &scene, (heir, donor));

    delete(donor);
    let said = stderr(&expect(glebe(folder).args(pull), 1));
    assert!(said.contains("no model kin"), "{said}");
    let (said, pixels) = predict();
    assert!(said.contains("cells have no model and stay fill"), "{said}");
    assert!(pixels < all, "{pixels} {all}");

    // The same command does not learn them again, and says what does.
    let again = glebe(folder).args(train).args(whole).args(kin).output();
    let again = again.unwrap();
    let said = stderr(&again);
    assert!(matches!(again.status.code(), Some(4 | 6)), "{said}");
    for told in ["2 models were deleted", "--name ANOTHER"] {
        assert!(said.contains(told), "no {told}: {said}");
    }
}

/// Takes a box around a cell without a model along: its donor comes with it, and answers for it
/// where there is no cluster. Such a cell stayed fill there, and nothing said so.
fn a_bundle_answers_as_its_run_does(folder: &Path, scene: &Path, (heir, donor): (&str, &str)) {
    let cell = Geocode::parse(Scheme::Geohash, heir).unwrap();
    let bounds = cell.bounds();
    let (west, east) = (bounds.west(), bounds.east());
    let (south, north) = (bounds.south(), bounds.north());
    let (wide, high) = ((east - west) / 4.0, (north - south) / 4.0);
    let around = [west - wide, south - high, east + wide, north + high].map(|v| v.to_string());
    let around = around.join(",");
    let pull = ["model", "pull", "kin", "--bundle", "--bbox", &around];
    let pulled = expect(glebe(folder).args(pull).args(["-O", "field"]), 0);
    let told = format!("{heir} has no model of its own; kin/{donor} answers for it");
    assert!(stderr(&pulled).contains(&told), "{}", stderr(&pulled));
    let read = |words: &[&str]| -> Value {
        let mut command = glebe(folder);
        command.args(words).arg(scene).args(["-o", "json"]);
        let said = expect(command.args(["-O", "map.tif", "--overwrite"]), 0);
        serde_json::from_slice(&said.stdout).unwrap()
    };
    let [run, field] = ["kin", "field"].map(|name| read(&["predict", name]));
    let answers = |said: &Value| -> BTreeMap<String, Value> {
        let cells = said["cells"].as_array().unwrap().iter();
        let named = cells.map(|c| (c["geocode"].as_str().unwrap().to_owned(), c.clone()));
        named.collect()
    };
    let (run, field) = (answers(&run), answers(&field));
    assert_eq!(field[heir]["kinship"], "donor", "{field:?}");
    for near in cell.neighbours().iter().chain([&cell]) {
        let near = near.to_string();
        let who = |of: &BTreeMap<String, Value>| of.get(&near).map(|c| c["model"].clone());
        assert_eq!(who(&field), who(&run), "{near}");
    }
}

#[test]
fn stored_splits_are_predicted_where_they_lie_and_give_the_map_of_the_scene() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let nodes = cluster(folder, 3, 1);
    let ask = |node: usize, words: &[&str]| {
        let mut command = nodes[node].ask(folder);
        command.args(words);
        command
    };
    expect(ask(0, &["ingest"]).arg(&scenes), 0);
    let train = [
        "train", "ndvi-cnn", "--name", "july", "--epochs", "3", "--chip", "16",
    ];
    let trained = ask(1, &train).arg("--wait").output().unwrap();
    assert!(
        matches!(trained.status.code(), Some(0 | 4)),
        "{}",
        stderr(&trained)
    );

    let nothing = expect(&mut ask(2, &["predict", "july", "-O", "no.tif"]), 2);
    let nothing = stderr(&nothing);
    assert!(
        nothing.contains("neither a scene nor a selector"),
        "{nothing}"
    );
    let stored = [
        "predict",
        "july",
        "--dataset",
        "sentinel-2-l2a",
        "-O",
        "stored.tif",
    ];
    expect(&mut ask(2, &stored), 0);
    let again = stderr(&expect(&mut ask(2, &stored), 5));
    assert!(again.contains("--overwrite"), "{again}");
    let report = std::fs::read(folder.join("stored.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let cells = report["cells"].as_array().unwrap();
    assert!(cells.len() > 1, "{report}");
    for cell in cells {
        let model = format!("july/{}", cell["geocode"].as_str().unwrap());
        assert_eq!(cell["predicted"]["model"], model.as_str(), "{report}");
        assert_eq!(cell["predicted"]["kinship"], "own");
    }

    only_answers_travel(&nodes, folder, &cells[0]);
    one_model_answers_all_cells(&mut |words| ask(2, words), folder, &cells[0]["geocode"]);

    let whole = ["predict", "july", "-O", "scene.tif"];
    expect(ask(2, &whole).arg(scene(&scenes)), 0);
    for map in ["stored.tif", "scene.tif"] {
        let said = judge(&folder.join(map));
        assert_eq!(said["cog"], true, "{map}: {said}");
    }
    let [stored, whole] = ["stored.tif", "scene.tif"].map(|name| Lying::of(&folder.join(name)));
    assert_eq!(
        (stored.bands.len(), valid(&stored.bands[1])),
        (2, valid(&stored.bands[0]))
    );
    are_alike(&stored, &whole);
}

/// Checks that most pixels of two maps are the same. Owners see no pixels beyond their cells: half
/// windows beside borders differ.
fn are_alike(stored: &Lying, whole: &Lying) {
    let (mut same, mut far, mut count) = (0, 0.0_f32, 0);
    for (at, value) in stored.bands[0].iter().enumerate() {
        let there = whole.at(stored, at);
        if let Some(other) = there.filter(|v| !v.is_nan() && !value.is_nan()) {
            count += 1;
            same += usize::from((value - other).abs() < 1e-6);
            far = far.max((value - other).abs());
        }
    }
    assert!(count > valid(&whole.bands[0]) / 2, "{count}");
    let share = same as f64 / count as f64;
    eprintln!("{share:.3} of {count} pixels are the same, the farthest differs by {far}");
    assert!(share > 0.7, "{share} {far}");
}

/// Has a cell answered that was asked for at its owner, and at a node without it: where its imagery
/// lies nothing travels, and elsewhere no more than the answers.
fn only_answers_travel(nodes: &[Node], folder: &Path, cell: &Value) {
    let (code, owner) = (cell["geocode"].as_str().unwrap(), &cell["node"]);
    let search = ["search", "--geocode", code, "-o", "ndjson"];
    let hits = ndjson(&expect(nodes[0].ask(folder).args(search), 0));
    let stored: u64 = hits.iter().map(|hit| hit["bytes"].as_u64().unwrap()).sum();
    for node in nodes {
        let before = pixels_sent(nodes, folder);
        let words = ["predict", "july", "--geocode", code, "--exact"];
        let out = ["-O", "of_cell.tif", "--overwrite"];
        expect(node.ask(folder).args(words).args(out), 0);
        let sent = pixels_sent(nodes, folder) - before;
        eprintln!("{code} asked of {}: {sent} bytes, {stored} stored", node.id);
        if *owner == node.id.as_str() {
            assert_eq!(sent, 0, "it was there");
        } else {
            assert!(sent > 0 && sent < stored / 2, "{sent} of {stored} bytes");
        }
    }
}

/// Has the model of one cell alone answer stored splits of all. It was refused, though `--help`
/// said that it could be named.
fn one_model_answers_all_cells(
    ask: &mut dyn FnMut(&[&str]) -> Command,
    folder: &Path,
    code: &Value,
) {
    let name = format!("july/{}", code.as_str().unwrap());
    let of = ["--dataset", "sentinel-2-l2a", "-O", "one.tif"];
    let mut predict = |name: &str, exit| {
        let mut command = ask(&["predict", name, "--overwrite"]);
        stderr(&expect(command.args(of), exit))
    };
    let said = predict(&name, 0);
    assert!(
        said.contains("answers for cells it has never seen"),
        "{said}"
    );
    let report = std::fs::read(folder.join("one.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let cells = report["cells"].as_array().unwrap();
    assert!(cells.len() > 1, "{report}");
    for cell in cells {
        assert_eq!(cell["predicted"]["model"], name.as_str(), "{report}");
        let own = cell["geocode"] == *code;
        let kinship = if own { "own" } else { "foreign" };
        assert_eq!(cell["predicted"]["kinship"], kinship, "{report}");
    }
    let said = predict("july/u", 1);
    assert!(said.contains("no model july/u"), "{said}");
    std::fs::create_dir(folder.join("pulled")).unwrap();
    let said = predict("pulled", 2);
    assert!(said.contains("glebe predict FOLDER SCENE"), "{said}");
}

/// Keeps the west of a scene in pixels of 10 m and its east in pixels of 20 m, each from its column
/// on; returns the cells that each has whole.
fn fields_of_10_and_20_metres(
    folder: &Path,
    scenes: &Path,
    (columns, width): ([u32; 2], u32),
) -> [Vec<String>; 2] {
    let parts = std::fs::read_dir(scene(scenes).join("GRANULE")).unwrap();
    let part = parts.map(|e| e.unwrap().path()).next().unwrap();
    let images: Vec<PathBuf> = std::fs::read_dir(part.join("IMG_DATA/R10m"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let band = |name: &&str| {
        let ending = format!("_{name}_10m.jp2");
        let mut images = images.iter();
        let found = images.find(|path| path.to_str().unwrap().ends_with(&ending));
        found.unwrap().clone()
    };
    let bands = ["B04", "B03", "B02", "B08"];
    let mut join = Command::new("gdalbuildvrt");
    join.args(["-q", "-separate"]).arg(folder.join("all.vrt"));
    expect(join.args(bands.iter().map(band)), 0);
    let coarse = ["-tr", "20", "20", "-r", "average"];
    for ((name, column), more) in [("west", columns[0]), ("east", columns[1])]
        .into_iter()
        .zip([&[][..], &coarse])
    {
        let tiff = format!("{name}.tif");
        let [column, width] = [column, width].map(|n| n.to_string());
        let mut cut = Command::new("gdal_translate");
        cut.args(["-q", "-srcwin", &column, "0", &width, "600"])
            .args(more);
        cut.current_dir(folder).args(["all.vrt", &tiff]);
        expect(&mut cut, 0);
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--dataset", "naip", "--collection", "fields"]);
        ingest.args(["--precision", "6", "--datetime", "2020-07-01", &tiff]);
        expect(&mut ingest, 0);
    }
    let whole = ["search", "--min-coverage", "99.9", "-o", "ndjson"];
    let hits = ndjson(&expect(glebe(folder).args(whole), 0));
    ["west", "east"].map(|name| {
        let found = hits.iter().filter(|hit| hit["scene"] == name);
        let code = |hit: &Value| hit["geocode"].as_str().unwrap().to_owned();
        found.map(code).collect()
    })
}

/// A run over cells of two resolutions that lie side by side could answer no scene: the models of
/// the one kind came along for the border of the other.
#[test]
fn a_run_over_two_resolutions_answers_a_scene_where_it_can_and_tells_which_models_cannot() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    let [fine, coarse] = fields_of_10_and_20_metres(folder, &scenes, ([0, 250], 350));
    let beside = |west: &String| {
        let cell = Geocode::parse(Scheme::Geohash, west).unwrap();
        let near: Vec<String> = cell.neighbours().iter().map(ToString::to_string).collect();
        let east = coarse
            .iter()
            .find(|east| near.contains(east) && !fine.contains(east));
        east.map(|east| [west.clone(), east.clone()])
    };
    let only_fine = fine.iter().filter(|code| !coarse.contains(code));
    let cells = only_fine.clone().find_map(beside).unwrap();
    let train = [
        "train", "ndvi-cnn", "--name", "two", "--epochs", "2", "--chip", "8",
    ];
    let of = ["--geocode", &cells.join(","), "--min-coverage", "99.9"];
    expect(glebe(folder).args(train).args(of), 0);
    expect(
        glebe(folder).args(["model", "pull", "two", "--bundle", "-O", "both"]),
        0,
    );
    for (at, tiff) in [(0, "west.tif"), (1, "east.tif")] {
        let (own, other) = (&cells[at], &cells[1 - at]);
        for models in ["two", "both"] {
            let mut command = glebe(folder);
            command.args(["predict", models, tiff, "--dataset", "naip"]);
            command.args(["--datetime", "2020-07-01", "--overwrite", "-O", "map.tif"]);
            let said = stderr(&expect(&mut command, 0));
            let told = format!(
                "models of pixels of {} m do not answer a scene of {} m: two/{other}",
                [20, 10][at],
                [10, 20][at]
            );
            assert!(said.contains(&told), "no '{told}': {said}");
            assert!(said.contains("cells have no model and stay fill"), "{said}");
            let json = expect(command.args(["-o", "json"]), 0);
            let json: Value = serde_json::from_slice(&json.stdout).unwrap();
            let answered = json["cells"].as_array().unwrap();
            assert_eq!(answered.len(), 1, "{json}");
            assert_eq!(answered[0]["geocode"], own.as_str(), "{json}");
            assert_eq!(answered[0]["model"], format!("two/{own}"), "{json}");
            assert!(valid(&bands(&folder.join("map.tif"))[0]) > 0, "{json}");
        }
    }
}

/// Such a run was refused: its cells have several resolutions, and no flag of `predict` helps.
#[test]
fn a_run_over_two_resolutions_gives_one_map_in_which_each_cell_is_answered() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    // No cell has both.
    let cells = fields_of_10_and_20_metres(folder, &scenes, ([0, 330], 270));
    let cells = cells.map(|mut whole| whole.swap_remove(0));
    let both = cells.join(",");
    // What is composed has no resolution of its own: the user says it.
    let compose = ["compose", "--geocode", &both, "-O", "both.tif"];
    let said = stderr(&expect(glebe(folder).args(compose), 2));
    assert!(said.contains("try: --resolution 10"), "{said}");
    let train = ["train", "ndvi-cnn", "--name", "two", "--epochs", "2"];
    let mut command = glebe(folder);
    command
        .args(train)
        .args(["--chip", "8", "--geocode", &both]);
    expect(&mut command, 0);
    let predict = |geocodes: &str, name: &str| {
        let out = format!("{name}.map.tif");
        let words = ["predict", "two", "--geocode", geocodes, "-O", &out];
        let said = stderr(&expect(glebe(folder).args(words), 0));
        (said, bands(&folder.join(out)).swap_remove(0))
    };
    let (said, map) = predict(&both, "both");
    let told = "the map has pixels of 10 m; answers of 20 m are repeated in it";
    assert!(said.contains(told), "{said}");
    let report = std::fs::read(folder.join("both.map.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["cells"].as_array().unwrap().len(), 2, "{report}");
    for cell in report["cells"].as_array().unwrap() {
        let model = format!("two/{}", cell["geocode"].as_str().unwrap());
        assert_eq!(cell["predicted"]["model"], model.as_str(), "{report}");
    }
    let [(fine, west), (coarse, east)] = [0, 1].map(|i| predict(&cells[i], ["west", "east"][i]));
    assert!(!fine.contains("repeated") && !coarse.contains("repeated"));
    let sums = [&map, &west, &east].map(|band| valid(band));
    assert!(sums[1] > 0 && sums[2] > 0, "{sums:?}");
    // An answer of 20 m fills four pixels, but for some along the edges of its cell.
    let expected = sums[1] + 4 * sums[2];
    assert!(sums[0].abs_diff(expected) * 20 < expected, "{sums:?}");
    // The finer answers may be brought onto the map's grid, the coarser ones are repeated.
    let answers = |band: &[f32]| -> BTreeSet<u32> {
        let known = band.iter().filter(|v| !v.is_nan());
        known.map(|v| v.to_bits()).collect()
    };
    let lacking = answers(&east).difference(&answers(&map)).count();
    assert_eq!(lacking, 0, "{sums:?}");
}

/// A map with its place on the ground.
struct Lying {
    bands: Vec<Vec<f32>>,
    width: usize,
    /// As GDAL tells it: west, width of a pixel, 0, north, 0, its height below 0.
    place: Vec<f64>,
}

impl Lying {
    fn of(path: &Path) -> Self {
        let mut info = Command::new("gdalinfo");
        let info = info.arg("-json").arg(path).output().unwrap();
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        let place = info["geoTransform"].as_array().unwrap().iter();
        Self {
            bands: bands(path),
            width: usize::try_from(info["size"][0].as_u64().unwrap()).unwrap(),
            place: place.map(|v| v.as_f64().unwrap()).collect(),
        }
    }

    /// Returns the answer where another map has its pixel of that index.
    fn at(&self, other: &Self, index: usize) -> Option<f32> {
        let offset = |axis: usize, step: usize| {
            let away = (other.place[axis] - self.place[axis]) / self.place[step];
            #[expect(
                clippy::cast_possible_truncation,
                reason = "some pixels of a small map"
            )]
            let away = away.round() as isize;
            away
        };
        let along = |i: usize, away: isize| i.checked_add_signed(away);
        let column = along(index % other.width, offset(0, 1)).filter(|c| *c < self.width)?;
        let row = along(index / other.width, offset(3, 5))?;
        self.bands[0].get(row * self.width + column).copied()
    }
}
