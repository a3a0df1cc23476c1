//! Models are found by place and tag, compared, and taken along.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, json, scratch, stderr, stdout, world};

/// Trains a run and returns the geocodes of its models.
fn train(node: &Node, folder: &Path, (name, epochs): (&str, &str)) -> Vec<String> {
    let words = ["train", "ndvi-cnn", "--name", name, "--epochs", epochs];
    let mut train = node.ask(folder);
    train.args(words).args(["--chip", "16", "--wait"]);
    let output = train.output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 4)),
        "{}",
        stderr(&output)
    );
    let listed = json(node, folder, &["model", "list", "--run", name]);
    let models = listed["models"].as_array().unwrap().iter();
    models
        .map(|m| m["geocode"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns the better model of each cell that was compared.
fn better_of(compared: &Value) -> Vec<String> {
    let cells = compared["cells"].as_array().unwrap().iter();
    let better = cells.map(|pair| {
        let error = |m: &Value| m["metrics"]["val_mse"].as_f64().unwrap();
        let ours = error(&pair["one"]) <= error(&pair["other"]);
        let best = if ours { &pair["one"] } else { &pair["other"] };
        format!("{}/{}", best["run"], best["geocode"]).replace('"', "")
    });
    better.collect()
}

/// Returns the run of the model in a folder.
fn run_of(folder: &Path, out: &str) -> String {
    let config = std::fs::read(folder.join(out).join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    config["run"].as_str().unwrap().to_owned()
}

#[test]
fn models_are_found_by_their_tags_compared_and_taken_along() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 600);
    let nodes = cluster(folder, 2, 2);
    let [one, other] = [&nodes[0], &nodes[1]];
    expect(one.ask(folder).arg("ingest").arg(&scenes), 0);
    let cells = train(one, folder, ("long", "6"));
    assert_eq!(train(one, folder, ("short", "1")), cells);
    assert!(cells.len() >= 2, "{cells:?}");
    let code = cells[0].as_str();
    // The last is known by itself, and so is the best.
    let tagged = |tag: &str| {
        let listed = json(other, folder, &["model", "list", "--tag", tag]);
        let models = listed["models"].as_array().unwrap().iter();
        let names = models.map(|m| format!("{}/{}", m["run"], m["geocode"]).replace('"', ""));
        names.collect::<Vec<_>>()
    };
    let all_of = |run: &str| {
        cells
            .iter()
            .map(|c| format!("{run}/{c}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(tagged("latest"), all_of("short"));
    let mut best = tagged("best");
    best.sort_by_key(|name| name.split('/').next_back().map(str::to_owned));
    assert_eq!(
        best,
        better_of(&json(other, folder, &["model", "compare", "long", "short"]))
    );

    // A user's tag stays where it was put until it is put elsewhere.
    let ask = |words: &[&str], code| expect(other.ask(folder).args(words), code);
    ask(&["model", "tag", "long", "--as", "prod"], 0);
    let short = format!("short/{code}");
    a_dry_run_tags_nothing(&ask, code);
    assert_eq!(tagged("prod"), all_of("long"), "nothing has changed");
    ask(&["model", "tag", &short, "--as", "prod"], 0);
    let pull = |place: &[&str], out: &str, code| {
        let words = [&["model", "pull"], place, &["-O", out]].concat();
        stderr(&expect(one.ask(folder).args(words), code))
    };
    pull(&["--geocode", code, "--tag", "prod"], "a", 0);
    pull(&["--geocode", &cells[1], "--tag", "prod"], "b", 0);
    let runs = [run_of(folder, "a"), run_of(folder, "b")];
    assert_eq!(runs, ["short", "long"]);
    nothing_is_pulled_over_another_model(one, folder, &cells);
    ask(&["model", "tag", "--remove", "prod", code], 0);
    assert_eq!(tagged("prod"), all_of("long")[1..]);
    ask(&["model", "tag", "--remove", "prod"], 0);
    ask(&["model", "tag", "--remove", "prod"], 1);
    ask(&["model", "tag", "long", "--as", "best"], 2);
    assert_eq!(tagged("best").len(), cells.len());

    // A smaller cell has its ancestor's model, and that is said; elsewhere there is none.
    let said = pull(&[&format!("long/{code}zz")], "c", 0);
    assert!(said.contains(&format!("this is that of {code}")), "{said}");
    assert_eq!(run_of(folder, "c"), "long");
    what_there_is_not_is_named_once(one, folder);

    // All of an area go into one folder, which predicts without a cluster.
    let area = ["short", "--bbox", "-180,-90,180,90"];
    let said = pull(&area, "e", 2);
    assert!(said.contains("--bundle"), "{said}");
    pull(&[&area[..], &["--bundle"]].concat(), "e", 0);
    assert_eq!(bundled(folder, "e"), cells.len());
    two_models_are_shown_and_compared(other, folder, code);
    a_runs_models_are_deleted_together((one, other), folder, &cells);
    drop(nodes);
    predicts_offline(folder, &scenes, "e");
}

/// Shows the model of a cell and compares those of two runs of it, by their names.
fn two_models_are_shown_and_compared(node: &Node, folder: &Path, code: &str) {
    let names = ["long", "short"].map(|run| format!("{run}/{code}"));
    let shown = names
        .each_ref()
        .map(|name| json(node, folder, &["model", "show", name]));
    for (shown, run) in shown.iter().zip(["long", "short"]) {
        assert_eq!(
            (&shown["run"], &shown["geocode"]),
            (&run.into(), &code.into())
        );
        assert!(shown["files"].as_array().unwrap().len() >= 5, "{shown}");
        assert!(shown["metrics"]["val_mse"].is_number(), "{shown}");
    }
    let compare = ["model", "compare", &names[0], &names[1]];
    let compared = json(node, folder, &compare);
    let pairs = compared["cells"].as_array().unwrap();
    assert_eq!(pairs.len(), 1, "{compared}");
    for (model, shown) in [&pairs[0]["one"], &pairs[0]["other"]]
        .into_iter()
        .zip(&shown)
    {
        assert_eq!(model["hash"], shown["hash"], "{compared}");
    }
    let [long, short] = shown.map(|model| model["metrics"]["val_mse"].as_f64().unwrap());
    let told = stdout(&expect(node.ask(folder).args(compare), 0));
    let better = usize::from(short < long);
    let told_so = format!("{} has the lower error in {better} of 1 cells", names[1]);
    assert!(told.contains(&told_so), "{told}");
    assert!(told.contains(&format!("{:.3}", short / long)), "{told}");
}

/// Deletes all models of run `long` at one node; the other knows, and those of `short` stay.
fn a_runs_models_are_deleted_together(
    (node, other): (&Node, &Node),
    folder: &Path,
    all: &[String],
) {
    let count = |run: &str| {
        let listed = json(other, folder, &["model", "list", "--run", run]);
        listed["models"].as_array().unwrap().len()
    };
    let delete = |more: &[&str], code| {
        let mut delete = node.ask(folder);
        delete.args(["model", "delete", "long"]).args(more);
        stderr(&expect(&mut delete, code))
    };
    let what = format!("{} models of long, ", all.len());
    let said = delete(&["--dry-run"], 0);
    assert!(said.contains(&format!("would delete {what}")), "{said}");
    let said = delete(&[], 2);
    assert!(said.contains("with --yes"), "{said}");
    assert_eq!(count("long"), all.len(), "nothing has changed");
    let said = delete(&["--yes"], 0);
    assert!(said.contains(&format!("deleted {what}")), "{said}");
    assert_eq!([count("long"), count("short")], [0, all.len()]);
}

/// Returns how many models a bundle lists.
fn bundled(folder: &Path, out: &str) -> usize {
    let bundle = std::fs::read(folder.join(out).join("bundle.json")).unwrap();
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    bundle["models"].as_array().unwrap().len()
}

/// Asks what tagging would do to a cell whose model of run `long` is called `prod`.
fn a_dry_run_tags_nothing(ask: &dyn Fn(&[&str], i32) -> Output, code: &str) {
    let would = |words: &[&str], exit| {
        let dry = [&["model", "tag"], words, &["--dry-run"]].concat();
        stderr(&ask(&dry, exit))
    };
    let short = format!("short/{code}");
    let said = would(&[&short, "--as", "prod"], 0);
    let told = format!("prod would be {short}, in place of long/{code}");
    assert!(said.contains(&told), "{said}");
    let said = would(&["--remove", "prod", code], 0);
    let told = format!("in 1 cells: now it is long/{code}");
    assert!(said.contains(&told), "{said}");
    would(&["--remove", "none"], 1);
    would(&[&short, "--as", "best"], 2);
}

fn what_there_is_not_is_named_once(node: &Node, folder: &Path) {
    let missing = |words: &[&str]| stderr(&expect(node.ask(folder).args(words), 1));
    let said = missing(&["model", "pull", "--at", "0,0", "-O", "d"]);
    assert!(said.contains("error: no model 0,0\n"), "{said}");
    let said = missing(&["model", "show", "none/9xj"]);
    assert!(said.contains("error: no model none/9xj\n"), "{said}");
}

/// Pulls into folder `a`, which holds the model of the first cell, called `prod`.
fn nothing_is_pulled_over_another_model(node: &Node, folder: &Path, cells: &[String]) {
    let pull = |words: &[&str], out: &str, code| {
        let mut pull = node.ask(folder);
        pull.args(["model", "pull"]).args(words).args(["-O", out]);
        stderr(&expect(&mut pull, code))
    };
    let said = pull(&["--geocode", &cells[1], "--tag", "prod"], "a", 5);
    assert!(said.contains("a holds something else"), "{said}");
    let all = ["short", "--bbox", "-180,-90,180,90", "--bundle"];
    pull(&all, "a", 5);
    pull(&["--geocode", &cells[0], "--tag", "prod"], "a", 0);
    assert_eq!(run_of(folder, "a"), "short");
    for _ in 0..2 {
        pull(&all, "bundled", 0);
    }
}

/// Predicts a scene with a bundle and no cluster: each cell by its own model.
fn predicts_offline(folder: &Path, scenes: &Path, bundle: &str) {
    let scene = std::fs::read_dir(scenes)
        .unwrap()
        .map(|e| e.unwrap().path());
    let scene = scene.filter(|p| p.extension().is_some_and(|e| e == "SAFE"));
    let mut predict = glebe(folder);
    predict.args(["predict", bundle]).arg(scene.min().unwrap());
    let said = expect(predict.args(["-O", "ndvi.tif", "-o", "json"]), 0);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let cells = said["cells"].as_array().unwrap();
    let own = cells.iter().filter(|c| c["kinship"] == "own").count();
    assert!(own > 0 && own == cells.len(), "{said}");
}
