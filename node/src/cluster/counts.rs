//! The jobs of a run on all nodes, counted where they are.
//!
//! *Invariants*: what is sent does not grow with the jobs; a node's slots are asked for before its
//! counts, so that of what it plans in between no slot is told without its jobs.
//!
//! *Not here*: the jobs themselves (`jobs`). A cell that two nodes have a job of for a moment is
//! counted at both: who wants each once asks for the jobs.

use std::sync::Arc;

use futures::future::join_all;
use wire::run::JobCounts;

use super::core::{Core, View};
use crate::identity::NodeId;
use crate::peer::{FatesRequest, Request, Response};
use crate::scatter::PAGE_LIMIT;
use crate::slots::SlotSet;

/// Jobs of a run by state, and what is known of them to be all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The jobs, by state.
    pub(super) counts: JobCounts,
    /// Slots whose cells were planned, all of which were counted.
    pub(super) slots: SlotSet,
    /// Whatever was answered makes sense.
    pub(super) is_readable: bool,
}

/// Asks every node that may answer to count its jobs of a run.
pub(super) async fn told(core: &Arc<Core>, run: &str) -> Told {
    let mut nodes = core.look(View::others);
    nodes.push(core.me.clone());
    let asks = nodes.iter().map(|node| of_node(core, node, run));
    let mut all = Told::silent();
    for theirs in join_all(asks).await {
        all.counts.merge(&theirs.counts);
        all.slots.union(&theirs.slots);
        all.is_readable &= theirs.is_readable;
    }
    all
}

/// Asks one node what it has planned, then how that stands.
async fn of_node(core: &Arc<Core>, node: &NodeId, run: &str) -> Told {
    if !core.look(|view| view.table.may_answer(node)) {
        return Told::silent();
    }
    let planned = Request::Fates(FatesRequest {
        run: run.to_owned(),
        cells: Vec::new(),
    });
    let mut answers = Vec::new();
    for request in [planned, Request::Counts(vec![run.to_owned()])] {
        match core.ask(node, request, PAGE_LIMIT).await {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                tracing::debug!(run, %error, "a node does not count its jobs");
                return Told::silent();
            }
        }
    }
    let told = Told::of(answers);
    if !told.is_readable {
        tracing::warn!(run, %node, "a node counts its jobs in a way that makes no sense");
    }
    told
}

impl Told {
    /// Returns what a node tells that does not answer: nothing.
    fn silent() -> Self {
        Self {
            counts: JobCounts::default(),
            slots: SlotSet::none(),
            is_readable: true,
        }
    }

    /// Reads what one node answered: what it has planned, and how that stands.
    fn of(answers: Vec<Response>) -> Self {
        let mut answers = answers.into_iter();
        let (planned, counted) = (answers.next(), answers.next());
        match (planned, counted) {
            (Some(Response::Fates(fates)), Some(Response::Counts(counts))) if counts.len() == 1 => {
                Self {
                    counts: counts[0],
                    slots: fates.slots,
                    is_readable: true,
                }
            }
            _ => Self {
                is_readable: false,
                ..Self::silent()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Fates;
    use crate::runs::Wished;

    fn planned() -> Response {
        Response::Fates(Fates {
            slots: SlotSet::of(|slot| slot.number() < 9),
            wished: Wished::default(),
            cells: Vec::new(),
        })
    }

    #[test]
    fn only_slots_and_counts_together_tell_something() {
        let counts = JobCounts {
            done: 3,
            ..JobCounts::default()
        };
        let told = Told::of(vec![planned(), Response::Counts(vec![counts])]);
        assert_eq!((told.counts, told.slots.len()), (counts, 9));
        assert!(told.is_readable);
        let two = Response::Counts(vec![counts, counts]);
        for answers in [
            vec![],
            vec![planned()],
            vec![planned(), planned()],
            vec![planned(), two],
            vec![Response::Counts(vec![counts]), planned()],
        ] {
            let told = Told::of(answers);
            assert!(!told.is_readable && told.slots.is_empty(), "{told:?}");
            assert_eq!(told.counts, JobCounts::default());
        }
    }
}
