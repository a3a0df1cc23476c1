//! A process of its own for every scene, so that what one file breaks ends with that file.
//!
//! The supervisor decodes no pixel and opens no file of a scene: it starts `glebe-ingest scene` for
//! one after another, under that process's own limits, and passes its events on. The first one
//! lists the scenes before it ingests its own, for what is a scene only those know that link GDAL;
//! the next one is started while one is at work, so that no scene waits until GDAL is linked.
//! Drivers that are not safe to use from several threads share their process with one scene only.
//!
//! *Invariants*: a scene's process that dies or falls silent is one failed scene, with the reason;
//! no process that has anything left to do outlives its supervisor; nothing here calls GDAL, so
//! that the linker leaves it out.
//!
//! *Not here*: what a scene's process does (`obey`, `run`), its limits (`limits`).

mod child;

use std::ffi::OsString;
use std::io::{Write as _, stderr, stdin};
use std::path::Path;
use std::time::Duration;

use tokio::sync::OnceCell;
use wire::client::{Client, ClientOptions};
use wire::event::{Event, Progress};
use wire::fault::{Fault, FaultKind};

use crate::args::RunArgs;
use crate::events::Events;
use crate::failure::{self, Spot};
use crate::limits::{ADDRESS_BYTES_MAX, CPU_SECONDS_MAX};
use crate::line;
use crate::name::file_name;
use crate::orders::{Listed, Order};
use crate::put::Owners;
use crate::run::Stop;
use child::{Ended, Heard, SceneProcess};

/// Longest silence of a scene's process: a strip of a full tile takes under a minute of one busy
/// core, and every strip is told of.
const SILENCE_MAX: Duration = Duration::from_mins(10);

/// Longest listing: 100,000 archives whose lists come from a slow disk, 30 ms each.
const LISTING_MAX: Duration = Duration::from_hours(1);

/// Longest that a process may look for the name of a scene that failed: it reads one list.
const NAMING_MAX: Duration = Duration::from_mins(1);

/// Ingests all scenes, each in a process of its own; returns the exit code.
pub async fn run(args: &RunArgs, events: &mut Events) -> Result<u8, Stop> {
    let mut crew = Crew {
        args,
        node: OnceCell::new(),
        next: None,
        leaving: None,
    };
    let found = crew.list().await?;
    events.tell(&Event::Begin {
        scenes: found.len() as u64,
        dry_run: args.dry_run,
    })?;
    let mut code = 0;
    let mut found = found.into_iter().peekable();
    while let Some((path, fault)) = found.next() {
        let before = events.progress;
        let outcome = match fault {
            None => crew.scene(&path, found.peek().is_some(), events).await?,
            Some(fault) => Outcome::Broken(fault),
        };
        events.progress.scenes = before.scenes + 1;
        match outcome {
            Outcome::Well => {}
            Outcome::Failed => code = FaultKind::Data.exit_code(),
            Outcome::Broken(fault) => {
                code = FaultKind::Data.exit_code();
                crew.broke(Path::new(&path), fault, events).await?;
            }
            Outcome::All(of_all) => {
                code = of_all;
                break;
            }
        }
    }
    // Who is left is killed now: nobody needs to wait until its memory is given back.
    Ok(code)
}

/// How a scene ended.
enum Outcome {
    /// It is done, or was done before.
    Well,
    /// It failed and its process said so; others may not.
    Failed,
    /// It failed, and nobody said so yet.
    Broken(Fault),
    /// What stopped it stops every other scene too; the exit code.
    All(u8),
}

/// The processes that a supervisor has.
struct Crew<'a> {
    args: &'a RunArgs,
    /// Address of the node to put to; waited for at the first use: processes start meanwhile.
    node: OnceCell<String>,
    /// Waits for its scene.
    next: Option<SceneProcess>,
    /// Is done with its scene, and gives its memory back while the next one begins.
    leaving: Option<SceneProcess>,
}

impl Crew<'_> {
    async fn address(&self) -> Result<&str, Fault> {
        let told = self.node.get_or_try_init(async || node_address(self.args));
        Ok(told.await?)
    }

    /// Takes the process that waits, or starts one if none does (any more).
    fn take(&mut self) -> Result<SceneProcess, Fault> {
        if let Some(mut process) = self.next.take()
            && process.lives()
        {
            return Ok(process);
        }
        SceneProcess::start()
    }

    /// Has the first process list all scenes, or why a path is none; it gets the first one then.
    async fn list(&mut self) -> Result<Vec<(OsString, Option<Fault>)>, Fault> {
        let mut process = self.take()?;
        process.order(&Order::List).await?;
        let mut found = Vec::new();
        let reason = loop {
            match process.hear(LISTING_MAX).await {
                Heard::Line(Listed::Scene(path)) => found.push((path, None)),
                Heard::Line(Listed::Broken { path, fault }) => found.push((path, Some(fault))),
                Heard::Line(Listed::End) => {
                    self.next = Some(process);
                    return Ok(found);
                }
                Heard::End => break None,
                Heard::Garbled => break Some("it said what is no path"),
                Heard::Silence => break Some("it said nothing for an hour"),
            }
        };
        if reason.is_some() {
            process.kill()?;
        }
        Err(unlisted(&process.end().await?, reason))
    }

    /// Runs one scene's process to its end, and has the next one start if there is more to do.
    async fn scene(
        &mut self,
        path: &OsString,
        more: bool,
        events: &mut Events,
    ) -> Result<Outcome, Stop> {
        let order = Order::Ingest {
            node: self.address().await?.to_owned(),
            scene: path.clone(),
        };
        let mut process = self.take()?;
        process.order(&order).await?;
        if more {
            // One that cannot be started now is tried again, and missed, when its turn comes.
            self.next = SceneProcess::start().ok();
        }
        let path = Path::new(path);
        let told = match follow(&mut process, events).await? {
            Followed::Done => {
                // All that it did is acknowledged, and its own files are gone.
                process.kill()?;
                if let Some(mut before) = self.leaving.replace(process) {
                    before.end().await?;
                }
                return Ok(Outcome::Well);
            }
            Followed::Out { told } => told,
            Followed::Lost(fault) => {
                process.kill()?;
                process.end().await?;
                return Ok(Outcome::Broken(fault(path)));
            }
        };
        let ended = process.end().await?;
        Ok(match (told, ended.status.code()) {
            (true, Some(0)) => Outcome::Well,
            (true, Some(6)) => Outcome::Failed,
            (true, Some(code)) => Outcome::All(u8::try_from(code).unwrap_or(1)),
            (false, Some(code)) if stops_all(code) => {
                // It explained itself on its standard error; that is ours to pass on.
                stderr().write_all(ended.words.as_bytes()).unwrap_or(());
                Outcome::All(u8::try_from(code).unwrap_or(1))
            }
            _ => Outcome::Broken(died(path, &ended)),
        })
    }

    /// Tells of a scene that could not say itself that it failed, and keeps the reason.
    async fn broke(&mut self, path: &Path, fault: Fault, events: &mut Events) -> Result<(), Stop> {
        if !self.args.dry_run {
            let client = Client::new(self.address().await?, ClientOptions::from_env()?)?;
            let spot = self.spot(path).await?;
            failure::keep(&Owners::new(client).await?, &spot, &fault).await?;
        }
        let source = file_name(path);
        events.tell(&Event::SceneFailed { source, fault })?;
        Ok(())
    }

    /// Asks a process where the reason of a failed scene is kept: its name may stand in an archive.
    async fn spot(&mut self, path: &Path) -> Result<Spot, Fault> {
        let mut process = self.take()?;
        process.order(&Order::Name(path.into())).await?;
        if let Heard::Line(spot) = process.hear(NAMING_MAX).await {
            self.next = Some(process);
            return Ok(spot);
        }
        // What broke one process breaks the next one, too.
        process.kill()?;
        Ok(failure::spot_of_file(self.args, path))
    }
}

/// What came of following a scene's process.
enum Followed {
    /// The scene is done: the last that a process tells.
    Done,
    /// It closed its output; `told` says whether it had told how the scene ended.
    Out { told: bool },
    /// Nothing more is to be learned from it, and why.
    Lost(fn(&Path) -> Fault),
}

/// Passes events on until the process has no more.
async fn follow(process: &mut SceneProcess, events: &mut Events) -> Result<Followed, Stop> {
    let before = events.progress;
    let mut told = false;
    loop {
        match process.hear(SILENCE_MAX).await {
            Heard::Silence => return Ok(Followed::Lost(silent)),
            Heard::Garbled => return Ok(Followed::Lost(garbled)),
            Heard::End => return Ok(Followed::Out { told }),
            Heard::Line(Event::Begin { .. }) => {}
            Heard::Line(Event::Progress(of_scene)) => {
                events.progress = sum(&before, &of_scene);
                events.tell_progress()?;
            }
            Heard::Line(event) => {
                events.tell(&event)?;
                match event {
                    Event::SceneDone { .. } => return Ok(Followed::Done),
                    Event::SceneFailed { .. } | Event::Skipped { .. } => told = true,
                    _ => {}
                }
            }
        }
    }
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

/// Returns the address of the node to put to, waiting for it if it is told on standard input: who
/// starts this process need not know it yet.
fn node_address(args: &RunArgs) -> Result<String, Fault> {
    if let Some(node) = &args.node {
        return Ok(node.clone());
    }
    let unnamed = |reason: String| {
        Fault::new(FaultKind::Usage, "no node to put to is named")
            .because(reason)
            .try_("--node http://HOST:PORT")
    };
    let told = line::read(&mut stdin().lock());
    let told = told.map_err(|e| unnamed(format!("standard input cannot be read: {e}")))?;
    let node = told.unwrap_or_default().trim().to_owned();
    if node.is_empty() {
        let reason = "--node is absent, and standard input has no line";
        return Err(unnamed(reason.to_owned()));
    }
    Ok(node)
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

/// Explains a listing that did not come to its end.
fn unlisted(ended: &Ended, reason: Option<&str>) -> Fault {
    // One that ends by itself could not begin; what kills it is what it read.
    let kind = match ended.status.code() {
        Some(_) => FaultKind::Internal,
        None => FaultKind::Data,
    };
    let fault = Fault::new(kind, "the process that lists the scenes broke");
    let fault = reason.into_iter().fold(fault, Fault::because);
    ended
        .explain(fault)
        .try_("ingest the paths one by one, and the parts of a folder; glebe doctor")
}

fn silent(path: &Path) -> Fault {
    let seconds = SILENCE_MAX.as_secs();
    given_up(
        path,
        &format!("its process said nothing for {seconds} seconds"),
    )
}

fn garbled(path: &Path) -> Fault {
    given_up(path, "its process said what is no event")
}

fn given_up(path: &Path, reason: &str) -> Fault {
    let name = file_name(path);
    Fault::new(FaultKind::Data, format!("'{name}' was given up"))
        .because(reason)
        .try_("gdalinfo -checksum shows whether it can be decoded at all")
}

/// Explains a process that ended without saying how its scene did.
fn died(path: &Path, ended: &Ended) -> Fault {
    let name = file_name(path);
    let limits = format!(
        "a scene may take {} MiB of address space and {CPU_SECONDS_MAX} processor seconds",
        ADDRESS_BYTES_MAX >> 20
    );
    let what = format!("'{name}' broke the process that decoded it");
    ended
        .explain(Fault::new(FaultKind::Data, what))
        .because(limits)
        .try_("gdalinfo -checksum shows whether it can be decoded at all")
}
