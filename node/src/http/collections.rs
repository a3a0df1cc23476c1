//! Collections, ledgers and what is known of a scene.
//!
//! *Invariants*: creating what is there already is no error.
//!
//! *Not here*: how they are kept (`conduit`).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use earth::split::collection::Collection;
use wire::collection::{CollectionDeleted, Collections};
use wire::hit::KnownSplits;
use wire::ledger::Ledger;
use wire::params::{DryRun, LedgersParams, SceneParams};

use super::App;
use super::reply::{Answer, Asked, Body, Failed, json};

pub(super) async fn list(State(app): State<App>) -> Answer<Collections> {
    json(app.conduit.collections().await)
}

pub(super) async fn create(
    State(app): State<App>,
    Body(collection): Body<Collection>,
) -> Result<(StatusCode, Json<Collection>), Failed> {
    let (is_new, stored) = app.conduit.create_collection(collection).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(stored)))
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(DryRun { dry_run }): Asked<DryRun>,
) -> Answer<CollectionDeleted> {
    json(app.conduit.delete_collection(&name, dry_run).await)
}

pub(super) async fn known(
    State(app): State<App>,
    Asked(scene): Asked<SceneParams>,
) -> Answer<KnownSplits> {
    json(app.conduit.known(&scene).await)
}

pub(super) async fn ledger(
    State(app): State<App>,
    Asked(scene): Asked<SceneParams>,
) -> Answer<Ledger> {
    json(app.conduit.ledger(&scene).await)
}

pub(super) async fn ledgers(
    State(app): State<App>,
    Asked(params): Asked<LedgersParams>,
) -> Answer<Vec<Ledger>> {
    json(app.conduit.ledgers(params.collection.as_deref()).await)
}
