//! `exec:PROGRAM` from end to end: a program of the node's owner learns, and its models are listed,
//! pulled and applied as any others.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Node, expect, glebe, json, scratch, stderr, world};

/// Fits a line to what is red and near infrared, with Python's own library alone.
const PROGRAM: &str = r#"#!/usr/bin/env python3
import ast, json, math, struct, sys
from array import array

WISH = {"task": "near infrared from red, by a line", "inputs": [["red"]],
        "label": [["nir", "nir08"]], "answer": "number", "file": "model.json", "predicts": True}

def read(path):
    with open(path, "rb") as file:
        start = file.read(8)
        assert start[:6] == b"\x93NUMPY", start
        width = (2, "<H") if start[6] == 1 else (4, "<I")
        head = ast.literal_eval(file.read(*struct.unpack(width[1], file.read(width[0]))).decode())
        assert head["descr"] == "<f4" and not head["fortran_order"], head
        numbers = array("f")
        numbers.frombytes(file.read())
        return head["shape"], numbers

def write(path, shape, numbers):
    head = str({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)})
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        array("f", numbers).tofile(file)

def means(path):
    shape, numbers = read(path)
    size = math.prod(shape[1:])
    return [sum(numbers[i:i + size]) / size for i in range(0, len(numbers), size)]

if sys.argv[1:] == ["--describe"]:
    print(json.dumps(WISH))
    sys.exit()
job = json.load(sys.stdin)
shape = job["label_shape"]
if job["call"] == "predict":
    line = json.load(open(job["model"]))
    answers = [line["a"] * x + line["b"] for x in means(job["chips"])]
    write(job["answers"], [len(answers), *shape], answers)
    sys.exit()
known = [(x, y) for x, y in zip(means(job["train"]["chips"]), read(job["train"]["labels"])[1])
         if not math.isnan(y)]
mean = [sum(values) / len(known) for values in zip(*known)]
spread = sum((x - mean[0]) ** 2 for x, _ in known)
a = sum((x - mean[0]) * (y - mean[1]) for x, y in known) / spread if spread else 0.0
b = mean[1] - a * mean[0]
answers = [a * x + b for x in means(job["validation"]["chips"])]
write(job["answers"], [len(answers), *shape], answers)
judged = [(p, y) for p, y in zip(answers, read(job["validation"]["labels"])[1])
          if not math.isnan(y)]
error = sum((p - y) ** 2 for p, y in judged)
# Labels are standardised: who knows their mean alone answers 0.
base = sum(y ** 2 for _, y in judged)
json.dump({"a": a, "b": b}, open(job["model"], "w"))
print(json.dumps({"of_the_mean": error / base}))
"#;

/// Learns of whole and clear cells.
const TRAIN: [&str; 9] = [
    "train",
    "exec:line",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--max-cloud",
    "10",
    "--name",
];

/// Most by which two ways to compute a share may differ: its numbers are 32-bit floats.
const SHARE_DIFFERS_MAX: f64 = 1e-3;

/// Writes the program where its owner alone may change it.
fn program(folder: &Path) -> PathBuf {
    let path = folder.join("line");
    std::fs::write(&path, PROGRAM).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_program_of_the_owner_learns_and_its_models_are_listed_pulled_and_applied() {
    let folder = scratch();
    let folder = folder.path();
    let program = program(folder);
    let listed = [("GLEBE_PROGRAMS", program.to_str().unwrap())];
    let node = Node::start_with(folder, "n", &[], &listed);
    let scenes = world(folder, 1, 2, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(&scenes), 0);
    expect(node.ask(folder).args(TRAIN).args(["lines", "--wait"]), 0);
    let list = json(&node, folder, &["model", "list", "--run", "lines"]);
    let models = list["models"].as_array().unwrap();
    let jobs = json(&node, folder, &["job", "show", "lines"])["jobs"].clone();
    assert!(!models.is_empty(), "{jobs}");
    assert_eq!(models.len(), jobs.as_array().unwrap().len(), "{jobs}");
    for model in models {
        assert_eq!(model["recipe"], "exec:line", "{model}");
        let cell = model["geocode"].as_str().unwrap();
        let out = folder.join(cell);
        let pull = ["model", "pull", &format!("lines/{cell}"), "-O"];
        expect(node.ask(folder).args(pull).arg(&out), 0);
        is_what_the_program_left(&out);
    }
    let scene = std::fs::read_dir(&scenes)
        .unwrap()
        .map(|e| e.unwrap().path());
    let scene = scene.filter(|p| p.extension().is_some_and(|e| e == "SAFE"));
    let scene = scene.min().unwrap();
    let predict = || {
        let mut command = glebe(folder);
        let model = folder.join(models[0]["geocode"].as_str().unwrap());
        command
            .arg("predict")
            .arg(model)
            .arg(&scene)
            .args(["-O", "map.tif"]);
        command
    };
    let refused = predict().output().unwrap();
    assert!(!refused.status.success(), "nobody allowed the program");
    assert!(
        stderr(&refused).contains("GLEBE_PROGRAMS"),
        "{}",
        stderr(&refused)
    );
    expect(predict().envs(listed), 0);
    assert!(folder.join("map.tif").is_file());
}

/// Checks a pulled model: its file, its hash, its scores and the program's words.
fn is_what_the_program_left(out: &Path) {
    let read = |name: &str| std::fs::read(out.join(name)).unwrap();
    let config: Value = serde_json::from_slice(&read("config.json")).unwrap();
    let hash = blake3::hash(&read("model.json")).to_hex().to_string();
    assert_eq!(config["weights_blake3"], hash.as_str(), "{config}");
    let line: Value = serde_json::from_slice(&read("model.json")).unwrap();
    assert!(line["a"].is_f64() && line["b"].is_f64(), "{line}");
    let said = String::from_utf8(read("metrics.jsonl")).unwrap();
    let said: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let metric = |name: &str| config["metrics"][name].as_f64().unwrap();
    let share = metric("val_mse") / metric("mean_mse");
    let told = said["of_the_mean"].as_f64().unwrap();
    assert!(
        (share - told).abs() <= SHARE_DIFFERS_MAX * told.max(1.0),
        "{share}, {told}"
    );
}

#[test]
fn a_program_that_the_owner_does_not_list_is_not_started() {
    let folder = scratch();
    let folder = folder.path();
    program(folder);
    let node = Node::start(folder, "n", &[]);
    let scenes = world(folder, 1, 1, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(&scenes), 0);
    let train = node
        .ask(folder)
        .args(TRAIN)
        .args(["lines", "--wait"])
        .output();
    let train = train.unwrap();
    assert!(!train.status.success(), "{}", stderr(&train));
    let jobs = json(&node, folder, &["job", "show", "lines"])["jobs"].clone();
    let refused = |job: &Value| {
        let reason = job["reason"].as_str().unwrap_or_default();
        reason.contains("does not allow the program 'line'")
    };
    assert!(jobs.as_array().unwrap().iter().all(refused), "{jobs}");
    let list = json(&node, folder, &["model", "list"]);
    assert_eq!(list["models"].as_array().map(Vec::len), Some(0), "{list}");
}
