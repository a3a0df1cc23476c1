//! A program run within limits: memory, file sizes, time, and no network where the kernel lets us.
//!
//! util-linux does it: `prlimit` sets limits, `unshare` gives the program a network of its own with
//! nothing in it, and processes of its own, all of which end with it. Where namespaces are
//! forbidden (some containers), the program runs without them and the job says so.
//!
//! *Invariants*: nothing of the node's environment but the path is handed on; standard output and
//! error go to bounded files; the program and its children end before this returns.
//!
//! *Not here*: keeping the program from reading files that the worker's user may read: run nodes
//! under a user of their own (docs/SECURITY.md).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stop::Stop;

/// Longest that a program may learn for one cell, unless `GLEBE_PROGRAM_SECONDS` says otherwise.
const TIME_S: u64 = 3600;
/// Most address space of a program, unless `GLEBE_PROGRAM_BYTES` says otherwise: frameworks reserve
/// far more than they use.
const MEMORY_BYTES: u64 = 16 << 30;
/// Largest file that a program may write, and with it most of what it says and leaves.
pub const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most of standard output that is read.
const SAID_BYTES_MAX: u64 = 1 << 20;
/// Last part of standard error that a reason quotes.
const COMPLAINT_BYTES: usize = 600;
/// How often a running program is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Standard output, standard error and standard input of a program, beside its chips.
const SAID: &str = "stdout";
const COMPLAINED: &str = "stderr";
/// The job, as the program reads it from its standard input.
pub const JOB: &str = "job.json";

/// Within what a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest that it may run.
    pub time: Duration,
    /// Most address space.
    pub memory_bytes: u64,
    /// Threads that it should compute with.
    pub threads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let told = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
        Self {
            time: Duration::from_secs(told("GLEBE_PROGRAM_SECONDS").unwrap_or(TIME_S)),
            memory_bytes: told("GLEBE_PROGRAM_BYTES").unwrap_or(MEMORY_BYTES),
            threads: 1,
        }
    }
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Something around it cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("it ran past its {0} s (GLEBE_PROGRAM_SECONDS of the node)")]
    Time(u64),
    /// It ended with an error.
    #[error("it ended with {status}: {complaint}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its standard error.
        complaint: String,
    },
    /// It says too much.
    #[error("it wrote more than {SAID_BYTES_MAX} bytes to standard output")]
    Talkative,
    /// Someone wished to stop.
    #[error("stopped")]
    Stopped,
}

impl ConfineError {
    /// Says what the program's owner can do; nothing where someone wished it to stop.
    pub fn next(&self) -> Option<String> {
        let next = match self {
            Self::Io { .. } => "room in the temporary folder of the node (TMPDIR)",
            Self::Time(_) => {
                "fewer --epochs, or GLEBE_PROGRAM_SECONDS=N before glebe up, typed by the owner"
            }
            Self::Ended { .. } => {
                "the program by hand, with a job as in docs/ADDING_A_RECIPE.md on its standard input"
            }
            Self::Talkative => "fewer words: all but a JSON object an epoch to standard error",
            Self::Stopped => return None,
        };
        Some(next.to_owned())
    }
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary folder; nothing depends on it.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// Makes an empty folder that only this user may read.
pub fn scratch(purpose: &str) -> Result<Scratch, ConfineError> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("glebe-{purpose}-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let made = fs::DirBuilder::new().mode(0o700).create(&path);
    made.map_err(io_at(&path))?;
    Ok(Scratch(path))
}

/// Runs a program in a folder, the folder's job on its standard input; returns what it says.
pub fn confined(
    program: &Path,
    arguments: &[&str],
    folder: &Path,
    (limits, stop): (&Limits, &Stop),
) -> Result<String, ConfineError> {
    let file = |name: &str| {
        let path = folder.join(name);
        File::create(&path).map_err(io_at(&path))
    };
    let (said, complained) = (file(SAID)?, file(COMPLAINED)?);
    let job = folder.join(JOB);
    let input = File::open(&job).map_or_else(|_| Stdio::null(), Stdio::from);
    let mut command = within(limits);
    command
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(input)
        .stdout(said)
        .stderr(complained)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("LANG", "C.UTF-8")
        .env("OMP_NUM_THREADS", limits.threads.to_string())
        .env("OPENBLAS_NUM_THREADS", limits.threads.to_string())
        .process_group(0);
    let child = command.spawn().map_err(io_at(program))?;
    let status = waited(child, limits, stop)?;
    if !status.success() {
        let complaint = tail(&folder.join(COMPLAINED));
        return Err(ConfineError::Ended { status, complaint });
    }
    let path = folder.join(SAID);
    let mut text = String::new();
    let file = File::open(&path).map_err(io_at(&path))?;
    let read = file.take(SAID_BYTES_MAX + 1).read_to_string(&mut text);
    if read.map_err(io_at(&path))? as u64 > SAID_BYTES_MAX {
        return Err(ConfineError::Talkative);
    }
    Ok(text)
}

/// Writes the job that the program will read.
pub fn write_job(folder: &Path, job: &serde_json::Value) -> Result<(), ConfineError> {
    let path = folder.join(JOB);
    let written = File::create(&path).and_then(|mut f| f.write_all(job.to_string().as_bytes()));
    written.map_err(io_at(&path))
}

/// Returns the command that sets limits and then becomes the program.
fn within(limits: &Limits) -> Command {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--as={}", limits.memory_bytes))
        .arg(format!("--fsize={FILE_BYTES_MAX}"))
        .arg("--core=0")
        .arg("--");
    if let Some(flags) = namespaces() {
        command.arg("unshare").args(flags).arg("--");
    }
    command
}

/// Flags that give a program a network and processes of its own: as root, else as a user that is
/// root in a namespace of its own; `None` where the kernel allows neither.
pub fn namespaces() -> Option<&'static [&'static str]> {
    const AS_ROOT: &[&str] = &["--net", "--pid", "--fork", "--kill-child"];
    const AS_USER: &[&str] = &[
        "--user",
        "--map-root-user",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let works = |flags: &&&[&str]| {
            let mut command = Command::new("unshare");
            command.args(**flags).arg("true");
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        [AS_ROOT, AS_USER].iter().find(works).copied()
    })
}

/// Waits for a program's end, for as long as it may run; ends it and its children otherwise.
fn waited(mut child: Child, limits: &Limits, stop: &Stop) -> Result<ExitStatus, ConfineError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: bounds how long a program may run"
    )]
    let start = Instant::now();
    let wrong = loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                // Whatever it started and left behind.
                end(&child);
                return Ok(status);
            }
            Ok(None) if stop.wished() => break ConfineError::Stopped,
            Ok(None) if start.elapsed() > limits.time => {
                break ConfineError::Time(limits.time.as_secs());
            }
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(source) => {
                let path = PathBuf::from("prlimit");
                break ConfineError::Io { path, source };
            }
        }
    };
    end(&child);
    // It was killed: its end is certain, its status of no interest.
    drop(child.wait());
    Err(wrong)
}

/// Kills all processes of a program's group.
fn end(child: &Child) {
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // A group without processes is what is wanted.
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
            .unwrap_or_default();
    }
}

/// Returns the end of a text file on one line.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(COMPLAINT_BYTES);
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" | ");
    if joined.is_empty() {
        "it said nothing".to_owned()
    } else {
        joined
    }
}

/// Names the file of an error.
pub fn io_at(path: &Path) -> impl FnOnce(io::Error) -> ConfineError {
    let path = path.to_owned();
    move |source| ConfineError::Io { path, source }
}
