//! Cells that a run made no model for, and why: each reason once; the exit code that says so.
//!
//! *Invariants*: reasons that differ in numbers alone are one; every cell is counted under one; who
//! waits for a run and who started it get the same exit code.
//!
//! *Not here*: the reasons (trainer, node), one job's own (`glebe job show`), what helps against
//! them (`remedy`).

use std::collections::BTreeSet;

use wire::client::Client;
use wire::fault::FaultKind;
use wire::params::ModelsParams;
use wire::run::{JobState, JobView, RunView};

use crate::print::some_of;
use crate::train::remedy;

/// Cells named of those with one reason.
const NAMED_MAX: usize = 3;

/// Counts the jobs of a run that have come to some states.
fn count(view: &RunView, states: &[JobState]) -> usize {
    let jobs = view.jobs.iter();
    jobs.filter(|job| states.contains(&job.state)).count()
}

/// Tells how many cells got no model, and how to see why.
pub(super) fn counted(view: &RunView) -> String {
    let failed = count(view, &[JobState::Quarantined]);
    let cancelled = count(view, &[JobState::Cancelled]);
    let cancelled = match cancelled {
        0 => String::new(),
        n => format!(", {n} cancelled"),
    };
    let (all, name) = (view.jobs.len(), &view.run.name);
    format!(
        "{failed} of {all} jobs failed{cancelled}; why: glebe job show {name}   \
         again: glebe job resume {name}"
    )
}

/// Counts the cells that were learned and whose models are not in the ring any more; none where not
/// all nodes say what they hold.
pub(super) async fn deleted(client: &Client, view: &RunView) -> usize {
    let asked = ModelsParams {
        run: Some(view.run.name.clone()),
        ..ModelsParams::default()
    };
    let Ok(found) = client.models(&asked).await else {
        return 0;
    };
    if !found.complete {
        return 0;
    }
    let there: BTreeSet<String> = found.models.into_iter().map(|m| m.geocode).collect();
    let done = view.jobs.iter().filter(|j| j.state == JobState::Done);
    done.filter(|j| !there.contains(&j.geocode)).count()
}

/// Tells that models were deleted, and how they are had again.
pub(super) fn unlearned(view: &RunView, deleted: usize) -> String {
    let (name, recipe) = (&view.run.name, &view.run.recipe);
    let many = match deleted {
        1 => "1 model was".to_owned(),
        n => format!("{n} models were"),
    };
    format!(
        "{many} deleted, and run {name} does not learn a cell twice; try: glebe train {recipe} \
         --name ANOTHER, with the same selectors"
    )
}

/// Returns the exit code of a run that has ended: 0 if every cell has its model, partial if some
/// have none (so many were deleted), that of bad data if none has. A model no better than its
/// parent counts as one: the parent's answers.
pub(super) fn code(view: &RunView, deleted: usize) -> u8 {
    let lost = deleted + count(view, &[JobState::Quarantined, JobState::Cancelled]);
    let have = count(view, &[JobState::Done, JobState::Dropped]).saturating_sub(deleted);
    match (lost, have) {
        (0, _) => 0,
        (_, 0) => FaultKind::Data.exit_code(),
        (_, _) => FaultKind::Partial.exit_code(),
    }
}

/// Tells each reason once, in the order of the first cell with it; then what helps.
pub(super) fn told(view: &RunView) -> Vec<String> {
    let mut kinds: Vec<(String, Vec<&JobView>)> = Vec::new();
    for job in { view.jobs.iter() }.filter(|j| j.state == JobState::Quarantined) {
        let shape = shape(job);
        match kinds.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, jobs)) => jobs.push(job),
            None => kinds.push((shape, vec![job])),
        }
    }
    let told = kinds.iter().map(|(_, jobs)| one(jobs));
    let reasons = kinds.iter().filter_map(|(_, jobs)| jobs.first());
    let steps = remedy::steps(&view.run, reasons.map(|job| reason(job)));
    told.chain(steps).collect()
}

fn reason(job: &JobView) -> &str {
    job.reason.as_deref().unwrap_or("no reason was given")
}

/// Returns a reason without its numbers and without the cell.
fn shape(job: &JobView) -> String {
    let text = reason(job).replace(&job.geocode, "#");
    let mut shape = String::with_capacity(text.len());
    let is_number = |c: char| c.is_ascii_digit();
    for c in text.chars() {
        match (is_number(c), shape.ends_with('#')) {
            (true, true) => {}
            (true, false) => shape.push('#'),
            (false, _) => shape.push(c),
        }
    }
    shape
}

/// Tells one reason, in the words about the first cell.
fn one(jobs: &[&JobView]) -> String {
    let Some(first) = jobs.first() else {
        return String::new();
    };
    let (cell, why) = (&first.geocode, reason(first));
    if jobs.len() == 1 {
        return format!("no model for {cell}: {why}");
    }
    let cells: Vec<&str> = jobs.iter().map(|job| job.geocode.as_str()).collect();
    let (count, named) = (cells.len(), some_of(&cells, NAMED_MAX));
    let whose = if jobs.iter().all(|job| reason(job) == why) {
        String::new()
    } else {
        format!("of {cell}: ")
    };
    format!("no model for {count} cells ({named}): {whose}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(jobs: &[(&str, &str)]) -> RunView {
        let job = |(geocode, reason): &(&str, &str)| {
            serde_json::json!({
                "run": "july", "geocode": geocode, "node": "n", "splits": 1, "attempts": 3,
                "state": "quarantined", "reason": reason,
            })
        };
        let jobs: Vec<_> = jobs.iter().map(job).collect();
        let run = serde_json::json!({
            "name": "july", "recipe": "ndvi-cnn", "query": query::Query::default(),
            "hyper": wire::run::Hyper::default(), "seed": 7,
        });
        serde_json::from_value(serde_json::json!({"run": run, "jobs": jobs, "complete": true}))
            .unwrap()
    }

    #[test]
    fn a_run_ends_well_in_part_or_not_at_all_and_tells_how_many_failed() {
        let mut view = view(&[("9xj5k", "a"), ("9xj5m", "b"), ("9xj5n", "c")]);
        assert_eq!(code(&view, 0), 6);
        view.jobs[0].state = JobState::Dropped;
        assert_eq!(code(&view, 0), 4, "its parent's model answers");
        view.jobs[1].state = JobState::Cancelled;
        assert_eq!(code(&view, 0), 4);
        let told = counted(&view);
        assert!(told.starts_with("1 of 3 jobs failed, 1 cancelled; why: glebe job show july"));
        view.jobs[1].state = JobState::Done;
        assert!(counted(&view).starts_with("1 of 3 jobs failed; why"));
        view.jobs[2].state = JobState::Done;
        assert_eq!(code(&view, 0), 0);
        assert_eq!((code(&view, 1), code(&view, 3)), (4, 6), "deleted since");
        let told = unlearned(&view, 2);
        assert!(told.starts_with("2 models were deleted, and run july does not"));
        assert!(told.contains("glebe train ndvi-cnn --name ANOTHER"));
    }

    #[test]
    fn each_reason_is_told_once_with_a_count_and_a_few_cells() {
        let few = |n: u32| format!("too few chips of 32 pixels: {n} to learn from");
        let reasons = [few(3), few(14), few(0), few(5)];
        let view = view(&[
            ("9xj5k", &reasons[0]),
            ("9xj5m", "the worker ended"),
            ("9xj5n", &reasons[1]),
            ("9xj5p", &reasons[2]),
            ("9xj5q", &reasons[3]),
            ("9xj5r", "the split of 9xj5r is damaged"),
            ("9xj5s", "the split of 9xj5s is damaged"),
        ]);
        let told = told(&view);
        let expected = [
            "no model for 4 cells (9xj5k, 9xj5n, 9xj5p and 1 more): of 9xj5k: too few chips of \
             32 pixels: 3 to learn from",
            "no model for 9xj5m: the worker ended",
            "no model for 2 cells (9xj5r, 9xj5s): of 9xj5r: the split of 9xj5r is damaged",
            "try: glebe train ndvi-cnn --chip 16 (was 32), with the same selectors",
        ];
        assert_eq!(told, expected);
    }
}
