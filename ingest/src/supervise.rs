//! A process of its own for every scene, so that what one file breaks ends with that file.
//!
//! The supervisor decodes no pixel: it lists paths and the names inside archives, starts
//! `glebe-ingest run --alone` for one after another, under that process's own limits, and passes
//! its events on. Drivers that are not safe to use from several threads share their process with
//! one scene only.
//!
//! *Invariants*: a scene's process that dies or falls silent is one failed scene, with the reason;
//! no process that has anything left to do outlives its supervisor.
//!
//! *Not here*: what a scene's process does (`run`), its limits (`limits`).

use std::fs::File;
use std::io::{Write as _, stderr};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use wire::client::{Client, ClientOptions};
use wire::event::{Event, Progress};
use wire::fault::{Fault, FaultKind};

use crate::args::RunArgs;
use crate::events::Events;
use crate::failure;
use crate::limits::{ADDRESS_BYTES_MAX, CPU_SECONDS_MAX};
use crate::put::Owners;
use crate::run::{Stop, file_name, given, node};
use crate::source::find;

/// Longest silence of a scene's process: a strip of a full tile takes under a minute of one busy
/// core, and every strip is told of.
const SILENCE_MAX: Duration = Duration::from_mins(10);

/// Bytes kept of what a dying process says: a few lines.
const LAST_WORDS_BYTES: u64 = 4096;

/// Ingests all scenes, each in a process of its own; returns the exit code.
pub async fn run(args: &RunArgs, events: &mut Events) -> Result<u8, Stop> {
    let found = find::scenes(&args.paths, &given(args));
    events.tell(&Event::Begin {
        scenes: found.len() as u64,
        dry_run: args.dry_run,
    })?;
    let mut code = 0;
    let mut leaving: Option<Child> = None;
    let node = Node {
        args,
        told: OnceCell::new(),
    };
    for path in found {
        let before = events.progress;
        let (path, ended) = match path {
            Ok(path) => {
                let ended = scene(&node, &path, events).await?;
                (path, ended)
            }
            Err((path, fault)) => (path, Ended::Broken(fault)),
        };
        events.progress.scenes = before.scenes + 1;
        match ended {
            Ended::Well(child) => {
                if let Some(mut before) = leaving.replace(child) {
                    before.wait().await.map_err(|e| broken(&e))?;
                }
            }
            Ended::Skipped => {}
            Ended::Failed => code = FaultKind::Data.exit_code(),
            Ended::Broken(fault) => {
                code = FaultKind::Data.exit_code();
                broke(&node, &path, fault, events).await?;
            }
            Ended::All(of_all) => {
                code = of_all;
                break;
            }
        }
    }
    // The last was killed already: nobody needs to wait until its memory is given back.
    Ok(code)
}

/// The node to put to; it is waited for at the first use, so that processes start meanwhile.
struct Node<'a> {
    args: &'a RunArgs,
    told: OnceCell<String>,
}

impl Node<'_> {
    async fn address(&self) -> Result<&str, Fault> {
        let told = self.told.get_or_try_init(async || node(self.args)).await?;
        Ok(told)
    }
}

/// How a scene's process ended.
enum Ended {
    /// The scene is done; its process gives its memory back while the next scene's begins.
    Well(Child),
    /// The scene was done before.
    Skipped,
    /// The scene failed and its process said so; others may not.
    Failed,
    /// The scene failed, and nobody said so yet.
    Broken(Fault),
    /// What stopped it stops every other scene too; the exit code.
    All(u8),
}

/// Tells of a scene that could not say itself that it failed, and keeps the reason.
async fn broke(
    node: &Node<'_>,
    path: &Path,
    fault: Fault,
    events: &mut Events,
) -> Result<(), Stop> {
    if !node.args.dry_run {
        let client = Client::new(node.address().await?, ClientOptions::from_env()?)?;
        let spot = failure::spot(node.args, path);
        failure::keep(&Owners::new(client).await?, &spot, &fault).await?;
    }
    let source = file_name(path);
    events.tell(&Event::SceneFailed { source, fault })?;
    Ok(())
}

/// Runs one scene's process to its end.
async fn scene(node: &Node<'_>, path: &Path, events: &mut Events) -> Result<Ended, Stop> {
    // A file, not a pipe: whoever writes much must not wait for a reader.
    let said = tempfile::tempfile().map_err(|e| broken(&e))?;
    let mut child = start(path, &said)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended already is met below.
        let line = format!("{}\n", node.address().await?);
        stdin.write_all(line.as_bytes()).await.unwrap_or(());
    }
    let before = events.progress;
    let heard = follow(&mut child, &before, events).await;
    let told = match heard {
        Ok(Heard::Done) => {
            // All that it did is acknowledged, and its own files are gone.
            child.start_kill().map_err(|e| broken(&e))?;
            return Ok(Ended::Well(child));
        }
        Ok(Heard::Out { told }) => told,
        Ok(Heard::Silence) | Err(_) => {
            // It may have ended by itself in between: then there is nothing left to end.
            child.kill().await.unwrap_or(());
            return heard.map(|_| Ended::Broken(silent(path)));
        }
    };
    let status = child.wait().await.map_err(|e| broken(&e))?;
    let words = last_words(&said);
    match (told, status.code()) {
        (true, Some(0)) => Ok(Ended::Skipped),
        (true, Some(6)) => Ok(Ended::Failed),
        (true, Some(code)) => Ok(Ended::All(u8::try_from(code).unwrap_or(1))),
        (false, Some(code)) if stops_all(code) => {
            // It explained itself on its standard error; that is ours to pass on.
            stderr().write_all(words.as_bytes()).unwrap_or(());
            Ok(Ended::All(u8::try_from(code).unwrap_or(1)))
        }
        _ => Ok(Ended::Broken(died(path, status, &words))),
    }
}

/// What came of listening to a scene's process.
enum Heard {
    /// The scene is done: the last that a process does.
    Done,
    /// It closed its output; `told` says whether it had told how the scene ended.
    Out { told: bool },
    /// It said nothing for too long.
    Silence,
}

/// Passes events on until the process closes its output.
async fn follow(child: &mut Child, before: &Progress, events: &mut Events) -> Result<Heard, Stop> {
    let Some(stdout) = child.stdout.take() else {
        return Ok(Heard::Out { told: false });
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut told = false;
    loop {
        let Ok(line) = timeout(SILENCE_MAX, next(&mut lines)).await else {
            return Ok(Heard::Silence);
        };
        let Some(event) = line? else {
            return Ok(Heard::Out { told });
        };
        match event {
            Event::Begin { .. } => {}
            Event::Progress(of_scene) => {
                events.progress = sum(before, &of_scene);
                events.tell_progress()?;
            }
            event => {
                events.tell(&event)?;
                match event {
                    Event::SceneDone { .. } => return Ok(Heard::Done),
                    Event::SceneFailed { .. } | Event::Skipped { .. } => told = true,
                    _ => {}
                }
            }
        }
    }
}

/// Returns the next event; a line that is none ends the process's word.
async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Option<Event>, Fault> {
    let line = lines.next_line().await.map_err(|e| broken(&e))?;
    Ok(line.and_then(|line| serde_json::from_str(&line).ok()))
}

fn sum(before: &Progress, scene: &Progress) -> Progress {
    Progress {
        scenes: before.scenes,
        cells: before.cells + scene.cells,
        cells_total: before.cells_total + scene.cells_total,
        pixels: before.pixels + scene.pixels,
        bytes: before.bytes + scene.bytes,
        seconds: scene.seconds,
    }
}

fn start(path: &Path, said: &File) -> Result<Child, Fault> {
    let program = std::env::current_exe().map_err(|e| broken(&e))?;
    let mut command = Command::new(program);
    command.args(["run", "--alone"]).arg(path);
    // The same words as ours: all flags hold for every scene.
    command.args(std::env::args_os().skip(2));
    // Allocator arenas of many threads take address space that the limit counts.
    command.env("MALLOC_ARENA_MAX", "2");
    // The last line it says is told as the reason: that of a backtrace is none.
    command.env("RUST_BACKTRACE", "0");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(said.try_clone().map_err(|e| broken(&e))?)
        .kill_on_drop(true);
    command.spawn().map_err(|e| broken(&e))
}

/// Tells whether a process ended by a fault that every other scene would meet as well.
fn stops_all(code: i32) -> bool {
    let kinds = [
        FaultKind::Usage,
        FaultKind::Unreachable,
        FaultKind::Partial,
        FaultKind::Refused,
        FaultKind::Timeout,
    ];
    kinds.iter().any(|k| i32::from(k.exit_code()) == code)
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

fn silent(path: &Path) -> Fault {
    let name = file_name(path);
    Fault::new(FaultKind::Data, format!("'{name}' was given up"))
        .because(format!(
            "its process said nothing for {} seconds",
            SILENCE_MAX.as_secs()
        ))
        .try_("gdalinfo -checksum shows whether it can be decoded at all")
}

/// Explains a process that ended without saying how its scene did.
fn died(path: &Path, status: ExitStatus, words: &str) -> Fault {
    let name = file_name(path);
    let limits = format!(
        "a scene may take {} MiB of address space and {CPU_SECONDS_MAX} processor seconds",
        ADDRESS_BYTES_MAX >> 20
    );
    let fault = Fault::new(
        FaultKind::Data,
        format!("'{name}' broke the process that decoded it"),
    )
    .because(format!("it ended with {status}"));
    let last = words.lines().rfind(|l| !l.trim().is_empty());
    let fault = last
        .into_iter()
        .fold(fault, |f, last| f.because(last.trim()));
    fault
        .because(limits)
        .try_("gdalinfo -checksum shows whether it can be decoded at all")
}
