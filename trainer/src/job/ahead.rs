//! The chips of the next job, decoded by a thread of their own while this one learns.
//!
//! *Invariants*: what is prepared is what the next job would decode itself, to the bit, and lies
//! where that looks first; it is prepared under nobody's lease, and whoever gets the next job finds
//! it; it begins once this job has its own chips and ends before this job does; what cannot be
//! prepared costs nobody a model.
//!
//! *Not here*: which job is next (node), the chips (`stocked`).

use std::thread::{Builder, JoinHandle};

use wire::run::Lease;

use crate::job::{JobError, Setting, stocked, survey};
use crate::memory::tried;
use crate::recipe::Task;

/// A preparation that may be under way; waited for when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Ahead(Option<JoinHandle<()>>);

impl Ahead {
    /// Begins to prepare what the node named with a lease, if it named anything and chips stay.
    pub(super) fn begin(&mut self, lease: &Lease, task: &'static dyn Task, setting: &Setting) {
        if lease.next.is_empty() || setting.pins.is_none() {
            return;
        }
        let next = Lease {
            splits: lease.next.clone(),
            next: Vec::new(),
            ..lease.clone()
        };
        let setting = setting.clone();
        let prepare = move || match tried(|| prepared(&next, task, &setting)) {
            Ok(Ok(Some(chips))) => setting.diary.say(&format!(
                "the next job's chips are ready: {chips} were decoded ahead"
            )),
            Ok(Ok(None)) => {}
            // That job says it again if it is so then, too.
            Ok(Err(error)) => not_ready(&setting, &error),
            Err(short) => not_ready(&setting, &short),
        };
        let thread = Builder::new().name("ahead".to_owned());
        self.0 = thread.spawn(prepare).ok();
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // One that panicked has said so, and the next job decodes for itself.
            drop(thread.join());
        }
    }
}

fn prepared(next: &Lease, task: &dyn Task, setting: &Setting) -> Result<Option<u64>, JobError> {
    let survey = survey::survey(next, task)?;
    stocked::pinned(&survey, task, &next.run.hyper, setting)
}

fn not_ready(setting: &Setting, why: &dyn std::fmt::Display) {
    if !setting.stop.wished() {
        let text = format!("the next job's chips are not decoded ahead: {why}");
        setting.diary.say(&text);
    }
}
