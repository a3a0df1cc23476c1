//! A process of its own for every scene, so that what one file breaks ends with that file.
//!
//! The supervisor decodes no pixel and opens no file of a scene: it starts `glebe-ingest scene` for
//! one after another, under that process's own limits, and puts what it cuts: a process that reads
//! foreign bytes has no network and no token. The first one lists the scenes before it opens its
//! own, for what is a scene only those know that link GDAL; the next one is started while one is at
//! work, so that no scene waits until GDAL is linked. Drivers that are not safe to use from several
//! threads share their process with one scene only.
//!
//! *Invariants*: a scene's process that dies or falls silent is one failed scene, with the reason;
//! no process that has anything left to do outlives its supervisor; nothing here calls GDAL, so
//! that the linker leaves it out.
//!
//! *Not here*: what a scene's process does (`obey`), its limits (`limits`).

mod child;
mod scene;

use std::ffi::OsString;
use std::io::stdin;
use std::path::Path;
use std::time::Duration;

use tokio::sync::OnceCell;
use wire::client::{Client, ClientOptions};
use wire::event::Event;
use wire::fault::{Fault, FaultKind};

use crate::args::RunArgs;
use crate::events::{Events, Unread};
use crate::failure::{self, Spot};
use crate::limits::{ADDRESS_BYTES_MAX, CPU_SECONDS_MAX};
use crate::line;
use crate::name::file_name;
use crate::orders::{Listed, Order};
use crate::put::Owners;
use child::{Ended, Heard, SceneProcess};
use scene::{Halt, Ingest, Lost, SILENCE_MAX};

/// Longest listing: 100,000 archives whose lists come from a slow disk, 30 ms each.
const LISTING_MAX: Duration = Duration::from_hours(1);

/// Longest that a process may look for the name of a scene that failed: it reads one list.
const NAMING_MAX: Duration = Duration::from_mins(1);

/// Why an ingest ends early.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Something failed that is no scene's fault.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Nobody reads the events.
    #[error(transparent)]
    Unread(#[from] Unread),
}

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
        let before = events.progress.scenes;
        let failed = match fault {
            None => crew.scene(&path, found.peek().is_some(), events).await?,
            Some(fault) => Some(Failed { fault, spot: None }),
        };
        events.progress.scenes = before + 1;
        let Some(failed) = failed else { continue };
        let kind = failed.fault.kind;
        crew.tell(Path::new(&path), failed, events).await?;
        if ends_all(kind) {
            code = kind.exit_code();
            break;
        }
        code = FaultKind::Data.exit_code();
    }
    // Who is left is killed now: nobody needs to wait until its memory is given back.
    Ok(code)
}

/// A scene that failed.
struct Failed {
    fault: Fault,
    /// Where the reason is kept, if that is known.
    spot: Option<Spot>,
}

/// Tells whether what failed one scene will fail all others.
fn ends_all(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Usage
        | FaultKind::Unreachable
        | FaultKind::Refused
        | FaultKind::Partial
        | FaultKind::Timeout
        | FaultKind::Internal
        | FaultKind::Unidentified
        | FaultKind::Forbidden
        | FaultKind::Busy => true,
        FaultKind::Nothing | FaultKind::Data => false,
    }
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

    /// Ingests one scene, and has the next process start if there is more to do; returns why the
    /// scene failed, if it did.
    async fn scene(
        &mut self,
        path: &OsString,
        more: bool,
        events: &mut Events,
    ) -> Result<Option<Failed>, Stop> {
        let owners = self.owners().await?;
        let mut process = self.take()?;
        if more {
            // One that cannot be started now is tried again, and missed, when its turn comes.
            self.next = SceneProcess::start().ok();
        }
        let (path, mut spot) = (Path::new(path), None);
        let mut ingest = Ingest {
            args: self.args,
            owners: &owners,
            process: &mut process,
            events,
            spot: &mut spot,
        };
        let fault = match ingest.scene(path).await {
            Ok(()) => None,
            Err(Halt::Unread(unread)) => return Err(unread.into()),
            Err(Halt::Fault(fault)) => {
                if spot.is_none() {
                    spot = named(&mut process, path).await?;
                }
                Some(fault)
            }
            Err(Halt::Lost(lost)) => {
                if lost != Lost::Gone {
                    process.kill()?;
                }
                let fault = explain(lost, path, &process.end().await?);
                return Ok(Some(Failed { fault, spot }));
            }
        };
        // All that it did is acknowledged, or of no use; what it spooled goes with it.
        process.kill()?;
        if let Some(mut before) = self.leaving.replace(process) {
            before.end().await?;
        }
        Ok(fault.map(|fault| Failed { fault, spot }))
    }

    /// Asks the node for the layout.
    async fn owners(&self) -> Result<Owners, Fault> {
        let client = Client::new(self.address().await?, ClientOptions::from_env()?)?;
        Owners::new(client).await
    }

    /// Tells of a scene that failed, and keeps the reason if that is its own.
    async fn tell(&mut self, path: &Path, failed: Failed, events: &mut Events) -> Result<(), Stop> {
        let Failed { fault, spot } = failed;
        if !self.args.dry_run && !ends_all(fault.kind) {
            let spot = match spot {
                Some(spot) => spot,
                None => self.spot(path).await?,
            };
            failure::keep(&self.owners().await?, &spot, &fault).await?;
        }
        let source = file_name(path);
        events.tell(&Event::SceneFailed { source, fault })?;
        Ok(())
    }

    /// Asks a process where the reason of a failed scene is kept: its name may stand in an archive.
    async fn spot(&mut self, path: &Path) -> Result<Spot, Fault> {
        let mut process = self.take()?;
        if let Some(spot) = named(&mut process, path).await? {
            self.next = Some(process);
            return Ok(spot);
        }
        // What broke one process breaks the next one, too.
        process.kill()?;
        Ok(failure::spot_of_file(self.args, path))
    }
}

/// Asks a process where the reason of a failed scene is kept.
async fn named(process: &mut SceneProcess, path: &Path) -> Result<Option<Spot>, Fault> {
    process.order(&Order::Name(path.into())).await?;
    match process.hear(NAMING_MAX).await {
        Heard::Line(spot) => Ok(Some(spot)),
        _ => Ok(None),
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

/// Explains a scene whose process was lost.
fn explain(lost: Lost, path: &Path, ended: &Ended) -> Fault {
    let reason = match lost {
        Lost::Gone => return died(path, ended),
        Lost::Silent => {
            let seconds = SILENCE_MAX.as_secs();
            format!("its process said nothing for {seconds} seconds")
        }
        Lost::Garbled => "its process said what is no answer".to_owned(),
    };
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
