//! What becomes of a guest.

use query::Query;
use wire::run::{LeaseAnswer, LeaseRequest};

use super::super::PlannedSplit;
use super::*;
use crate::slots::SlotSet;

const HOME_TOKEN: u64 = 7;

fn run() -> Run {
    Run::new("r", "ndvi-cnn", Query::default())
}

fn split() -> SplitId {
    SplitId::parse("c/s~9xj5k").unwrap()
}

/// A node with a guest.
fn host() -> (tempfile::TempDir, Runs, NodeId) {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path(), "host").unwrap();
    let home = NodeId::parse("home").unwrap();
    assert!(welcome(&runs, &home));
    assert!(!welcome(&runs, &home), "it is here");
    (dir, runs, home)
}

fn welcome(runs: &Runs, home: &NodeId) -> bool {
    let guest = Guest {
        geocode: "9xj5k".to_owned(),
        placement_key: PlacementKey::named("test", "9xj5k"),
        splits: vec![split()],
        heritage: None,
        token: HOME_TOKEN,
    };
    let folders = Some(vec![PathBuf::from("/there")]);
    runs.welcome(home, &Arc::new(run()), guest, (folders, 5))
}

fn lease(runs: &Runs) -> Option<Lease> {
    let request = LeaseRequest {
        worker: "w".to_owned(),
        run: None,
    };
    match runs.lease(&request).unwrap() {
        LeaseAnswer::Job(lease) => Some(*lease),
        _ => None,
    }
}

fn held(lease: &Lease) -> Renew {
    Renew {
        run: lease.run.name.clone(),
        geocode: lease.geocode.clone(),
        token: lease.token,
    }
}

#[test]
fn a_guest_is_lent_like_any_job_and_its_failure_goes_home() {
    let (_dir, runs, home) = host();
    let lent = lease(&runs).unwrap();
    assert_eq!((lent.bytes_moved, lent.splits.len()), (5, 1));
    assert_eq!(lease(&runs), None, "it is lent once");
    let ours = held(&lent);
    let (at, theirs) = runs.home(&ours).unwrap().unwrap();
    assert_eq!((&at, theirs.token), (&home, HOME_TOKEN));
    let old = Renew {
        token: ours.token - 1,
        ..ours.clone()
    };
    assert!(runs.home(&old).is_err() && runs.renew(&old).is_err());
    assert!(runs.renew(&ours).is_ok());
    let failure = Failure {
        lease: ours.clone(),
        reason: "no chips".to_owned(),
        hopeless: true,
        dropped: None,
    };
    runs.fail(&failure).unwrap();
    let GoneHome { failed, untried } = runs.gone_home();
    assert_eq!((failed.len(), untried.len()), (1, 0));
    assert_eq!((&failed[0].0, failed[0].1.lease.token), (&home, HOME_TOKEN));
    assert!(runs.renew(&ours).is_err() && !runs.has_guests());
}

#[test]
fn a_guest_that_nobody_begins_goes_home_untried() {
    let (_dir, runs, home) = host();
    runs.lock().guests.decline_waiting(|_| true);
    let GoneHome { failed, untried } = runs.gone_home();
    assert_eq!((failed.len(), untried.len()), (0, 1));
    assert_eq!((&untried[0].0, untried[0].1.token), (&home, HOME_TOKEN));
    assert_eq!(lease(&runs), None);
    assert!(welcome(&runs, &home));
    let lent = lease(&runs).unwrap();
    runs.lock().guests.decline_waiting(|_| true);
    assert!(runs.renew(&held(&lent)).is_ok(), "it is begun");
}

#[test]
fn a_home_that_grants_no_more_ends_the_lease_here_and_so_does_a_plan_of_ones_own() {
    let (_dir, runs, home) = host();
    let lent = lease(&runs).unwrap();
    let at_home = |token| Renew {
        token,
        ..held(&lent)
    };
    runs.heard(&at_home(HOME_TOKEN), None);
    runs.heard(&at_home(HOME_TOKEN - 1), Some(false));
    assert!(runs.renew(&held(&lent)).is_ok(), "an older lease ended");
    runs.heard(&at_home(HOME_TOKEN), Some(false));
    assert!(runs.renew(&held(&lent)).is_err());
    assert!(welcome(&runs, &home));
    let guest = lease(&runs).unwrap();
    let planned = PlannedSplit {
        id: split(),
        cell: "9xj5k".to_owned(),
        placement_key: PlacementKey::named("test", "9xj5k"),
        folder: PathBuf::from("/here"),
    };
    let slots = SlotSet::none();
    runs.plan(&run(), (&slots, &[planned]), &BTreeMap::new())
        .unwrap();
    assert!(runs.renew(&held(&guest)).is_err(), "its home is gone");
    let own = lease(&runs).unwrap();
    assert_eq!(own.bytes_moved, 0);
    assert!(runs.home(&held(&own)).unwrap().is_none());
    assert!(!welcome(&runs, &home), "it is planned here");
}
