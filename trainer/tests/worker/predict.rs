//! Maps: models applied to the splits of a scene, by the binary that users' commands start.

use std::path::Path;
use std::process::{Command, Output};

use crate::folder::written;
use crate::world::{Scene, folder};

pub(crate) fn predict(model: &Path, splits: &Path, out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glebe-trainer"))
        .arg("predict")
        .arg("--model")
        .arg(model)
        .arg("--splits")
        .arg(splits)
        .arg("-O")
        .arg(out)
        .output()
        .expect("it runs")
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
