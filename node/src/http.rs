//! The HTTP interface of a node: what users, workers and browsers speak to.
//!
//! *Invariants*: every error is a `Fault` in its body and its kind in its status; bodies are
//! bounded; a slow reader holds back its own answer only.
//!
//! *Not here*: what an answer says (`conduit`), what is sent between nodes (`swarm`).

mod asset;
mod collections;
mod compose;
mod models;
mod native;
mod object;
mod reply;
mod runs;
mod search;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use tokio::sync::Semaphore;

use crate::conduit::Conduit;

pub use serve::{Bound, bind_tcp, bind_unix, serve};

/// Greatest JSON body: a query with a detailed polygon takes some hundred kilobytes.
const JSON_BYTES_MAX: usize = 8 << 20;
/// Mebibytes of objects taken in at a time, for each is held in memory until it is on its owners:
/// one of the greatest alone, or hundreds of the usual ones.
pub(crate) const PUT_MEBIBYTES_MAX: u32 = 256;

/// What every handler needs.
#[derive(Clone)]
pub(crate) struct App {
    conduit: Conduit,
    /// Mebibytes that objects being taken in may still use.
    puts: Arc<Semaphore>,
}

/// Returns all endpoints of a node.
pub fn router(conduit: Conduit) -> Router {
    let app = App {
        conduit,
        puts: Arc::new(Semaphore::new(PUT_MEBIBYTES_MAX as usize)),
    };
    Router::new()
        .route("/healthz", get(native::healthz))
        .route("/readyz", get(native::readyz))
        .route("/metrics", get(native::metrics))
        .route("/v1/cluster", get(native::cluster))
        .route("/v1/status", get(native::status))
        .route("/v1/verify", get(native::verify))
        .route("/v1/repair", post(native::repair))
        .route("/v1/repair/rebuild-index", post(native::rebuild_index))
        .route("/v1/search", post(search::search))
        .route("/v1/compose", post(compose::compose))
        .route("/v1/split", get(search::split))
        .route("/v1/split/asset", get(asset::split_asset))
        .route("/v1/splits/known", get(collections::known))
        .route(
            "/v1/collections",
            get(collections::list).post(collections::create),
        )
        .route("/v1/collections/{name}", delete(collections::remove))
        .route("/v1/ledger", get(collections::ledger))
        .route("/v1/ledgers", get(collections::ledgers))
        .route("/v1/runs", get(runs::list).post(runs::start))
        .route("/v1/runs/{name}", get(runs::view))
        .route("/v1/runs/{name}/cancel", post(runs::cancel))
        .route("/v1/lease", post(runs::lease))
        .route("/v1/lease/renew", post(runs::renew))
        .route("/v1/lease/fail", post(runs::fail))
        .route("/v1/models", get(models::list).delete(models::remove))
        .route("/v1/model/file", get(asset::model_file))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .route(
            "/v1/object",
            put(object::put).layer(DefaultBodyLimit::disable()),
        )
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::no_such_method)
        .with_state(app)
}
