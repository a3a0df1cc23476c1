//! Models of real imagery: learned, scored on what they have not seen, applied.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{expect, glebe, real_data, scratch, stderr};

/// A STAC Item of the real Sentinel-2 scene of 10 m and 20 m bands, over links to its files.
fn mekong(folder: &Path, real: &Path) -> PathBuf {
    let delivered = real.join("s2_majortom/T48QUE_20200223");
    let mut assets = serde_json::Map::new();
    for band in ["B02", "B03", "B04", "B08", "B8A", "B11"] {
        let file = format!("{band}.tif");
        std::os::unix::fs::symlink(delivered.join(&file), folder.join(&file)).unwrap();
        let described = serde_json::json!({
            "href": file, "roles": ["data"],
            "eo:bands": [{"name": band}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": 0}],
        });
        assets.insert(band.to_owned(), described);
    }
    let item = serde_json::json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "T48QUE_20200223",
        "collection": "sentinel-2-l2a",
        "properties": {"datetime": "2020-02-23T03:27:39Z"}, "assets": assets,
    });
    let path = folder.join("item.json");
    std::fs::write(&path, item.to_string()).unwrap();
    path
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
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
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
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
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
