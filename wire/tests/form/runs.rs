//! Runs, jobs, leases and models.

use std::collections::BTreeMap;

use earth::geocode::Scheme;
use query::groups::Metric;
use wire::model::{Metrics, ModelView, Models, Tag, TagsDeleted, TestMetrics};
use wire::module::{Loss, Module};
use wire::run::{
    Failure, HoldOut, Hyper, JobCounts, JobState, JobView, Lease, LeaseAnswer, LeaseRequest,
    LeaseSplit, Mode, Moved, Plan, Run, RunSteered, RunSummary, RunView, Runs, Schedule,
};
use wire::transfer::{
    Beside, Descent, Donor, Heritage, Inheritance, Legacy, Transfer, TransferMode, Trial,
};

use crate::check::check;
use crate::samples::{file, id, job, key, metrics, module, renew, run, texts};

fn lease() -> Lease {
    Lease {
        token: 3,
        expires_millis: 30_000,
        run: run(),
        geocode: "9xj5k".to_owned(),
        placement_key: key(),
        splits: vec![LeaseSplit {
            id: id(),
            folder: "objects/split/0001/x".into(),
        }],
        next: Vec::new(),
        bytes_moved: 0,
        heritage: None,
        checkpoint: None,
    }
}

#[test]
fn runs_jobs_and_leases_keep_their_form() {
    check("run", &run());
    let plan = Plan {
        splits: 40,
        jobs: 10,
        jobs_by_node: BTreeMap::from([("12D3KooWa".to_owned(), 10)]),
        bytes_moved: 0,
        complete: true,
        inheritance: None,
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
            paused: 6,
            dropped: 7,
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
            counts: None,
        },
    );
    check("run-steered", &RunSteered { jobs: 2 });
    check(
        "lease-request",
        &LeaseRequest {
            worker: "host-1".to_owned(),
            run: Some("r1".to_owned()),
        },
    );
    check("lease-answer-job", &LeaseAnswer::Job(Box::new(lease())));
    check("lease-answer-wait", &LeaseAnswer::Wait { millis: 500 });
    check("lease-answer-finished", &LeaseAnswer::Finished);
    check("renew", &renew());
    check(
        "failure",
        &Failure {
            lease: renew(),
            reason: "no chips are left".to_owned(),
            hopeless: true,
            dropped: None,
        },
    );
}

#[test]
fn a_counted_run_keeps_its_form_and_a_whole_one_is_counted_by_its_jobs() {
    let counts = JobCounts {
        done: 3,
        waiting: 1,
        ..JobCounts::default()
    };
    let counted = RunView {
        run: run(),
        jobs: Vec::new(),
        complete: true,
        counts: Some(counts),
    };
    check("run-counted", &counted);
    assert_eq!(counted.counted(), counts);
    let told = RunView {
        jobs: vec![job(), job()],
        counts: None,
        ..counted
    };
    assert_eq!((told.counted().total(), told.counted().done), (2, 2));
}

#[test]
fn transfer_keeps_its_form() {
    let asked = Run {
        transfer: Transfer {
            mode: TransferMode::Texture,
            metric: Metric::Manhattan,
            groups: Some(12),
        },
        inheritance: Some(Inheritance {
            donors: vec![Donor {
                geocode: "9xj5k".to_owned(),
                heirs: texts(&["9xj5m", "9xj5q"]),
                holder: None,
            }],
            cold: texts(&["9xj5x"]),
            silhouette: 0.5,
        }),
        collections: texts(&["naip", "s2"]),
        ..run()
    };
    check("run-transfer", &asked);
    let settled = Run {
        cells: texts(&["9xj5k", "9xj5m"]),
        ..run()
    };
    check("run-cells", &settled);
    assert_eq!(settled.as_asked(), run());
    assert_eq!(asked.as_asked().inheritance, None);
    assert!(settled.for_job().cells.is_empty(), "a lease is short");
    assert!(settled.is_of("9xj5m") && !settled.is_of("9xj5"));
    assert!(
        run().is_of("9xj5"),
        "of older versions' runs are all that match"
    );
    let legacies = [
        ("heritage-awaited", Legacy::Awaited),
        ("heritage-weights", Legacy::Weights(file())),
        ("heritage-lost", Legacy::Lost("it was cancelled".to_owned())),
    ];
    for (name, legacy) in legacies {
        let donor = "9xj5k".to_owned();
        check(name, &Heritage { donor, legacy });
    }
    check("job-heir", &heir());
}

#[test]
fn jobs_that_moved_keep_their_form() {
    let moved = JobView {
        moved: Some(Moved {
            to: "12D3KooWb".to_owned(),
            bytes: 4_096,
        }),
        ..job()
    };
    let alone = JobView {
        no_donor: Some("it is a donor itself".to_owned()),
        ..job()
    };
    check("job-alone", &alone);
    assert_eq!((job().at(), moved.at()), ("12D3KooWa", "12D3KooWb"));
    check("job-moved", &moved);
    let guest = Lease {
        bytes_moved: 4_096,
        ..lease()
    };
    check("lease-moved", &guest);
    let ahead = Lease {
        next: lease().splits,
        ..lease()
    };
    check("lease-next", &ahead);
}

/// An heir that fell back.
fn heir() -> JobView {
    JobView {
        donor: Some("9xj5k".to_owned()),
        descent: Some(Descent {
            donor: "9xj5k".to_owned(),
            warm: false,
            reason: Some("it did worse".to_owned()),
            weights_blake3: Some("ef".repeat(32)),
            bytes: 4_096,
            told: true,
            trial: Some(Trial {
                epochs: 1,
                warm_mse: None,
                cold_mse: Some(0.25),
            }),
            beside: None,
        }),
        ..job()
    }
}

#[test]
fn trees_keep_their_form() {
    let mut tree = Run {
        inheritance: Some(Inheritance {
            donors: vec![Donor {
                geocode: "9xj5".to_owned(),
                heirs: texts(&["9xj5m", "9xj5q"]),
                holder: Some("12D3KooWa".to_owned()),
            }],
            ..Inheritance::default()
        }),
        ..run()
    };
    tree.transfer.mode = TransferMode::Tree;
    check("run-tree", &tree);
    let heir = heir();
    let mut child = heir.descent.clone();
    if let Some(descent) = &mut child {
        descent.beside = Some(Beside {
            parent_mse: 0.25,
            own_mse: 0.5,
            places: 40,
            p: 0.75,
        });
    }
    let dropped = JobView {
        state: JobState::Dropped,
        metrics: None,
        descent: child.clone(),
        ..heir
    };
    check("job-dropped", &dropped);
    let given_back = Failure {
        lease: renew(),
        reason: "its parent answers as well".to_owned(),
        hopeless: true,
        dropped: child.map(Box::new),
    };
    check("failure-dropped", &given_back);
}

fn view() -> ModelView {
    ModelView {
        run: "r1".to_owned(),
        geocode: "9xj5k".to_owned(),
        scheme: Scheme::Geohash,
        recipe: "ndvi-cnn".to_owned(),
        module: None,
        metrics: metrics(),
        splits: 4,
        seconds: 1.5,
        bytes: 4_096,
        hash: "ef".repeat(32),
        trained: "2026-11-21T14:00:00Z".parse().ok(),
        tags: texts(&["best", "prod"]),
        owners: texts(&["12D3KooWa"]),
        files: vec![file()],
    }
}

#[test]
fn models_keep_their_form() {
    let model = view();
    let of_module = ModelView {
        recipe: "torchscript:net.pt".to_owned(),
        module: Some(module()),
        ..model.clone()
    };
    for (name, model) in [("models", model), ("models-module", of_module)] {
        let models = Models {
            models: vec![model],
            complete: true,
        };
        check(name, &models);
    }
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
fn models_of_modules_learn_the_same_only_where_file_bands_and_loss_are_the_same() {
    let model = |module: Option<Module>| ModelView {
        module,
        recipe: "torchscript:net.pt".to_owned(),
        ..view()
    };
    let nir = model(Some(module()));
    assert_eq!(nir.question(), model(Some(module())).question());
    let told = "torchscript:net.pt (nir from red,green, map, mse, file abababab)";
    assert_eq!(nir.question().to_string(), told);
    assert_eq!(view().question().to_string(), "ndvi-cnn");
    let changes: [fn(&mut Module); 4] = [
        |m| m.label = "swir16".to_owned(),
        |m| m.loss = Loss::Mae,
        |m| m.inputs.truncate(1),
        |m| m.blake3 = "cd".repeat(32),
    ];
    for change in changes {
        let mut other = module();
        change(&mut other);
        let other = model(Some(other));
        assert_ne!(nir.question(), other.question());
        assert_ne!(nir.question().to_string(), other.question().to_string());
    }
}

#[test]
fn a_run_of_few_words_has_defaults_for_the_rest() {
    let few = r#"{"name":"r1","recipe":"ndvi-cnn","query":{},"seed":7,"hyper":{"epochs":60}}"#;
    let mut run = run();
    run.hyper = Hyper {
        test: 0.0,
        ..Hyper::default()
    };
    assert_eq!(serde_json::from_str::<Run>(few).unwrap(), run);
}

#[test]
fn what_is_held_out_and_how_the_rate_changes_keep_their_form() {
    let mut run = run();
    run.hyper = Hyper {
        warm_up: 5,
        schedule: Schedule::Step(vec![30, 60, 80]),
        hold_out: HoldOut::Dates,
        buffer: 1,
        ..Hyper::default()
    };
    check("run-held-out", &run);
    let test = TestMetrics {
        chips: 96,
        mse: 0.0011,
        mae: 0.021,
        mean_mse: 0.05,
        linear_mse: 0.0041,
        r2: Some(0.97),
        psnr: None,
        ssim: None,
        input: None,
    };
    let metrics = Metrics {
        test: Some(test),
        ..metrics()
    };
    check("metrics-test", &metrics);
}
