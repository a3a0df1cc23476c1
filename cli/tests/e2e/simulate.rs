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
