//! What happened in a simulated cluster, in order.
//!
//! *Invariants*: the digest is of every line, kept or not, so that two runs of one seed can be told
//! apart by eight bytes.
//!
//! *Not here*: what happens (`drill`).

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines kept for whoever reads: the last minutes of a small cluster.
const LINES_MAX: usize = 20_000;

/// Which lines are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// None: only the digest is wanted.
    Digest,
    /// What befell the cluster, and what its users saw.
    Events,
    /// Every message, too.
    Messages,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Log {
    detail: Detail,
    started: Instant,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    hasher: blake3::Hasher,
    line: String,
    lines: VecDeque<String>,
}

impl Log {
    /// Begins a log now.
    pub(crate) fn new(detail: Detail) -> Self {
        Self {
            detail,
            started: Instant::now(),
            written: Mutex::new(Written {
                hasher: blake3::Hasher::new(),
                line: String::new(),
                lines: VecDeque::new(),
            }),
        }
    }

    /// Returns the time since the log began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Notes what befell the cluster.
    pub(crate) fn event(&self, what: fmt::Arguments<'_>) {
        self.note(Detail::Events, what);
    }

    /// Notes a message.
    pub(crate) fn message(&self, what: fmt::Arguments<'_>) {
        self.note(Detail::Messages, what);
    }

    fn note(&self, detail: Detail, what: fmt::Arguments<'_>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let Written {
            hasher,
            line,
            lines,
        } = &mut *written;
        line.clear();
        let at = self.started.elapsed().as_secs_f64();
        write!(line, "{at:9.3}  {what}").expect("a string takes whatever is written");
        hasher.update(line.as_bytes()).update(b"\n");
        if detail <= self.detail {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line.clone());
        }
    }

    /// Returns the digest of all lines, and those kept.
    pub(crate) fn read(&self) -> (String, Vec<String>) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = written.hasher.finalize().to_hex();
        (
            digest[..16].to_owned(),
            written.lines.iter().cloned().collect(),
        )
    }
}
