//! The worker's loop against a node: it publishes under its lease, tells failures, and stops.

use std::process::{Child, Command, ExitStatus, Stdio};

use wire::run::{Hyper, Lease};

use crate::node::{Node, Temper};
use crate::world::{Scene, folder, lease, quick};

/// A job of about a second.
fn short() -> Hyper {
    Hyper {
        epochs: 1,
        ..quick()
    }
}

/// A job that ends only when it is stopped.
fn endless() -> Hyper {
    Hyper {
        epochs: 10_000,
        patience: 10_000,
        ..quick()
    }
}

pub(crate) fn start(url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_glebe-trainer"))
        .args([
            "work",
            "--run",
            "spring",
            "--unreachable-s",
            "1",
            "--node",
            url,
        ])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

pub(crate) fn end(mut worker: Child) -> ExitStatus {
    worker.wait().expect("it ends")
}

fn job(path: &std::path::Path, hyper: Hyper) -> Lease {
    lease(vec![Scene::new("a", 1).write(path)], hyper)
}

#[test]
fn a_worker_publishes_each_model_under_its_lease_and_leaves_when_nothing_is_left() {
    let (_keep, path) = folder();
    let good = job(&path, short());
    let mut bad = good.clone();
    bad.geocode = "gcpvn".to_owned();
    bad.run.recipe = "tea-leaves".to_owned();
    let node = Node::lending(vec![bad, good.clone()], Temper::Kind);
    assert!(end(start(&node.url)).success());
    node.heard(|heard| {
        assert_eq!(
            (heard.lent, heard.models.len(), heard.failures.len()),
            (2, 1, 1)
        );
        let (bundle, under) = &heard.models[0];
        assert_eq!(bundle.header.id, "spring/gcpvj");
        assert_eq!(bundle.header.placement_key, good.placement_key);
        assert_eq!(bundle.header.files.len(), 6);
        for word in ["run=spring", "geocode=gcpvj", "token=1"] {
            assert!(under.contains(word), "{under}");
        }
        let failure = &heard.failures[0];
        assert_eq!(failure.lease.geocode, "gcpvn");
        assert!(failure.hopeless);
        assert_eq!(
            failure.reason,
            "no recipe is called 'tea-leaves' (there is: ndmi-unet, ndvi-cnn, spagan)"
        );
    });
}

#[test]
fn a_lease_is_renewed_and_once_it_is_lost_the_work_is_dropped() {
    let (_keep, path) = folder();
    let mut lost = job(&path, endless());
    lost.expires_millis = 300;
    let node = Node::lending(vec![lost], Temper::Stale);
    assert!(end(start(&node.url)).success());
    node.heard(|heard| {
        assert!(heard.renewals >= 1);
        assert!(
            heard.models.is_empty() && heard.failures.is_empty(),
            "{heard:?}"
        );
    });
}

#[test]
fn a_model_whose_token_is_stale_is_dropped_quietly() {
    let (_keep, path) = folder();
    let node = Node::lending(vec![job(&path, short())], Temper::Stale);
    assert!(end(start(&node.url)).success(), "losing a race is no error");
    node.heard(|heard| assert!(heard.models.is_empty(), "{heard:?}"));
}

#[test]
fn a_model_that_finds_no_space_is_kept_until_there_is_some() {
    let (_keep, path) = folder();
    let node = Node::lending(vec![job(&path, short())], Temper::Full(2));
    assert!(end(start(&node.url)).success());
    node.heard(|heard| {
        let counts = (heard.lent, heard.refused, heard.models.len());
        assert_eq!(counts, (1, 2, 1), "it is learned once");
        assert!(
            heard.failures.is_empty() && heard.renewals >= 2,
            "{heard:?}"
        );
        let said = heard.said.iter().map(|entry| format!("{:?}", entry.event));
        let kept = said.filter(|text| text.contains("no space left for 9 bytes; it is kept"));
        assert_eq!(kept.count(), 1, "the same reason is said once");
    });
}

#[test]
fn what_a_node_that_restarts_did_not_hear_is_told_once_it_answers() {
    let (_keep, path) = folder();
    let node = Node::lending(vec![job(&path, short())], Temper::Deaf(2));
    let said = path.join("said");
    let mut worker = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    worker.args(["work", "--unreachable-s", "20", "--node", &node.url]);
    worker.stderr(std::fs::File::create(&said).expect("a file"));
    assert!(end(worker.spawn().expect("it starts")).success());
    node.heard(|heard| {
        assert_eq!((heard.unheard, heard.models.len()), (2, 1));
        let events = heard.said.iter().map(|entry| format!("{:?}", entry.event));
        let events: Vec<String> = events.collect();
        assert!(events[0].contains("of 1 splits"), "{events:?}");
        let epochs = events.iter().filter(|e| e.starts_with("Epoch")).count();
        assert_eq!(epochs, 1, "{events:?}");
    });
    let said = std::fs::read_to_string(said).expect("words");
    assert_eq!(said.matches("it restarts").count(), 1, "{said}");
}

#[test]
fn sigterm_ends_a_worker_in_the_middle_of_a_job_without_a_model() {
    let (_keep, path) = folder();
    let mut long = job(&path, endless());
    long.expires_millis = 300;
    let node = Node::lending(vec![long], Temper::Kind);
    let worker = start(&node.url);
    node.wait(|heard| heard.renewals >= 3);
    let pid = i32::try_from(worker.id()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    assert!(end(worker).success());
    node.heard(|heard| {
        assert!(
            heard.models.is_empty() && heard.failures.is_empty(),
            "{heard:?}"
        );
    });
}

#[test]
fn a_worker_without_a_node_leaves_after_the_named_time() {
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let status = end(start(&format!("http://{free}")));
    assert_eq!(status.code(), Some(3));
}

/// Workers that a node starts have its environment.
#[test]
fn where_a_worker_computes_is_read_from_its_environment() {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_glebe-trainer"));
    worker.args(["work", "--node", "unix:/nowhere"]);
    let ended = worker
        .env("GLEBE_DEVICE", "cuda")
        .output()
        .expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    if tch::Cuda::is_available() {
        assert!(!said.contains("there is no CUDA device"), "{said}");
    } else {
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("there is no CUDA device"), "{said}");
    }
}
