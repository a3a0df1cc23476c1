//! Worker processes: `glebe-trainer work` beside this node, as many as it may run.
//!
//! *Invariants*: workers run only while jobs wait; they die with the node; what one held that ended
//! is lent again at once; one that cannot be started is said and its jobs are quarantined with that
//! reason, not left waiting for ever.
//!
//! *Not here*: leases (`book`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::client::{TOKEN_FILE_VARIABLE, TOKEN_VARIABLE};
use wire::fault::Fault;
use wire::module::{MODULES_ANY, MODULES_VARIABLE};

use super::Runs;
use crate::config::{DEVICE_VARIABLE, Device};

/// The worker's file name.
const BINARY: &str = "glebe-trainer";
/// Time between looks at the queue when nobody told of a waiting job.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause after a worker that ended badly; doubled each time, up to the greatest.
const BACK_OFF: Duration = Duration::from_millis(500);
/// Greatest pause.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// Starts in a row that fail before waiting jobs are quarantined.
const STARTS_FAILED_MAX: u32 = 3;

/// What is said of a job whose worker ended well without it.
const DROPPED: &str = "its worker ended without it";

/// How workers are started.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The node's own address as a worker reaches it: `http://…` or `unix:…`.
    pub address: String,
    /// Workers at once.
    pub count: u16,
    /// File to which their words are appended.
    pub log: PathBuf,
    /// Folder where they leave chips for the next job on the same splits.
    pub chips: PathBuf,
    /// Most mebibytes there, unless it is their default.
    pub chips_mib: Option<u64>,
    /// Where they compute; as the node's environment says if absent.
    pub device: Option<Device>,
    /// Whether the node serves its owner alone, see [`command`].
    pub alone: bool,
}

/// Keeps workers running while jobs wait, until `stop`.
pub fn supervise(
    runs: &Arc<Runs>,
    config: &WorkerConfig,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    runs.keeps(config.count);
    runs.computes_on(config.device);
    for number in 0..config.count {
        let (runs, config, stop) = (Arc::clone(runs), config.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = keep_one(&runs, &config, number) => {}
            }
        });
    }
}

impl Runs {
    /// Notes how many workers this node keeps.
    pub fn keeps(&self, workers: u16) {
        self.lock().hands.kept = workers;
    }

    /// Notes where this node's workers compute, if it is to tell them.
    pub fn computes_on(&self, device: Option<Device>) {
        self.lock().hands.device = device;
    }

    /// Returns where this node's workers compute, if it is to tell them.
    pub(crate) fn device(&self) -> Option<Device> {
        self.lock().hands.device
    }

    /// Notes that a worker is started under this name.
    pub fn starts(&self, worker: &str) {
        self.lock().hands.start(worker);
    }

    /// Takes back what a worker held that has ended, but what it was publishing; tells whether it
    /// had asked for a job.
    pub fn ended(&self, worker: &str, reason: &str) -> Result<bool, Fault> {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        let asked = inner.hands.end(worker);
        inner.sustain(now_ms);
        let guests = inner.guests.book.take_back(worker, reason, now_ms);
        if !guests.is_empty() {
            inner.send_home_all(&guests);
            self.hosting.notify_one();
        }
        let left = inner.book.take_back(worker, reason, now_ms);
        inner.save_all(&left)?;
        self.say_given_up(&inner, &left);
        if !left.is_empty() {
            self.waiting.notify_waiters();
            self.tidings.notify_one();
            self.moving.notify_one();
        }
        Ok(asked)
    }

    /// Notes that a worker ended before it had asked for anything: others may do what waits.
    fn fails_to_start(&self) {
        let mut inner = self.lock();
        inner.hands.failing = true;
        inner.guests.decline_waiting(|_| true);
        self.hosting.notify_one();
        self.moving.notify_one();
    }

    /// Quarantines every waiting job: workers cannot be started here.
    pub fn give_up(&self, reason: &str) -> Result<(), Fault> {
        let mut inner = self.lock();
        let given_up = inner.book.give_up(reason);
        inner.save_all(&given_up)?;
        self.say_given_up(&inner, &given_up);
        self.tidings.notify_one();
        Ok(())
    }
}

/// Runs one worker after another, whenever a job waits for no donor.
async fn keep_one(runs: &Runs, config: &WorkerConfig, number: u16) {
    let mut failed = 0;
    for start in 0_u64.. {
        while !runs.has_ready() {
            // A timeout is no error here: leases may have run out without a word.
            drop(tokio::time::timeout(LOOK_EVERY, runs.waiting.notified()).await);
        }
        let name = format!("worker{number}-{start}");
        runs.starts(&name);
        let done = work(config, &name).await;
        let reason = done.as_ref().err().map_or(DROPPED, String::as_str);
        let asked = runs.ended(&name, reason).unwrap_or_else(|fault| {
            tracing::error!(%fault, "what a worker held cannot be taken back");
            false
        });
        let Err(reason) = done else {
            failed = 0;
            continue;
        };
        tracing::warn!(%reason, "a worker ended badly");
        // One that asked for a job does start: what ended it counts against its job alone.
        failed = if asked { 0 } else { failed + 1 };
        if !asked {
            runs.fails_to_start();
        }
        if failed >= STARTS_FAILED_MAX {
            if let Err(fault) = runs.give_up(&reason) {
                tracing::error!(%fault, "jobs cannot be quarantined");
            }
            failed = 0;
        }
        let pause = BACK_OFF * 2_u32.saturating_pow(failed);
        tokio::time::sleep(pause.min(BACK_OFF_MAX)).await;
    }
}

/// Runs one worker to its end.
async fn work(config: &WorkerConfig, name: &str) -> Result<(), String> {
    let mut command = command(config.alone, config.device)?;
    command.arg("work").arg("--node").arg(&config.address);
    command.arg("--name").arg(name);
    command.arg("--workers").arg(config.count.to_string());
    command.arg("--chips").arg(&config.chips);
    if let Some(mebibytes) = config.chips_mib {
        command.arg("--chips-mib").arg(mebibytes.to_string());
    }
    command.stdout(Stdio::null()).stderr(words(&config.log));
    let status = command
        .status()
        .await
        .map_err(|e| format!("{BINARY} does not start: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the worker ended with {status}"))
    }
}

/// Opens the log to append to it; without it their words are lost, their work is not.
fn words(log: &Path) -> Stdio {
    let file = File::options().create(true).append(true).open(log);
    file.map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Returns a command for the worker's binary, which dies with this process's interest.
///
/// It opens modules that users bring if the node is `alone`, for then who asks is who owns it; else
/// if the owner allowed them in the node's environment. Where it computes is said
/// there, too, unless `device` does.
pub(crate) fn command(alone: bool, device: Option<Device>) -> Result<Command, String> {
    let mut command = Command::new(find()?);
    // It reaches its own node without one; what was given to the node is not for its workers.
    command.env_remove(TOKEN_VARIABLE);
    command.env_remove(TOKEN_FILE_VARIABLE);
    if alone {
        command.env(MODULES_VARIABLE, MODULES_ANY);
    }
    if let Some(device) = device {
        command.env(DEVICE_VARIABLE, device.word());
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Finds the worker beside this binary, in `GLEBE_BIN_DIR`, or on the path; or says what to do.
fn find() -> Result<PathBuf, String> {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|p| p.parent().map(PathBuf::from));
    let named = std::env::var_os("GLEBE_BIN_DIR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside
        .into_iter()
        .chain(named)
        .chain(std::env::split_paths(&path));
    let found = folders.map(|d| d.join(BINARY)).find(|p| p.is_file());
    found.ok_or_else(|| {
        format!("{BINARY} is not beside glebe, in GLEBE_BIN_DIR or on the PATH; try: cargo build")
    })
}
