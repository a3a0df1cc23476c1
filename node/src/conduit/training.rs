//! Runs for users, leases for workers, and the model that ends a job.
//!
//! *Invariants*: only the newest token of a job publishes, and what it publishes replaces what an
//! earlier one left: one model a job.
//!
//! *Not here*: planning at each node (`answer`), the book of jobs (`runs`).

use std::sync::Arc;

use query::Query;
use wire::bundle::Kind;
use wire::diary::{LogPage, LogRequest, Report};
use wire::fault::{Fault, FaultKind};
use wire::object::PutAck;
use wire::region::Textures;
use wire::run::{
    Failure, LeaseAnswer, LeaseRequest, Mode, Plan, Renew, Run, RunSteered, RunView, Runs, Wish,
};

use super::{Conduit, blocking, wrong};
use crate::replicate::put_limit;
use crate::runs::book::Published;
use crate::store::{Object, PutMode};

impl Conduit {
    /// Plans a run where its data lies; in a dry run only says what would be done.
    pub(crate) async fn start_run(&self, run: Run, dry_run: bool) -> Result<Plan, Fault> {
        if run.mode == Mode::Distributed {
            return Err(Fault::new(
                FaultKind::Usage,
                "this version trains one model per geocode",
            )
            .try_("--mode partitioned"));
        }
        self.cluster.start_run(run, dry_run).await
    }

    /// Returns the mean texture of each cell that matches: by it regions are grouped.
    pub(crate) async fn textures(&self, query: &Query) -> Result<Textures, Fault> {
        self.cluster.textures(query).await
    }

    pub(crate) async fn runs(&self) -> Runs {
        self.cluster.run_summaries().await
    }

    pub(crate) async fn run(&self, name: &str) -> Result<RunView, Fault> {
        let view = self.cluster.run_view(name).await?;
        view.ok_or_else(|| no_run(name))
    }

    /// Returns a run with its jobs counted.
    pub(crate) async fn run_counted(&self, name: &str) -> Result<RunView, Fault> {
        let view = self.cluster.run_counted(name).await?;
        view.ok_or_else(|| no_run(name))
    }

    pub(crate) async fn steer_run(&self, name: &str, wish: Wish) -> Result<RunSteered, Fault> {
        self.cluster.steer_run(name, wish).await
    }

    pub(crate) async fn run_logs(&self, name: &str, asked: LogRequest) -> Result<LogPage, Fault> {
        self.cluster.run_logs(name, asked).await
    }

    /// Takes down what a worker says of its job.
    pub(crate) async fn report(&self, report: Report) -> Result<(), Fault> {
        let runs = Arc::clone(&self.runs);
        blocking(move || runs.report(report)).await?
    }

    /// Lends a job of this node to a worker.
    pub(crate) async fn lease(&self, request: LeaseRequest) -> Result<LeaseAnswer, Fault> {
        let runs = Arc::clone(&self.runs);
        blocking(move || runs.lease(&request)).await?
    }

    pub(crate) async fn renew(&self, lease: Renew) -> Result<(), Fault> {
        let runs = Arc::clone(&self.runs);
        blocking(move || runs.renew(&lease)).await?
    }

    pub(crate) async fn fail(&self, failure: Failure) -> Result<(), Fault> {
        let (runs, run) = (Arc::clone(&self.runs), failure.lease.run.clone());
        if blocking(move || runs.fail(&failure)).await?? {
            self.cluster.announce_donor(&run);
        }
        Ok(())
    }

    /// Keeps the model of a job and ends the job.
    pub(super) async fn publish(&self, object: Object, lease: Renew) -> Result<PutAck, Fault> {
        let id = format!("{}/{}", lease.run, lease.geocode);
        if object.key.kind != Kind::Model || object.key.id != id {
            let what = format!("the lease is for model {id}, not {}", object.key);
            return Err(Fault::new(FaultKind::Usage, what));
        }
        let config = object.files.iter().find(|f| f.name == "config.json");
        let config = config.map_or(&[][..], |f| &f.bytes);
        let published: Published = serde_json::from_slice(config).map_err(|e| wrong(&e))?;
        let (runs, token) = (Arc::clone(&self.runs), lease.clone());
        // Until its end is noted, its lease lives, and the job is left to no other node that has
        // one of its cell.
        let (_publishing, home) = blocking(move || {
            let publishing = runs.publishing(&token);
            runs.home(&token).map(|home| (publishing, home))
        })
        .await??;
        if let Some(home) = &home {
            let limit = put_limit(&object);
            self.cluster.may_publish(home, limit).await?;
        }
        let ack = self.cluster.put(object, PutMode::Overwrite).await?;
        if let Some(home) = home {
            self.cluster.published(home, &published).await?;
            let runs = Arc::clone(&self.runs);
            blocking(move || runs.left(&lease)).await?;
            return Ok(ack);
        }
        let (runs, run) = (Arc::clone(&self.runs), lease.run.clone());
        if blocking(move || runs.published(&lease, published)).await?? {
            self.cluster.announce_donor(&run);
        }
        Ok(ack)
    }
}

fn no_run(name: &str) -> Fault {
    Fault::new(FaultKind::Nothing, format!("there is no run {name}"))
}
