//! Composing splits of cells.
//!
//! *Invariants*: an image leaves as soon as it is there; a reader that stops reading stops the
//! rest.
//!
//! *Not here*: who composes (`compose`).

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use futures::{StreamExt, stream};
use tokio_stream::wrappers::ReceiverStream;
use wire::compose::{ComposeRequest, MEDIA_TYPE};

use super::App;
use super::reply::{Body, Failed};

pub(super) async fn compose(
    State(app): State<App>,
    Body(request): Body<ComposeRequest>,
) -> Result<impl IntoResponse, Failed> {
    let messages = app.conduit.compose(request).await?;
    let chunks = ReceiverStream::new(messages).flat_map(|outgoing| {
        let chunks = outgoing.message.chunks();
        let chunks = chunks.map_or_else(|e| vec![Err(e)], |c| c.into_iter().map(Ok).collect());
        stream::iter(chunks)
    });
    let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
    Ok((kind, HttpBody::from_stream(chunks)))
}
