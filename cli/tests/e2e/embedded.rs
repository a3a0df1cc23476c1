//! No cluster, no configuration: every verb opens `./.glebe`.

use crate::harness::{expect, glebe, ndjson, scratch, stderr, stdout, world};

#[test]
fn ingest_search_get_and_repair_work_with_no_server() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 2, 400);
    let said = stdout(&expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    ));
    assert!(
        said.contains("2 scenes") && said.contains("0 scenes failed"),
        "{said}"
    );
    let all = ndjson(&expect(
        glebe(folder).args(["search", "-o", "ndjson", "--sort", "id"]),
        0,
    ));
    assert!(!all.is_empty());
    for hit in &all {
        let valid = hit["pixels_valid"].as_u64().unwrap();
        let inside = hit["pixels_in_footprint"].as_u64().unwrap();
        assert!(0 < valid && valid <= inside && inside <= hit["pixels"].as_u64().unwrap());
        assert_eq!(hit["owners"].as_array().unwrap().len(), 1);
    }
    let id = all[0]["id"].as_str().unwrap();
    expect(glebe(folder).args(["get", id, "-O", "got"]), 0);
    let split = folder.join("got").join(id.replace('/', "+"));
    assert_eq!(
        std::fs::read_dir(split).unwrap().count(),
        all[0]["assets"].as_object().unwrap().len()
    );
    let rebuild = ["node", "repair", "--rebuild-index"];
    let would = stdout(&expect(glebe(folder).args(rebuild).arg("--dry-run"), 0));
    assert!(
        would.contains(" slots (") && would.contains(" min at "),
        "{would}"
    );
    let told = expect(
        glebe(folder)
            .args(rebuild)
            .args(["--dry-run", "-o", "json"]),
        0,
    );
    let told: serde_json::Value = serde_json::from_str(&stdout(&told)).unwrap();
    let done = stderr(&expect(glebe(folder).args(rebuild), 0));
    let objects = format!("holds {} objects", told["objects"]);
    assert!(done.contains(&objects), "{told}: {done}");
    assert!(told["slots"].as_u64() <= told["objects"].as_u64() && told["dry_run"] == true);
    let again = ndjson(&expect(
        glebe(folder).args(["search", "-o", "ndjson", "--sort", "id"]),
        0,
    ));
    assert_eq!(all, again, "the rebuilt index differs");
}

#[test]
fn a_lost_index_is_remade_from_the_files() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let listing = || stdout(&expect(glebe(folder).args(["search", "-o", "ndjson"]), 0));
    let before = listing();
    std::fs::remove_file(folder.join(".glebe/index.redb")).unwrap();
    assert_eq!(listing(), before);
    std::fs::write(folder.join(".glebe/index.redb"), b"this is no database").unwrap();
    assert_eq!(listing(), before);
}

#[test]
fn an_empty_answer_explains_itself() {
    let folder = scratch();
    let folder = folder.path();
    let said = stderr(&expect(glebe(folder).arg("search"), 1));
    for text in ["there is no store in .glebe", "try: glebe ingest"] {
        assert!(said.contains(text), "{said}");
    }
    let scenes = world(folder, 1, 1, 300);
    expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let early = ["search", "--datetime", "1999-01/1999-02"];
    let said = stderr(&expect(glebe(folder).args(early), 1));
    assert!(
        said.contains("all but --datetime") && said.contains("try:"),
        "{said}"
    );
}

#[test]
fn a_folder_that_was_typed_wrong_is_no_empty_store() {
    let folder = scratch();
    let folder = folder.path();
    let verbs = [
        "search",
        "status",
        "get --geocode 9xj -O got",
        "model list",
        "job list",
        "node list",
        "collection list",
        "region groups",
        "cluster verify",
    ];
    for words in verbs {
        let mut command = glebe(folder);
        command.args(words.split(' ')).args(["--data", "feilds"]);
        let said = stderr(&expect(&mut command, 2));
        for text in ["there is no store in feilds", "--data names it", "try:"] {
            assert!(said.contains(text), "{words}: {said}");
        }
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    let create = "collection create fields --dataset sentinel-2-l2a --data fields";
    expect(glebe(folder).args(create.split(' ')), 0);
    let list = ["collection", "list", "--data", "fields", "-o", "json"];
    expect(glebe(folder).args(list), 0);
}

#[test]
fn every_output_format_holds_every_hit() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 300);
    expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&scenes),
        0,
    );
    let out = |format| stdout(&expect(glebe(folder).args(["search", "-o", format]), 0));
    let n = out("id").lines().count();
    assert!(n > 1);
    assert_eq!(out("ndjson").lines().count(), n);
    assert_eq!(out("csv").lines().count(), n + 1);
    assert_eq!(out("table").lines().count(), n + 1);
    let json: serde_json::Value = serde_json::from_str(&out("json")).unwrap();
    assert_eq!(json["hits"].as_array().unwrap().len(), n);
    assert_eq!(json["end"]["complete"], true);
    let geo: serde_json::Value = serde_json::from_str(&out("geojson")).unwrap();
    assert_eq!(geo["features"].as_array().unwrap().len(), n);
    let limited = stdout(&expect(
        glebe(folder).args(["search", "-o", "id", "--limit", "1"]),
        0,
    ));
    assert_eq!(limited.lines().count(), 1);
}
