//! Serving connections, each in a task of its own, within the limits.
//!
//! ```text
//! accept ─▶ seat ─▶ TLS? ─▶ paced stream ─▶ hyper (head limit) ─▶ paced body ─▶ endpoints
//! ```
//! *Invariants*: a connection costs a task and its buffers, and only for so long as it has a seat;
//! on stopping, requests in flight get a bounded time to end.
//!
//! *Not here*: listening (`bind`), the endpoints.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::access::Caller;
use super::bind::Listening;
use super::connections::{Connections, Seat};
use super::limits::{
    ACCEPT_PAUSE, DRAIN, HANDSHAKE_LIMIT, HEAD_BYTES_MAX, HEAD_LIMIT, HEADERS_MAX,
};
use super::pace::{Busy, BusyBody, PacedBody, PacedStream};
use crate::refusals::{Refusals, Refused};

/// What serves connections.
#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    refusals: Arc<Refusals>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Serves until `stop`, then lets requests in flight end.
pub(crate) async fn serve(
    listening: Listening,
    router: Router,
    refusals: Arc<Refusals>,
    stop: CancellationToken,
) {
    let server = Server {
        router,
        connections: Arc::default(),
        refusals,
        stop,
        tasks: TaskTracker::new(),
    };
    loop {
        let accepted = tokio::select! {
            () = server.stop.cancelled() => break,
            accepted = server.accept(&listening) => accepted,
        };
        if let Err(error) = accepted {
            let why = Refused::Connection;
            server.refusals.note(why, &"the system", &error);
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    drop(listening);
    server.tasks.close();
    if timeout(DRAIN, server.tasks.wait()).await.is_err() {
        tracing::warn!("requests were cut off");
        server.connections.cut_all();
        server.tasks.wait().await;
    }
}

impl Server {
    /// Accepts one connection and starts its task.
    async fn accept(&self, listening: &Listening) -> std::io::Result<()> {
        match listening {
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Some(seat) = self.seat(Caller(None)) {
                    let server = self.clone();
                    self.tasks
                        .spawn(async move { server.converse(stream, seat).await });
                }
            }
            Listening::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                if let Some(seat) = self.seat(Caller::of(address.ip())) {
                    let (server, tls) = (self.clone(), tls.clone());
                    self.tasks
                        .spawn(async move { server.greet(stream, tls, seat).await });
                }
            }
        }
        Ok(())
    }

    fn seat(&self, from: Caller) -> Option<Seat> {
        let seat = self.connections.enter(from);
        if seat.is_none() {
            let why = "as many connections as there may be are busy";
            self.refusals.note(Refused::Connection, &from, &why);
        }
        seat
    }

    /// Shakes hands, where there is TLS, and serves what follows.
    async fn greet(&self, stream: TcpStream, tls: Option<TlsAcceptor>, seat: Seat) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is gone already");
        }
        let Some(tls) = tls else {
            return self.converse(stream, seat).await;
        };
        let shaken = tokio::select! {
            () = seat.cut.cancelled() => return,
            () = self.stop.cancelled() => return,
            shaken = timeout(HANDSHAKE_LIMIT, tls.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.converse(stream, seat).await,
            Ok(Err(error)) => self.refusals.note(Refused::Handshake, &seat.from, &error),
            Err(_) => silent(seat.from, "no TLS handshake in time"),
        }
    }

    /// Serves the requests of one connection.
    async fn converse<T>(&self, stream: T, seat: Seat)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| self.answer(request, &seat));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        let stream = TokioIo::new(PacedStream::new(stream));
        let mut connection = std::pin::pin!(http.serve_connection(stream, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = seat.cut.cancelled() => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = seat.cut.cancelled() => return,
                }
            }
        };
        match ended {
            Err(error) if error.is_timeout() => silent(seat.from, "no request in time"),
            Err(error) => tracing::debug!(%error, from = %seat.from, "a connection ended"),
            Ok(()) => {}
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        seat: &Seat,
    ) -> Result<Response<BusyBody>, Infallible> {
        let busy = Busy::new(&seat.busy);
        let mut request = request.map(|body| Body::new(PacedBody::new(body)));
        request.extensions_mut().insert(seat.from);
        let response = self.router.clone().oneshot(request).await?;
        Ok(response.map(|body| BusyBody::new(body, busy)))
    }
}

/// Says that a connection was closed for its silence: nobody is kept from anything.
fn silent(from: Caller, what: &str) {
    tracing::debug!(%from, "{what}");
}
