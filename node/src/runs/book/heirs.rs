//! Donors and heirs in the book: who waits for whom, and what became known.
//!
//! *Invariants*: what a donor left is settled once for each heir: an attempt that is repeated
//! starts from the same weights, or cold again for the same reason.
//!
//! *Not here*: who is whose heir (`inherit`), what a donor left (`cluster::tend`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::diary::TEXT_MAX;
use wire::run::JobState;
use wire::transfer::{Heritage, Legacy};

use super::{Book, Job, JobKey};

/// A job's part in transfer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It starts cold, and nobody waits for it.
    #[default]
    Alone,
    /// It starts cold, and heirs wait for it.
    Donor,
    /// It starts from a donor's weights.
    Heir(Heritage),
}

impl Job {
    /// Tells whether it waits for a worker, and for nobody else.
    pub fn is_ready(&self) -> bool {
        self.state == JobState::Waiting && self.awaits().is_none()
    }

    /// Returns the donor that it waits for.
    pub fn awaits(&self) -> Option<&str> {
        let heritage = self.heritage()?;
        let waits = self.state == JobState::Waiting && heritage.legacy == Legacy::Awaited;
        waits.then_some(heritage.donor.as_str())
    }

    /// Returns what it is to start from.
    pub fn heritage(&self) -> Option<&Heritage> {
        match &self.role {
            Role::Heir(heritage) => Some(heritage),
            Role::Alone | Role::Donor => None,
        }
    }

    /// Says why it waits or starts cold, or why it failed last, in at most `TEXT_MAX` characters:
    /// it travels in messages with that of other jobs.
    pub fn told(&self) -> Option<String> {
        let why = self.why()?;
        Some(why.chars().take(TEXT_MAX).collect())
    }

    fn why(&self) -> Option<String> {
        if let Some(donor) = self.awaits() {
            return Some(format!("waits for donor {donor}"));
        }
        if self.state == JobState::Dropped {
            return self.reason.clone();
        }
        let lost = self.heritage().and_then(Heritage::lost);
        let lost = lost.map(|reason| format!("starts cold: {reason}"));
        let fell_back = self.descent.as_ref().and_then(|d| d.reason.clone());
        let told = fell_back.map(|reason| format!("started cold: {reason}"));
        told.or_else(|| self.reason.clone()).or(lost)
    }
}

impl Book {
    /// Returns the donors that heirs wait for, by run.
    pub fn awaited(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut awaited: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, job) in &self.jobs {
            if let Some(donor) = job.awaits() {
                let donors = awaited.entry(key.run.clone()).or_default();
                donors.insert(donor.to_owned());
            }
        }
        awaited
    }

    /// Tells the heirs that wait for a donor what it left; returns them.
    pub fn bequeath(&mut self, donor: &JobKey, legacy: &Legacy) -> Vec<JobKey> {
        let waits = |(key, job): &(&JobKey, &mut Job)| {
            key.run == donor.run && job.awaits() == Some(donor.geocode.as_str())
        };
        let heirs = self.jobs.iter_mut().filter(waits);
        let told = heirs.map(|(key, job)| {
            job.role = Role::Heir(Heritage {
                donor: donor.geocode.clone(),
                legacy: legacy.clone(),
            });
            key.clone()
        });
        told.collect()
    }

    /// Tells whether a job waits for a worker, and for nobody else.
    pub fn has_ready(&self) -> bool {
        self.jobs.values().any(Job::is_ready)
    }
}

#[cfg(test)]
mod tests {
    use earth::split::placement::PlacementKey;
    use wire::hit::FileEntry;
    use wire::model::Metrics;

    use super::super::{LEASE_MS, Published};
    use super::*;

    fn key(geocode: &str) -> JobKey {
        JobKey {
            run: "r".to_owned(),
            geocode: geocode.to_owned(),
        }
    }

    /// A book with a donor that comes last by name, two heirs of it, and one of another node's.
    fn book() -> Book {
        let heir = |donor| Role::Heir(Heritage::awaited(donor));
        let jobs = [
            ("a", heir("z")),
            ("b", heir("z")),
            ("c", heir("elsewhere")),
            ("z", Role::Donor),
        ];
        let mut book = Book::default();
        for (geocode, role) in jobs {
            let job = Job::new(PlacementKey::named("test", geocode), Vec::new(), role);
            assert!(book.plan(key(geocode), job));
        }
        book
    }

    fn weights() -> Legacy {
        Legacy::Weights(FileEntry {
            name: "model.safetensors".to_owned(),
            bytes: 4,
            blake3: "ab".repeat(32),
        })
    }

    fn published() -> Published {
        Published {
            metrics: Metrics::default(),
            descent: None,
            seconds: None,
        }
    }

    #[test]
    fn donors_are_lent_first_and_heirs_only_once_it_is_known_what_was_left() {
        let mut book = book();
        assert_eq!(book.lend(Some("r"), "w", 0), Some(key("z")));
        assert_eq!(book.lend(Some("r"), "w", 0), None, "heirs wait");
        assert!(!book.has_ready());
        let told = |book: &Book, g: &str| book.job(&key(g)).and_then(Job::told);
        assert_eq!(told(&book, "a").as_deref(), Some("waits for donor z"));
        assert_eq!(book.done(&key("z"), 1, published(), 5), Ok(()));
        assert_eq!(
            book.lend(None, "w", 5),
            None,
            "nobody has said what it left"
        );
        let awaited = BTreeSet::from(["elsewhere".to_owned(), "z".to_owned()]);
        assert_eq!(book.awaited(), BTreeMap::from([("r".to_owned(), awaited)]));
        assert_eq!(book.bequeath(&key("z"), &weights()), [key("a"), key("b")]);
        assert_eq!(book.lend(None, "w", 6), Some(key("a")));
        assert_eq!(book.lend(None, "w", 6), Some(key("b")));
        assert_eq!(book.lend(None, "w", 6), None);
        let lost = Legacy::Lost("it was quarantined".to_owned());
        assert_eq!(book.bequeath(&key("elsewhere"), &lost), [key("c")]);
        let cold = "starts cold: it was quarantined";
        assert_eq!(told(&book, "c").as_deref(), Some(cold));
        assert_eq!(book.lend(None, "w", 7), Some(key("c")));
        assert!(book.awaited().is_empty());
    }

    #[test]
    fn what_a_donor_left_is_settled_once_and_outlives_a_lease_and_a_restart() {
        let mut book = book();
        book.bequeath(&key("z"), &weights());
        let lost = Legacy::Lost("too late".to_owned());
        assert!(book.bequeath(&key("z"), &lost).is_empty());
        book.lend(None, "w", 0);
        book.lend(None, "w", 0);
        book.expire(LEASE_MS);
        let mut again = Book::default();
        for (key, job) in book.jobs() {
            let text = serde_json::to_string(job).unwrap();
            again.restore(key.clone(), serde_json::from_str(&text).unwrap());
        }
        let heritage = again.job(&key("a")).and_then(Job::heritage).cloned();
        assert_eq!(heritage.map(|h| h.legacy), Some(weights()));
    }

    #[test]
    fn heirs_of_another_run_are_not_told() {
        let other = JobKey {
            run: "other".to_owned(),
            geocode: "z".to_owned(),
        };
        assert!(book().bequeath(&other, &weights()).is_empty());
    }
}
