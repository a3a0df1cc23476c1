//! Models of real imagery: learned, scored on what they have not seen, applied.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{expect, glebe, real_data, scratch, stderr};
use crate::held_back::HeldBack;

/// A STAC Item of the real Sentinel-2 scene of 10 m and 20 m bands, over links to its files.
fn mekong(folder: &Path, real: &Path) -> PathBuf {
    let delivered = real.join("s2_majortom/T48QUE_20200223");
    let bands = ["B02", "B03", "B04", "B08", "B8A", "B11"];
    let file = |band| delivered.join(format!("{band}.tif"));
    let described = serde_json::json!({"nodata": 0, "scale": 0.0001, "offset": 0});
    let mut item = item(folder, &bands.map(|band| (band, file(band))), &described);
    item["id"] = "T48QUE_20200223".into();
    item["collection"] = "sentinel-2-l2a".into();
    item["properties"]["datetime"] = "2020-02-23T03:27:39Z".into();
    let path = folder.join("item.json");
    std::fs::write(&path, item.to_string()).unwrap();
    path
}

/// A STAC Item of bands in files of their own, to which links are made.
fn item(folder: &Path, bands: &[(&str, PathBuf)], described: &Value) -> Value {
    let mut assets = serde_json::Map::new();
    for (band, file) in bands {
        let link = format!("{band}.tif");
        std::os::unix::fs::symlink(file, folder.join(&link)).unwrap();
        let asset = serde_json::json!({
            "href": link, "roles": ["data"],
            "eo:bands": [{"name": band}], "raster:bands": [described],
        });
        assets.insert((*band).to_owned(), asset);
    }
    serde_json::json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "item",
        "properties": {"datetime": "2017-06-01T16:00:00Z"}, "assets": assets,
    })
}

/// Trains a run; returns its jobs, and says their scores.
fn trained(folder: &Path, args: &[&str]) -> Vec<Value> {
    let train = ["train", "ndvi-cnn", "--chip", "8", "-o", "json"];
    let output = glebe(folder).args(train).args(args).output().unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = run["jobs"].as_array().unwrap();
    let done = jobs.iter().filter(|job| job["state"] == "done").cloned();
    let done: Vec<Value> = done.collect();
    assert!(!done.is_empty(), "{said}{run}");
    for job in &done {
        eprintln!("{}: {}", job["geocode"], job["metrics"]);
    }
    done
}

/// Tells whether a network is better than mean and line.
fn is_of_use(scores: &Value, own: &str) -> bool {
    let score = |name: &str| scores[name].as_f64().unwrap();
    score(own) < score("mean_mse").min(score("linear_mse"))
}

/// One square kilometre of Slovenia on two days: the first is learned from, the second chooses the
/// epoch, or is never seen and predicted.
#[test]
fn vegetation_learned_from_one_sentinel_2_day_is_predicted_on_another() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let delivered = real.join("s2_timeseries_slovenia/geotiff");
    let ingest = |day: &str, at: &str| {
        let mut command = glebe(folder);
        command.args(["ingest", "--dataset", "sentinel-2-l1c", "--datetime", at]);
        let mask = delivered.join(format!("CLM_{day}.tif"));
        command.arg("--cloud-mask").arg(mask);
        let scene = delivered.join(format!("S2_L1C_{day}.tif"));
        expect(command.arg(scene), 0);
    };
    ingest("20150711T100008", "2015-07-11T10:00:08Z");
    let done = trained(folder, &["--name", "july"]);
    let model = format!("july/{}", done[0]["geocode"].as_str().unwrap());
    expect(
        glebe(folder).args(["model", "pull", &model, "-O", "pulled"]),
        0,
    );
    ingest("20150909T100017", "2015-09-09T10:00:17Z");
    let september = [
        "--datetime",
        "2015-09-01/2015-09-30",
        "--dataset",
        "sentinel-2-l1c",
    ];
    let predict = ["predict", "july", "-O", "september.tif", "-o", "json"];
    let told = expect(glebe(folder).args(predict).args(september), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let answered = |what: &str| told["cells"][0]["predicted"][what].as_u64().unwrap();
    assert!(answered("pixels") > 9_000, "{told}");
    assert!(answered("pixels_outside") < 1_000, "{told}");
    let errors = HeldBack {
        run: "july",
        cell: done[0]["geocode"].as_str().unwrap(),
        dataset: "sentinel-2-l1c",
        learned: "2015-07-01/2015-07-31",
        held: "2015-09-09",
    }
    .errors(folder);
    assert!(errors.pixels > 9_000, "{errors:?}");
    let done = trained(folder, &["--name", "both", "--hold-out", "dates"]);
    assert!(is_of_use(&done[0]["metrics"], "val_mse"), "{done:?}");
}

/// Of the Landsat scenes that were delivered, the one with a blue band.
#[test]
fn vegetation_is_learned_from_a_real_landsat_scene_and_one_without_blue_is_refused() {
    let Some(real) = real_data() else { return };
    let [elkton, zion] = [scratch(), scratch()];
    let ingest = ["ingest", "--dataset", "landsat-c1-l1", "item.json"];
    let described = serde_json::json!({});
    let given = |folder: &Path, bands: &[(&str, PathBuf)]| {
        let item = item(folder, bands, &described);
        std::fs::write(folder.join("item.json"), item.to_string()).unwrap();
        expect(glebe(folder).args(ingest), 0);
    };
    let file = |band: &str| real.join(format!("landsat_elkton/L8-{band}-Elkton-VA.tiff"));
    let bands = ["B2", "B3", "B4", "B5", "B6", "BQA"].map(|band| (band, file(band)));
    given(elkton.path(), &bands);
    let done = trained(elkton.path(), &["--name", "elkton"]);
    let of_use = done
        .iter()
        .filter(|job| is_of_use(&job["metrics"], "val_mse"));
    assert!(of_use.count() > 0, "no model beats mean and line");
    let model = format!("elkton/{}", done[0]["geocode"].as_str().unwrap());
    let ask = |words: &[&str]| expect(glebe(elkton.path()).args(words), 0);
    ask(&["model", "pull", &model, "-O", "pulled"]);
    let predict = [
        "predict",
        "pulled",
        "item.json",
        "--dataset",
        "landsat-c1-l1",
    ];
    let told = ask(&[&predict[..], &["-O", "ndvi.tif", "-o", "json"]].concat());
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let cells = told["cells"].as_array().unwrap();
    let own = cells.iter().find(|cell| cell["kinship"] == "own").unwrap();
    assert!(own["pixels"].as_u64().unwrap() > 1_000, "{told}");
    let file = |band: &str| real.join(format!("nlcd_zion/landsat_{}.tif", band.to_lowercase()));
    let bands = ["B3", "B4", "B5"].map(|band| (band, file(band)));
    given(zion.path(), &bands);
    let train = ["train", "ndvi-cnn", "--geocode", "9qxt"];
    let output = glebe(zion.path()).args(train).output().unwrap();
    let said = stderr(&output);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("has no blue band (it has: B3, B4, B5)"),
        "{said}"
    );
}

#[test]
fn a_map_is_learned_from_a_real_sentinel_2_scene_and_beats_the_training_mean() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let item = mekong(folder, &real);
    expect(glebe(folder).args(["ingest"]).arg(&item), 0);
    let output = glebe(folder)
        .args(["train", "ndmi-unet", "--name", "mekong", "--epochs", "4"])
        .args(["--min-coverage", "60", "-o", "json"])
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let done = run["jobs"].as_array().unwrap().iter();
    let done: Vec<&Value> = done.filter(|j| j["state"] == "done").collect();
    assert!(!done.is_empty(), "{said}{run}");
    eprintln!("{}", serde_json::to_string_pretty(&done).unwrap());
    for job in &done {
        let score = |name: &str| job["metrics"][name].as_f64().unwrap();
        assert!(score("val_mse") < score("mean_mse"), "{job}");
    }
    let predict = ["predict", "mekong", "-O", "ndmi.tif", "-o", "json"];
    let told = expect(glebe(folder).args(predict).arg(&item), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        told["cells"].as_array().unwrap().len(),
        done.len(),
        "{told}"
    );
    assert!(told["pixels"].as_u64().unwrap() > 50_000, "{told}");
}

#[test]
fn vegetation_learned_from_two_naip_dates_is_scored_on_a_third_and_predicted() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let scene = |day: &str| real.join(format!("naip/m_4709963_se_14_1_{day}.tif"));
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--dataset", "naip", "--precision", "5"]);
    let days = ["20090818", "20120731", "20150926"];
    expect(ingest.args(days.map(scene)), 0);
    let train = ["train", "ndvi-cnn", "--name", "naip", "--hold-out", "dates"];
    let more = ["--chip", "16", "--min-coverage", "10", "-o", "json"];
    let output = glebe(folder).args(train).args(more).output().unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let done = run["jobs"].as_array().unwrap().iter();
    let done: Vec<&Value> = done.filter(|j| j["state"] == "done").collect();
    assert!(!done.is_empty(), "{said}{run}");
    let mut of_use = 0;
    for job in &done {
        let (code, test) = (job["geocode"].as_str().unwrap(), &job["metrics"]["test"]);
        eprintln!("{code}: {}", job["metrics"]);
        let score = |name: &str| test[name].as_f64().unwrap();
        let best = score("mean_mse").min(score("linear_mse"));
        of_use += usize::from(score("mse") < best);
        let verdict = if score("mse") < best {
            "The network beats both baselines."
        } else {
            "**The network does not beat the better baseline: use that one here.**"
        };
        let model = format!("naip/{code}");
        expect(glebe(folder).args(["model", "pull", &model, "-O", code]), 0);
        let card = std::fs::read_to_string(folder.join(code).join("README.md")).unwrap();
        for told in [
            "held out from 2012-07-31 on, for the test from 2015-09-26 on",
            "further chips in 1 day that nothing was learned from, which chose nothing",
            verdict,
        ] {
            assert!(card.contains(told), "no '{told}':\n{card}");
        }
    }
    // Colours of one flight say little of the next, but they do say something.
    assert!(of_use > 0, "no model is of use on another day");
    let predict = ["predict", "naip", "-O", "ndvi.tif", "-o", "json"];
    let told = expect(glebe(folder).args(predict).arg(scene(days[2])), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        told["cells"].as_array().unwrap().len(),
        done.len(),
        "{told}"
    );
    assert!(told["pixels"].as_u64().unwrap() > 100_000, "{told}");
}

/// Eight Landsat scenes of one path and year around New York, decimated to pixels of 3 km.
#[test]
fn vegetation_of_landsat_is_learned_until_spring_and_scored_in_december() {
    let Some(real) = real_data() else { return };
    let folder = scratch();
    let folder = folder.path();
    let scenes = std::fs::read_dir(real.join("landsat_l8ny18")).unwrap();
    let scenes = scenes.map(|entry| entry.unwrap().path());
    let of_path = |path: &PathBuf| path.display().to_string().contains("_013032_");
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--precision", "3"]);
    expect(ingest.args(scenes.filter(of_path)), 0);
    let held = ["--hold-out", "dates", "--min-coverage", "10"];
    let done = trained(folder, &[&["--name", "ny"][..], &held].concat());
    let job = |cell: &str| done.iter().find(|job| job["geocode"] == cell);
    let mut better = 0;
    for cell in ["dr5", "drh"] {
        let test = &job(cell).expect("a model")["metrics"]["test"];
        assert!(is_of_use(test, "mse"), "{cell}: {test}");
        let errors = HeldBack {
            run: "ny",
            cell,
            dataset: "landsat-c1-l1",
            learned: "2018-01-01/2018-08-01",
            held: "2018-12-17",
        }
        .errors(folder);
        better += usize::from(errors.network < errors.mean.min(errors.line));
    }
    assert!(
        better > 0,
        "no map of December is better than mean and line"
    );
}
