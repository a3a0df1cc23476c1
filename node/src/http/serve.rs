//! Listening on TCP and on the store's unix socket.
//!
//! *Invariants*: TCP stays on the loopback until nodes can demand a token; the socket can be
//! entered by its user only; on stopping, requests in flight get a bounded time to end.
//!
//! *Not here*: the endpoints.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use wire::fault::{Fault, FaultKind};

/// Time that requests in flight have to end when the node stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A bound TCP listener with its address.
#[derive(Debug)]
pub struct Bound {
    /// The listener.
    pub listener: TcpListener,
    /// Where it listens: the port that was given, or the one the system chose for 0.
    pub address: SocketAddr,
}

/// Listens on TCP; refuses what is not the loopback, and a port in use.
pub async fn bind_tcp(address: SocketAddr) -> Result<Bound, Fault> {
    if !address.ip().is_loopback() {
        let what = format!("{address} can be reached from other machines");
        return Err(Fault::new(FaultKind::Refused, what)
            .because("this version has no bearer tokens yet, so HTTP stays on the loopback")
            .try_("--http 127.0.0.1:7480, and a proxy that demands credentials"));
    }
    let refused = |e: std::io::Error| {
        let what = format!("cannot listen on {address}");
        Fault::new(FaultKind::Refused, what)
            .because(e.to_string())
            .try_("--http with another port, or 0 for a free one")
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Bound { listener, address })
}

/// Listens on a unix socket in the place of one that nobody serves any more; the caller holds the
/// lock of its folder.
pub fn bind_unix(path: &Path) -> Result<UnixListener, Fault> {
    let refused = |e: std::io::Error| {
        Fault::new(FaultKind::Refused, "cannot listen on the store's socket")
            .because(e.to_string())
            .try_("--data with a shorter path on a local file system")
    };
    if path.exists() {
        fs::remove_file(path).map_err(refused)?;
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(listener)
}

/// Serves until `stop`, then lets requests in flight end.
pub async fn serve<L>(listener: L, router: Router, stop: CancellationToken)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let stopped = stop.clone();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::error!(%error, "HTTP ended");
            }
        }
        () = late => tracing::warn!("requests were cut off"),
    }
}
