//! Models are trained where the data lies, published into the ring, pulled and applied.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Node, cluster, expect, glebe, json, scratch, stderr, stdout, world};

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
        matches!(output.status.code(), Some(0 | 4)),
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

#[test]
fn a_second_run_on_the_same_splits_decodes_no_chip() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 600);
    expect(glebe(folder).args(["ingest"]).arg(&scenes), 0);
    let decoded = |name: &str, seed: &str| -> Vec<u64> {
        let train = ["train", "ndvi-cnn", "--epochs", "1", "--chip", "16"];
        let named = ["--name", name, "--seed", seed];
        let output = glebe(folder).args(train).args(named).output().unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 4)), "{}", stderr(&output));
        let said = stdout(&expect(glebe(folder).args(["job", "logs", name]), 0));
        let lines = said.lines().filter(|line| line.contains(" chips decoded"));
        let count = |line: &str| {
            let (head, _) = line.split_once(" chips decoded").unwrap();
            head.rsplit(' ').next().unwrap().parse().unwrap()
        };
        lines.map(count).collect()
    };
    let first = decoded("one", "1");
    assert!(first.iter().sum::<u64>() > 0, "{first:?}");
    assert_eq!(decoded("two", "2"), vec![0; first.len()]);

    // Followed, a run that has ended is told like one that is only looked at, and then it is over.
    let logs = |more: &[&str]| {
        let words = [&["job", "logs", "two"], more].concat();
        stdout(&expect(glebe(folder).args(words), 0))
    };
    let told = logs(&["-f"]);
    assert_eq!(told, logs(&[]));
    let is_epoch = |line: &&str| line.contains(" epoch 1: loss ") && line.contains(", validation ");
    let epochs = told.lines().filter(is_epoch).count();
    assert!(epochs > 0 && epochs <= first.len(), "{told}");
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
fn a_world_under_clouds_is_seen_clear_by_the_models_of_its_pairs() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 4, 300);
    expect(glebe(folder).arg("ingest").arg(&scenes), 0);
    let train = ["train", "spagan", "--name", "clear", "--chip", "16"];
    let mistaken = expect(glebe(folder).args(train).args(["--max-cloud", "60"]), 2);
    assert!(stderr(&mistaken).contains("does not go with spagan"));
    let mistaken = ["train", "ndvi-cnn", "--cloudy", "40"];
    let mistaken = expect(glebe(folder).args(mistaken), 2);
    assert!(
        stderr(&mistaken).contains("learn from pairs"),
        "{}",
        stderr(&mistaken)
    );

    let found = ["search", "--pairs", "--cloudy", "40", "-o", "json"];
    let found = expect(glebe(folder).args(found), 0);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let pairs = found["pairs"].as_array().unwrap();
    let words = ["--cloudy", "40", "--epochs", "3", "-o", "json"];
    let output = glebe(folder).args(train).args(words).output().unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let shown = stdout(&expect(glebe(folder).args(["job", "show", "clear"]), 0));
    assert!(shown.contains("dB (cloudy input"), "{shown}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let done = run["jobs"].as_array().unwrap().iter();
    let done: Vec<&Value> = done.filter(|j| j["state"] == "done").collect();
    assert!(!done.is_empty(), "{said}{run}");
    for job in &done {
        let (ours, input) = (&job["metrics"]["map"], &job["metrics"]["input"]);
        for (ours, input) in [
            (&ours["val_psnr"], &input["psnr"]),
            (&ours["val_ssim"], &input["ssim"]),
        ] {
            assert!(ours.as_f64().unwrap() > input.as_f64().unwrap(), "{job}");
        }
        let geocode = job["geocode"].as_str().unwrap();
        let model = format!("clear/{geocode}");
        let pull = ["model", "pull", &model, "-O", geocode];
        expect(glebe(folder).args(pull), 0);
        let config = std::fs::read(folder.join(geocode).join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let there = pairs.iter().filter(|p| p["cloudy"]["geocode"] == *geocode);
        assert_eq!(config["data"]["pairs"]["count"], there.count(), "{config}");
    }
    let cloudy = pairs[0]["cloudy"]["scene"].as_str().unwrap();
    let scene = scenes.join(format!("{cloudy}.SAFE"));
    let predict = ["predict", "clear", "-O", "clear.tif", "-o", "json"];
    let told = expect(glebe(folder).args(predict).arg(&scene), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let bands = serde_json::json!(["red", "green", "blue", "outside"]);
    assert_eq!(told["bands"], bands);
    assert!(
        told["max"].as_f64().unwrap() < 0.5,
        "a cloud is brighter: {told}"
    );
    let info = std::process::Command::new("gdalinfo")
        .arg(folder.join("clear.tif"))
        .output();
    let info = String::from_utf8_lossy(&info.unwrap().stdout).into_owned();
    for said in ["Band 3", "Description = green", "Overviews", "Float32"] {
        assert!(info.contains(said), "{info}");
    }
}

#[test]
fn why_a_model_cannot_answer_is_told_with_the_next_step() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 60);
    let scene = std::fs::read_dir(&scenes).unwrap();
    let scene = scene.map(|e| e.unwrap().path());
    let scene = { scene }.find(|p| p.extension().is_some_and(|e| e == "SAFE"));
    std::fs::create_dir(folder.join("m")).unwrap();
    let config = r#"{"scheme": "geohash", "geocode": "9qd7h"}"#;
    std::fs::write(folder.join("m/config.json"), config).unwrap();
    let predict = ["predict", "m", "-O", "none.tif"];
    let refused = expect(glebe(folder).args(predict).arg(scene.unwrap()), 6);
    let said = stderr(&refused);
    for line in [
        "m holds no usable model",
        "  because ",
        "  try: glebe model pull",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_embedded_one_by_one_and_packed() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 600);
    expect(glebe(folder).args(["ingest"]).arg(&scenes), 0);
    let hashes = |name: &str, mode: &str| {
        let mut train = glebe(folder);
        train.args([
            "train", "ndvi-cnn", "--name", name, "--epochs", "3", "--chip", "16", "--mode", mode,
        ]);
        let output = train.output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 4)),
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
    let first = hashes("one", "sequential");
    assert!(!first.is_empty());
    assert_eq!(hashes("two", "packed"), first);
}

#[test]
fn a_map_is_learned_published_pulled_and_predicted() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 600);
    expect(glebe(folder).args(["ingest"]).arg(&scenes), 0);
    let output = glebe(folder)
        .args(["train", "ndmi-unet", "--name", "moist"])
        .args(["--epochs", "2", "--chip", "32", "-o", "json"])
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = run["jobs"].as_array().unwrap();
    let done = jobs.iter().find(|j| j["state"] == "done");
    let done = done.unwrap_or_else(|| panic!("no model: {run}"));
    assert_eq!(done["metrics"]["map"]["ms_ssim_scales"], 2, "{done}");
    assert!(done["metrics"]["map"]["val_ssim"].is_number(), "{done}");
    let model = format!("moist/{}", done["geocode"].as_str().unwrap());
    let pull = ["model", "pull", &model, "-O", "m"];
    let pull = || drop(expect(glebe(folder).args(pull), 0));
    pull();
    mends_a_folder(&folder.join("m"), pull);
    let card = std::fs::read_to_string(folder.join("m/README.md")).unwrap();
    assert!(card.contains("nir = B8A (20 m, nearest pixel"), "{card}");
    let scene = std::fs::read_dir(&scenes).unwrap();
    let mut scene = scene.map(|e| e.unwrap().path());
    let scene = scene.find(|p| p.extension().is_some_and(|e| e == "SAFE"));
    let predict = ["predict", "m", "-O", "ndmi.tif", "-o", "json"];
    let told = expect(glebe(folder).args(predict).arg(scene.unwrap()), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told["pixels"].as_u64().unwrap() > 10_000, "{told}");
    // Its own cell alone: elsewhere, and under cloud, answers are guesses.
    let own = told["cells"].as_array().unwrap().iter();
    let mut own = own.filter(|c| c["kinship"] == "own");
    let mean = own.next().unwrap()["mean"].as_f64().unwrap();
    assert!(mean.abs() < 1.0, "no map of NDMI: {told}");
}

/// Pulled again, what is whole stays and what is damaged or gone is brought.
fn mends_a_folder(folder: &Path, pull: impl Fn()) {
    let file = |name: &str| folder.join(name);
    let written = || std::fs::metadata(file("config.json")).unwrap().modified();
    let before = written().unwrap();
    let weights = std::fs::read(file("model.safetensors")).unwrap();
    std::fs::write(file("model.safetensors"), b"cut off").unwrap();
    std::fs::remove_file(file("README.md")).unwrap();
    pull();
    assert_eq!(written().unwrap(), before);
    assert_eq!(std::fs::read(file("model.safetensors")).unwrap(), weights);
    assert!(file("README.md").is_file());
}

#[test]
fn a_recipe_is_described_layer_by_layer_without_a_store() {
    let folder = scratch();
    let folder = folder.path();
    let told = stdout(&expect(
        glebe(folder)
            .args(["train", "ndmi-unet", "--describe"])
            .args(["--chip", "256", "--batch", "8"]),
        0,
    ));
    for word in [
        "nir (nir08 or nir)",
        "normalised ",
        "mean squared error",
        "parameters  311185",
        "a step of 8 chips of 256 pixels",
        "up0 ",
        "transposed convolution",
    ] {
        assert!(told.contains(word), "no '{word}': {told}");
    }
    let json = [
        "train",
        "ndvi-cnn",
        "--describe",
        "--chip",
        "64",
        "-o",
        "json",
    ];
    let told = expect(glebe(folder).args(json), 0);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["parameters"], 25_697);
    assert_eq!(told["needs"]["chip_px"], 64);
    assert_eq!(told["layers"][0]["out"], Value::from(vec![16, 32, 32]));
    assert!(!folder.join(".glebe").exists(), "a store was made");
}

#[test]
fn a_recipe_or_chip_that_cannot_be_is_refused_before_anything_starts() {
    let folder = scratch();
    let folder = folder.path();
    let said = stderr(&expect(glebe(folder).args(["train", "tea-leaves"]), 2));
    assert!(said.contains("there is: ndmi-unet, ndvi-cnn"), "{said}");
    assert!(said.contains("try:"), "{said}");
    let odd = ["train", "ndmi-unet", "--chip", "40"];
    let said = stderr(&expect(glebe(folder).args(odd), 2));
    assert!(said.contains("takes multiples of 16"), "{said}");
    assert!(said.contains("try: a side of 48 pixels"), "{said}");
}

#[test]
fn a_split_that_a_users_mask_calls_cloud_is_not_learned_from() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 420);
    let within = |dir: std::path::PathBuf| std::fs::read_dir(dir).unwrap();
    let mut files = { walk(&scenes).into_iter() }.flat_map(within);
    let blue = files.find_map(|file| {
        let path = file.unwrap().path();
        let is_blue = path.to_string_lossy().ends_with("_B02_10m.jp2");
        is_blue.then_some(path)
    });
    let mask = folder.join("mask.tif");
    let mut all_cloud = std::process::Command::new("gdal_translate");
    all_cloud.args(["-q", "-ot", "Byte", "-scale", "0", "1", "1", "1"]);
    expect(all_cloud.arg(blue.unwrap()).arg(&mask), 0);
    let mut ingest = glebe(folder);
    ingest.args(["ingest", "--precision", "6", "--cloud-mask"]);
    expect(ingest.arg(&mask).arg(&scenes), 0);
    let train = ["train", "ndvi-cnn", "--chip", "8", "--epochs", "1"];
    let lost = expect(glebe(folder).args(train).args(["-o", "json"]), 6);
    let view: Value = serde_json::from_slice(&lost.stdout).unwrap();
    let jobs = view["jobs"].as_array().unwrap();
    let reasons = jobs.iter().map(|job| job["reason"].as_str().unwrap());
    let of_cloud = reasons.filter(|reason| !reason.contains(" 0 for cloud"));
    assert!(of_cloud.count() > 1, "{view}");
}
