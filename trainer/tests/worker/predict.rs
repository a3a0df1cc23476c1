//! Maps: models applied to the splits of a scene, by the binary that users' commands start.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use earth::geotiff::GeoTiff;
use earth::raster::Samples;
use wire::run::Hyper;

use crate::folder::{published, written};
use crate::world::{Scene, folder, lease_in, quick};

pub(crate) fn predict(model: &Path, splits: &Path, out: &Path) -> Output {
    predict_with(&[model], (splits, out), &[])
}

pub(crate) fn predict_with(
    models: &[&Path],
    (splits, out): (&Path, &Path),
    words: &[&str],
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    command.arg("predict").arg("--splits").arg(splits);
    command.arg("-O").arg(out).args(words);
    for model in models {
        command.arg("--model").arg(model);
    }
    command.output().expect("it runs")
}

/// A map as it was written.
pub(crate) struct Map {
    pub(crate) width: usize,
    pub(crate) bands: Vec<Vec<f32>>,
}

pub(crate) fn map(path: &Path) -> Map {
    let bytes = std::fs::read(path).expect("the map");
    let file = GeoTiff::open(&bytes).expect("a GeoTIFF");
    let bands: Vec<usize> = (0..file.bands()).collect();
    let rasters = file.decode(&bytes, &bands, 0).expect("its pixels");
    let floats = |samples: Samples| match samples {
        Samples::F32(values) => Some(values),
        _ => None,
    };
    let bands = rasters.into_iter().map(|r| floats(r.into_samples()));
    let bands: Option<Vec<Vec<f32>>> = bands.collect();
    Map {
        width: usize::try_from(file.size().0).expect("a width"),
        bands: bands.expect("32-bit floats"),
    }
}

pub(crate) fn summary(output: &Output) -> serde_json::Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_model_applied_to_its_cell_on_another_date_follows_the_land() {
    let (_keep, path) = folder();
    let (learned, model) = written(&path, 12);
    let scene = Scene {
        fill_columns: 40,
        ..Scene::new("later", 9)
    };
    scene.write(&path.join("scene"));
    let out = path.join("map.tif");
    let told = summary(&predict(&model, &path.join("scene"), &out));
    assert_eq!(
        (&told["width"], &told["height"]),
        (&320.into(), &480.into())
    );
    assert_eq!(told["crs"], "EPSG:4326");
    assert_eq!(
        told["pixels"],
        280 * 480,
        "fill stays fill, all else is answered: {told}"
    );
    assert_eq!(told["pixels_unanswered"], 0);
    assert_eq!(told["cells"][0]["kinship"], "own");
    let label = learned.config.normalisation.label;
    let mean = told["mean"].as_f64().expect("a mean");
    assert!(
        (mean - label.mean).abs() < 0.5 * label.std,
        "{mean} against {label:?}"
    );
    let (min, max) = (told["min"].as_f64(), told["max"].as_f64());
    let spread = max.expect("a maximum") - min.expect("a minimum");
    assert!(spread > 2.0 * label.std, "the map is flat: {told}");
    let bytes = std::fs::read(&out).expect("the map");
    assert!(
        earth::split::codec::verify(&bytes).is_err(),
        "a map is no split"
    );
    assert_eq!(told["bands"], serde_json::json!(["answer", "outside"]));
    let map = map(&out);
    for band in &map.bands {
        assert_eq!(band.iter().filter(|v| v.is_nan()).count(), 40 * 480);
    }
    let left: Vec<_> = std::fs::read_dir(&path)
        .expect("a folder")
        .filter_map(|e| e.ok().map(|e| e.file_name().to_string_lossy().into_owned()))
        .filter(|n| n.contains(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn neighbouring_cells_lie_side_by_side_and_a_stranger_is_told() {
    let (_keep, path) = folder();
    let (_, model) = written(&path, 1);
    for cell in ["gcpvj", "gcpvn"] {
        let scene = Scene {
            cell: cell.to_owned(),
            ..Scene::new("later", 9)
        };
        scene.write(&path.join("scene"));
    }
    let told = summary(&predict(&model, &path.join("scene"), &path.join("map.tif")));
    assert_eq!(told["pixels"], 2 * 320 * 480, "{told}");
    assert_eq!(
        told["cells_sampled"], 0,
        "cells under one anchor are copied: {told}"
    );
    let kinships: Vec<_> = told["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .map(|c| c["kinship"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(kinships, ["own", "foreign"]);
    assert!(
        told["warnings"][0]
            .as_str()
            .is_some_and(|w| w.contains("guesses")),
        "{told}"
    );
}

#[test]
fn a_scene_whose_bands_are_not_the_models_is_refused_with_a_next_step() {
    let (_keep, path) = folder();
    let (_, model) = written(&path, 1);
    let coarse = Scene {
        rgb_m: 20.0,
        nir: ("B8A", "nir08", 20.0),
        ..Scene::new("later", 9)
    };
    coarse.write(&path.join("scene"));
    let out = path.join("map.tif");
    let refused = predict(&model, &path.join("scene"), &out);
    assert_eq!(refused.status.code(), Some(6));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(
        text.contains("error: model spring/gcpvj cannot answer for this scene"),
        "{text}"
    );
    assert!(text.contains("have 20 m"), "{text}");
    assert!(text.contains("try: "), "{text}");
    assert!(!out.exists());
}

#[test]
fn what_no_model_has_seen_is_marked_and_what_it_learned_from_is_not() {
    let (_keep, path) = folder();
    let (_, model) = written(&path, 1);
    let outside = |name: &str, glare: f64, fill_columns: usize| {
        let scene = Scene {
            fill_columns,
            glare,
            ..Scene::new("later", 9)
        };
        let splits = path.join(name);
        scene.write(&splits);
        let out = path.join(format!("{name}.tif"));
        let told = summary(&predict(&model, &splits, &out));
        let marked = map(&out).bands[1].iter().filter(|v| **v > 0.5).count();
        assert_eq!(told["pixels_outside"], marked, "{told}");
        marked as f64 / told["pixels"].as_f64().expect("pixels")
    };
    let trained = {
        let out = path.join("trained.tif");
        let told = summary(&predict(&model, &path.join("splits"), &out));
        told["pixels_outside"].as_f64().expect("a count") / (320.0 * 480.0)
    };
    let (like, bright, dim) = (
        outside("like", 1.0, 0),
        outside("bright", 2.5, 0),
        outside("dim", 0.3, 64),
    );
    eprintln!("outside: trained {trained:.4}, another date {like:.4}, bright {bright}, dim {dim}");
    assert!(trained <= 0.02 && like <= 0.04, "{trained} {like}");
    assert!(bright > 0.99 && dim > 0.99, "{bright} {dim}");
}

/// Such a model answered, with numbers that it never learned to answer by.
#[test]
fn a_config_that_tells_another_normalisation_than_the_weights_is_refused_and_writes_nothing() {
    let (_keep, path) = folder();
    let (learned, model) = written(&path, 1);
    let config = model.join("config.json");
    let text = std::fs::read_to_string(&config).expect("a config");
    let mut changed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mean = learned.config.normalisation.bands[0].mean;
    changed["normalisation"]["bands"][0]["mean"] = (mean + 0.125).into();
    let splits = path.join("splits");
    let maps = path.join("maps");
    std::fs::create_dir(&maps).expect("a folder");
    let answer = |text: &str| {
        std::fs::write(&config, text).expect("a config");
        predict(&model, &splits, &maps.join("map.tif"))
    };
    let refused = answer(&changed.to_string());
    assert_eq!(refused.status.code(), Some(6));
    let said = String::from_utf8_lossy(&refused.stderr);
    for told in [
        "holds no usable model",
        "normalisation",
        "try: glebe model pull",
    ] {
        assert!(said.contains(told), "no {told}: {said}");
    }
    let left = std::fs::read_dir(&maps).expect("a folder").count();
    assert_eq!(left, 0, "something was written");
    // However it is laid out: what counts are the numbers.
    let compact: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    summary(&answer(&compact.to_string()));
}

/// Learns a cell's model of pixels of so many metres, and has it lie in a folder of that name.
fn of_metres(path: &Path, cell: &str, metres: f64) -> PathBuf {
    let split = of_a_date(cell, metres, ("a", 1)).write(&path.join("splits"));
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    let at = path.join(cell);
    published(&lease_in(cell, "ndvi-cnn", (vec![split], hyper)), &at).1
}

fn of_a_date(cell: &str, metres: f64, (name, seed): (&str, u64)) -> Scene {
    Scene {
        cell: cell.to_owned(),
        rgb_m: metres,
        nir: ("B08", "nir", metres),
        ..Scene::new(name, seed)
    }
}

/// Models of one run whose cells have pixels of 10 m and of 20 m: all were refused.
#[test]
fn of_models_of_two_resolutions_those_answer_that_take_the_scenes_and_the_others_are_told() {
    let (_keep, path) = folder();
    let cells = ["gcpvj", "gcpvn"];
    let models = [
        of_metres(&path, cells[0], 10.0),
        of_metres(&path, cells[1], 20.0),
    ];
    let models = models.each_ref().map(PathBuf::as_path);
    let kin = path.join("kin.json");
    std::fs::write(&kin, r#"{"donors": {}}"#).expect("a file");
    let kin = ["--kin", kin.to_str().expect("a path")];
    for (fits, metres) in [10.0, 20.0].into_iter().enumerate() {
        let splits = path.join(format!("scene{metres}"));
        for cell in cells {
            of_a_date(cell, metres, ("later", 9)).write(&splits);
        }
        let (own, other) = (cells[fits], cells[1 - fits]);
        let left = format!(
            "models of pixels of {} m do not answer a scene of {metres} m: spring/{other}",
            30.0 - metres
        );
        // What is named one by one answers for no stranger, either: there were two.
        for words in [&kin[..], &[]] {
            let out = path.join("map.tif");
            let told = summary(&predict_with(&models, (&splits, &out), words));
            assert_eq!(told["cells"][0]["model"], format!("spring/{own}"), "{told}");
            assert_eq!(told["cells"][0]["kinship"], "own", "{told}");
            assert_eq!(told["cells_without_model"], serde_json::json!([other]));
            let warnings = told["warnings"].as_array().expect("warnings");
            assert!(
                warnings.contains(&left.as_str().into()),
                "no '{left}': {told}"
            );
        }
    }
    let splits = path.join("scene40");
    of_a_date(cells[0], 40.0, ("later", 9)).write(&splits);
    let refused = predict_with(&models, (&splits, &path.join("none.tif")), &kin);
    assert_eq!(refused.status.code(), Some(6));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("have 40 m"), "{said}");
    assert!(said.contains("trained at 10 and 20 m"), "{said}");
}

/// Such words were for the worker alone: `glebe predict` has no `--model`, and cuts by itself.
#[test]
fn next_steps_are_commands_that_users_have() {
    let (_keep, path) = folder();
    let (_, model) = written(&path, 1);
    let empty = path.join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let elsewhere = path.join("elsewhere");
    let scene = Scene {
        cell: "gcpvn".to_owned(),
        ..Scene::new("later", 9)
    };
    scene.write(&elsewhere);
    let kin = path.join("kin.json");
    std::fs::write(&kin, r#"{"donors": {}}"#).expect("a file");
    let kin = ["--kin", kin.to_str().expect("a path")];
    for (splits, next) in [
        (&empty, "try: glebe predict RUN SCENE"),
        (
            &elsewhere,
            "try: glebe model list, then glebe predict with a run that has",
        ),
    ] {
        let refused = predict_with(&[&model], (splits, &path.join("map.tif")), &kin);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(next), "no '{next}': {said}");
        assert!(
            !said.contains("--model") && !said.contains("glebe-"),
            "{said}"
        );
    }
}
