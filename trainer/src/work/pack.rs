//! How many jobs are done at once.
//!
//! *Invariants*: pure; jobs of a sequential run are done one after the other; of a packed run the
//! first is done alone, and by what it took it follows how many fit beside each other.
//!
//! *Not here*: measuring (`gauge`), doing them (`work`).

use wire::run::{Packing, Run};

/// Most jobs at once, whatever they need.
const AT_ONCE_MAX: usize = 64;
/// How much more memory a job may need than the first did.
const MARGIN: f64 = 1.25;
/// Least share of a core that a job is taken to need, so that a first one that waited for others
/// does not call in too many.
const CORES_MIN: f64 = 0.5;
/// Share of a core by which jobs may overlap: none computes all the time.
const OVERLAP: f64 = 0.25;

/// What jobs may take together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Cores.
    pub cores: f64,
    /// Bytes, if known.
    pub bytes: Option<u64>,
}

/// What one job took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Bytes at its greatest.
    pub bytes: u64,
    /// Cores, on average.
    pub cores: f64,
}

/// Decides how many jobs are done at once.
#[derive(Debug)]
pub struct Pack {
    budget: Budget,
    run: Option<(String, Packing)>,
    need: Option<Need>,
    most: usize,
}

impl Pack {
    /// Begins with one at a time.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            run: None,
            need: None,
            most: AT_ONCE_MAX,
        }
    }

    /// Notes of which run a job is that begins while no other is under way.
    pub fn begins(&mut self, run: &Run) {
        let run = (run.name.clone(), run.packing);
        if self.run.as_ref() != Some(&run) {
            (self.need, self.most) = (None, AT_ONCE_MAX);
            self.run = Some(run);
        }
    }

    /// Tells whether the job that is under way is to be measured.
    pub fn is_first(&self) -> bool {
        self.is_packed() && self.need.is_none()
    }

    /// Notes what the first job took.
    pub fn measured(&mut self, need: Need) {
        self.need = Some(need);
    }

    /// Notes that memory ran out while so many were under way.
    pub fn short(&mut self, under_way: usize) {
        self.most = under_way.saturating_sub(1).max(1);
    }

    /// Returns the run that jobs are taken of while others are under way.
    pub fn run(&self) -> Option<String> {
        self.run.as_ref().map(|(name, _)| name.clone())
    }

    /// Returns how many jobs may be under way.
    pub fn at_once(&self) -> usize {
        match self.need {
            Some(need) if self.is_packed() => {
                let [memory, cores] = self.rooms(need);
                memory.min(cores).min(self.most).max(1)
            }
            _ => 1,
        }
    }

    /// Says what was measured and what follows.
    pub fn told(&self) -> Option<String> {
        let need = self.need?;
        let [memory, cores] = self.rooms(need);
        Some(format!(
            "the first job took {} MiB and {:.2} of a core: room for {cores} by cores, {memory} by \
             memory, so {} at once",
            need.bytes >> 20,
            need.cores,
            self.at_once(),
        ))
    }

    fn is_packed(&self) -> bool {
        matches!(self.run, Some((_, Packing::Packed)))
    }

    /// Returns how many fit by memory and by cores.
    fn rooms(&self, need: Need) -> [usize; 2] {
        let memory = self.budget.bytes.map_or(f64::INFINITY, |bytes| {
            bytes as f64 / (need.bytes.max(1) as f64 * MARGIN)
        });
        let cores = self.budget.cores / need.cores.max(CORES_MIN) + OVERLAP;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number, bounded"
        )]
        let whole = |room: f64| room.clamp(0.0, AT_ONCE_MAX as f64) as usize;
        [whole(memory), whole(cores)]
    }
}

#[cfg(test)]
mod tests {
    use wire::run::{Packing, Run};

    use super::{Budget, Need, Pack};

    fn run(name: &str, packing: Packing) -> Run {
        Run {
            packing,
            ..Run::new(name, "ndvi-cnn", query::Query::default())
        }
    }

    const MIB: u64 = 1 << 20;

    fn pack(cores: f64, mebibytes: u64) -> Pack {
        let bytes = Some(mebibytes * MIB);
        Pack::new(Budget { cores, bytes })
    }

    fn need(mebibytes: u64, cores: f64) -> Need {
        let bytes = mebibytes * MIB;
        Need { bytes, cores }
    }

    #[test]
    fn the_first_job_is_alone_and_by_what_it_took_others_join() {
        let mut pack = pack(8.0, 1_000);
        pack.begins(&run("r", Packing::Packed));
        assert!(pack.is_first());
        assert_eq!(pack.at_once(), 1);
        pack.measured(need(50, 0.97));
        assert!(!pack.is_first());
        assert_eq!(pack.at_once(), 8, "cores bound it");
        pack.measured(need(300, 0.97));
        assert_eq!(pack.at_once(), 2, "memory bounds it, with room to spare");
        pack.measured(need(5_000, 9.0));
        assert_eq!(pack.at_once(), 1, "one is always done");
        pack.measured(need(1, 0.0));
        assert_eq!(
            pack.at_once(),
            16,
            "a job that waited is not taken for idle"
        );
    }

    #[test]
    fn memory_that_ran_out_lets_fewer_in() {
        let mut pack = pack(8.0, 1_000);
        pack.begins(&run("r", Packing::Packed));
        pack.measured(need(50, 1.0));
        pack.short(8);
        assert_eq!(pack.at_once(), 7);
        pack.short(1);
        assert_eq!(pack.at_once(), 1);
    }

    #[test]
    fn jobs_of_a_sequential_run_are_alone_and_another_run_is_measured_anew() {
        let mut pack = pack(8.0, 1_000);
        pack.begins(&run("s", Packing::Sequential));
        assert!(!pack.is_first());
        pack.measured(need(1, 1.0));
        assert_eq!(pack.at_once(), 1);
        pack.begins(&run("r", Packing::Packed));
        assert!(pack.is_first());
        pack.measured(need(1, 1.0));
        pack.begins(&run("r", Packing::Packed));
        assert_eq!(pack.at_once(), 8);
    }
}
