//! Models are trained where the data lies, published into the ring, pulled and applied.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, scratch, stderr, stdout, world};

fn json(node: &Node, folder: &Path, args: &[&str]) -> Value {
    let output = expect(node.ask(folder).args(args).args(["-o", "json"]), 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_run_moves_no_imagery_and_its_models_sit_at_their_owners() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 600);
    let nodes = cluster(folder, 3, 2);
    expect(nodes[0].ask(folder).args(["ingest"]).arg(&scenes), 0);
    let train = [
        "train", "ndvi-cnn", "--name", "fields", "--epochs", "6", "--chip", "16",
    ];
    let plan = json(&nodes[1], folder, &[&train[..], &["--dry-run"]].concat());
    assert_eq!(plan["bytes_moved"], 0);
    let jobs = plan["jobs"].as_u64().unwrap();
    assert!(jobs >= 2, "{plan}");
    let before = json(&nodes[0], folder, &["status"]);
    let output = nodes[1]
        .ask(folder)
        .args(train)
        .arg("--wait")
        .output()
        .unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        stderr(&output)
    );
    let after = json(&nodes[0], folder, &["status"]);
    let pixels = |status: &Value| status["bytes_by_purpose"]["pixels"].as_u64().unwrap();
    assert_eq!(pixels(&after), pixels(&before), "training moved imagery");
    let sent = after["bytes_by_purpose"]["model"].as_u64().unwrap();
    assert!(
        sent > 0,
        "models have replicas on two nodes, so some bytes travelled"
    );

    let models = json(&nodes[2], folder, &["model", "list"]);
    let models = models["models"].as_array().unwrap();
    assert!(!models.is_empty(), "{}", stderr(&output));
    let layout = json(&nodes[0], folder, &["cluster", "show"]);
    for model in models {
        assert_eq!(model["owners"].as_array().unwrap().len(), 2);
        for owner in model["owners"].as_array().unwrap() {
            let node = nodes
                .iter()
                .find(|n| owner == &Value::from(n.id.clone()))
                .unwrap();
            let geocode = model["geocode"].as_str().unwrap();
            let name = format!("fields+{geocode}");
            let there = walk(&node.data.join("objects/model"))
                .iter()
                .any(|p| p.ends_with(&name));
            assert!(there, "{name} is not at its owner {owner}");
        }
    }
    assert_eq!(layout["slots"].as_array().unwrap().len(), 16_384);
    let geocode = models[0]["geocode"].as_str().unwrap();
    pulled_model_opens_in_python_and_predicts(&nodes[2], folder, geocode, &scenes);
    let other = nodes[0]
        .ask(folder)
        .args(train)
        .args(["--seed", "8"])
        .output()
        .unwrap();
    assert_eq!(
        other.status.code(),
        Some(5),
        "another run took the name: {}",
        stderr(&other)
    );
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.push(path.clone());
                open.push(path);
            }
        }
    }
    found
}

fn pulled_model_opens_in_python_and_predicts(
    node: &Node,
    folder: &Path,
    geocode: &str,
    scenes: &Path,
) {
    expect(
        node.ask(folder)
            .args(["model", "pull", "--geocode", geocode, "-O", "m"]),
        0,
    );
    for name in [
        "model.safetensors",
        "config.json",
        "README.md",
        "metrics.jsonl",
    ] {
        assert!(folder.join("m").join(name).is_file(), "{name} is missing");
    }
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
    if python.exists() {
        let script = "from safetensors.numpy import load_file\nimport json\n\
                      t = load_file('m/model.safetensors')\n\
                      print(json.dumps({k: list(v.shape) for k, v in sorted(t.items())}))";
        let mut command = std::process::Command::new(python);
        command.current_dir(folder).args(["-c", script]);
        let shapes: Value = serde_json::from_str(&stdout(&expect(&mut command, 0))).unwrap();
        assert!(
            shapes
                .as_object()
                .unwrap()
                .keys()
                .any(|k| k.ends_with("weight")),
            "{shapes}"
        );
    } else {
        eprintln!(
            "SKIPPED: no {} (cargo xtask setup makes it)",
            python.display()
        );
    }
    let scene = std::fs::read_dir(scenes)
        .unwrap()
        .map(|e| e.unwrap().path());
    let scene = scene
        .filter(|p| p.extension().is_some_and(|e| e == "SAFE"))
        .min()
        .unwrap();
    // A pulled folder predicts with no cluster at all.
    expect(
        glebe(folder)
            .args(["predict", "m"])
            .arg(scene)
            .args(["-O", "ndvi.tif"]),
        0,
    );
    let info = std::process::Command::new("gdalinfo")
        .arg(folder.join("ndvi.tif"))
        .output();
    let info = String::from_utf8_lossy(&info.unwrap().stdout).into_owned();
    assert!(
        info.contains("Float32") && info.contains("NoData Value=nan"),
        "{info}"
    );
}

#[test]
fn the_same_seed_gives_the_same_weights_embedded() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 600);
    expect(glebe(folder).args(["ingest"]).arg(&scenes), 0);
    let hashes = |name: &str| {
        let mut train = glebe(folder);
        train.args([
            "train", "ndvi-cnn", "--name", name, "--epochs", "3", "--chip", "16",
        ]);
        let output = train.output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}",
            stderr(&output)
        );
        let list = expect(
            glebe(folder).args(["model", "list", "--run", name, "-o", "json"]),
            0,
        );
        let list: Value = serde_json::from_slice(&list.stdout).unwrap();
        let weights = |m: &Value| {
            let geocode = m["geocode"].as_str().unwrap().to_owned();
            let (model, out) = (format!("{name}/{geocode}"), format!("{name}-{geocode}"));
            expect(glebe(folder).args(["model", "pull", &model, "-O", &out]), 0);
            let config = std::fs::read(folder.join(out).join("config.json")).unwrap();
            let config: Value = serde_json::from_slice(&config).unwrap();
            (
                geocode,
                config["weights_blake3"].as_str().unwrap().to_owned(),
            )
        };
        list["models"]
            .as_array()
            .unwrap()
            .iter()
            .map(weights)
            .collect::<Vec<_>>()
    };
    let first = hashes("one");
    assert!(!first.is_empty());
    assert_eq!(hashes("two"), first);
}
