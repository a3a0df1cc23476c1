//! How slow a client may be: bytes that it must send or take while the node waits for it.
//!
//! *Invariants*: time counts only while the node waits; a client that goes at `PACE_BYTES_MIN` a
//! window is never cut off, one that goes much slower always is.
//!
//! *Not here*: heads of requests, which have a limit of their own (`serve`).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{PACE_BYTES_MIN, PACE_WINDOW};

/// Measures one direction.
#[derive(Debug, Default)]
struct Pace {
    moved: u64,
    window: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Notes bytes that went.
    fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
        if self.moved >= PACE_BYTES_MIN {
            *self = Self::default();
        }
    }

    /// Notes that the node waits; ready once that has gone on too slowly for too long.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = || Box::pin(sleep_until(Instant::now() + PACE_WINDOW));
        let window = self.window.get_or_insert_with(end);
        window.as_mut().poll(cx)
    }
}

/// The body of a request, cut off when it comes too slowly.
pub(super) struct PacedBody {
    inner: Incoming,
    pace: Pace,
}

impl PacedBody {
    pub(super) fn new(inner: Incoming) -> Self {
        let pace = Pace::default();
        Self { inner, pace }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.pace.moved(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|failed| failed.map_err(Into::into))),
            Poll::Pending => {
                ready!(self.pace.waits(cx));
                Poll::Ready(Some(Err("the body comes too slowly".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer; while it lives, its connection is busy.
pub(super) struct BusyBody {
    inner: axum::body::Body,
    _busy: Busy,
}

/// Marks a connection as busy, until dropped.
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(super) fn new(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, Ordering::Release);
        Self(Arc::clone(flag))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl BusyBody {
    pub(super) fn new(inner: axum::body::Body, busy: Busy) -> Self {
        Self { inner, _busy: busy }
    }
}

impl Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection on which a client that does not take its answer is cut off.
pub(super) struct PacedStream<T> {
    inner: T,
    pace: Pace,
}

impl<T> PacedStream<T> {
    pub(super) fn new(inner: T) -> Self {
        let pace = Pace::default();
        Self { inner, pace }
    }

    /// Judges a write that went, or did not.
    fn judged(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.pace.moved(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(failed) => Poll::Ready(failed),
            Poll::Pending => {
                ready!(self.pace.waits(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PacedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PacedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judged(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.judged(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
