//! What a worker is told with a lease: its job, and what it will probably do after that.
//!
//! *Invariants*: what comes after is a hint and no promise: nothing is lent, counted or written
//! down for it, and any worker, or another node, may get that job.
//!
//! *Not here*: what a worker makes of it (trainer), lending (`book`).

use earth::split::meta::SplitId;
use wire::run::{JobState, Lease, LeaseSplit, Run};

use super::Inner;
use super::book::{Book, Job, JobKey, LEASE_MS, Role};

impl Inner {
    /// Returns what a worker is told of a job that it is lent.
    pub(super) fn lease(&self, key: &JobKey, job: &Job, run: &Run) -> Lease {
        Lease {
            token: job.token,
            expires_millis: LEASE_MS,
            run: run.for_job(),
            geocode: key.geocode.clone(),
            placement_key: job.placement_key.clone(),
            splits: self.local(&job.splits),
            next: Vec::new(),
            bytes_moved: 0,
            heritage: job.heritage().cloned(),
            checkpoint: self.spool.place(key),
        }
    }

    /// Returns splits with their folders here.
    fn local(&self, splits: &[SplitId]) -> Vec<LeaseSplit> {
        let split = |id: &SplitId| {
            let folder = self.folders.get(id)?.clone();
            Some(LeaseSplit {
                id: id.clone(),
                folder,
            })
        };
        splits.iter().filter_map(split).collect()
    }

    /// Returns what the worker of a job that was just lent will probably learn from next. The other
    /// workers of the run here are each taken to be lent one before. Nothing of a packed run, whose
    /// workers have the next job under way by then.
    pub(super) fn next(&self, key: &JobKey, run: &Run) -> Vec<LeaseSplit> {
        if !run.packing.is_sequential() {
            return Vec::new();
        }
        let others = self.book.at_work(&key.run).saturating_sub(1);
        let next = self.book.upcoming(&key.run, others);
        next.map(|job| self.local(&job.splits)).unwrap_or_default()
    }
}

impl Book {
    /// Counts the jobs of a run that workers of this node have.
    fn at_work(&self, run: &str) -> usize {
        let is_here = |job: &Job| job.state == JobState::Running && job.moved.is_none();
        let jobs = self.jobs_of(run, None);
        jobs.filter(|(_, job)| is_here(job)).count()
    }

    /// Returns the job of a run that is lent after so many others, if all goes on as it stands:
    /// donors first, then who waits for nobody, then who waits for a donor.
    fn upcoming(&self, run: &str, others: usize) -> Option<&Job> {
        let is_donor = |job: &Job| job.role == Role::Donor;
        let of = |is: fn(&Job) -> bool| self.jobs_of(run, None).filter(move |(_, job)| is(job));
        let donors = of(Job::is_ready).filter(move |(_, job)| is_donor(job));
        let ready = of(Job::is_ready).filter(move |(_, job)| !is_donor(job));
        let heirs = of(|job| job.awaits().is_some());
        let mut all = donors.chain(ready).chain(heirs);
        all.nth(others).map(|(_, job)| job)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use earth::split::placement::PlacementKey;
    use query::Query;
    use wire::run::{LeaseAnswer, LeaseRequest, Packing};
    use wire::transfer::{Donor, Inheritance};

    use super::*;
    use crate::runs::{PlannedSplit, Runs};
    use crate::slots::SlotSet;

    /// Plans a run of four cells.
    fn planned(run: &Run) -> (tempfile::TempDir, Runs) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path(), "n").unwrap();
        let split = |cell: &str| PlannedSplit {
            id: SplitId::parse(&format!("c/s~{cell}")).unwrap(),
            cell: cell.to_owned(),
            placement_key: PlacementKey::named("test", cell),
            folder: PathBuf::from("/there").join(cell),
        };
        let splits = ["9xj5b", "9xj5c", "9xj5d", "9xj5e"].map(split);
        let none = BTreeMap::new();
        runs.plan(run, (&SlotSet::none(), &splits), &none).unwrap();
        (dir, runs)
    }

    /// Lends a job; returns its cell and that of the next.
    fn lent(runs: &Runs, worker: &str) -> (String, Option<String>) {
        let request = LeaseRequest {
            worker: worker.to_owned(),
            run: None,
        };
        let LeaseAnswer::Job(lease) = runs.lease(&request).unwrap() else {
            panic!("a job waits");
        };
        let cell = |split: &LeaseSplit| {
            let cell = split.id.geocode().to_owned();
            assert_eq!(split.folder, PathBuf::from("/there").join(&cell));
            cell
        };
        (cell(&lease.splits[0]), lease.next.first().map(cell))
    }

    fn told(cell: &str, next: Option<&str>) -> (String, Option<String>) {
        (cell.to_owned(), next.map(str::to_owned))
    }

    #[test]
    fn each_worker_is_told_the_job_that_it_will_probably_have_next() {
        let (_dir, runs) = planned(&Run::new("r", "ndvi-cnn", Query::default()));
        assert_eq!(lent(&runs, "a"), told("9xj5b", Some("9xj5c")));
        // The first worker ends before, and is lent 9xj5d.
        assert_eq!(lent(&runs, "b"), told("9xj5c", Some("9xj5e")));
        assert_eq!(lent(&runs, "c"), told("9xj5d", None));
        let counts = runs.counts(Some("r"));
        assert_eq!((counts.running, counts.waiting), (3, 1), "it is a hint");
    }

    #[test]
    fn donors_come_next_then_who_waits_for_nobody_then_heirs() {
        let donor = |geocode: &str, heir: &str| Donor {
            geocode: geocode.to_owned(),
            heirs: vec![heir.to_owned()],
            holder: None,
        };
        let mut run = Run::new("r", "ndvi-cnn", Query::default());
        run.inheritance = Some(Inheritance {
            donors: vec![donor("9xj5d", "9xj5b"), donor("9xj5e", "9xj5f")],
            ..Inheritance::default()
        });
        let (_dir, runs) = planned(&run);
        assert_eq!(lent(&runs, "a"), told("9xj5d", Some("9xj5e")));
        let inner = runs.lock();
        let cell = |others| {
            let job = inner.book.upcoming("r", others)?;
            Some(job.splits[0].geocode().to_owned())
        };
        let cells: Vec<_> = (0..4).map(cell).collect();
        let text = |cell: &str| Some(cell.to_owned());
        assert_eq!(cells, [text("9xj5e"), text("9xj5c"), text("9xj5b"), None]);
    }

    #[test]
    fn workers_of_a_packed_run_are_told_nothing() {
        let mut run = Run::new("r", "ndvi-cnn", Query::default());
        run.packing = Packing::Packed;
        let (_dir, runs) = planned(&run);
        assert_eq!(lent(&runs, "a"), told("9xj5b", None));
    }
}
