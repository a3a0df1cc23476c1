//! Clusters that do not exist: what they would be like, and what befalls them.

use crate::harness::{expect, glebe, scratch, stdout};

#[test]
fn a_seed_is_one_story_to_the_last_message_and_another_seed_another() {
    let folder = scratch();
    let play = |seed: &str, log: &str| {
        let drill = [
            "simulate",
            "drill",
            "--seed",
            seed,
            "--seconds",
            "15",
            "--log",
            log,
        ];
        let told = stdout(&expect(glebe(folder.path()).args(drill), 0));
        (
            told,
            std::fs::read_to_string(folder.path().join(log)).unwrap(),
        )
    };
    let (one, again, other) = (play("3", "a"), play("3", "b"), play("4", "c"));
    assert!(one.1.lines().count() > 500, "{}", one.0);
    assert_eq!(one, again);
    assert_ne!(one.1, other.1);
}

#[test]
fn fifty_nodes_are_forecast_without_one() {
    let folder = scratch();
    let ask = [
        "simulate",
        "--nodes",
        "50",
        "--replicas",
        "3",
        "--kill",
        "2",
        "-o",
        "json",
    ];
    let told = stdout(&expect(glebe(folder.path()).args(ask), 0));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let number = |at: &str| {
        told.pointer(at)
            .and_then(serde_json::Value::as_f64)
            .unwrap()
    };
    assert!(number("/primaries/cv_percent") < 2.0, "{told}");
    assert!(
        number("/join/percent") < 1.1 * number("/join/ideal_percent"),
        "{told}"
    );
    assert!(
        number("/deaths/unreachable_percent_most") < 1e-9,
        "two of three replicas: {told}"
    );
    assert!(number("/traffic/gossip_bytes_s") <= 1_000.0, "{told}");
}

/// `--first` was forecast without a word of what rebalancing makes of it.
#[test]
fn neighbours_that_lie_together_are_forecast_before_and_after_a_rebalance() {
    let folder = scratch();
    let ask = |more: &[&str]| {
        let first = [
            "simulate",
            "--nodes",
            "50",
            "--first",
            "3",
            "--precision",
            "4",
        ];
        stdout(&expect(glebe(folder.path()).args(first).args(more), 0))
    };
    let told: serde_json::Value = serde_json::from_str(&ask(&["-o", "json"])).unwrap();
    let over = |of: &str| told[of]["most_over_mean"].as_f64().unwrap();
    assert!(over("stored") > 1.2, "{told}");
    assert!(over("rebalanced") < 1.15, "{told}");
    assert!(told.get("fill").is_none(), "{told}");
    let text = ask(&["--disk", "1GB"]);
    for words in [
        "glebe cluster rebalance",
        "--expect COLLECTION",
        "not enough",
        " would do",
    ] {
        assert!(text.contains(words), "no '{words}' in: {text}");
    }
    let text = ask(&["--disk", "900TB"]);
    assert!(text.contains("room      enough"), "{text}");
}

#[test]
fn clusters_that_cannot_be_are_refused_with_what_helps() {
    let folder = scratch();
    let refused = |args: &[&str], say: &[&str]| {
        let asked = glebe(folder.path()).arg("simulate").args(args).output();
        let asked = asked.unwrap();
        let told = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(2), "{args:?}: {told}");
        for word in say {
            assert!(told.contains(word), "{args:?}: {told} lacks {word}");
        }
        assert!(asked.stdout.is_empty(), "{args:?}");
    };
    refused(
        &["--nodes", "3", "--kill", "3"],
        &["--kill 3 leaves none of 3 nodes", "--kill 2"],
    );
    refused(
        &["--nodes", "3", "--replicas", "5"],
        &["--replicas 5 is more than there are nodes", "--nodes 5"],
    );
    refused(
        &["drill", "--nodes", "2", "--replicas", "3"],
        &["--replicas 3 is more than there are nodes", "--replicas 2"],
    );
    refused(
        &["drill", "--seeds", "2", "--nodes", "2", "--replicas", "3"],
        &["--replicas 3 is more than there are nodes"],
    );
    refused(&["drill", "--nodes", "1001"], &["1001", "1..=1000"]);
    refused(&["--nodes", "1001"], &["1001", "1..=1000"]);
}

#[test]
fn few_nodes_are_forecast_with_as_many_replicas_and_a_drill_tells_what_rots() {
    let folder = scratch();
    for (nodes, replicas, killed) in [("1", 1, 0), ("2", 2, 1)] {
        let box_ = ["--bbox", "-105.0,40.0,-104.5,40.5"];
        let asked = ["simulate", "--nodes", nodes, "-o", "json"];
        let told = stdout(&expect(glebe(folder.path()).args(asked).args(box_), 0));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["replicas"], replicas, "{told}");
        assert_eq!(told["deaths"]["killed"], killed, "{told}");
    }
    let drill = [
        "simulate", "drill", "--seed", "3", "--faults", "rot", "-o", "json",
    ];
    let told = stdout(&expect(glebe(folder.path()).args(drill), 0));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["faults"]["rot"].as_u64() > Some(0), "{told}");
    assert!(told["power_cuts"].is_object(), "{told}");
}
