//! What an ingest worker tells.

use wire::event::{Event, Progress, SplitStored};
use wire::fault::{Fault, FaultKind};
use wire::ledger::Outcome;

use crate::check::check;
use crate::samples::{id, ledger};

#[test]
fn events_keep_their_form() {
    check(
        "event-begin",
        &Event::Begin {
            scenes: 2,
            dry_run: false,
        },
    );
    check(
        "event-scene-started",
        &Event::SceneStarted {
            scene: "m_47".to_owned(),
            cells: 12,
            bytes: 123_456,
        },
    );
    check(
        "event-split",
        &Event::Split(SplitStored {
            id: id().to_string(),
            geocode: "gc7x3".to_owned(),
            new: true,
            bytes: 4_096,
            cloud_cover: None,
            pixel_coverage: 80.0,
            standins: Vec::new(),
            owners_absent: Vec::new(),
        }),
    );
    let scene = "m_47".to_owned();
    let done = ledger(Outcome::Done);
    check(
        "event-skipped",
        &Event::Skipped {
            scene,
            ledger: done.clone(),
        },
    );
    check(
        "event-scene-done",
        &Event::SceneDone {
            ledger: done,
            seconds: 2.5,
        },
    );
    check(
        "event-scene-failed",
        &Event::SceneFailed {
            source: "m_47.zip".to_owned(),
            fault: Fault::new(FaultKind::Data, "the file is cut off"),
        },
    );
    check(
        "event-progress",
        &Event::Progress(Progress {
            scenes: 1,
            cells: 6,
            cells_total: 12,
            pixels: 1_000,
            bytes: 4_096,
            seconds: 1.5,
        }),
    );
}

#[test]
fn a_split_that_others_hold_for_its_owners_tells_both() {
    check(
        "event-split-stood-in-for",
        &Event::Split(SplitStored {
            id: id().to_string(),
            geocode: "gc7x3".to_owned(),
            new: true,
            bytes: 4_096,
            cloud_cover: None,
            pixel_coverage: 80.0,
            standins: vec!["12D3KooWStandIn".to_owned()],
            owners_absent: vec!["12D3KooWOwner".to_owned()],
        }),
    );
}
