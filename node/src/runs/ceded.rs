//! Jobs that were left to other nodes, and what becomes of them.
//!
//! *Invariants*: a cell that was left to a node which has no job of it any more is this node's to
//! plan again; the token of its newest lease here is kept until then, so that an old lease is none.
//!
//! *Not here*: leaving a job to another (`withdraw`), asking what became of it (`cluster::ceded`).

use std::collections::{BTreeMap, BTreeSet};

use wire::fault::Fault;

use super::book::JobKey;
use super::{Runs, kept};
use crate::slots::SlotSet;

impl Runs {
    /// Returns the cells that were left to other nodes, by run and node.
    pub fn ceded(&self) -> BTreeMap<(String, String), Vec<String>> {
        let inner = self.lock();
        let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (run, known) in &inner.runs {
            let ceded = known.ceded.iter().filter(|(_, ceded)| !ceded.is_lost());
            for (cell, ceded) in ceded {
                let to = (run.clone(), ceded.to.clone());
                all.entry(to).or_default().push(cell.clone());
            }
        }
        all
    }

    /// Takes down that a node has no job any more of cells that were left to it, and has them
    /// planned again; returns how many those are.
    ///
    /// # Errors
    /// The disk takes nothing: then nothing has changed.
    pub fn reclaim(&self, run: &str, from: &str, cells: &[String]) -> Result<usize, Fault> {
        let mut inner = self.lock();
        let Some(mut known) = inner.runs.get(run).cloned() else {
            return Ok(0);
        };
        let mut lost = Vec::new();
        for cell in cells {
            let ceded = known.ceded.get_mut(cell);
            // It may have been planned here, or left to another, meanwhile.
            if let Some(ceded) = ceded.filter(|ceded| ceded.to == from) {
                ceded.to.clear();
                lost.push(JobKey {
                    run: run.to_owned(),
                    geocode: cell.clone(),
                });
            }
        }
        if lost.is_empty() {
            return Ok(0);
        }
        inner.keep.run(&known, &[]).map_err(|e| kept(&e))?;
        inner.runs.insert(run.to_owned(), known);
        drop(inner);
        let text = format!("is to be planned again: node {from} has it no more");
        self.say(lost.iter().map(|key| (key, text.clone())));
        self.tidings.notify_one();
        Ok(lost.len())
    }

    /// Notes that cells of a run have no job any more, until that is taken; not of a run that this
    /// node does not know, which it reads anew in any case.
    pub fn note_unplanned(&self, run: &str) {
        let mut inner = self.lock();
        if inner.runs.contains_key(run) {
            inner.contest.unplanned.insert(run.to_owned());
            self.tidings.notify_one();
        }
    }

    /// Takes the runs of which cells are said to have no job.
    pub fn take_unplanned(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.lock().contest.unplanned)
    }

    /// Forgets cells of slots that were planned just now, which got no job and whose node is gone:
    /// nothing is left to learn in them. Returns how many.
    ///
    /// # Errors
    /// The disk takes nothing: then nothing has changed.
    pub fn forget_ceded(
        &self,
        run: &str,
        slots: &SlotSet,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<usize, Fault> {
        let mut inner = self.lock();
        let Some(mut known) = inner.runs.get(run).cloned() else {
            return Ok(0);
        };
        let before = known.ceded.len();
        let stays = |slot, to: &str| !slots.contains(slot) || is_there(to);
        known.ceded.retain(|_, ceded| stays(ceded.slot, &ceded.to));
        let forgotten = before - known.ceded.len();
        if forgotten > 0 {
            inner.keep.run(&known, &[]).map_err(|e| kept(&e))?;
            inner.runs.insert(run.to_owned(), known);
        }
        Ok(forgotten)
    }
}
