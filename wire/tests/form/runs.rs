//! Runs, jobs, leases and models.

use std::collections::BTreeMap;

use earth::geocode::Scheme;
use wire::model::{ModelView, Models, Tag, TagsDeleted};
use wire::run::{
    Failure, JobCounts, Lease, LeaseAnswer, LeaseRequest, LeaseSplit, Mode, Plan, Run,
    RunCancelled, RunSummary, RunView, Runs,
};

use crate::check::check;
use crate::samples::{file, id, job, key, metrics, renew, run, texts};

#[test]
fn runs_jobs_and_leases_keep_their_form() {
    check("run", &run());
    let plan = Plan {
        splits: 40,
        jobs: 10,
        jobs_by_node: BTreeMap::from([("12D3KooWa".to_owned(), 10)]),
        bytes_moved: 0,
        complete: true,
    };
    check("plan", &plan);
    let summary = RunSummary {
        name: "r1".to_owned(),
        recipe: "ndvi-cnn".to_owned(),
        mode: Mode::Distributed,
        seed: 7,
        jobs: JobCounts {
            waiting: 1,
            running: 2,
            done: 3,
            quarantined: 4,
            cancelled: 5,
        },
    };
    check(
        "runs",
        &Runs {
            runs: vec![summary],
            complete: true,
        },
    );
    check(
        "run-view",
        &RunView {
            run: run(),
            jobs: vec![job()],
            complete: true,
        },
    );
    check("run-cancelled", &RunCancelled { jobs: 2 });
    check(
        "lease-request",
        &LeaseRequest {
            worker: "host-1".to_owned(),
            run: Some("r1".to_owned()),
        },
    );
    let lease = Lease {
        token: 3,
        expires_millis: 30_000,
        run: run(),
        geocode: "9xj5k".to_owned(),
        placement_key: key(),
        splits: vec![LeaseSplit {
            id: id(),
            folder: "objects/split/0001/x".into(),
        }],
    };
    check("lease-answer-job", &LeaseAnswer::Job(Box::new(lease)));
    check("lease-answer-wait", &LeaseAnswer::Wait { millis: 500 });
    check("lease-answer-finished", &LeaseAnswer::Finished);
    check("renew", &renew());
    check(
        "failure",
        &Failure {
            lease: renew(),
            reason: "no chips are left".to_owned(),
            hopeless: true,
        },
    );
}

#[test]
fn models_keep_their_form() {
    let model = ModelView {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        scheme: Scheme::Geohash,
        recipe: "ndvi-cnn".to_owned(),
        metrics: metrics(),
        splits: 4,
        seconds: 1.5,
        bytes: 4_096,
        hash: "ef".repeat(32),
        trained: "2026-11-21T14:00:00Z".parse().ok(),
        tags: texts(&["best", "prod"]),
        owners: texts(&["12D3KooWa"]),
        files: vec![file()],
    };
    check(
        "models",
        &Models {
            models: vec![model],
            complete: true,
        },
    );
    let tag = Tag {
        tag: "prod".to_owned(),
        geocode: "9xj5k".to_owned(),
        run: "r1".to_owned(),
    };
    check("tag", &tag);
    check("tags-deleted", &TagsDeleted { cells: 2 });
    assert_eq!(tag.bundle().unwrap().header.id, "prod/9xj5k");
    for given in ["best", "latest", "a/b", ""] {
        let tag = Tag {
            tag: given.to_owned(),
            ..tag.clone()
        };
        assert!(tag.bundle().is_err(), "{given}");
    }
}

#[test]
fn a_run_of_few_words_has_defaults_for_the_rest() {
    let few = r#"{"name":"r1","recipe":"ndvi-cnn","query":{},"seed":7,"hyper":{"epochs":60}}"#;
    assert_eq!(serde_json::from_str::<Run>(few).unwrap(), run());
}
