//! Cells of which two nodes have a job: one of them gives its own up.
//!
//! A node that comes back has jobs of cells that others took over meanwhile; a run that is told of
//! again is planned by who owns its cells by then. Each node asks the others about the jobs that it
//! has, whenever there are other nodes, or it has other jobs.
//!
//! *Invariants*: nobody gives a job up but for one whose node says that it stays; what a node had
//! when it stopped is not lent before the others were heard, or `HELD_MAX` is over; a job that
//! another node does as a guest is its home's alone, and no rival; nothing is said while nothing
//! has changed; a doubt is kept until its run was compared, whatever became of other runs; who does
//! not answer is asked ever less often; who is of before the question is not asked, nor waited for.
//!
//! *Not here*: which of two jobs stays (`runs::book`), giving one up (`runs::withdraw`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use wire::fault::Fault;

use super::ask::AskError;
use super::ceded::starts;
use super::core::Core;
use super::pauses::Pauses;
use crate::answer::working;
use crate::identity::NodeId;
use crate::peer::{Request, Response, Rival, RivalsRequest};
use crate::scatter::PAGE_LIMIT;
use crate::swarm::LinkError;

/// Longest that a node which comes back lends none of its jobs: others are heard within a second,
/// or are as good as gone.
const HELD_MAX: Duration = Duration::from_secs(5);
/// Time between questions while somebody has not answered yet.
const PACE: Duration = Duration::from_millis(200);
/// First pause after a question that a node closed without an answer, or answered otherwise: it
/// will hardly do better soon.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(2);
/// Most jobs in a message: some 20 bytes each.
const AT_ONCE_MAX: usize = 65_536;

/// What was compared, and with whom.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The nodes that may answer, each with the number of its start.
    others: BTreeMap<NodeId, u64>,
    /// The runs of which this node has jobs.
    runs: BTreeMap<String, Heard>,
    pauses: Pauses,
}

/// Who told of the rivals of a run's jobs here.
#[derive(Debug, Default)]
struct Heard {
    /// How many jobs this node had then.
    size: usize,
    by: BTreeSet<NodeId>,
}

impl Compared {
    /// Notes what there is to compare, and with whom; what is doubted is compared anew with all.
    fn note(
        &mut self,
        others: BTreeMap<NodeId, u64>,
        sizes: &BTreeMap<String, usize>,
        doubted: &BTreeSet<String>,
    ) {
        for (node, start) in &others {
            if self.others.get(node) != Some(start) {
                // It came back, or is another version by now.
                self.pauses.end(node);
                for heard in self.runs.values_mut() {
                    heard.by.remove(node);
                }
            }
        }
        self.others = others;
        self.runs.retain(|run, _| sizes.contains_key(run));
        for (run, size) in sizes {
            let heard = self.runs.entry(run.clone()).or_default();
            if heard.size != *size || doubted.contains(run) {
                heard.size = *size;
                heard.by.clear();
            }
        }
    }

    /// Returns whom to ask of a run now.
    fn open(&self, run: &str, now: Instant) -> Vec<NodeId> {
        let heard = self.runs.get(run);
        let is_open = |node: &&NodeId| {
            heard.is_none_or(|heard| !heard.by.contains(node)) && self.pauses.are_over(node, now)
        };
        self.others.keys().filter(is_open).cloned().collect()
    }

    /// Takes down who answered, and who is to be asked again after how long at least; some jobs of
    /// the run went.
    fn take(&mut self, run: &str, answers: BTreeMap<NodeId, Option<Duration>>, gone: usize) {
        let heard = self.runs.entry(run.to_owned()).or_default();
        heard.size = heard.size.saturating_sub(gone);
        for (node, pause) in answers {
            if let Some(first) = pause {
                self.pauses.begin(&node, first, Instant::now());
            } else {
                self.pauses.end(&node);
                heard.by.insert(node);
            }
        }
    }

    /// Tells whether all were heard about all jobs.
    fn is_done(&self) -> bool {
        let heard_all = |heard: &Heard| self.others.keys().all(|node| heard.by.contains(node));
        self.runs.values().all(heard_all)
    }
}

/// Has a node that comes back lend nothing before the others were heard.
pub(super) fn hold(core: &Core) {
    if core.look(|view| !view.others().is_empty()) {
        core.runs.hold();
    }
}

/// Hears the others, and has this node lend its jobs then, or after `HELD_MAX`.
pub(super) async fn hear_out(core: &Arc<Core>, compared: &mut Compared) {
    let heard = async {
        while !matches!(compare(core, compared).await, Ok(true)) {
            tokio::time::sleep(PACE).await;
        }
    };
    if tokio::time::timeout(HELD_MAX, heard).await.is_err() {
        tracing::warn!("jobs are lent though not every node was heard: one may be done twice");
    }
    core.runs.let_go();
}

/// Compares this node's jobs with the others', where anything has changed; tells whether all that
/// may answer did.
pub(super) async fn compare(core: &Arc<Core>, compared: &mut Compared) -> Result<bool, Fault> {
    let runs = Arc::clone(&core.runs);
    let (sizes, doubted) = working(move || (runs.sizes(), runs.doubted())).await?;
    compared.note(core.look(starts), &sizes, &doubted);
    if !doubted.is_empty() {
        let runs = Arc::clone(&core.runs);
        working(move || runs.noted(&doubted)).await?;
    }
    let mut all = true;
    for run in sizes.keys() {
        let nodes = compared.open(run, Instant::now());
        if nodes.is_empty() {
            continue;
        }
        match compare_run(core, run, &nodes).await {
            Ok((answers, gone)) => compared.take(run, answers, gone),
            Err(fault) => {
                all = false;
                tracing::warn!(run, %fault, "its jobs are compared with others' later");
            }
        }
    }
    Ok(all && compared.is_done())
}

/// Compares the jobs of one run; returns of each node asked how long to wait at least before it is
/// asked again, if it did not answer, and how many jobs went.
async fn compare_run(
    core: &Arc<Core>,
    run: &str,
    nodes: &[NodeId],
) -> Result<(BTreeMap<NodeId, Option<Duration>>, usize), Fault> {
    let (runs, of) = (Arc::clone(&core.runs), run.to_owned());
    let jobs = working(move || runs.rivals(&of)).await?;
    let mut answers: BTreeMap<_, _> = nodes.iter().map(|node| (node.clone(), None)).collect();
    let mut gone = 0;
    for jobs in jobs.chunks(AT_ONCE_MAX) {
        let asks = nodes.iter().map(|node| ask(core, node, (run, jobs)));
        for (node, may_go) in nodes.iter().zip(join_all(asks).await) {
            let may_go = match may_go {
                Ok(may_go) => may_go,
                Err(pause) => {
                    answers.insert(node.clone(), Some(pause));
                    continue;
                }
            };
            let going = jobs.iter().zip(may_go).filter(|(_, may_go)| *may_go);
            let going: Vec<Rival> = going.map(|(job, _)| job.clone()).collect();
            if going.is_empty() {
                continue;
            }
            let (runs, of, to) = (Arc::clone(&core.runs), run.to_owned(), node.to_string());
            let withdrawn = working(move || runs.withdraw(&of, &to, &going)).await??;
            tracing::info!(run, withdrawn, %node, "left jobs to a node that has them, too");
            gone += withdrawn;
        }
    }
    Ok((answers, gone))
}

/// Asks a node which of these jobs may go; if it does not say so, returns how long to wait at least
/// before it is asked again.
async fn ask(
    core: &Arc<Core>,
    node: &NodeId,
    (run, jobs): (&str, &[Rival]),
) -> Result<Vec<bool>, Duration> {
    let request = Request::Rivals(RivalsRequest {
        run: run.to_owned(),
        jobs: jobs.to_vec(),
    });
    if !core.knows(node, &request) {
        // It compares nothing. Once it is upgraded it has started anew, and is asked.
        return Ok(vec![false; jobs.len()]);
    }
    match core.ask(node, request, PAGE_LIMIT).await {
        Ok(Response::Rivals(may_go)) if may_go.len() == jobs.len() => Ok(may_go),
        other => {
            let error = other.err().unwrap_or_else(|| AskError::senseless(node));
            tracing::debug!(%error, "a node does not tell whether it has the same jobs");
            let is_unknown = match error {
                AskError::Link { error, .. } => error == LinkError::Refused,
                AskError::Senseless { .. } | AskError::Unknown { .. } => true,
                AskError::Fault { .. } => false,
            };
            Err(if is_unknown { UNKNOWN_PAUSE } else { PACE })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(starts: &[(&str, u64)]) -> BTreeMap<NodeId, u64> {
        let parsed = |(node, start): &(&str, u64)| (NodeId::parse(node).unwrap(), *start);
        starts.iter().map(parsed).collect()
    }

    fn sizes(runs: &[(&str, usize)]) -> BTreeMap<String, usize> {
        let owned = |(run, size): &(&str, usize)| ((*run).to_owned(), *size);
        runs.iter().map(owned).collect()
    }

    fn open(compared: &Compared, run: &str) -> Vec<String> {
        let nodes = compared.open(run, Instant::now());
        nodes.iter().map(ToString::to_string).collect()
    }

    fn answer(compared: &mut Compared, run: &str, answers: &[(&str, Option<Duration>)]) {
        let parsed =
            |(node, pause): &(&str, Option<Duration>)| (NodeId::parse(node).unwrap(), *pause);
        compared.take(run, answers.iter().map(parsed).collect(), 0);
    }

    /// Two nodes that were heard about runs r and s, of which each has a job.
    fn heard() -> Compared {
        let mut compared = Compared::default();
        let both = others(&[("a", 1), ("b", 1)]);
        compared.note(both, &sizes(&[("r", 1), ("s", 1)]), &BTreeSet::new());
        assert!(!compared.is_done());
        for run in ["r", "s"] {
            assert_eq!(open(&compared, run), ["a", "b"]);
            answer(&mut compared, run, &[("a", None), ("b", None)]);
        }
        assert!(compared.is_done());
        compared
    }

    /// They were lost where an earlier run could not be compared.
    #[test]
    fn runs_that_are_doubted_stay_to_be_compared_until_they_were() {
        let (mut compared, both) = (heard(), others(&[("a", 1), ("b", 1)]));
        let of = sizes(&[("r", 1), ("s", 1)]);
        let doubted = BTreeSet::from(["r".to_owned(), "s".to_owned()]);
        compared.note(both.clone(), &of, &doubted);
        // Nothing comes of it this time.
        compared.note(both, &of, &BTreeSet::new());
        for run in ["r", "s"] {
            assert_eq!(open(&compared, run), ["a", "b"]);
        }
        assert!(!compared.is_done());
    }

    #[test]
    fn only_who_did_not_answer_is_asked_again_and_not_at_once_whatever_the_run() {
        let mut compared = Compared::default();
        let both = others(&[("a", 1), ("old", 1)]);
        let of = sizes(&[("r", 1), ("s", 1)]);
        compared.note(both.clone(), &of, &BTreeSet::new());
        let long = Duration::from_mins(2);
        answer(&mut compared, "r", &[("a", None), ("old", Some(long))]);
        compared.note(both, &of, &BTreeSet::new());
        assert!(open(&compared, "r").is_empty());
        assert_eq!(open(&compared, "s"), ["a"]);
        assert!(!compared.is_done());
        let later = compared.open("r", Instant::now() + long);
        assert_eq!(later, [NodeId::parse("old").unwrap()]);
        let upgraded = others(&[("a", 1), ("old", 2)]);
        compared.note(upgraded, &of, &BTreeSet::new());
        assert_eq!(open(&compared, "r"), ["old"], "it starts anew");
        assert_eq!(open(&compared, "s"), ["a", "old"]);
    }

    #[test]
    fn who_came_back_is_asked_again_and_all_are_once_jobs_came_or_went() {
        let mut compared = heard();
        let of = sizes(&[("r", 1), ("s", 1)]);
        compared.note(others(&[("a", 1)]), &of, &BTreeSet::new());
        assert!(compared.is_done());
        compared.note(others(&[("a", 1), ("b", 1)]), &of, &BTreeSet::new());
        assert_eq!(open(&compared, "r"), ["b"]);
        let more = sizes(&[("r", 2), ("s", 1)]);
        compared.note(others(&[("a", 1), ("b", 1)]), &more, &BTreeSet::new());
        assert_eq!(open(&compared, "r"), ["a", "b"]);
        assert_eq!(open(&compared, "s"), ["b"]);
    }
}
