//! Manners: version, help, completions, man page, doctor, dry runs, settings.

use std::path::Path;

use crate::harness::{Node, expect, glebe, scratch, stderr, stdout, world};

#[test]
fn version_help_completions_and_man_page_print() {
    let folder = scratch();
    let folder = folder.path();
    assert!(stdout(&expect(glebe(folder).arg("--version"), 0)).starts_with("glebe "));
    let help = stdout(&expect(glebe(folder).arg("--help"), 0));
    for verb in [
        "up", "ingest", "search", "get", "train", "predict", "status", "doctor", "synth",
    ] {
        assert!(help.contains(verb), "--help does not name {verb}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&expect(glebe(folder).args(["completions", shell]), 0)).contains("glebe"));
    }
    assert!(stdout(&expect(glebe(folder).arg("man"), 0)).contains(".TH glebe"));
    assert!(!folder.join(".glebe").exists());
}

#[test]
fn verbs_that_may_wait_for_a_run_list_its_exit_codes() {
    let folder = scratch();
    for verb in [&["train"][..], &["job", "wait"], &["job", "resume"]] {
        let help = stdout(&expect(glebe(folder.path()).args(verb).arg("--help"), 0));
        assert!(help.contains("Exit codes of a run"), "{verb:?}: {help}");
    }
}

#[test]
fn doctor_finds_gdal_and_libtorch() {
    let folder = scratch();
    let output = glebe(folder.path())
        .args(["doctor", "-o", "json"])
        .output()
        .unwrap();
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["GDAL", "libtorch", "disk"] {
        let check = checks
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["name"] == name);
        assert_eq!(check.unwrap()["ok"], true, "{checks}");
    }
}

#[test]
fn a_dry_run_stores_nothing_and_leaves_nothing_behind() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    let passing = folder.join("passing");
    std::fs::create_dir(&passing).unwrap();
    let args = ["ingest", "--precision", "6", "--dry-run"];
    let mut ingest = glebe(folder);
    ingest.args(args).arg(scenes).env("TMPDIR", &passing);
    let said = stdout(&expect(&mut ingest, 0));
    assert!(said.contains("nothing was"), "{said}");
    assert!(said.contains("1 scenes, up to "), "{said}");
    assert!(!said.contains("up to 0 splits"), "{said}");
    let create = "collection create fields --dataset sentinel-2-l2a --dry-run";
    let mut create_dry = glebe(folder);
    create_dry.args(create.split(' ')).env("TMPDIR", &passing);
    expect(&mut create_dry, 0);
    let left = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((left(folder), left(&passing)), (2, 0), "a store is left");
    let said = stderr(&expect(glebe(folder).arg("search"), 1));
    assert!(said.contains("there is no store in .glebe"), "{said}");
}

#[test]
fn settings_say_where_they_come_from() {
    let folder = scratch();
    let folder = folder.path();
    std::fs::write(
        folder.join("glebe.toml"),
        "data = \"fields\"\noutput = \"json\"\n",
    )
    .unwrap();
    let mut command = glebe(folder);
    command
        .env("GLEBE_OUTPUT", "csv")
        .args(["status", "--show-origin"]);
    let said = stdout(&expect(&mut command, 0));
    assert!(
        said.contains("fields") && said.contains("glebe.toml"),
        "{said}"
    );
    assert!(
        said.contains("csv") && said.contains("GLEBE_OUTPUT"),
        "{said}"
    );
    std::fs::write(folder.join("glebe.toml"), "dta = \"fields\"\n").unwrap();
    let said = stderr(&expect(glebe(folder).arg("status"), 2));
    assert!(said.contains("dta"), "{said}");
}

#[test]
fn a_format_that_a_verb_cannot_print_is_refused_and_nothing_is_done() {
    let folder = scratch();
    let folder = folder.path();
    let verbs = [
        "up",
        "status",
        "doctor",
        "get -O got",
        "compose -O composed.tif",
        "train ndvi-cnn",
        "predict july -O map.tif",
        "synth -O world",
        "simulate",
        "node list",
        "collection list",
        "job list",
        "model list",
        "region groups",
        "cluster show",
    ];
    let refused = |words: &str, format: &str, has: &str| {
        let mut command = glebe(folder);
        command.args(words.split(' ')).args(["-o", format]);
        let said = stderr(&expect(&mut command, 2));
        let wanted = [format!("does not print {format}"), format!("one of {has}")];
        for text in wanted {
            assert!(said.contains(&text), "{words}: {said}");
        }
    };
    for words in verbs {
        for format in ["csv", "geojson", "id"] {
            refused(words, format, "table, json, ndjson\n");
        }
    }
    refused("ingest .", "geojson", "table, json, ndjson, id\n");
    let mut status = glebe(folder);
    status.arg("status").env("GLEBE_OUTPUT", "csv");
    let said = stderr(&expect(&mut status, 2));
    assert!(said.contains("GLEBE_OUTPUT asks for it"), "{said}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn logs_are_coloured_as_was_said_and_never_in_a_file_unasked() {
    let folder = scratch();
    let folder = folder.path();
    for (name, flags, coloured) in [
        ("never", ["-vv", "--color", "never"], false),
        ("auto", ["-vv", "--color", "auto"], false),
        ("always", ["-vv", "--color", "always"], true),
    ] {
        let mut node = Node::start(folder, name, &flags);
        assert!(node.stop());
        let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap();
        assert!(log.contains("INFO"), "{name}: {log}");
        assert_eq!(log.contains('\u{1b}'), coloured, "{name}: {log}");
    }
}

#[test]
fn a_synthetic_world_is_written_over_nothing_else() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 60);
    assert_eq!(world(folder, 1, 1, 60), scenes, "its own is made again");
    std::fs::create_dir(folder.join("thesis")).unwrap();
    std::fs::write(folder.join("thesis/world.json"), "{\"mine\": true}").unwrap();
    let synth = ["synth", "--regions", "1", "--dates", "1", "-O", "thesis"];
    let said = stderr(&expect(glebe(folder).args(synth), 5));
    assert!(said.contains("thesis holds something else"), "{said}");
    assert_eq!(
        std::fs::read_to_string(folder.join("thesis/world.json")).unwrap(),
        "{\"mine\": true}"
    );
}

#[test]
fn an_empty_list_is_an_answer_and_a_name_that_is_not_there_is_none() {
    let folder = scratch();
    let folder = folder.path();
    let create = "collection create fields --dataset sentinel-2-l2a";
    let node = Node::start(folder, "n", &[]);
    let lists = [
        ("collection list", "no collections; try: glebe ingest PATH"),
        ("collection scenes", "no scenes; try: glebe ingest PATH"),
        ("collection scenes --failed", "no scenes that failed; try:"),
        ("job list", "no runs; try: glebe train"),
        ("model list", "no models; try: glebe train"),
        ("model list --run r", "no models; try: glebe model list"),
        ("cluster token list", "no tokens; try: glebe cluster token"),
    ];
    for (words, told) in lists {
        for format in ["table", "json"] {
            let mut list = node.ask(folder);
            let list = expect(list.args(words.split(' ')).args(["-o", format]), 0);
            assert!(stderr(&list).contains(told), "{words}: {}", stderr(&list));
            let said = stdout(&list);
            let is_json = serde_json::from_str::<serde_json::Value>(&said).is_ok();
            assert_eq!(
                (said.is_empty(), is_json),
                (format == "table", format == "json")
            );
        }
    }
    let scenes = |code| {
        let scenes = ["collection", "scenes", "fields"];
        stderr(&expect(node.ask(folder).args(scenes), code))
    };
    assert!(scenes(1).contains("no collection 'fields'"));
    expect(node.ask(folder).args(create.split(' ')), 0);
    assert!(scenes(0).contains("no scenes"));
    for words in ["search", "model show r/9xj", "job show r"] {
        expect(node.ask(folder).args(words.split(' ')), 1);
    }
}
