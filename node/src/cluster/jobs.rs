//! The jobs of a run on all nodes, gathered page by page.
//!
//! *Invariants*: each cell once; a slot counts as planned only where all pages of one node say so,
//! so that of a node which falls silent between two pages nothing is taken for all; what one node
//! can tell is bounded.
//!
//! *Not here*: one node's pages (`answer::pages`), which slots a run has (`training`).

use std::sync::Arc;

use futures::future::join_all;
use wire::run::JobView;

use super::core::{Core, View};
use crate::identity::NodeId;
use crate::peer::{JobsPage, JobsRequest, Request, Response};
use crate::runs::book::rivals::rank;
use crate::scatter::PAGE_LIMIT;
use crate::slots::SlotSet;

/// Most jobs that are taken from one node: more cells than the definition of a run can name.
const JOBS_MAX: usize = 1 << 20;

/// Jobs of a run, and what is known of them to be all.
#[derive(Debug)]
pub(super) struct Told {
    /// The jobs, by geocode.
    pub(super) jobs: Vec<JobView>,
    /// Slots whose cells were planned, all of which were told.
    pub(super) slots: SlotSet,
    /// Whatever was answered makes sense.
    pub(super) is_readable: bool,
}

/// An answer makes no sense.
#[derive(Debug, PartialEq, Eq)]
struct Garbled;

/// Asks every node that may answer for its jobs of a run.
pub(super) async fn told(core: &Arc<Core>, run: &str) -> Told {
    let mut nodes = core.look(View::others);
    nodes.push(core.me.clone());
    let asks = nodes.iter().map(|node| of_node(core, node, run));
    let mut all = Told {
        slots: SlotSet::none(),
        ..Told::begun()
    };
    for theirs in join_all(asks).await {
        all.jobs.extend(theirs.jobs);
        all.slots.union(&theirs.slots);
        all.is_readable &= theirs.is_readable;
    }
    all.jobs = each_once(all.jobs);
    all
}

/// Asks one node, page after page.
async fn of_node(core: &Arc<Core>, node: &NodeId, run: &str) -> Told {
    let mut told = Told::begun();
    let mut request = Request::Jobs(run.to_owned());
    loop {
        if !core.look(|view| view.table.may_answer(node)) {
            return told.silent();
        }
        let answer = match core.ask(node, request, PAGE_LIMIT).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(run, %error, "a node does not tell its jobs");
                return told.silent();
            }
        };
        match told.take(answer) {
            Ok(None) => return told,
            Ok(Some(after)) => {
                let run = run.to_owned();
                request = Request::JobsPage(JobsRequest { run, after });
            }
            Err(Garbled) => {
                tracing::warn!(run, %node, "a node tells its jobs in a way that makes no sense");
                told.is_readable = false;
                return told.silent();
            }
        }
    }
}

impl Told {
    /// Begins with nothing that was told: nothing says that a slot was not planned.
    fn begun() -> Self {
        Self {
            jobs: Vec::new(),
            slots: SlotSet::all(),
            is_readable: true,
        }
    }

    /// Returns what was told so far, which need not be all of any slot.
    fn silent(self) -> Self {
        Self {
            slots: SlotSet::none(),
            ..self
        }
    }

    /// Takes in a node's next answer; returns behind which geocode more follow, if any do.
    fn take(&mut self, answer: Response) -> Result<Option<String>, Garbled> {
        let page = match answer {
            Response::Jobs(jobs, slots) => JobsPage {
                jobs,
                slots,
                more: false,
            },
            Response::JobsPage(page) => page,
            _ => return Err(Garbled),
        };
        let jobs: Vec<JobView> = serde_json::from_str(&page.jobs).map_err(|_| Garbled)?;
        let last = |jobs: &[JobView]| jobs.last().map(|job| job.geocode.clone());
        let before = last(&self.jobs);
        self.jobs.extend(jobs);
        self.slots.intersect(&page.slots);
        if !page.more {
            return Ok(None);
        }
        // A page that brings nobody on would be asked for again for ever.
        let next = last(&self.jobs).filter(|_| self.jobs.len() <= JOBS_MAX);
        next.filter(|next| before.is_none_or(|before| *next > before))
            .map(Some)
            .ok_or(Garbled)
    }
}

/// Orders jobs by geocode and keeps of each cell the one that got farthest: a node that comes back
/// has for a moment what another took over.
fn each_once(mut jobs: Vec<JobView>) -> Vec<JobView> {
    let rank = |job: &JobView| rank(job.state, job.attempts > 0);
    jobs.sort_by(|a, b| (&a.geocode, rank(a), &a.node).cmp(&(&b.geocode, rank(b), &b.node)));
    jobs.dedup_by(|later, first| later.geocode == first.geocode);
    jobs
}

#[cfg(test)]
mod tests {
    use wire::run::JobState;

    use super::*;

    fn job(geocode: &str) -> JobView {
        JobView {
            run: "r".to_owned(),
            geocode: geocode.to_owned(),
            node: "n".to_owned(),
            moved: None,
            state: JobState::Waiting,
            splits: 1,
            attempts: 0,
            reason: None,
            metrics: None,
            seconds: None,
            donor: None,
            no_donor: None,
            descent: None,
        }
    }

    fn json(geocodes: &[&str]) -> String {
        let jobs: Vec<JobView> = geocodes.iter().map(|geocode| job(geocode)).collect();
        serde_json::to_string(&jobs).unwrap()
    }

    fn page(geocodes: &[&str], slots: SlotSet) -> Response {
        Response::JobsPage(JobsPage {
            jobs: json(geocodes),
            slots,
            more: true,
        })
    }

    fn slots(least: u16) -> SlotSet {
        SlotSet::of(|slot| slot.number() >= least)
    }

    #[test]
    fn all_jobs_in_one_answer_are_all_that_is_asked_for() {
        let mut told = Told::begun();
        let answer = Response::Jobs(json(&["9xj", "9xk"]), slots(300));
        assert_eq!(told.take(answer), Ok(None));
        assert_eq!(told.jobs, [job("9xj"), job("9xk")]);
        assert_eq!(told.slots, slots(300));
    }

    #[test]
    fn pages_are_asked_for_behind_the_last_job_and_only_what_all_tell_is_planned() {
        let mut told = Told::begun();
        let first = told.take(page(&["9xj", "9xk"], slots(300)));
        assert_eq!(first, Ok(Some("9xk".to_owned())));
        // What was planned meanwhile may have jobs before this page; what was given up has none.
        let second = told.take(page(&["9xm"], slots(200)));
        assert_eq!(second, Ok(Some("9xm".to_owned())));
        assert_eq!(told.slots, slots(300));
        assert_eq!(told.take(Response::Jobs(json(&[]), slots(400))), Ok(None));
        assert_eq!(told.slots, slots(400));
        assert_eq!(told.jobs, [job("9xj"), job("9xk"), job("9xm")]);
        assert!(told.silent().slots.is_empty());
    }

    #[test]
    fn pages_without_an_end_and_answers_to_something_else_are_refused() {
        let garbled = |answers: Vec<Response>| {
            let mut told = Told::begun();
            let taken = answers.into_iter().map(|answer| told.take(answer));
            assert_eq!(taken.last(), Some(Err(Garbled)));
        };
        let again = || page(&["9xj"], SlotSet::all());
        garbled(vec![again(), again()]);
        garbled(vec![again(), page(&[], SlotSet::all())]);
        garbled(vec![page(&[], SlotSet::all())]);
        garbled(vec![again(), page(&["9xa"], SlotSet::all())]);
        garbled(vec![Response::Done]);
        garbled(vec![Response::Jobs("[".to_owned(), SlotSet::all())]);
    }

    #[test]
    fn of_two_jobs_of_a_cell_the_one_that_got_farther_is_told() {
        let done = JobView {
            state: JobState::Done,
            node: "o".to_owned(),
            ..job("9xj")
        };
        let jobs = each_once(vec![job("9xk"), job("9xj"), done.clone()]);
        assert_eq!(jobs, [done, job("9xk")]);
    }
}
