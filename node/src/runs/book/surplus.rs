//! Jobs that wait so long here that another owner of their cells may do them.
//!
//! *Invariants*: pure; donors come last, for heirs wait for them here and elsewhere; one that was
//! tried before stays where somebody works, so that what fails elsewhere ends at home; one that is
//! lent to a node is lent like any: its token fences it, and it is lent again when that node is
//! silent.
//!
//! *Not here*: which node takes them (`cluster::lend`), what it has done there (`guests`).

use std::collections::BTreeMap;
use std::time::Duration;

use earth::split::placement::Slot;
use wire::run::{JobState, Moved};

use super::{Book, Job, JobKey, LeaseError, Role};

/// Shortest wait for which a job moves: about what a worker takes to start.
pub const WORTH_MS: u64 = 2_000;
/// Work that a node is given at a time, in milliseconds: asking again costs it little beside that.
const HANDFUL_MS: u64 = 5_000;
/// Most jobs that are given at a time.
const HANDFUL_MAX: u64 = 64;
/// Most splits of jobs that are given at a time: their names fit into one message.
const SPLITS_MAX: usize = 8_192;

/// How long a job is not offered again that a node did not take: it may lack less by then.
const STAYS_MS: u64 = 60_000;

/// Jobs of one run that may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surplus {
    /// The last of those that wait, the very last first, and where their imagery is placed.
    pub jobs: Vec<(JobKey, Slot)>,
    /// Milliseconds until the last of them would be begun here.
    pub wait_ms: u64,
    /// How many of them are given to one worker at a time.
    pub handful: usize,
}

impl Book {
    /// Returns the jobs of each run that wait long enough to move and `may_move`. `staffed` tells
    /// whether anybody works here who may not have asked yet.
    pub fn surplus(
        &self,
        may_move: impl Fn(&JobKey, &Job) -> bool,
        staffed: bool,
        now_ms: u64,
    ) -> Vec<Surplus> {
        let is_ready = |(_, job): &(&JobKey, &Job)| job.is_ready();
        let mut ready: Vec<(&JobKey, &Job)> = self.jobs.iter().filter(is_ready).collect();
        ready.sort_by_key(|(_, job)| job.role != Role::Donor);
        let under_way: Vec<&Job> = self.jobs.values().filter(is_here).collect();
        if under_way.is_empty() && staffed {
            return Vec::new();
        }
        let count = ready.len();
        let movable = |(key, job): &(&JobKey, &Job)| {
            let is_untried = job.attempts == 0 || !staffed;
            let fits = job.splits.len() <= SPLITS_MAX && job.stays_ms <= now_ms;
            is_untried && fits && may_move(key, job)
        };
        let mut by_run: BTreeMap<&str, Vec<(&JobKey, &Job)>> = BTreeMap::new();
        for (key, job) in ready.into_iter().rev().filter(movable) {
            by_run.entry(&key.run).or_default().push((key, job));
        }
        let surplus = |(run, jobs)| self.of_run((run, jobs), &under_way, (count, now_ms));
        by_run.into_iter().filter_map(surplus).collect()
    }

    /// Returns the jobs of one run that wait long enough, given those of it that may move.
    fn of_run(
        &self,
        (run, jobs): (&str, Vec<(&JobKey, &Job)>),
        under_way: &[&Job],
        (ready, now_ms): (usize, u64),
    ) -> Option<Surplus> {
        let each_ms = self.each_ms(run, under_way, now_ms);
        let wait_ms = match under_way.len() {
            // Nobody will ever begin it.
            0 => u64::MAX,
            hands => (ready.div_ceil(hands) as u64).saturating_mul(each_ms),
        };
        if wait_ms <= WORTH_MS {
            return None;
        }
        let mut splits = 0;
        let fits = |(_, job): &(&JobKey, &Job)| {
            splits += job.splits.len();
            splits <= SPLITS_MAX
        };
        let placed = |(key, job): (&JobKey, &Job)| (key.clone(), job.placement_key.slot());
        let mut jobs: Vec<_> = jobs.into_iter().take_while(fits).map(placed).collect();
        if !under_way.is_empty() {
            // The first half is as soon begun here as elsewhere.
            jobs.truncate(jobs.len().div_ceil(2));
        }
        let handful = (HANDFUL_MS / each_ms.max(1)).clamp(1, HANDFUL_MAX);
        Some(Surplus {
            jobs,
            wait_ms,
            handful: usize::try_from(handful).unwrap_or(1),
        })
    }

    /// Returns how many jobs workers of this node do.
    pub fn under_way(&self) -> u64 {
        self.jobs.values().filter(is_here).count() as u64
    }

    /// Returns how many milliseconds a job of a run takes: the mean of those done, or else at least
    /// as long as the first of those under way has taken so far; unknown is long.
    fn each_ms(&self, run: &str, under_way: &[&Job], now_ms: u64) -> u64 {
        let of_run = self.jobs.iter().filter(|(key, _)| key.run == run);
        let (count, sum) = of_run
            .filter_map(|(_, job)| job.seconds)
            .fold((0_u32, 0.0), |(n, sum), seconds| (n + 1, sum + seconds));
        if count > 0 {
            let mean = Duration::try_from_secs_f64(sum / f64::from(count));
            return mean.map_or(u64::MAX, millis);
        }
        let so_far = under_way
            .iter()
            .map(|job| now_ms.saturating_sub(job.lent_ms));
        so_far.max().unwrap_or(HANDFUL_MS)
    }

    /// Lends a waiting job to another node; returns it as it is then.
    pub fn move_out(&mut self, key: &JobKey, to: &str, now_ms: u64) -> Option<&Job> {
        self.jobs.get(key).filter(|job| job.is_ready())?;
        let job = self.hand(key, to, now_ms)?;
        job.moved = Some(Moved {
            to: to.to_owned(),
            bytes: 0,
        });
        Some(job)
    }

    /// Notes what was shipped for a job that another node has taken.
    pub fn shipped(&mut self, key: &JobKey, token: u64, bytes: u64) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        if let Some(moved) = &mut job.moved {
            moved.bytes = bytes;
        }
        Ok(())
    }

    /// Has a job wait again that another node did not take: that was no attempt, and it stays for a
    /// while.
    pub fn recall(&mut self, key: &JobKey, token: u64, now_ms: u64) -> Result<(), LeaseError> {
        let job = self.leased(key, token)?;
        job.state = JobState::Waiting;
        job.attempts = job.attempts.saturating_sub(1);
        job.moved = None;
        job.stays_ms = now_ms + STAYS_MS;
        Ok(())
    }

    /// Returns the nodes that do jobs in place of this one.
    pub fn helpers(&self) -> std::collections::BTreeSet<String> {
        let running = self
            .jobs
            .values()
            .filter(|job| job.state == JobState::Running);
        running
            .filter_map(|job| Some(job.moved.as_ref()?.to.clone()))
            .collect()
    }
}

/// Returns a time in milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Tells whether a worker of this node does a job.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "filters pass a reference"
)]
fn is_here(job: &&Job) -> bool {
    job.state == JobState::Running && job.moved.is_none()
}

#[cfg(test)]
mod tests {
    use earth::split::placement::PlacementKey;
    use wire::transfer::{Heritage, Legacy};

    use super::super::{LEASE_MS, Published};
    use super::*;

    fn key(geocode: &str) -> JobKey {
        JobKey {
            run: "r".to_owned(),
            geocode: geocode.to_owned(),
        }
    }

    fn book(jobs: &[(&str, Role)]) -> Book {
        let mut book = Book::default();
        for (geocode, role) in jobs {
            let placement_key = PlacementKey::named("test", geocode);
            let job = Job::new(placement_key, Vec::new(), role.clone());
            assert!(book.plan(key(geocode), job));
        }
        book
    }

    fn alone(geocodes: &[&'static str]) -> Book {
        let jobs: Vec<_> = geocodes.iter().map(|g| (*g, Role::Alone)).collect();
        book(&jobs)
    }

    fn surplus(book: &Book, staffed: bool, now_ms: u64) -> Option<(Vec<String>, u64, usize)> {
        let mut all = book.surplus(|_, _| true, staffed, now_ms);
        assert!(all.len() <= 1, "one run");
        let surplus = all.pop()?;
        let keys = surplus
            .jobs
            .into_iter()
            .map(|(key, _)| key.geocode)
            .collect();
        Some((keys, surplus.wait_ms, surplus.handful))
    }

    fn token(book: &Book, geocode: &str) -> u64 {
        book.job(&key(geocode)).unwrap().token
    }

    #[test]
    fn the_last_that_wait_longer_than_a_worker_takes_to_start_may_move() {
        let mut book = alone(&["a", "b", "c", "d", "e"]);
        assert_eq!(surplus(&book, true, 0), None, "somebody is about to begin");
        book.lend(None, "w", 0);
        assert_eq!(surplus(&book, true, 500), None, "4 jobs of half a second");
        let told = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        assert_eq!(
            surplus(&book, true, 1_000),
            Some((told(&["e", "d"]), 4_000, 5))
        );
        let published = Published {
            metrics: wire::model::Metrics::default(),
            descent: None,
            seconds: None,
        };
        book.done(&key("a"), 1, published, 3_000).unwrap();
        book.lend(None, "w", 3_000);
        book.lend(None, "v", 3_000);
        let all = surplus(&book, true, 3_000);
        assert_eq!(
            all,
            Some((told(&["e"]), 3_000, 1)),
            "2 jobs, 2 workers, 3 s each"
        );
    }

    #[test]
    fn where_nobody_works_everything_moves() {
        let book = alone(&["a", "b"]);
        let (keys, wait_ms, _) = surplus(&book, false, 0).unwrap();
        assert_eq!((keys.len(), wait_ms), (2, u64::MAX));
        assert!(book.surplus(|_, _| false, false, 0).is_empty());
    }

    #[test]
    fn a_run_that_nobody_takes_hides_no_other() {
        let mut book = alone(&["a", "b"]);
        let other = JobKey {
            run: "other".to_owned(),
            ..key("a")
        };
        book.plan(
            other,
            Job::new(PlacementKey::named("test", "a"), Vec::new(), Role::Alone),
        );
        let all = book.surplus(|_, _| true, false, 0);
        let counts: Vec<usize> = all.iter().map(|surplus| surplus.jobs.len()).collect();
        assert_eq!(counts, [1, 2]);
    }

    #[test]
    fn donors_move_last_and_who_waits_for_one_not_at_all() {
        let heir = |legacy| {
            let donor = "z".to_owned();
            Role::Heir(Heritage { donor, legacy })
        };
        let jobs = [
            ("a", Role::Donor),
            ("b", heir(Legacy::Lost("x".to_owned()))),
            ("c", heir(Legacy::Awaited)),
            ("d", Role::Donor),
        ];
        let (keys, ..) = surplus(&book(&jobs), false, 0).unwrap();
        assert_eq!(keys, ["b", "d", "a"]);
    }

    #[test]
    fn a_job_that_moved_is_fenced_like_any_and_one_not_taken_was_not_tried() {
        let mut book = alone(&["a", "b"]);
        let job = book.move_out(&key("b"), "there", 0).unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Running, 1));
        assert!(book.move_out(&key("b"), "elsewhere", 0).is_none());
        assert_eq!((book.under_way(), book.helpers().len()), (0, 1));
        let first = token(&book, "b");
        book.shipped(&key("b"), first, 7).unwrap();
        assert_eq!(
            book.job(&key("b")).unwrap().moved.as_ref().unwrap().bytes,
            7
        );
        book.expire(LEASE_MS);
        assert!(book.renew(&key("b"), first, LEASE_MS).is_err());
        assert_eq!(book.job(&key("b")).unwrap().moved, None);
        let (keys, ..) = surplus(&book, false, 0).unwrap();
        assert_eq!(keys, ["b", "a"], "nobody works here");
        book.move_out(&key("a"), "there", 0).unwrap();
        let lent = token(&book, "a");
        book.recall(&key("a"), lent, 0).unwrap();
        let job = book.job(&key("a")).unwrap();
        assert_eq!(
            (job.state, job.attempts, &job.moved),
            (JobState::Waiting, 0, &None)
        );
        let (keys, ..) = surplus(&book, false, STAYS_MS - 1).unwrap();
        assert_eq!(keys, ["b"], "what nobody took stays for a while");
        book.plan(
            key("c"),
            Job::new(PlacementKey::named("test", "c"), Vec::new(), Role::Alone),
        );
        book.lend(None, "w", STAYS_MS);
        let (keys, ..) = surplus(&book, true, 2 * STAYS_MS).unwrap();
        assert_eq!(keys, ["c"], "what was tried stays where somebody works");
    }
}
