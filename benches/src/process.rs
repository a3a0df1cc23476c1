//! Starting glebe's binaries and timing them as a user would.
//!
//! *Invariants*: every run is a whole process; a failing one fails the benchmark.
//!
//! *Not here*: what is measured.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

/// Binaries and a scratch folder.
#[derive(Debug)]
pub(crate) struct Bench {
    bin: PathBuf,
    pub(crate) scratch: tempfile::TempDir,
}

impl Bench {
    /// Finds the binaries, beside this one unless told otherwise.
    pub(crate) fn new(bin: Option<PathBuf>) -> Result<Self> {
        let own = std::env::current_exe()?;
        let bin = bin
            .or_else(|| own.parent().map(PathBuf::from))
            .context("no folder")?;
        ensure!(
            bin.join("glebe").exists(),
            "no glebe in {}: cargo build first",
            bin.display()
        );
        Ok(Self {
            bin: bin.canonicalize()?,
            scratch: tempfile::tempdir()?,
        })
    }

    /// A `glebe` command in the scratch folder, free of the caller's settings.
    pub(crate) fn glebe(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("glebe"));
        command
            .current_dir(self.scratch.path())
            .args(args)
            .arg("--no-progress");
        for name in [
            "GLEBE_CLUSTER",
            "GLEBE_DATA",
            "GLEBE_OUTPUT",
            "GLEBE_CONFIG",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Starts a node of its own with a worker a core.
    pub(crate) fn up(&self, name: &str) -> Result<Up> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        self.up_with(name, &["--workers", &workers.to_string()])
    }

    /// Starts a node with those flags.
    pub(crate) fn up_with(&self, name: &str, flags: &[&str]) -> Result<Up> {
        let data = self.scratch.path().join(name);
        let mut command = self.glebe(&["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(flags).arg("--data");
        command
            .arg(&data)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("a pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        let http = line
            .split_whitespace()
            .find_map(|w| w.strip_prefix("http="));
        let http = http.context("the node is not ready")?.to_owned();
        Ok(Up { child, http, data })
    }

    /// The interpreter that the peers run in (`cargo xtask setup` makes it).
    pub(crate) fn python(&self) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
        let mut command = Command::new(root);
        command.current_dir(self.scratch.path());
        command
    }

    /// Makes a synthetic world and returns its folder's name.
    pub(crate) fn world(&self, regions: u32, dates: u32, size: u32) -> Result<String> {
        let name = format!("world-{regions}-{dates}-{size}");
        if !self.scratch.path().join(&name).exists() {
            let numbers = [regions, dates, size].map(|n| n.to_string());
            let [regions, dates, size] = [&numbers[0], &numbers[1], &numbers[2]];
            let args = [
                "synth",
                "--regions",
                regions,
                "--dates",
                dates,
                "--size",
                size,
            ];
            seconds(self.glebe(&args).args(["-O", &name]))?;
        }
        Ok(name)
    }
}

/// A running node; it is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Up {
    child: Child,
    pub(crate) http: String,
    pub(crate) data: PathBuf,
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns how often each is run: as asked by `GLEBE_BENCH_RUNS`, else the usual number.
pub(crate) fn runs(usual: usize) -> usize {
    let asked = std::env::var("GLEBE_BENCH_RUNS").ok();
    let asked = asked.and_then(|runs| runs.parse().ok());
    asked.filter(|runs| *runs > 0).unwrap_or(usual)
}

/// Returns the number of the first run: as asked by `GLEBE_BENCH_FIRST`, so that a long series can
/// be measured in pieces, else the usual one.
pub(crate) fn first(usual: usize) -> usize {
    let asked = std::env::var("GLEBE_BENCH_FIRST").ok();
    asked.and_then(|first| first.parse().ok()).unwrap_or(usual)
}

/// Runs a command to its end, its output thrown away; returns seconds.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
pub(crate) fn seconds(command: &mut Command) -> Result<f64> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{command:?} does not start"))?;
    let taken = start.elapsed().as_secs_f64();
    ensure!(
        matches!(status.code(), Some(0 | 1 | 4)),
        "{command:?} ended with {status}"
    );
    Ok(taken)
}

/// Runs a command and returns its stdout and its seconds.
pub(crate) fn timed(command: &mut Command) -> Result<(String, f64)> {
    took(|| output(command))
}

/// Does something; returns its seconds too.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
pub(crate) fn took<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed().as_secs_f64()))
}

/// Runs a command and returns its stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    ensure!(
        matches!(output.status.code(), Some(0 | 1 | 4)),
        "{command:?}: {}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}
