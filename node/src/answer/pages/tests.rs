//! Jobs of a run that is far longer than a message.

use std::collections::BTreeMap;
use std::path::PathBuf;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use query::Query;
use tempfile::TempDir;
use wire::run::{JobView, Run};

use super::*;
use crate::peer::encode_response;
use crate::runs::PlannedSplit;
use crate::swarm::FRAME_BYTES_MAX;

fn run(name: &str) -> Run {
    Run::new(name, "ndvi-cnn", Query::default())
}

fn cell(i: usize) -> String {
    format!("{i:07}")
}

/// A node with so many jobs of `r`, and one each of runs before and behind it.
fn node(jobs: usize) -> (TempDir, Runs) {
    let dir = tempfile::tempdir().unwrap();
    let name = "12D3KooWSmallNameOfANodeThatHasFiftyTwoCharactersInAll";
    let runs = Runs::open(dir.path(), name).unwrap();
    for (name, jobs) in [("a", 1), ("r", jobs), ("s", 1)] {
        let split = |i: usize| PlannedSplit {
            id: SplitId::parse("c/s~9xj5k").unwrap(),
            cell: cell(i),
            placement_key: PlacementKey::named("test", &cell(i)),
            folder: PathBuf::from("/there"),
        };
        let splits: Vec<PlannedSplit> = (0..jobs).map(split).collect();
        let planned = runs.plan(&run(name), (&SlotSet::all(), &splits), &BTreeMap::new());
        assert_eq!(planned.unwrap(), jobs as u64);
    }
    (dir, runs)
}

fn page(runs: &Runs, after: Option<&str>, bytes_max: usize) -> JobsPage {
    let (jobs, more) = cut(runs, ("r", after), bytes_max).unwrap();
    assert!(jobs.len() <= bytes_max, "{} bytes", jobs.len());
    JobsPage {
        jobs,
        slots: SlotSet::all(),
        more,
    }
}

/// All jobs of a run came in one message, so that of a node with too many for one none came.
#[test]
fn pages_of_fifty_thousand_jobs_fit_messages_and_tell_each_once() {
    const JOBS: usize = 50_000;
    let (_dir, runs) = node(JOBS);
    let mut next = page(&runs, None, WHOLE_BYTES_MAX);
    let mut told: Vec<JobView> = Vec::new();
    let mut pages = 1;
    loop {
        let more = next.more;
        let jobs: Vec<JobView> = serde_json::from_str(&next.jobs).unwrap();
        let frame = encode_response(&Response::JobsPage(next));
        assert!(frame.length() <= FRAME_BYTES_MAX, "{}", frame.length());
        told.extend(jobs);
        if !more {
            break;
        }
        let after = told.last().map(|job| job.geocode.as_str());
        next = page(&runs, after, PAGE_BYTES_MAX);
        pages += 1;
    }
    assert!(pages > 2, "{pages} pages");
    assert!(told.iter().all(|job| job.run == "r"));
    let cells: Vec<String> = told.into_iter().map(|job| job.geocode).collect();
    let all: Vec<String> = (0..JOBS).map(cell).collect();
    assert!(cells == all, "{} of {JOBS} jobs", cells.len());
}

#[test]
fn jobs_that_fit_one_message_are_told_as_nodes_did_that_knew_no_pages() {
    let (_dir, runs) = node(300);
    let whole = answer(page(&runs, None, WHOLE_BYTES_MAX));
    let is_all = |text: &str| {
        let jobs: Vec<JobView> = serde_json::from_str(text).unwrap();
        jobs.len() == 300
    };
    assert!(matches!(&whole, Response::Jobs(jobs, _) if is_all(jobs)));
    let first = answer(page(&runs, None, 4_096));
    assert!(matches!(first, Response::JobsPage(_)));
}

#[test]
fn a_job_longer_than_a_page_is_one_of_its_own() {
    let (_dir, runs) = node(2);
    let (jobs, more) = cut(&runs, ("r", None), 1).unwrap();
    let jobs: Vec<JobView> = serde_json::from_str(&jobs).unwrap();
    assert_eq!((jobs.len(), more), (1, true));
    let (rest, more) = cut(&runs, ("r", Some(&cell(0))), 1).unwrap();
    let rest: Vec<JobView> = serde_json::from_str(&rest).unwrap();
    assert_eq!((rest[0].geocode.clone(), more), (cell(1), false));
}
