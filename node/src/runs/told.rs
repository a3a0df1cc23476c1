//! What is said of this node's jobs: by their workers, and by the book itself.
//!
//! *Invariants*: only who holds a job's newest lease says something of it; whoever reads what was
//! said keeps nobody from the book.
//!
//! *Not here*: how lines are kept (`diaries`).

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::diary::{ENTRIES_MAX, Entry, Event, Line, Report, TEXT_MAX};
use wire::fault::{Fault, FaultKind};
use wire::run::{JobState, JobView};

use super::alone::Alone;
use super::book::{Job, JobKey};
use super::diaries::Pages;
use super::{Inner, Runs, key, stale};

impl Runs {
    /// Returns this node's jobs of a run, by geocode.
    pub fn jobs(&self, run: &str) -> Vec<JobView> {
        self.jobs_behind(run, None, usize::MAX)
    }

    /// Returns at most so many of this node's jobs of a run, by geocode: those behind one, or the
    /// first.
    pub fn jobs_behind(&self, run: &str, after: Option<&str>, jobs_max: usize) -> Vec<JobView> {
        let inner = self.lock();
        let known = inner.runs.get(run).map(|known| Arc::clone(&known.run));
        let alone = known.as_deref().and_then(Alone::of);
        let why = |geocode: &str| alone.as_ref().and_then(|alone| alone.why(geocode));
        let view = |(key, job): (&JobKey, &Job)| JobView {
            run: key.run.clone(),
            geocode: key.geocode.clone(),
            node: self.node.clone(),
            state: job.state,
            splits: job.splits.len() as u64,
            attempts: job.attempts,
            reason: job.told(),
            metrics: job.metrics,
            seconds: job.seconds,
            donor: job.heritage().map(|heritage| heritage.donor.clone()),
            no_donor: match job.heritage() {
                Some(heritage) => heritage.lost().map(cut),
                None => why(&key.geocode).map(str::to_owned),
            },
            descent: job.descent.clone(),
            moved: job.moved.clone(),
        };
        let jobs = inner.book.jobs_of(run, after);
        jobs.take(jobs_max).map(view).collect()
    }

    /// Takes down what a worker says of its job; a stale token is refused.
    pub fn report(&self, report: Report) -> Result<(), Fault> {
        let key = key(&report.lease);
        let held = self
            .lock()
            .book_of(&key)
            .may_publish(&key, report.lease.token);
        held.map_err(|e| stale(&e))?;
        let entries = report.entries.into_iter().take(ENTRIES_MAX);
        let line = |entry| self.line(&key.geocode, entry);
        let lines: Vec<Line> = entries.map(line).collect();
        self.diaries.write(&key.run, &lines);
        Ok(())
    }

    /// Returns what was said of a run's jobs here from a position on.
    pub fn said(&self, run: &str, geocode: Option<&str>, after: u64) -> Result<Pages, Fault> {
        let read = self.diaries.read(run, geocode, after);
        read.map_err(|e| {
            let what = format!("what was said of {run} cannot be read");
            Fault::new(FaultKind::Internal, what).because(e.to_string())
        })
    }

    /// Notes what became of jobs.
    pub(super) fn say<'a>(&self, texts: impl Iterator<Item = (&'a JobKey, String)>) {
        let mut lines: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
        for (key, text) in texts {
            let entry = Entry::now(Event::said(&text));
            let line = self.line(&key.geocode, entry);
            lines.entry(&key.run).or_default().push(line);
        }
        for (run, lines) in lines {
            self.diaries.write(run, &lines);
        }
    }

    /// Notes what became of jobs that a worker could not end.
    pub(super) fn say_given_up(&self, inner: &Inner, keys: &[JobKey]) {
        let text = |key: &JobKey| {
            let job = inner.book.job(key)?;
            let reason = job.reason.as_deref().unwrap_or_default();
            Some(match job.state {
                JobState::Quarantined => format!("quarantined: {reason}"),
                JobState::Dropped => format!("dropped: {reason}"),
                _ => format!("is tried again: {reason}"),
            })
        };
        self.say(keys.iter().filter_map(|key| Some((key, text(key)?))));
    }

    fn line(&self, geocode: &str, entry: Entry) -> Line {
        let event = match entry.event {
            Event::Said(text) => Event::said(&text),
            epoch @ Event::Epoch(_) => epoch,
        };
        let entry = Entry { event, ..entry };
        Line {
            geocode: geocode.to_owned(),
            node: self.node.clone(),
            entry,
        }
    }
}

/// Cuts a text to the greatest length: it travels in messages with those of other jobs.
fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
