//! Waiting for the end of a run.
//!
//! *Invariants*: what is asked for at every look is counts, the same few bytes for any number of
//! jobs; the jobs themselves come once at the end, and for the scores beside the bar each time that
//! so many more have ended that their median may have moved.
//!
//! *Not here*: how a run ended (`summary`), what else is told of it (`lost`, `heirs`).

use std::time::Duration;

use wire::client::Client;
use wire::run::RunView;

use super::{lost, scores, summary};
use crate::Done;
use crate::print::Progress;
use crate::session::Session;

/// Time between looks at a run's counts.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Scores are reckoned anew once so many times fewer jobs have ended since than had before: a run
/// of 100,000 jobs is read some 50 times while it is waited for, one of a few jobs as each ends.
const ENDED_PER_NEW: u64 = 4;

/// Waits until no job of the run waits or runs.
pub(crate) async fn wait(session: &Session, client: &Client, name: &str) -> Done {
    let mut progress = Progress::new(&session.screen, 0, "models");
    let mut scored = Scored::default();
    let mut is_told = false;
    loop {
        let seen = client.run_counted(name).await?;
        let counts = seen.counted();
        let is_paused = counts.paused > 0;
        if is_paused && !is_told {
            let note = format!("{name} is paused; it goes on with: glebe job resume {name}");
            session.screen.note(note);
        }
        is_told = is_paused;
        part_with(session, name, is_paused).await;
        let (total, ended) = (counts.total(), counts.ended());
        let has_ended = ended == total && seen.complete && total > 0;
        if has_ended {
            let view = client.run(name).await?;
            if is_whole(&view) {
                progress.finish();
                let deleted = lost::deleted(client, &view).await;
                return Ok(summary(&session.screen, &view, deleted));
            }
        } else if session.screen.shows_progress() && scored.is_due(ended) {
            scored = Scored {
                ended,
                told: scores(&client.run(name).await?),
            };
        }
        progress.set_total(total);
        progress.set(ended, &scored.told);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Says with which words the run goes on, should this command be stopped now.
async fn part_with(session: &Session, name: &str, is_paused: bool) {
    let (goes_on, verb) = match (is_paused, session.is_alone().await) {
        (true, _) => ("stays paused; it goes on", "resume"),
        (false, true) => ("is kept; it goes on", "wait"),
        (false, false) => ("goes on without this command; wait again", "wait"),
    };
    session.part_with(format!(
        "run {name} {goes_on} with: glebe job {verb} {name}"
    ));
}

/// Tells whether a run has ended, by its jobs: each cell once, where counts may hold one twice.
fn is_whole(view: &RunView) -> bool {
    let jobs = view.jobs.len() as u64;
    view.complete && jobs > 0 && view.counted().ended() == jobs
}

/// Scores beside the bar, and of how many jobs they are.
#[derive(Debug, Default)]
struct Scored {
    ended: u64,
    told: String,
}

impl Scored {
    /// Tells whether so many more jobs have ended that scores are reckoned anew.
    fn is_due(&self, ended: u64) -> bool {
        let new = ended.saturating_sub(self.ended);
        new > 0 && new.saturating_mul(ENDED_PER_NEW) >= self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often scores are reckoned while jobs end one after the other.
    fn reckoned(jobs: u64) -> usize {
        let mut scored = Scored::default();
        let mut all = 0;
        for ended in 0..=jobs {
            if scored.is_due(ended) {
                scored.ended = ended;
                all += 1;
            }
        }
        all
    }

    #[test]
    fn few_jobs_are_scored_as_each_ends_and_many_a_few_times() {
        assert_eq!(reckoned(0), 0, "nothing has ended");
        assert_eq!(reckoned(5), 5);
        assert!(reckoned(100_000) <= 60, "{}", reckoned(100_000));
    }

    #[test]
    fn a_run_has_ended_when_each_of_its_cells_has() {
        let view = |states: &[&str], complete: bool| -> RunView {
            let job = |(i, state): (usize, &&str)| {
                serde_json::json!({
                    "run": "r", "geocode": format!("9xj{i}"), "node": "n", "splits": 1,
                    "attempts": 1, "state": state,
                })
            };
            let jobs: Vec<_> = states.iter().enumerate().map(job).collect();
            let run = wire::run::Run::new("r", "ndvi-cnn", query::Query::default());
            let told = serde_json::json!({"run": run, "jobs": jobs, "complete": complete});
            serde_json::from_value(told).unwrap()
        };
        let ends = ["done", "quarantined", "cancelled", "dropped"];
        assert!(is_whole(&view(&ends, true)));
        assert!(!is_whole(&view(&ends, false)), "a cell may be lacking");
        assert!(!is_whole(&view(&[], true)), "nothing is planned yet");
        for open in ["waiting", "running", "paused"] {
            assert!(!is_whole(&view(&["done", open], true)), "{open}");
        }
    }
}
