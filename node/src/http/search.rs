//! Searching, and all that is known about one split.
//!
//! *Invariants*: hits leave as they are found; a reader that stops reading stops the search.
//!
//! *Not here*: which nodes are asked (`scatter`).

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use earth::split::meta::SplitMeta;
use futures::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use wire::ndjson;
use wire::params::SplitParams;
use wire::region::Textures;
use wire::search::SearchRequest;

use super::App;
use super::reply::{Answer, Asked, Body, Failed, json};

pub(super) async fn search(
    State(app): State<App>,
    Body(request): Body<SearchRequest>,
) -> Result<impl IntoResponse, Failed> {
    let lines = app.conduit.search(request.query).await?;
    let lines = ReceiverStream::new(lines).map(|line| ndjson::line(&line));
    let kind = [(header::CONTENT_TYPE, ndjson::MEDIA_TYPE)];
    Ok((kind, HttpBody::from_stream(lines)))
}

pub(super) async fn textures(
    State(app): State<App>,
    Body(request): Body<SearchRequest>,
) -> Answer<Textures> {
    json(app.conduit.textures(&request.query).await)
}

pub(super) async fn split(
    State(app): State<App>,
    Asked(params): Asked<SplitParams>,
) -> Answer<SplitMeta> {
    json(app.conduit.split(&params.id).await)
}
