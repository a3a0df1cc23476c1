//! Health, layout, status, verification, repair and metrics.
//!
//! *Invariants*: `/healthz` answers as long as the process lives, `/readyz` once it serves queries.
//!
//! *Not here*: how the cluster is asked (`conduit`).

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use wire::cluster::{
    ClusterView, LayoutChange, LayoutPlan, NodeStatus, RepairReport, Status, VerifyReport,
};
use wire::fault::{Fault, FaultKind};
use wire::object::Rebuilt;
use wire::params::{RebuildParams, RepairParams};

use super::App;
use super::reply::{Answer, Asked, Body, Failed, json};
use crate::refusals::Refusals;

/// Prometheus's text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Failed> {
    app.conduit.ready().await?;
    Ok("ok\n")
}

pub(super) async fn cluster(State(app): State<App>) -> Answer<ClusterView> {
    json(Ok(app.conduit.cluster()))
}

pub(super) async fn plan_layout(
    State(app): State<App>,
    Body(change): Body<LayoutChange>,
) -> Answer<LayoutPlan> {
    json(app.conduit.plan_layout(change).await)
}

pub(super) async fn change_layout(
    State(app): State<App>,
    Body(change): Body<LayoutChange>,
) -> Answer<LayoutPlan> {
    json(app.conduit.change_layout(change).await)
}

pub(super) async fn status(State(app): State<App>) -> Answer<Status> {
    json(Ok(app.conduit.status().await))
}

pub(super) async fn verify(State(app): State<App>) -> Answer<VerifyReport> {
    json(Ok(app.conduit.verify().await))
}

pub(super) async fn repair(
    State(app): State<App>,
    Asked(params): Asked<RepairParams>,
) -> Answer<RepairReport> {
    json(app.conduit.repair(params).await)
}

pub(super) async fn rebuild_index(
    State(app): State<App>,
    Asked(params): Asked<RebuildParams>,
) -> Answer<Rebuilt> {
    json(if params.dry_run {
        app.conduit.plan_rebuild().await
    } else {
        app.conduit.rebuild_index().await
    })
}

pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failed> {
    let gone = || Fault::new(FaultKind::Unreachable, "this node is no member any more");
    let own = app.conduit.own_status().await.ok_or_else(gone)?;
    let text = exposition(&own) + &refused(&app.conduit.refusals());
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text))
}

/// Writes what was refused in Prometheus's text format.
fn refused(refusals: &Refusals) -> String {
    let head = "# HELP glebe_refused_total What was refused, by why.\n\
                # TYPE glebe_refused_total counter\n";
    let line = |(why, count)| format!("glebe_refused_total{{why=\"{why}\"}} {count}\n");
    std::iter::once(head.to_owned())
        .chain(refusals.read().map(line))
        .collect()
}

/// Writes a node's figures in Prometheus's text format.
fn exposition(own: &NodeStatus) -> String {
    let gauges = [
        ("splits", "Split replicas held.", own.splits),
        (
            "splits_primary",
            "Split replicas of which this node is primary.",
            own.splits_primary,
        ),
        ("models", "Model replicas held.", own.models),
        ("stored_bytes", "Bytes of all replicas held.", own.bytes),
        ("slots", "Slots of which this node is an owner.", own.slots),
        ("jobs_running", "Jobs lent to workers.", own.jobs_running),
        (
            "index_doubtful",
            "1 while others answer in place of this node, for its index may lack something.",
            u64::from(own.doubt.is_some()),
        ),
    ];
    let gauge = |(name, help, value): (&str, &str, u64)| {
        [
            format!("# HELP glebe_{name} {help}"),
            format!("# TYPE glebe_{name} gauge"),
            format!("glebe_{name} {value}"),
        ]
    };
    let mut lines: Vec<String> = gauges.into_iter().flat_map(gauge).collect();
    lines.push("# HELP glebe_sent_bytes_total Bytes sent to other nodes, by purpose.".to_owned());
    lines.push("# TYPE glebe_sent_bytes_total counter".to_owned());
    let sent = own.sent;
    let purposes = [
        ("gossip", sent.gossip),
        ("put", sent.put),
        ("repair", sent.repair),
        ("query", sent.query),
        ("pixels", sent.pixels),
        ("model", sent.model),
        ("gradient", sent.gradient),
    ];
    let counter = |(purpose, bytes): (&str, u64)| {
        format!("glebe_sent_bytes_total{{purpose=\"{purpose}\"}} {bytes}")
    };
    lines.extend(purposes.into_iter().map(counter));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use wire::cluster::{BytesByPurpose, IndexDoubt, NodeState};

    use super::*;

    #[test]
    fn metrics_say_whether_the_index_is_doubtful() {
        let mut own = NodeStatus {
            id: "a".to_owned(),
            http: String::new(),
            state: NodeState::Up,
            splits: 0,
            splits_primary: 0,
            models: 0,
            bytes: 0,
            slots: 0,
            jobs_running: 0,
            sent: BytesByPurpose::default(),
            doubt: None,
        };
        assert!(exposition(&own).contains("\nglebe_index_doubtful 0\n"));
        own.doubt = Some(IndexDoubt::default());
        assert!(exposition(&own).contains("\nglebe_index_doubtful 1\n"));
    }
}
