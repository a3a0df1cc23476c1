//! What became of jobs that this node left to others.
//!
//! A node to which a job was left may lose its book, or leave the job to a third one. Whoever left
//! it vouches for the cell meanwhile, so it asks; once it vouches no more, it says so to all, for
//! whose cell that is may have believed it.
//!
//! *Invariants*: each node is asked about what was left to it once it, or any other, came, went or
//! started anew, and from time to time; who does not answer is asked ever less often; of a node
//! that is gone all are told once.
//!
//! *Not here*: leaving jobs to others (`rivals`), planning what nobody has (`tend`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use wire::fault::Fault;

use super::core::{AskError, Core, View};
use super::pauses::Pauses;
use crate::answer::working;
use crate::identity::NodeId;
use crate::peer::{Fates, FatesRequest, Request, Response};
use crate::scatter::PAGE_LIMIT;

/// Most cells that are asked about in one message: what is told of each is up to 8 KB long.
const CELLS_AT_ONCE_MAX: usize = 512;
/// Longest that an answer is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// First pause after a question that was not answered.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The cells that were left to others, by run and node.
type Ceded = BTreeMap<(String, String), Vec<String>>;

/// Who was asked, and since when that counts.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The nodes that may answer, each with the number of its start.
    others: BTreeMap<NodeId, u64>,
    since: Option<Instant>,
    /// Runs, and nodes that have told of them.
    told: BTreeSet<(String, NodeId)>,
    /// Runs, and nodes that are gone to which cells of them were left.
    gone: BTreeSet<(String, String)>,
    pauses: Pauses,
}

/// A node to ask about cells of a run.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    run: String,
    node: NodeId,
    cells: Vec<String>,
}

impl Asked {
    /// Returns whom to ask about what.
    fn due(&mut self, others: BTreeMap<NodeId, u64>, ceded: Ceded, now: Instant) -> Vec<Due> {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if self.others != others || age.is_none_or(|age| age >= BELIEVED) {
            self.told.clear();
            self.others = others;
            self.since = Some(now);
        }
        let due = ceded.into_iter().filter_map(|((run, to), cells)| {
            let node = NodeId::parse(&to).ok()?;
            Some(Due { run, node, cells })
        });
        due.filter(|due| {
            let is_there = self.others.contains_key(&due.node);
            let was_asked = self.told.contains(&(due.run.clone(), due.node.clone()));
            is_there && !was_asked && self.pauses.are_over(&due.node, now)
        })
        .collect()
    }

    /// Returns the runs of which cells were left to nodes that are gone since.
    fn gone(&mut self, others: &BTreeMap<NodeId, u64>, ceded: &Ceded) -> BTreeSet<String> {
        let is_there = |to: &str| NodeId::parse(to).is_ok_and(|node| others.contains_key(&node));
        let gone = ceded.keys().filter(|(_, to)| !is_there(to)).cloned();
        let before = std::mem::replace(&mut self.gone, gone.collect());
        let since = self.gone.difference(&before);
        since.map(|(run, _)| run.clone()).collect()
    }

    /// Notes whether a node told of all that it was asked about.
    fn note(&mut self, due: Due, has_told: bool, now: Instant) {
        if has_told {
            self.pauses.end(&due.node);
            self.told.insert((due.run, due.node));
        } else {
            self.pauses.begin(&due.node, FIRST_PAUSE, now);
        }
    }
}

/// Asks what became of the jobs that were left to others, where that may have changed, and has
/// those planned again that nobody has.
pub(super) async fn review(core: &Arc<Core>, asked: &mut Asked) -> Result<(), Fault> {
    let runs = Arc::clone(&core.runs);
    let ceded = working(move || runs.ceded()).await?;
    let others = core.look(starts);
    for run in asked.gone(&others, &ceded) {
        tell_later(core, run);
    }
    for due in asked.due(others, ceded, Instant::now()) {
        let has_told = ask(core, &due).await.unwrap_or_else(|fault| {
            tracing::warn!(run = due.run, %fault, "what was left to others is looked after later");
            false
        });
        asked.note(due, has_told, Instant::now());
    }
    Ok(())
}

/// Returns the other members that may answer, each with the number of its start.
pub(super) fn starts(view: &View) -> BTreeMap<NodeId, u64> {
    let others = view.others().into_iter();
    let living = others.filter(|node| view.table.may_answer(node));
    living
        .map(|node| {
            let beat = view.table.of(&node);
            let start = beat.map_or(0, |beat| beat.age.incarnation);
            (node, start)
        })
        .collect()
}

/// Asks one node about cells of a run; tells whether it told of all.
async fn ask(core: &Arc<Core>, due: &Due) -> Result<bool, Fault> {
    let Due { run, node, cells } = due;
    for cells in cells.chunks(CELLS_AT_ONCE_MAX) {
        let request = Request::Fates(FatesRequest {
            run: run.clone(),
            cells: cells.to_vec(),
        });
        let fates = match core.ask(node, request, PAGE_LIMIT).await {
            Ok(Response::Fates(fates)) if fates.cells.len() == cells.len() => fates,
            other => {
                let error = other.err().unwrap_or_else(|| AskError::senseless(node));
                tracing::debug!(run, %error, "a node does not tell of what was left to it");
                return Ok(false);
            }
        };
        let lost = without_job(cells, &fates);
        if lost.is_empty() {
            continue;
        }
        let (runs, of, from) = (Arc::clone(&core.runs), run.clone(), node.to_string());
        let reclaimed = working(move || runs.reclaim(&of, &from, &lost)).await??;
        tracing::warn!(run, reclaimed, %node, "a node has no more what was left to it");
        if reclaimed > 0 {
            tell_later(core, run.clone());
        }
    }
    Ok(true)
}

/// Has all nodes look whether cells of a run, of which nobody has a job any more, are theirs to
/// plan; nobody waits for that.
fn tell_later(core: &Arc<Core>, run: String) {
    let (of, stop) = (Arc::clone(core), core.stop.clone());
    let told = async move {
        let (others, me) = of.look(|view| (view.others_up(), of.me.clone()));
        let all = others.iter().chain([&me]);
        let asks = all.map(|node| of.ask(node, Request::Unplanned(run.clone()), PAGE_LIMIT));
        for failed in join_all(asks).await.into_iter().filter_map(Result::err) {
            tracing::debug!(%failed, "a node was not told that cells have no job");
        }
    };
    core.tasks.spawn(stop.run_until_cancelled_owned(told));
}

/// Returns the cells of which a node says that it has no job.
fn without_job(cells: &[String], fates: &Fates) -> Vec<String> {
    let told = cells.iter().zip(&fates.cells);
    let none = told.filter(|(_, fate)| fate.is_none());
    none.map(|(cell, _)| cell.clone()).collect()
}

#[cfg(test)]
mod tests {
    use wire::run::JobState;

    use super::*;
    use crate::runs::Wished;
    use crate::slots::SlotSet;

    fn nodes(starts: &[(&str, u64)]) -> BTreeMap<NodeId, u64> {
        let parsed = |(node, start): &(&str, u64)| (NodeId::parse(node).unwrap(), *start);
        starts.iter().map(parsed).collect()
    }

    fn ceded() -> Ceded {
        let to = |node: &str| ("r".to_owned(), node.to_owned());
        let cells = || vec!["9xj5k".to_owned()];
        [(to("a"), cells()), (to("gone"), cells())].into()
    }

    #[test]
    fn a_node_is_asked_again_once_any_started_anew_or_an_answer_is_old() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let due = asked.due(nodes(&[("a", 1), ("c", 1)]), ceded(), now);
        let a = Due {
            run: "r".to_owned(),
            node: NodeId::parse("a").unwrap(),
            cells: vec!["9xj5k".to_owned()],
        };
        assert_eq!(due, [a], "one that is gone is not asked");
        let tell = |asked: &mut Asked, due: Vec<Due>, now| {
            for due in due {
                asked.note(due, true, now);
            }
        };
        tell(&mut asked, due, now);
        assert_eq!(asked.due(nodes(&[("a", 1), ("c", 1)]), ceded(), now), []);
        let restarted = asked.due(nodes(&[("a", 2), ("c", 1)]), ceded(), now);
        assert_eq!(restarted.len(), 1, "it may have lost its book");
        tell(&mut asked, restarted, now);
        let went = asked.due(nodes(&[("a", 2)]), ceded(), now);
        assert_eq!(went.len(), 1, "it may have left the job to that one");
        tell(&mut asked, went, now);
        assert_eq!(asked.due(nodes(&[("a", 2)]), ceded(), now), []);
        let late = now + BELIEVED;
        assert_eq!(asked.due(nodes(&[("a", 2)]), ceded(), late).len(), 1);
    }

    #[test]
    fn of_a_node_that_is_gone_all_are_told_once_and_again_when_it_goes_again() {
        let (mut asked, both) = (Asked::default(), nodes(&[("a", 1), ("gone", 1)]));
        let none = BTreeSet::new();
        let left = BTreeSet::from(["r".to_owned()]);
        assert_eq!(asked.gone(&both, &ceded()), none);
        assert_eq!(asked.gone(&nodes(&[("a", 1)]), &ceded()), left);
        assert_eq!(asked.gone(&nodes(&[("a", 1)]), &ceded()), none);
        assert_eq!(asked.gone(&both, &ceded()), none);
        assert_eq!(asked.gone(&nodes(&[("a", 1)]), &ceded()), left);
    }

    #[test]
    fn who_does_not_tell_is_asked_again_after_a_pause() {
        let (mut asked, now) = (Asked::default(), Instant::now());
        let due = asked.due(nodes(&[("a", 1)]), ceded(), now);
        for due in due {
            asked.note(due, false, now);
        }
        assert_eq!(asked.due(nodes(&[("a", 1)]), ceded(), now), []);
        let later = now + FIRST_PAUSE;
        assert_eq!(asked.due(nodes(&[("a", 1)]), ceded(), later).len(), 1);
    }

    #[test]
    fn cells_are_lost_of_which_a_node_has_no_job_whatever_became_of_the_others() {
        let cells = ["9xj5k", "9xj5m", "9xj5s"].map(str::to_owned);
        let fates = Fates {
            slots: SlotSet::all(),
            wished: Wished::default(),
            cells: vec![
                Some((JobState::Cancelled, None)),
                None,
                Some((JobState::Done, None)),
            ],
        };
        assert_eq!(without_job(&cells, &fates), ["9xj5m"]);
    }
}
