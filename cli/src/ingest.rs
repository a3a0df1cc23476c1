//! `glebe ingest`: starts the supervisor of the decoding workers and shows what they do.
//!
//! *Invariants*: foreign bytes are decoded in `glebe-ingest` alone; a failed scene is named at the
//! end and the exit code is 6.
//!
//! *Not here*: decoding, cutting, measuring, putting (ingest).

mod report;

use std::process::{ExitCode, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use wire::event::Event;
use wire::fault::{Fault, FaultKind};

use crate::args::{Ingest, known_dataset};
use crate::forecast::Before;
use crate::session::Session;
use crate::synth::code;
use crate::{Done, worker};

use report::Report;

/// Starts `glebe-ingest` for every scene.
const SUPERVISOR: &str = "glebe-supervise";

pub(crate) async fn run(session: &Session, args: Ingest) -> Done {
    check(&args)?;
    let before = Before::look(session).await;
    let mut command = command(&args)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |e| worker::start_fault(SUPERVISOR, &e);
    let lent = session.lend(&mut command)?;
    let mut child = command.spawn().map_err(failed)?;
    drop(lent);
    if let Some(mut stdin) = child.stdin.take() {
        // It starts while the store opens. One that has ended already says why itself.
        let line = format!("{}\n", session.address().await?);
        stdin.write_all(line.as_bytes()).await.unwrap_or(());
    }
    let mut report = Report::new(&session.screen);
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            match serde_json::from_str::<Event>(&line) {
                Ok(event) => report.event(&event),
                Err(_) => session.screen.note(line),
            }
        }
    }
    let status = child.wait().await.map_err(failed)?;
    report.finish(args.dry_run);
    if let Some(before) = before {
        before.print(session).await;
    }
    if status.code().is_none() {
        return Err(Fault::new(
            FaultKind::Data,
            format!("{SUPERVISOR} was killed in the middle"),
        )
        .because(format!(
            "{status}; the scene it was decoding is not stored whole"
        ))
        .try_("the same command again: it goes on where it stopped"));
    }
    // What ended all of it, a refused token or a node that is gone, counts more than its scenes.
    let data = FaultKind::Data.exit_code();
    let stopped = status
        .code()
        .is_some_and(|c| c != 0 && c != i32::from(data));
    Ok(if report.failed() && !stopped {
        ExitCode::from(data)
    } else {
        code(status)
    })
}

/// Refuses wrong words before anything is started.
fn check(args: &Ingest) -> Result<(), Fault> {
    if let Some(name) = &args.dataset {
        known_dataset(name)?;
    }
    if let Some(text) = &args.datetime {
        crate::args::instant(text)?;
    }
    if let Some(text) = &args.crs {
        text.parse::<earth::crs::Crs>().map_err(|e| {
            Fault::new(FaultKind::Usage, "--crs is no coordinate reference system")
                .because(e.to_string())
                .try_("--crs EPSG:3857")
        })?;
    }
    for path in args.paths.iter().chain(&args.cloud_mask) {
        if !path.exists() {
            return Err(
                Fault::new(FaultKind::Usage, format!("{} is not there", path.display()))
                    .because("no file or folder has that name")
                    .try_("a SAFE folder or zip, a GeoTIFF, or a folder of them"),
            );
        }
    }
    Ok(())
}

fn command(args: &Ingest) -> Result<Command, Fault> {
    let mut command = worker::command(SUPERVISOR)?;
    let texts = [
        ("--collection", args.collection.clone()),
        ("--dataset", args.dataset.clone()),
        ("--datetime", args.datetime.clone()),
        ("--bounds", args.bounds.clone()),
        ("--crs", args.crs.clone()),
        (
            "--scheme",
            args.scheme
                .map(|s| earth::geocode::Scheme::from(s).to_string()),
        ),
        ("--precision", args.precision.map(|p| p.to_string())),
        ("--jobs", args.jobs.map(|j| j.to_string())),
    ];
    for (flag, value) in texts {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    if let Some(mask) = &args.cloud_mask {
        command.arg("--cloud-mask").arg(mask);
    }
    for (flag, given) in [("--overwrite", args.overwrite), ("--dry-run", args.dry_run)] {
        if given {
            command.arg(flag);
        }
    }
    command.arg("--").args(&args.paths);
    Ok(command)
}
