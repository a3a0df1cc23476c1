//! Tokens: given, listed, taken back.
//!
//! *Invariants*: a token's text is told once, to who had it made.
//!
//! *Not here*: keeping them (`access`).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use wire::access::{TokenMade, TokenRequest, Tokens};

use super::App;
use super::reply::{Answer, Body, Failed, json, nothing};

pub(super) async fn list(State(app): State<App>) -> Answer<Tokens> {
    json(Ok(app.conduit.tokens()))
}

pub(super) async fn make(
    State(app): State<App>,
    Body(request): Body<TokenRequest>,
) -> Answer<TokenMade> {
    json(app.conduit.make_token(&request).await)
}

pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    nothing(app.conduit.revoke_token(&id).await)
}
