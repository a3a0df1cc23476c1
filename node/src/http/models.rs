//! Models for users.
//!
//! *Invariants*: none beyond those of `conduit`.
//!
//! *Not here*: their files (`asset`).

use axum::extract::State;
use wire::model::{Models, ModelsDeleted, TagsDeleted};
use wire::params::{DeleteModelsParams, ModelsParams, TagParams};

use super::App;
use super::reply::{Answer, Asked, json};

pub(super) async fn list(
    State(app): State<App>,
    Asked(params): Asked<ModelsParams>,
) -> Answer<Models> {
    json(app.conduit.models(&params).await)
}

pub(super) async fn remove(
    State(app): State<App>,
    Asked(params): Asked<DeleteModelsParams>,
) -> Answer<ModelsDeleted> {
    json(app.conduit.delete_models(&params).await)
}

pub(super) async fn untag(
    State(app): State<App>,
    Asked(params): Asked<TagParams>,
) -> Answer<TagsDeleted> {
    json(app.conduit.delete_tags(&params).await)
}
