//! Jobs move to an idle node that holds the same imagery; what moved is told.

use std::path::Path;

use crate::harness::{Node, expect, glebe, json, scratch, stderr, stdout, until, world};

const TRAIN: [&str; 10] = [
    "train",
    "ndvi-cnn",
    "--epochs",
    "3",
    "--chip",
    "8",
    "--min-coverage",
    "95",
    "--max-cloud",
    "10",
];

/// Two nodes that both hold all; only the second has a worker.
fn pair(folder: &Path) -> [Node; 2] {
    let home = Node::start(folder, "a", &["--replicas", "2", "--workers", "0"]);
    let token = folder.join("token");
    let mut print = glebe(folder);
    print.args(["cluster", "token", "--data"]).arg(&home.data);
    std::fs::write(&token, stdout(&expect(&mut print, 0))).unwrap();
    let to = home.p2p.clone();
    let token = token.to_str().unwrap();
    let host = Node::start(folder, "b", &["--join", &to, "--token-file", token]);
    [home, host]
}

#[test]
fn jobs_of_a_node_without_workers_are_done_by_another_owner_and_no_imagery_travels() {
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 2, 2, 420);
    let [home, mut host] = pair(folder);
    let ingest = ["ingest", "--precision", "6"];
    expect(home.ask(folder).args(ingest).arg(&scenes), 0);
    let status = json(&home, folder, &["status"]);
    let split_bytes = status["bytes"].as_u64().unwrap() / status["splits"].as_u64().unwrap() / 2;
    // Imagery is counted as one or the other; so are a few sums of what both hold.
    let sent = || {
        let status = json(&home, folder, &["status"]);
        let of = |purpose: &str| status["bytes_by_purpose"][purpose].as_u64().unwrap();
        of("pixels") + of("repair")
    };
    let before = sent();
    let train = |name: &str| {
        expect(home.ask(folder).args(TRAIN).args(["--name", name]), 0);
    };
    train("first");
    expect(home.ask(folder).args(["job", "wait", "first"]), 0);
    assert!(sent() - before < split_bytes, "training moved imagery");
    // Whoever does a job is killed in the middle; what it had waits until somebody works again.
    train("away");
    let jobs = || json(&home, folder, &["job", "show", "away"])["jobs"].clone();
    until("a job has moved", || {
        let jobs = jobs();
        let jobs = jobs.as_array().unwrap();
        jobs.iter()
            .any(|job| job["moved"]["to"] == host.id.as_str())
    });
    host.kill();
    let host = Node::start(folder, "b", &[]);
    let waited = home
        .ask(folder)
        .args(["job", "wait", "away"])
        .output()
        .unwrap();
    assert_eq!(waited.status.code(), Some(0), "{}", stderr(&waited));
    assert!(
        stderr(&waited).contains("moved to idle nodes"),
        "{}",
        stderr(&waited)
    );
    assert!(
        stderr(&waited).contains("0 B travelled"),
        "{}",
        stderr(&waited)
    );
    is_told(folder, &home, &host);
}

/// All was done at the host, and everything that tells of it says so.
fn is_told(folder: &Path, home: &Node, host: &Node) {
    let view = json(home, folder, &["job", "show", "away"]);
    let jobs = view["jobs"].as_array().unwrap();
    let (mut planned_there, mut moved) = (0, 0);
    for job in jobs {
        assert_eq!(job["state"], "done", "{job}");
        if job["node"] == host.id.as_str() {
            planned_there += 1;
            continue;
        }
        moved += 1;
        assert_eq!(job["moved"]["to"], host.id.as_str(), "{job}");
        assert_eq!(job["moved"]["bytes"], 0, "{job}");
        let model = format!("away/{}", job["geocode"].as_str().unwrap());
        let pull = ["model", "pull", &model, "-O", "model"];
        expect(host.ask(folder).args(pull), 0);
        let card = std::fs::read_to_string(folder.join("model/README.md")).unwrap();
        assert!(
            card.contains("travelled between nodes for it: 0 bytes"),
            "{card}"
        );
        std::fs::remove_dir_all(folder.join("model")).unwrap();
    }
    assert!(
        planned_there > 0 && moved > 0,
        "{planned_there} and {moved}"
    );
    let shown = stdout(&expect(home.ask(folder).args(["job", "show", "away"]), 0));
    let there = |line: &&str| line.contains(&host.id[host.id.len() - 8..]);
    assert!(shown.lines().filter(there).count() >= jobs.len(), "{shown}");
    let logs = stdout(&expect(home.ask(folder).args(["job", "logs", "away"]), 0));
    assert!(logs.contains("moved to node"), "{logs}");
}
