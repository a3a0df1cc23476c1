//! The users of a simulated cluster: they put splits, ask for them, fetch and delete them, at any
//! node.
//!
//! *Invariants*: what a user began at a node ends with that node; who gets no answer within
//! `PATIENCE` in a cluster that is whole has found a bug.
//!
//! *Not here*: what the answers must be (`truth`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use query::Query;
use tokio_util::sync::CancellationToken;
use wire::cluster::LayoutChange;
use wire::search::{SearchEnd, SearchLine};

use super::super::dice::Dice;
use super::super::imagery::{FILE, Imagery};
use super::super::log::Log;
use super::super::truth::Truth;
use super::Scene;
use crate::cluster::Cluster;
use crate::store::{ModelDisk, PutMode};

/// Puts, queries, fetches and deletions begun at a step, of a thousand steps.
const PUTS: u64 = 110;
const QUERIES: u64 = 18;
const FETCHES: u64 = 40;
const DELETIONS: u64 = 12;
/// Longest that anything a user asks for may take.
const PATIENCE: Duration = Duration::from_mins(4);

/// Users.
pub(super) struct Users {
    dice: Dice,
    /// Splits to put, the next one last; one that was refused comes back.
    to_put: Vec<usize>,
}

/// A user at a node.
pub(super) struct User {
    who: String,
    cluster: Cluster,
    stop: CancellationToken,
    /// Of the node: without power it answers nobody.
    disk: ModelDisk,
    truth: Arc<Mutex<Truth>>,
    log: Arc<Log>,
    imagery: &'static Imagery,
}

impl Users {
    /// Returns users that put all splits in an order of their own.
    pub(super) fn new(mut dice: Dice, imagery: &Imagery) -> Self {
        let mut to_put: Vec<usize> = (0..imagery.splits.len()).collect();
        dice.shuffle(&mut to_put);
        Self { dice, to_put }
    }
}

impl Scene<'_> {
    /// Puts the collection that all splits belong to.
    pub(super) async fn put_collection(&mut self) -> bool {
        let Some((cluster, _)) = self.machines[0].hold() else {
            return false;
        };
        let put = cluster.put(self.imagery.collection.clone(), PutMode::Keep);
        match put.await {
            Ok(_) => true,
            Err(fault) => {
                self.log.event(format_args!("no collection: {fault}"));
                false
            }
        }
    }

    /// Sends users who happen to want something now.
    pub(super) fn send_users(&mut self) {
        if self.users.dice.chance(PUTS)
            && let Some(user) = self.user()
        {
            let again = self.users.dice.chance(150);
            let split = match self.users.to_put.pop() {
                Some(split) => split,
                None => self.users.dice.place(self.imagery.splits.len()),
            };
            if again {
                // Somebody else puts the same, at the same time.
                self.users.to_put.push(split);
            }
            if !self.truth().is_doomed(split) {
                self.truth().attempt(split);
                tokio::spawn(user.put(split));
            }
        }
        if self.users.dice.chance(QUERIES)
            && let Some(user) = self.user()
        {
            tokio::spawn(user.query());
        }
        if self.users.dice.chance(FETCHES) {
            let acked = self.truth().acked();
            let place = self.users.dice.place(acked.len());
            if let (Some(split), Some(user)) = (acked.get(place), self.user()) {
                tokio::spawn(user.fetch(*split));
            }
        }
        if self.users.dice.chance(DELETIONS) {
            let idle = self.truth().idle();
            let place = self.users.dice.place(idle.len());
            if let (Some(split), Some(user)) = (idle.get(place), self.user()) {
                self.truth().doom(*split);
                tokio::spawn(user.delete(*split));
            }
        }
    }

    /// Returns a user at some node that is up.
    fn user(&mut self) -> Option<User> {
        let at = self.users.dice.place(self.machines.len());
        self.user_at(at)
    }

    /// Returns a user at a node, if that is up and a member.
    pub(super) fn user_at(&self, at: usize) -> Option<User> {
        let machine = &self.machines[at];
        if machine.left {
            return None;
        }
        let (cluster, stop) = machine.hold()?;
        Some(User {
            who: machine.name.clone(),
            cluster,
            stop,
            disk: machine.disk(),
            truth: Arc::clone(&self.truth),
            log: Arc::clone(&self.log),
            imagery: self.imagery,
        })
    }

    /// Asks every node for everything, and fetches each split somewhere.
    pub(super) async fn ask_all(&mut self) {
        let acked = self.truth().acked();
        let mut at_each = Vec::new();
        for at in 0..self.machines.len() {
            let Some(user) = self.user_at(at) else {
                continue;
            };
            let who = user.who.clone();
            at_each.push(at);
            match user.query().await {
                Some(end) if end.complete => {}
                Some(end) => {
                    let missing = end.missing_slots.len();
                    self.violate(format!("{who} misses {missing} slots though all is well"));
                }
                None => self.violate(format!("{who} does not answer though all is well")),
            }
        }
        for (i, split) in acked.into_iter().enumerate() {
            let at = at_each.get(i % at_each.len().max(1)).copied();
            if let Some(user) = at.and_then(|at| self.user_at(at)) {
                let fetched = user.fetch(split).await;
                if !fetched {
                    self.violate(format!(
                        "split {split} cannot be fetched though all is well"
                    ));
                }
            }
        }
    }
}

impl User {
    async fn put(self, split: usize) {
        let object = self.imagery.splits[split].clone();
        let put = self.cluster.put(object, PutMode::Keep);
        let Some(put) = self.patiently(put).await else {
            return;
        };
        let who = &self.who;
        match &put {
            Ok(ack) => {
                let (by, standins) = (ack.acked_by.len(), ack.standins.len());
                self.log.event(format_args!(
                    "{who} put {split}: on {by}, {standins} stand in"
                ));
            }
            Err(fault) => self
                .log
                .event(format_args!("{who} put {split}: refused, {}", fault.what)),
        }
        self.with(|truth| truth.put(split, &put));
    }

    /// Asks for other owners of slots.
    pub(super) async fn change(self, change: LayoutChange) {
        let Some(changed) = self.patiently(self.cluster.change_layout(change)).await else {
            return;
        };
        let who = &self.who;
        match changed {
            Ok(plan) => self
                .log
                .event(format_args!("{who} moves {} slots", plan.slots)),
            Err(fault) => self
                .log
                .event(format_args!("{who} moves nothing: {}", fault.what)),
        }
    }

    async fn delete(self, split: usize) {
        let key = self.imagery.splits[split].key.clone();
        let delete = self.cluster.delete(std::slice::from_ref(&key));
        let Some(deleted) = self.patiently(delete).await else {
            return;
        };
        let who = &self.who;
        match &deleted {
            Ok(count) => self
                .log
                .event(format_args!("{who} delete {split}: {count} gone")),
            Err(fault) => self.log.event(format_args!(
                "{who} delete {split}: refused, {}",
                fault.what
            )),
        }
        self.with(|truth| truth.deleted(split, who, &deleted));
    }

    /// Asks for everything; returns the end of the answer, unless it was cut off.
    async fn query(self) -> Option<SearchEnd> {
        let before = self.with(|truth| truth.promised());
        let (ids, end) = self.patiently(self.all()).await??;
        let (who, found, of) = (&self.who, ids.len(), before.found());
        let complete = if end.complete { "complete" } else { "partial" };
        self.log.event(format_args!(
            "{who} query: {found} hits, {of} acknowledged, {complete}"
        ));
        self.with(|truth| truth.answered(&before, who, (&ids, &end)));
        Some(end)
    }

    async fn all(&self) -> Option<(Vec<String>, SearchEnd)> {
        let mut lines = self.cluster.search(Query::default()).await.ok()?;
        let mut ids = Vec::new();
        while let Some(line) = lines.recv().await {
            match line {
                SearchLine::Hit(hit) => ids.push(hit.id.to_string()),
                SearchLine::End(end) => return Some((ids, end)),
            }
        }
        None
    }

    /// Fetches a split; tells whether it came.
    async fn fetch(self, split: usize) -> bool {
        let key = self.imagery.splits[split].key.clone();
        let fetch = self.cluster.fetch(&key, FILE);
        let Some(got) = self.patiently(fetch).await else {
            return false;
        };
        let who = &self.who;
        if let Err(fault) = &got {
            self.log
                .event(format_args!("{who} fetch {split}: {}", fault.what));
        }
        self.with(|truth| truth.fetched((split, self.imagery), who, &got));
        got.is_ok()
    }

    /// Waits for an answer, as long as the node lives and has power.
    async fn patiently<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        let asked = tokio::time::timeout(PATIENCE, asked);
        let answer = self.stop.clone().run_until_cancelled_owned(asked).await?;
        if self.disk.has_failed() {
            return None;
        }
        if answer.is_err() {
            let what = format!("{} gave a user no answer at all", self.who);
            self.log.event(format_args!("BROKEN: {what}"));
            self.with(|truth| truth.violate(what));
        }
        answer.ok()
    }

    fn with<T>(&self, look: impl FnOnce(&mut Truth) -> T) -> T {
        look(&mut self.truth.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
