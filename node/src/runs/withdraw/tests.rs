//! Two nodes with a job of the same cell.

use std::path::PathBuf;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use query::Query;
use tempfile::TempDir;
use wire::model::Metrics;
use wire::run::{Failure, JobState, Lease, LeaseAnswer, LeaseRequest, Renew, Run, Wish};
use wire::transfer::Descent;

use super::super::book::Published;
use super::super::book::rivals::tests::STATES;
use super::super::{PlannedSplit, Wished};
use super::*;
use crate::slots::SlotSet;

fn run() -> Run {
    Run::new("r", "ndvi-cnn", Query::default())
}

/// A node of that name with a job that waits.
fn node(name: &str) -> (TempDir, Runs) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path(), name).unwrap();
    assert_eq!(plan(&runs), 1);
    (dir, runs)
}

fn plan(runs: &Runs) -> u64 {
    let split = PlannedSplit {
        id: SplitId::parse("c/s~9xj5k").unwrap(),
        cell: "9xj5k".to_owned(),
        placement_key: PlacementKey::named("test", "9xj5k"),
        folder: PathBuf::from("/there"),
    };
    let planned = runs.plan(&run(), (&SlotSet::all(), &[split]), &BTreeMap::new());
    planned.unwrap()
}

fn lease(runs: &Runs) -> Option<Lease> {
    let request = LeaseRequest {
        worker: "w".to_owned(),
        run: None,
    };
    match runs.lease(&request).unwrap() {
        LeaseAnswer::Job(lease) => Some(*lease),
        LeaseAnswer::Wait { .. } | LeaseAnswer::Finished => None,
    }
}

/// Brings the waiting job of a node into a state.
fn bring(runs: &Runs, state: JobState) {
    let steer = |wish| {
        let wished = Wished { number: 1, wish };
        runs.steer("r", wished, &BTreeSet::new()).unwrap();
    };
    let lent = || {
        let lease = lease(runs).unwrap();
        Renew {
            run: lease.run.name,
            geocode: lease.geocode,
            token: lease.token,
        }
    };
    let failed = |dropped| Failure {
        lease: lent(),
        reason: "no chips".to_owned(),
        hopeless: true,
        dropped,
    };
    match state {
        JobState::Waiting => {}
        JobState::Running => drop(lent()),
        JobState::Done => drop(runs.published(&lent(), published()).unwrap()),
        JobState::Quarantined => drop(runs.fail(&failed(None)).unwrap()),
        JobState::Dropped => drop(runs.fail(&failed(Some(Box::new(descent())))).unwrap()),
        JobState::Cancelled => steer(Wish::Cancel),
        JobState::Paused => steer(Wish::Pause),
    }
    assert_eq!(runs.jobs("r")[0].state, state);
}

fn published() -> Published {
    Published {
        metrics: Metrics::default(),
        descent: None,
        seconds: None,
    }
}

fn descent() -> Descent {
    Descent {
        donor: "9xj5".to_owned(),
        warm: true,
        reason: None,
        weights_blake3: None,
        bytes: 0,
        told: false,
        trial: None,
        beside: None,
    }
}

/// Has one node compare its job with the other's.
fn compare(asker: &Runs, other: &Runs) -> usize {
    let jobs = asker.rivals("r");
    let may_go = other.weigh("r", &asker.node, &jobs);
    let goes = jobs.into_iter().zip(may_go).filter(|(_, may_go)| *may_go);
    let goes: Vec<Rival> = goes.map(|(job, _)| job).collect();
    asker.withdraw("r", &other.node, &goes).unwrap()
}

#[test]
fn of_two_jobs_exactly_one_stays_and_the_same_whoever_asks_first() {
    for (i, a_state) in STATES.into_iter().enumerate() {
        for (k, b_state) in STATES.into_iter().enumerate() {
            for a_asks_first in [true, false] {
                let ((_a, a), (_b, b)) = (node("a"), node("b"));
                bring(&a, a_state);
                bring(&b, b_state);
                let gone = if a_asks_first {
                    [compare(&a, &b), compare(&b, &a)]
                        .into_iter()
                        .sum::<usize>()
                } else {
                    [compare(&b, &a), compare(&a, &b)]
                        .into_iter()
                        .sum::<usize>()
                };
                assert_eq!(gone, 1, "{a_state:?} {b_state:?}");
                // The states are in order; of equals the first node's stays.
                let (stays, goes) = if i <= k { (a, b) } else { (b, a) };
                let left = (stays.jobs("r").len(), goes.jobs("r").len());
                assert_eq!(left, (1, 0), "{a_state:?} {b_state:?}");
            }
        }
    }
}

#[test]
fn what_was_given_up_stays_given_up_over_a_restart_until_who_has_it_is_gone() {
    let ((_a, a), (dir, b)) = (node("a"), node("b"));
    bring(&a, JobState::Running);
    let lent = lease(&b).unwrap();
    assert_eq!(compare(&b, &a), 1);
    assert!(b.jobs("r").is_empty() && lease(&b).is_none());
    drop(b);
    let b = Runs::open(dir.path(), "b").unwrap();
    assert!(b.jobs("r").is_empty(), "it is not in the folder, either");
    let known = b.known_run("r").unwrap();
    assert_eq!(known.vouched(|node| node == "a"), SlotSet::all());
    let mut open = SlotSet::all();
    open.subtract(&known.vouched(|_| false));
    let slot = PlacementKey::named("test", "9xj5k").slot();
    assert!(
        open.len() == 1 && open.contains(slot),
        "its slot is nobody's"
    );
    assert_eq!(plan(&b), 1, "it is planned again");
    assert_eq!(b.known_run("r").unwrap().vouched(|_| false), SlotSet::all());
    let again = lease(&b).unwrap();
    assert!(again.token > lent.token, "an old lease is none any more");
}

/// Each is told that the other's stays, for the states changed in between.
#[test]
fn two_jobs_that_are_each_to_stay_for_the_other_both_stay_for_a_while() {
    let ((_a, a), (_b, b)) = (node("a"), node("b"));
    let jobs = b.rivals("r");
    assert_eq!(a.weigh("r", "b", &jobs), [true]);
    bring(&a, JobState::Cancelled);
    assert_eq!(compare(&a, &b), 0, "it gave its word");
    assert_eq!(b.withdraw("r", "a", &jobs), Ok(0), "so did this one");
    assert_eq!((a.jobs("r").len(), b.jobs("r").len()), (1, 1));
}

#[test]
fn a_job_that_was_published_since_it_was_compared_stays() {
    let ((_a, a), (_b, b)) = (node("a"), node("b"));
    bring(&a, JobState::Running);
    bring(&b, JobState::Running);
    let jobs = b.rivals("r");
    assert_eq!(a.weigh("r", "b", &jobs), [true]);
    let lent = Renew {
        run: "r".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 1,
    };
    b.published(&lent, published()).unwrap();
    assert_eq!(b.withdraw("r", "a", &jobs), Ok(0));
    assert_eq!(
        b.doubted(),
        BTreeSet::from(["r".to_owned()]),
        "compared again"
    );
}

/// Its lease was good when it began to publish, and its model was kept for a job that was gone.
#[test]
fn a_job_whose_model_is_being_published_stays() {
    let ((_a, a), (_b, b)) = (node("a"), node("b"));
    bring(&a, JobState::Running);
    bring(&b, JobState::Running);
    let lent = Renew {
        run: "r".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 1,
    };
    let (first, second) = (b.publishing(&lent), b.publishing(&lent));
    assert_eq!(compare(&b, &a), 0, "it ends soon");
    drop(first);
    assert_eq!(compare(&b, &a), 0, "one is not yet through");
    drop(second);
    assert_eq!(compare(&b, &a), 1, "nothing was published");
}

#[test]
fn who_is_behind_is_told_to_compare_and_a_job_that_nobody_else_has_stays() {
    let ((_a, a), (_b, b)) = (node("a"), node("b"));
    let none = Rival {
        geocode: "9xj5m".to_owned(),
        ..a.rivals("r").remove(0)
    };
    assert_eq!(b.weigh("r", "a", &[none]), [false]);
    assert_eq!((b.doubted().len(), compare(&a, &b)), (0, 0));
    let doubted = BTreeSet::from(["r".to_owned()]);
    assert_eq!(b.doubted(), doubted);
    assert_eq!(b.doubted(), doubted, "until it is noted");
    b.noted(&doubted);
    assert!(b.doubted().is_empty());
    assert_eq!(b.sizes(), BTreeMap::from([("r".to_owned(), 1)]));
}

#[test]
fn who_comes_back_lends_nothing_until_others_were_heard() {
    let (_a, a) = node("a");
    assert!(!a.surplus().is_empty(), "nobody works here");
    a.hold();
    assert!(a.surplus().is_empty() && !a.has_ready());
    assert_eq!(lease(&a), None);
    a.let_go();
    assert!(a.has_ready() && lease(&a).is_some());
}

/// Its node was there, and so the cell counted as planned though nobody had a job of it.
#[test]
fn what_was_left_to_a_node_that_has_it_no_more_is_planned_again() {
    let ((_a, a), (dir, b)) = (node("a"), node("b"));
    bring(&a, JobState::Running);
    let lent = lease(&b).unwrap();
    assert_eq!(compare(&b, &a), 1);
    let left = (("r".to_owned(), "a".to_owned()), vec!["9xj5k".to_owned()]);
    assert_eq!(b.ceded(), BTreeMap::from([left.clone()]));
    let (_, cells) = left;
    assert_eq!(b.reclaim("r", "c", &cells), Ok(0), "it is not there");
    assert_eq!(b.known_run("r").unwrap().vouched(|_| true), SlotSet::all());
    assert_eq!(b.reclaim("r", "a", &cells), Ok(1));
    drop(b);
    let b = Runs::open(dir.path(), "b").unwrap();
    let mut open = SlotSet::all();
    open.subtract(&b.known_run("r").unwrap().vouched(|_| true));
    let slot = PlacementKey::named("test", "9xj5k").slot();
    assert!(open.len() == 1 && open.contains(slot), "it is nobody's");
    assert!(b.ceded().is_empty(), "nobody is asked");
    assert_eq!(plan(&b), 1, "it is planned again");
    assert_eq!(b.known_run("r").unwrap().vouched(|_| true), SlotSet::all());
    let again = lease(&b).unwrap();
    assert!(again.token > lent.token, "an old lease is none any more");
}

/// Nothing could be planned of it, and so its run was never complete again.
#[test]
fn a_cell_whose_node_is_gone_is_forgotten_once_its_slot_was_planned_without_it() {
    let ((_a, a), (dir, b)) = (node("a"), node("b"));
    bring(&a, JobState::Running);
    assert_eq!(compare(&b, &a), 1);
    let slot = PlacementKey::named("test", "9xj5k").slot();
    let (its, others) = (SlotSet::of(|s| s == slot), SlotSet::of(|s| s != slot));
    let planned = b.plan(&run(), (&its, &[]), &BTreeMap::new());
    assert_eq!(planned, Ok(0), "its splits are deleted");
    assert_eq!(b.forget_ceded("r", &others, |_| false), Ok(0));
    assert_eq!(b.forget_ceded("r", &its, |node| node == "a"), Ok(0));
    assert_eq!(b.forget_ceded("r", &its, |_| false), Ok(1));
    drop(b);
    let b = Runs::open(dir.path(), "b").unwrap();
    assert_eq!(b.known_run("r").unwrap().vouched(|_| false), SlotSet::all());
}

#[test]
fn of_unplanned_cells_of_runs_that_are_known_it_is_told_once() {
    let (_dir, runs) = node("a");
    for run in ["r", "r", "other"] {
        runs.note_unplanned(run);
    }
    assert_eq!(runs.take_unplanned(), BTreeSet::from(["r".to_owned()]));
    assert!(runs.take_unplanned().is_empty());
}
