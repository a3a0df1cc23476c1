//! What a lease promises, and what users may do with jobs.

use wire::run::Renew;

use super::*;

fn key(geocode: &str) -> JobKey {
    JobKey {
        run: "r".to_owned(),
        geocode: geocode.to_owned(),
    }
}

fn book(geocodes: &[&str]) -> Book {
    let mut book = Book::default();
    for g in geocodes {
        assert!(book.plan(key(g), job(Role::Alone)));
    }
    book
}

fn job(role: Role) -> Job {
    Job::new(PlacementKey::named("test", "x"), Vec::new(), role)
}

fn published() -> Published {
    Published {
        metrics: Metrics::default(),
        descent: None,
        seconds: None,
    }
}

#[test]
fn a_job_is_planned_once_and_lent_once() {
    let mut book = book(&["9xj"]);
    assert!(!book.plan(key("9xj"), job(Role::Alone)));
    assert_eq!(book.lend(Some("r"), "w", 0), Some(key("9xj")));
    assert_eq!(book.lend(Some("r"), "w", 1), None);
    assert_eq!(book.lend(Some("other"), "w", 1), None);
}

#[test]
fn a_stalled_worker_cannot_publish_after_its_job_was_lent_again() {
    let mut book = book(&["9xj"]);
    book.lend(None, "w", 0);
    let old = book.job(&key("9xj")).map_or(0, |j| j.token);
    assert_eq!(book.expire(LEASE_MS), [key("9xj")]);
    assert_eq!(book.lend(None, "w", LEASE_MS), Some(key("9xj")));
    let new = book.job(&key("9xj")).map_or(0, |j| j.token);
    assert!(new > old);
    assert!(book.may_publish(&key("9xj"), old).is_err());
    assert!(book.done(&key("9xj"), old, published(), 1).is_err());
    assert!(book.renew(&key("9xj"), old, 1).is_err());
    assert_eq!(
        book.done(&key("9xj"), new, published(), LEASE_MS + 2_000),
        Ok(())
    );
    let job = book.job(&key("9xj")).unwrap();
    assert_eq!((job.state, job.seconds), (JobState::Done, Some(2.0)));
    assert!(
        book.done(&key("9xj"), new, published(), 1).is_err(),
        "published twice"
    );
}

#[test]
fn a_renewed_lease_does_not_run_out() {
    let mut book = book(&["9xj"]);
    book.lend(None, "w", 0);
    assert_eq!(book.renew(&key("9xj"), 1, LEASE_MS - 1), Ok(()));
    assert!(book.expire(LEASE_MS).is_empty());
    assert_eq!(book.expire(2 * LEASE_MS).len(), 1);
}

#[test]
fn a_poison_job_is_quarantined_after_three_tries_and_stops_no_other() {
    let mut book = book(&["9xj", "9xk"]);
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(
            book.lend(None, "w", 0),
            Some(key("9xj")),
            "attempt {attempt}"
        );
        let token = book.job(&key("9xj")).map_or(0, |j| j.token);
        assert_eq!(book.fail(&key("9xj"), token, "NaN loss", false), Ok(()));
    }
    assert_eq!(
        book.job(&key("9xj")).map(|j| j.state),
        Some(JobState::Quarantined)
    );
    assert_eq!(book.lend(None, "w", 0), Some(key("9xk")));
    let token = book.job(&key("9xk")).map_or(0, |j| j.token);
    assert_eq!(book.fail(&key("9xk"), token, "no chips", true), Ok(()));
    let counts = book.counts(Some("r"));
    assert_eq!((counts.quarantined, counts.unfinished()), (2, 0));
}

#[test]
fn a_cell_that_does_no_better_than_its_parent_has_ended_and_is_not_tried_again() {
    let mut book = book(&["9xj5", "9xj6"]);
    book.lend(None, "w", 0);
    let descent = Descent {
        donor: "9xj".to_owned(),
        warm: true,
        reason: None,
        weights_blake3: None,
        bytes: 4,
        told: true,
        trial: None,
        beside: None,
    };
    let mut failure = Failure {
        lease: Renew {
            run: "r".to_owned(),
            geocode: "9xj5".to_owned(),
            token: 1,
        },
        reason: "no better".to_owned(),
        hopeless: true,
        dropped: Some(Box::new(descent.clone())),
    };
    assert_eq!(book.give_back(&key("9xj5"), &failure), Ok(()));
    let job = book.job(&key("9xj5")).unwrap();
    assert_eq!(job.state, JobState::Dropped);
    assert_eq!(
        (job.told().as_deref(), &job.descent),
        (Some("no better"), &Some(descent))
    );
    assert!(book.give_back(&key("9xj5"), &failure).is_err(), "twice");
    assert!(steered(&mut book, Wish::Cancel, &[]) == [key("9xj6")]);
    assert!(steered(&mut book, Wish::Go, &[]) == [key("9xj6")]);
    book.lend(None, "w", 0);
    failure.dropped = None;
    failure.lease.token = 2;
    assert_eq!(book.give_back(&key("9xj6"), &failure), Ok(()));
    let counts = book.counts(Some("r"));
    assert_eq!(
        (counts.dropped, counts.quarantined, counts.total()),
        (1, 1, 2)
    );
}

#[test]
fn cancelling_leaves_finished_jobs_alone() {
    let mut book = book(&["9xj", "9xk"]);
    book.lend(None, "w", 0);
    assert_eq!(book.done(&key("9xj"), 1, published(), 5), Ok(()));
    assert_eq!(book.steer("r", Wish::Cancel, &BTreeSet::new()).len(), 1);
    assert_eq!(book.job(&key("9xj")).map(|j| j.state), Some(JobState::Done));
    assert_eq!(
        book.job(&key("9xk")).map(|j| j.state),
        Some(JobState::Cancelled)
    );
}

#[test]
fn after_a_restart_lent_jobs_run_out_at_once_and_tokens_go_on() {
    let mut book = book(&["9xj"]);
    book.lend(None, "w", 7);
    let mut again = Book::default();
    for (key, job) in book.jobs() {
        let text = serde_json::to_string(job).unwrap();
        again.restore(key.clone(), serde_json::from_str(&text).unwrap());
    }
    assert_eq!(again.expire(8), [key("9xj")]);
    assert_eq!(again.lend(None, "w", 8), Some(key("9xj")));
    assert_eq!(again.job(&key("9xj")).map(|j| j.token), Some(2));
}

fn steered(book: &mut Book, wish: Wish, done: &[&str]) -> Vec<JobKey> {
    let done = done.iter().map(ToString::to_string).collect();
    book.steer("r", wish, &done)
}

#[test]
fn a_job_whose_model_is_on_its_way_is_not_given_up_before_that_must_be_over() {
    let mut book = book(&["9xj"]);
    book.lend(None, "host", 0);
    let over = 3 * LEASE_MS;
    assert!(book.publishing(&key("9xj"), 2, over).is_err(), "not theirs");
    assert_eq!(book.publishing(&key("9xj"), 1, over), Ok(()));
    assert_eq!(book.renew(&key("9xj"), 1, 1), Ok(()));
    assert!(book.expire(over - 1).is_empty());
    assert!(book.take_back("host", "is gone", over - 1).is_empty());
    let mut other = book.clone();
    assert_eq!(other.take_back("host", "is gone", over), [key("9xj")]);
    assert_eq!(book.expire(over), [key("9xj")]);
    // The next lease is one like any.
    let mut again = self::book(&["9xj"]);
    again.lend(None, "w", 0);
    assert_eq!(again.publishing(&key("9xj"), 1, over), Ok(()));
    assert_eq!(again.fail(&key("9xj"), 1, "refused", false), Ok(()));
    again.lend(None, "w", 0);
    assert_eq!(again.expire(LEASE_MS), [key("9xj")]);
}

#[test]
fn what_a_dead_worker_held_waits_again_at_once_and_nothing_else_does() {
    let mut book = book(&["a", "b"]);
    assert_eq!(book.lend(None, "dead", 0), Some(key("a")));
    assert_eq!(book.lend(None, "alive", 0), Some(key("b")));
    assert_eq!(book.take_back("dead", "signal 9", 0), [key("a")]);
    assert!(book.take_back("dead", "again", 0).is_empty());
    let reason = book.job(&key("a")).and_then(|job| job.reason.clone());
    assert_eq!(reason.as_deref(), Some("signal 9"));
    assert_eq!(book.lend(None, "next", 1), Some(key("a")));
    assert_eq!(book.may_publish(&key("b"), 2), Ok(()));
    assert!(book.may_publish(&key("a"), 1).is_err());
}

#[test]
fn paused_jobs_are_not_lent_and_a_worker_that_had_one_may_not_publish() {
    let mut book = book(&["a", "b", "c"]);
    book.lend(None, "w", 0);
    assert_eq!(book.done(&key("a"), 1, published(), 1), Ok(()));
    book.lend(None, "w", 1);
    assert_eq!(steered(&mut book, Wish::Pause, &[]), [key("b"), key("c")]);
    assert_eq!(book.lend(None, "w", 2), None);
    assert!(book.may_publish(&key("b"), 2).is_err());
    assert!(book.expire(u64::MAX).is_empty());
    assert!(book.job(&key("b")).is_some_and(|job| !job.has_ended()));
    assert_eq!(steered(&mut book, Wish::Go, &[]), [key("b"), key("c")]);
    let attempts = |book: &Book| book.job(&key("b")).map(|job| job.attempts);
    assert_eq!(
        attempts(&book),
        Some(1),
        "a pause is no failure, and no fresh start"
    );
    assert_eq!(book.lend(None, "w", 3), Some(key("b")));
}

#[test]
fn what_failed_or_was_cancelled_is_tried_again_at_a_word_and_what_is_done_is_kept() {
    let mut book = book(&["a", "b", "c", "d"]);
    book.lend(None, "w", 0);
    assert_eq!(book.done(&key("a"), 1, published(), 1), Ok(()));
    book.lend(None, "w", 1);
    assert_eq!(book.fail(&key("b"), 2, "no chips", true), Ok(()));
    assert_eq!(steered(&mut book, Wish::Cancel, &[]), [key("c"), key("d")]);
    // Another node has made the model of d meanwhile.
    assert_eq!(steered(&mut book, Wish::Go, &["d"]), [key("b"), key("c")]);
    let job = book.job(&key("b")).unwrap();
    assert_eq!((job.attempts, job.reason.as_deref()), (0, None));
    assert_eq!(book.counts(None).done, 1);
    assert_eq!(book.counts(None).cancelled, 1);
}
