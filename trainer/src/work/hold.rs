//! What is done for a lease while its job is under way: renewals, and reports of what is said.
//!
//! *Invariants*: a lease is renewed at a third of its time, so that two renewals may be lost,
//! whatever is waited for; what cannot be told now waits, oldest first, and is told later (once
//! more, where only the answer was lost); trouble with the node is said when it begins, not each
//! time that it is met.
//!
//! *Not here*: what is waited for (`work`), what may be said (`diary`).

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use wire::client::Client;
use wire::diary::Report;
use wire::fault::{Fault, FaultKind};
use wire::run::{Lease, Renew};

use super::{RENEW_MIN, Worker, is_unreachable, may_pass, stopped};
use crate::diary::Diary;
use crate::log::say;
use crate::stop::Stop;

/// Time between two reports of what was said of a job: who follows sees epochs as they come.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A lease that is held.
#[derive(Debug)]
pub(super) struct Hold {
    /// Which.
    pub(super) ours: Renew,
    /// Where it is said how the job goes.
    pub(super) diary: Diary,
    /// Wished for once the lease is lost or the worker is to stop.
    pub(super) stop: Stop,
    client: Client,
    period: Duration,
    stopping: watch::Receiver<bool>,
    /// The node did not answer when it was asked last.
    troubled: bool,
}

impl Hold {
    /// Begins to hold a lease.
    pub(super) fn of(worker: &Worker, lease: &Lease) -> Self {
        let ours = Renew {
            run: lease.run.name.clone(),
            geocode: lease.geocode.clone(),
            token: lease.token,
        };
        Self {
            diary: Diary::of(format!("{}: job {}", ours.run, ours.geocode)),
            stop: Stop::default(),
            client: worker.client.clone(),
            period: (Duration::from_millis(lease.expires_millis) / 3).max(RENEW_MIN),
            stopping: worker.stopping.clone(),
            troubled: false,
            ours,
        }
    }

    /// Waits for work while the lease is renewed and what is said of it is told.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut stopping = self.stopping.clone();
        let [mut beat, mut report] = [self.period, REPORT_EVERY].map(interval);
        for ticks in [&mut beat, &mut report] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
        }
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = beat.tick() => self.renew().await,
                _ = report.tick() => self.report().await,
                () = stopped(&mut stopping), if !self.stop.wished() => self.stop.wish(),
            }
        }
    }

    /// Lengthens the lease.
    async fn renew(&mut self) {
        let renewed = self.client.renew(&self.ours).await;
        self.heed(renewed, "it is not renewed");
    }

    /// Tells the node what was said of the job.
    pub(super) async fn report(&mut self) {
        let entries = self.diary.take();
        if entries.is_empty() {
            return;
        }
        let lease = self.ours.clone();
        let report = Report { lease, entries };
        let told = self.client.report(&report).await;
        let waits = |fault: &Fault| {
            fault.kind != FaultKind::Refused && (is_unreachable(fault) || may_pass(fault))
        };
        if told.as_ref().is_err_and(waits) {
            self.diary.give_back(report.entries);
            self.heed(told, "what is said of it waits");
        } else {
            self.heed(told, "what was said of it is lost");
        }
    }

    /// Heeds what the node answered: a lease that is no longer ours ends the job.
    fn heed(&mut self, answer: Result<(), Fault>, so: &str) {
        let Err(fault) = answer else {
            self.troubled = false;
            return;
        };
        if fault.kind == FaultKind::Refused {
            self.stop.wish();
        }
        if !std::mem::replace(&mut self.troubled, true) {
            let Renew { run, geocode, .. } = &self.ours;
            say(&format!("{run}: job {geocode}: {so}: {fault}"));
        }
    }
}
