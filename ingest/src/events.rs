//! Events on standard output, one JSON line each.
//!
//! *Invariants*: a line is written whole and flushed at once; a reader that went away ends the
//! worker quietly.
//!
//! *Not here*: what the events are (`wire::event`).

use std::io::Write;
use std::time::Instant;

use wire::event::{Event, Progress};

/// Least seconds between two progress lines: a terminal shows no more.
const PROGRESS_SECONDS: f64 = 0.2;

/// Where events go, with what has been done so far.
pub struct Events {
    out: Box<dyn Write + Send>,
    started: Instant,
    shown: f64,
    /// What has been done so far; seconds are filled in when it is told.
    pub progress: Progress,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// The reader of the events went away.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the events any more")]
pub struct Unread(#[source] std::io::Error);

impl Events {
    /// Starts the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver measures how long the work takes"
    )]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            started: Instant::now(),
            shown: 0.0,
            progress: Progress::default(),
        }
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Tells an event.
    pub fn tell(&mut self, event: &Event) -> Result<(), Unread> {
        let mut line = serde_json::to_vec(event).map_err(|e| Unread(e.into()))?;
        line.push(b'\n');
        self.out
            .write_all(&line)
            .and_then(|()| self.out.flush())
            .map_err(Unread)
    }

    /// Tells how far the work is, unless it did so a moment ago.
    pub fn tell_progress(&mut self) -> Result<(), Unread> {
        let seconds = self.seconds();
        if seconds - self.shown < PROGRESS_SECONDS {
            return Ok(());
        }
        self.shown = seconds;
        self.tell(&Event::Progress(Progress {
            seconds,
            ..self.progress
        }))
    }
}
