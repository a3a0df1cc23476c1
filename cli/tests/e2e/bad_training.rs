//! Bad input of training and of prediction: which exit code, what, because, and what to try.
//!
//! *Invariants*: every verb and flag that is proposed is one that `glebe` has.
//!
//! *Not here*: bad scenes (`bad_input`), files that are no module (`modules`).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bad_input::{find, scene};
use crate::harness::{expect, glebe, scratch, stderr, stdout, world};
use crate::modules::python;

/// A class that no image is of in part.
const ONLY_CLASS: &str = "3";
/// A module, what it is to learn, the exit code, what is told, and the step that is proposed.
type OfModule = (
    &'static str,
    &'static [&'static str],
    i32,
    &'static [&'static str],
    &'static str,
);

/// Bad input of a kind.
struct Bad<'a> {
    words: &'a [&'a str],
    exit: i32,
    /// What, and because.
    told: &'a [&'a str],
    /// A part of what is to be tried.
    step: &'a str,
}

/// Collections of one world, each bad for something, and a whole cell of all.
struct Lands {
    cell: String,
    /// The scene without its blue band.
    no_blue: PathBuf,
}

/// Ingests a scene as it is, one of which all is cloud, one without blue, and one whose near
/// infrared is the same everywhere.
fn lands(folder: &Path) -> Lands {
    let whole = scene(&world(folder, 1, 1, 300));
    let no_blue = folder.join("no_blue").join(whole.file_name().unwrap());
    std::fs::create_dir(folder.join("no_blue")).unwrap();
    let mut copy = Command::new("cp");
    expect(copy.arg("-r").arg(&whole).arg(&no_blue), 0);
    std::fs::remove_file(find(&no_blue, "_B02_10m.jp2")).unwrap();
    let band = |name: &str| find(&whole, &format!("_{name}_10m.jp2"));
    let translate = |from: &Path, to: &str, words: &[&str]| {
        let mut translate = Command::new("gdal_translate");
        translate.current_dir(folder).arg("-q").args(words);
        expect(translate.arg(from).arg(to), 0);
    };
    let one = ["-ot", "Byte", "-scale", "0", "1", "1", "1"];
    translate(&band("B02"), "cloud.tif", &one);
    let flat = ["-scale", "0", "1", ONLY_CLASS, ONLY_CLASS];
    translate(&band("B08"), "nir.tif", &flat);
    let mut join = Command::new("gdalbuildvrt");
    join.args(["-q", "-separate", "flat.vrt"]);
    join.current_dir(folder)
        .args(["B04", "B03", "B02"].map(band));
    expect(join.arg("nir.tif"), 0);
    translate(Path::new("flat.vrt"), "flat.tif", &[]);

    let ingest = |scene: &Path, collection: &str, words: &[&str]| {
        let mut ingest = glebe(folder);
        ingest.args(["ingest", "--precision", "6", "--collection", collection]);
        expect(ingest.args(words).arg(scene), 0);
    };
    ingest(&whole, "whole", &[]);
    ingest(&whole, "clouds", &["--cloud-mask", "cloud.tif"]);
    ingest(&no_blue, "no-blue", &[]);
    let day = ["--dataset", "naip", "--datetime", "2020-07-01"];
    ingest(Path::new("flat.tif"), "flat", &day);
    let best = ["search", "--collection", "whole", "--min-coverage", "99"];
    let best = glebe(folder)
        .args(best)
        .args(["--sort", "cloud,-coverage", "-o", "ndjson"])
        .output();
    let best = String::from_utf8(best.unwrap().stdout).unwrap();
    let best: Value = serde_json::from_str(best.lines().next().unwrap()).unwrap();
    let cell = best["geocode"].as_str().unwrap().to_owned();
    Lands { cell, no_blue }
}

/// Makes modules of three inputs: one of several classes, and one that answers no number.
fn modules(folder: &Path, python: &str) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/examples");
    let script = "import torch\nfrom torchscript_map import network, remembered\n\
                  classes = remembered(network(3, 4))\n\
                  torch.jit.script(classes).save('classes.pt')\n\
                  class Lost(torch.nn.Module):\n\
                  \x20   def __init__(self):\n\
                  \x20       super().__init__()\n\
                  \x20       self.one = torch.nn.Conv2d(3, 1, 1)\n\
                  \x20   def forward(self, x):\n\
                  \x20       return torch.log(-torch.exp(self.one(x)))\n\
                  torch.jit.script(Lost()).save('lost.pt')\n";
    let mut make = Command::new(python);
    make.env("PYTHONPATH", examples).env("CI", "true");
    // A module's own class is looked up in its file.
    std::fs::write(folder.join("make.py"), script).unwrap();
    expect(make.current_dir(folder).arg("make.py"), 0);
}

/// Runs a command on bad input and looks at all it says.
fn check(folder: &Path, bad: &Bad<'_>) {
    let said = stderr(&expect(glebe(folder).args(bad.words), bad.exit));
    let words = bad.words;
    for told in bad.told {
        assert!(
            said.contains(told),
            "{words:?} does not say '{told}': {said}"
        );
    }
    let steps = said.lines().filter_map(|line| line.split_once("try: "));
    let steps: Vec<&str> = steps.map(|(_, step)| step).collect();
    let named = steps.iter().any(|step| step.contains(bad.step));
    assert!(named, "{words:?} does not propose '{}': {said}", bad.step);
    for step in steps {
        is_there(folder, words[0], step);
    }
}

/// Checks that a step names verbs and flags that there are; a flag without a verb is that of the
/// verb that failed.
fn is_there(folder: &Path, failed: &str, step: &str) {
    let mut verb = failed;
    let mut parts = step.split([' ', ',', ';', '(', ')']).peekable();
    while let Some(part) = parts.next() {
        if part == "glebe" {
            verb = parts.peek().copied().unwrap_or_default();
            expect(glebe(folder).args([verb, "--help"]), 0);
        }
        if !part.starts_with("--") {
            continue;
        }
        let help = stdout(&expect(glebe(folder).args([verb, "--help"]), 0));
        let is_flag = help.split_whitespace().any(|word| word == part);
        assert!(is_flag, "glebe {verb} has no {part}: {step}");
    }
}

#[test]
fn what_cannot_be_learned_from_ends_with_a_reason_and_a_step() {
    let folder = scratch();
    let folder = folder.path();
    let Lands { cell, .. } = lands(folder);
    let bad: [(&str, &[&str], &[&str], &str); 4] = [
        (
            "ndvi-cnn",
            &["--collection", "clouds", "--chip", "16"],
            &[
                "too few chips of 16 pixels",
                "0 to learn from",
                "left out: 0 for fill, ",
            ],
            "glebe train ndvi-cnn --chip 8",
        ),
        // Chips that cannot be smaller are not all that helps.
        (
            "ndvi-cnn",
            &["--collection", "clouds", "--chip", "8"],
            &["too few chips of 8 pixels"],
            "glebe search",
        ),
        (
            "ndvi-cnn",
            &[
                "--collection",
                "whole",
                "--chip",
                "8",
                "--learning-rate",
                "1e30",
            ],
            &["loss of epoch ", "is not finite"],
            "glebe train ndvi-cnn --learning-rate 1e-3",
        ),
        (
            "ndmi-unet",
            &["--collection", "flat", "--chip", "32"],
            &["has no swir band (it has: "],
            "glebe train ndmi-unet --describe",
        ),
    ];
    for ((recipe, words, told, step), name) in bad.into_iter().zip(["a", "b", "c", "d"]) {
        let run = ["train", recipe, "--name", name];
        let train = [&run[..], &["--geocode", &cell, "--epochs", "2"]].concat();
        let bad = Bad {
            words: &[&train[..], words].concat(),
            exit: 6,
            told: &[&["1 of 1 jobs failed", "no model for "], told].concat(),
            step,
        };
        check(folder, &bad);
    }
}

#[test]
fn a_module_that_cannot_learn_here_ends_with_a_reason_and_a_step() {
    let Some(python) = python() else { return };
    let folder = scratch();
    let folder = folder.path();
    let Lands { cell, .. } = lands(folder);
    modules(folder, &python);
    let bad: [OfModule; 3] = [
        (
            "torchscript:classes.pt",
            &[
                "--label",
                "nir",
                "--loss",
                "cross-entropy",
                "--classes",
                "4",
            ],
            6,
            &[
                "1 of 1 jobs failed",
                "is of class 3, so there is nothing to tell apart",
            ],
            "glebe train torchscript:classes.pt",
        ),
        (
            "torchscript:lost.pt",
            &["--label", "nir"],
            6,
            &["1 of 1 jobs failed", "loss of epoch 1 is not finite"],
            "--learning-rate",
        ),
        (
            "torchscript:lost.pt",
            &["--label", "nosuch"],
            2,
            &["error: no split has a band 'nosuch'", "because there are "],
            "--inputs and --label",
        ),
    ];
    for ((module, words, exit, told, step), name) in bad.into_iter().zip(["a", "b", "c"]) {
        let land = if module.contains("classes") {
            "flat"
        } else {
            "whole"
        };
        let run = ["train", module, "--name", name];
        let train = [&run[..], &["--inputs", "red,green,blue", "--epochs", "2"]].concat();
        let of = ["--chip", "8", "--geocode", &cell, "--collection", land];
        let words = &[&train[..], &of, words].concat();
        check(
            folder,
            &Bad {
                words,
                exit,
                told,
                step,
            },
        );
    }
}

#[test]
fn a_model_is_not_applied_to_a_scene_without_a_band_that_it_needs() {
    let folder = scratch();
    let folder = folder.path();
    let Lands { cell, no_blue } = lands(folder);
    let train = [
        "train", "ndvi-cnn", "--name", "seen", "--epochs", "1", "--chip", "8",
    ];
    let of = ["--collection", "whole", "--geocode", &cell];
    expect(glebe(folder).args(train).args(of), 0);
    let model = format!("seen/{cell}");
    expect(
        glebe(folder).args(["model", "pull", &model, "-O", "pulled"]),
        0,
    );
    let no_blue = no_blue.to_str().unwrap();
    let stored = ["--collection", "no-blue", "--geocode", &cell];
    for given in ["seen", &model, "pulled"] {
        let predict = ["predict", given, "-O", "none.tif"];
        let cannot = format!("error: model {model} cannot answer for this scene");
        let bad = Bad {
            words: &[&predict[..], &[no_blue]].concat(),
            exit: 6,
            told: &[
                &cannot,
                "has no blue band (it has: ",
                "because it takes red, green, blue at 10 m",
            ],
            step: "a scene with these bands",
        };
        check(folder, &bad);
        // A folder's models answer for scenes alone.
        if given != "pulled" {
            let bad = Bad {
                words: &[&predict[..], &stored].concat(),
                exit: 2,
                told: &["error: no split has a band 'blue'; they have "],
                step: "--collection or --dataset",
            };
            check(folder, &bad);
        }
        assert!(!folder.join("none.tif").exists(), "{given}");
    }
}
