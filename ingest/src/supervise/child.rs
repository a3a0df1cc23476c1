//! A scene's process, as its supervisor has it.
//!
//! *Invariants*: it ends with the value that stands for it; what it says is bounded in length, and
//! its silence in time.
//!
//! *Not here*: which scene it gets (`supervise`), what it does (`obey`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use wire::client::{TOKEN_FILE_VARIABLE, TOKEN_VARIABLE};
use wire::fault::{Fault, FaultKind};

use crate::line;
use crate::orders::Order;
use crate::spool::Spool;

/// Bytes kept of what a dying process says: a few lines.
const LAST_WORDS_BYTES: u64 = 4096;

/// A scene's process: before its turn, at work, or on its way out.
#[derive(Debug)]
pub(super) struct SceneProcess {
    child: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
    /// The line that it is about to say.
    begun: Vec<u8>,
    /// Its standard error: a file, not a pipe, for whoever writes much must not wait for a reader.
    said: File,
    /// Where it leaves the files of splits.
    spool: Arc<Spool>,
}

/// What came of listening.
#[derive(Debug)]
pub(super) enum Heard<T> {
    /// A line.
    Line(T),
    /// It closed its output.
    End,
    /// A line that is none.
    Garbled,
    /// It said nothing for too long.
    Silence,
}

/// How a process ended, and the last that it said on its standard error.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) words: String,
}

impl SceneProcess {
    /// Starts one, which waits for orders.
    pub(super) fn start() -> Result<Self, Fault> {
        let said = tempfile::tempfile().map_err(|e| broken(&e))?;
        let spool = Spool::new()?;
        let mut command = Command::new(program()?);
        command.arg("scene");
        // The same words as ours: all flags hold for every scene.
        command.args(std::env::args_os().skip(1));
        // Allocator arenas of many threads take address space that the limit counts.
        command.env("MALLOC_ARENA_MAX", "2");
        // The last line it says is told as the reason: that of a backtrace is none.
        command.env("RUST_BACKTRACE", "0");
        // It asks no node for anything.
        for secret in [TOKEN_VARIABLE, TOKEN_FILE_VARIABLE] {
            command.env_remove(secret);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said.try_clone().map_err(|e| broken(&e))?)
            .kill_on_drop(true);
        let started = spool.lend(|(name, file)| command.env(name, file).spawn());
        let mut child = started.map_err(|e| broken(&e))?;
        let piped = child.stdin.take().zip(child.stdout.take());
        let (orders, told) = piped.ok_or_else(|| broken(&std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            child,
            orders,
            told: BufReader::new(told),
            begun: Vec::new(),
            said,
            spool: Arc::new(spool),
        })
    }

    /// Tells whether it has not ended yet.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Gives an order; one that has ended already is met when its answer is listened for.
    pub(super) async fn order(&mut self, order: &Order) -> Result<(), Fault> {
        let line = serde_json::to_string(order).map_err(|e| broken(&e.into()))?;
        let line = format!("{line}\n");
        self.orders.write_all(line.as_bytes()).await.unwrap_or(());
        Ok(())
    }

    /// Returns where it leaves the files of splits.
    pub(super) fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    /// Listens for the next line; whoever gives up in between may go on.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self, silence_max: Duration) -> Heard<T> {
        match timeout(silence_max, line::next(&mut self.told, &mut self.begun)).await {
            Err(_) => Heard::Silence,
            Ok(Ok(None)) => Heard::End,
            Ok(Err(_)) => Heard::Garbled,
            Ok(Ok(Some(line))) => {
                serde_json::from_str(&line).map_or(Heard::Garbled, |told| Heard::Line(told))
            }
        }
    }

    /// Kills it; who waits for it afterwards waits until its memory is given back.
    pub(super) fn kill(&mut self) -> Result<(), Fault> {
        // It may have ended by itself in between: then there is nothing left to end.
        match self.child.start_kill() {
            Err(e) if self.lives() => Err(broken(&e)),
            _ => Ok(()),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn end(&mut self) -> Result<Ended, Fault> {
        let status = self.child.wait().await.map_err(|e| broken(&e))?;
        let words = last_words(&self.said);
        Ok(Ended { status, words })
    }
}

impl Ended {
    /// Adds to a fault how the process ended.
    pub(super) fn explain(&self, fault: Fault) -> Fault {
        let fault = fault.because(format!("it ended with {}", self.status));
        let last = self.words.lines().rfind(|l| !l.trim().is_empty());
        last.into_iter()
            .fold(fault, |fault, last| fault.because(last.trim()))
    }
}

/// Returns the path of the binary with GDAL, which is built and installed beside this one.
fn program() -> Result<PathBuf, Fault> {
    let own = std::env::current_exe().map_err(|e| broken(&e))?;
    let path = own.with_file_name("glebe-ingest");
    if path.is_file() {
        return Ok(path);
    }
    Err(Fault::new(FaultKind::Internal, "glebe-ingest is not there")
        .because("it is looked for beside glebe-supervise")
        .try_("cargo build (after cargo xtask setup)"))
}

/// Returns the end of what a process said on its standard error.
fn last_words(said: &File) -> String {
    let length = said.metadata().map_or(0, |m| m.len());
    let start = length.saturating_sub(LAST_WORDS_BYTES);
    let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(0)];
    // What cannot be read is not said; the exit status stands anyway.
    let read = said.read_exact_at(&mut bytes, start);
    read.map_or_else(|_| String::new(), |()| text(&bytes))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, "a scene's process cannot be started")
        .because(error.to_string())
}
