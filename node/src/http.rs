//! The HTTP interface of a node: what users, workers and browsers speak to.
//!
//! *Invariants*: every error is a `Fault` in its body and its kind in its status; bodies are
//! bounded; a slow reader holds back its own answer only; every endpoint needs a role (`table`).
//!
//! *Not here*: what an answer says (`conduit`), what is sent between nodes (`swarm`).

mod access;
mod asset;
mod bind;
mod collections;
mod compose;
mod connections;
mod limits;
mod models;
mod native;
mod object;
mod pace;
mod rate;
mod reply;
mod runs;
mod search;
mod serve;
mod table;
mod tls;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use tokio::sync::Semaphore;

use crate::conduit::Conduit;

pub use tls::TlsFiles;

pub(crate) use access::{Access, Demand};
pub(crate) use bind::{Bound, Listening, bind_tcp, bind_unix, host, reachable};
pub(crate) use serve::serve;
pub(crate) use tls::acceptor;

use table::Table;

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

impl App {
    /// Returns what every handler needs.
    pub(crate) fn new(conduit: Conduit) -> Self {
        Self {
            conduit,
            puts: Arc::new(Semaphore::new(PUT_MEBIBYTES_MAX as usize)),
        }
    }
}

/// Returns all endpoints of a node, behind doors that demand what they need.
pub(crate) fn router(app: App, access: Access) -> Router {
    let table = Table::new(Arc::new(access))
        .open("/healthz", get(native::healthz))
        .open("/readyz", get(native::readyz));
    let table = administering(writing(reading(table)));
    table
        .finish(app)
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
}

/// Adds what only looks.
fn reading(table: Table) -> Table {
    table
        .read("/metrics", get(native::metrics))
        .read("/v1/cluster", get(native::cluster))
        .read("/v1/cluster/layout/plan", post(native::plan_layout))
        .read("/v1/status", get(native::status))
        .read("/v1/search", post(search::search))
        .read("/v1/compose", post(compose::compose))
        .read("/v1/split", get(search::split))
        .read("/v1/split/asset", get(asset::split_asset))
        .read("/v1/splits/known", get(collections::known))
        .read("/v1/collections", get(collections::list))
        .read("/v1/ledger", get(collections::ledger))
        .read("/v1/ledgers", get(collections::ledgers))
        .read("/v1/textures", post(search::textures))
        .read("/v1/runs", get(runs::list))
        .read("/v1/runs/{name}", get(runs::view))
        .read("/v1/runs/{name}/logs", post(runs::logs))
        .read("/v1/models", get(models::list))
        .read("/v1/model/file", get(asset::model_file))
        .read("/v1/module", get(asset::module))
}

/// Adds what stores and trains.
fn writing(table: Table) -> Table {
    let objects = put(object::put).layer(DefaultBodyLimit::disable());
    table
        .write("/v1/object", objects)
        .write("/v1/collections", post(collections::create))
        .write("/v1/runs", post(runs::start))
        .write("/v1/runs/{name}/cancel", post(runs::cancel))
        .write("/v1/runs/{name}/pause", post(runs::pause))
        .write("/v1/runs/{name}/resume", post(runs::resume))
        .write("/v1/lease", post(runs::lease))
        .write("/v1/lease/renew", post(runs::renew))
        .write("/v1/lease/log", post(runs::report))
        .write("/v1/lease/fail", post(runs::fail))
        .write("/v1/tags", delete(models::untag))
}

/// Adds what deletes, mends, reads everything, or lets others in.
fn administering(table: Table) -> Table {
    table
        .admin("/v1/verify", get(native::verify))
        .admin("/v1/cluster/layout", post(native::change_layout))
        .admin("/v1/repair", post(native::repair))
        .admin("/v1/repair/rebuild-index", post(native::rebuild_index))
        .admin("/v1/models", delete(models::remove))
        .admin("/v1/collections/{name}", delete(collections::remove))
        .admin("/v1/tokens", get(tokens::list).post(tokens::make))
        .admin("/v1/tokens/{id}", delete(tokens::revoke))
}

#[cfg(test)]
mod tests;
