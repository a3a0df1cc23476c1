//! Runs for users, leases for workers.
//!
//! *Invariants*: leases are about this node's own jobs; a worker never asks another node.
//!
//! *Not here*: planning (`conduit`), the book of jobs (`runs`).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use wire::diary::{LogPage, LogRequest, Report};
use wire::params::{DryRun, RunParams};
use wire::run::{
    Failure, LeaseAnswer, LeaseRequest, Plan, Renew, Run, RunSteered, RunView, Runs, Wish,
};

use super::App;
use super::reply::{Answer, Asked, Body, Failed, json, nothing};

pub(super) async fn list(State(app): State<App>) -> Answer<Runs> {
    json(Ok(app.conduit.runs().await))
}

pub(super) async fn start(
    State(app): State<App>,
    Asked(DryRun { dry_run }): Asked<DryRun>,
    Body(run): Body<Run>,
) -> Answer<Plan> {
    json(app.conduit.start_run(run, dry_run).await)
}

pub(super) async fn view(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(RunParams { jobs }): Asked<RunParams>,
) -> Answer<RunView> {
    if jobs {
        return json(app.conduit.run(&name).await);
    }
    json(app.conduit.run_counted(&name).await)
}

pub(super) async fn cancel(State(app): State<App>, Path(name): Path<String>) -> Answer<RunSteered> {
    json(app.conduit.steer_run(&name, Wish::Cancel).await)
}

pub(super) async fn pause(State(app): State<App>, Path(name): Path<String>) -> Answer<RunSteered> {
    json(app.conduit.steer_run(&name, Wish::Pause).await)
}

pub(super) async fn resume(State(app): State<App>, Path(name): Path<String>) -> Answer<RunSteered> {
    json(app.conduit.steer_run(&name, Wish::Go).await)
}

pub(super) async fn logs(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(asked): Body<LogRequest>,
) -> Answer<LogPage> {
    json(app.conduit.run_logs(&name, asked).await)
}

pub(super) async fn report(
    State(app): State<App>,
    Body(report): Body<Report>,
) -> Result<StatusCode, Failed> {
    nothing(app.conduit.report(report).await)
}

pub(super) async fn lease(
    State(app): State<App>,
    Body(request): Body<LeaseRequest>,
) -> Answer<LeaseAnswer> {
    json(app.conduit.lease(request).await)
}

pub(super) async fn renew(
    State(app): State<App>,
    Body(lease): Body<Renew>,
) -> Result<StatusCode, Failed> {
    nothing(app.conduit.renew(lease).await)
}

pub(super) async fn fail(
    State(app): State<App>,
    Body(failure): Body<Failure>,
) -> Result<StatusCode, Failed> {
    nothing(app.conduit.fail(failure).await)
}
