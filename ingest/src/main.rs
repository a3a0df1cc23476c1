//! glebe-ingest: the process in which foreign imagery is decoded.
//!
//! *Invariants*: limits are set before the first foreign byte; data on standard output, errors on
//! standard error, exit codes as DESIGN §9 has them.
//!
//! *Not here*: what the commands do (the library).

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest::args::{Cli, Command, CutArgs, RunArgs, SynthArgs};
use ingest::events::Events;
use ingest::run::Stop;
use ingest::{cut_scene, limits, probe, run, supervise, synth};
use wire::fault::Fault;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => foreign(args.jobs).and_then(|()| ingest_scenes(&args)),
        Command::Cut(args) => foreign(None).and_then(|()| cut(&args)),
        Command::Synth(args) => make_world(&args),
        Command::Probe => limits::set_gdal().and_then(|()| print(&probe::probe())),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        let fault = error.downcast_ref::<Fault>();
        fault.map_or(ExitCode::FAILURE, |f| ExitCode::from(f.kind.exit_code()))
    })
}

/// Prepares the process for foreign bytes.
fn foreign(jobs: Option<usize>) -> anyhow::Result<()> {
    limits::set()?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0));
    threads.build_global().context("no threads")
}

/// `run`; a reader that went away is no error of ours.
fn ingest_scenes(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut events = Events::new(Box::new(stdout()));
    if args.alone.is_some() {
        // Nobody would hear of this scene once the supervisor is gone.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    }
    let ingest = async {
        match &args.alone {
            Some(scene) => run::run(args, scene, &mut events).await,
            None => supervise::run(args, &mut events).await,
        }
    };
    match runtime.block_on(ingest) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(Stop::Fault(fault)) => Err(fault.into()),
        Err(Stop::Unread(_)) => Ok(ExitCode::FAILURE),
    }
}

fn cut(args: &CutArgs) -> anyhow::Result<ExitCode> {
    print(&cut_scene::run(args)?)
}

/// Prints one line of JSON.
fn print(value: &impl serde::Serialize) -> anyhow::Result<ExitCode> {
    writeln!(stdout(), "{}", serde_json::to_string(value)?)?;
    Ok(ExitCode::SUCCESS)
}

/// `synth`; one JSON line a scene.
fn make_world(args: &SynthArgs) -> anyhow::Result<ExitCode> {
    limits::set_gdal()?;
    let request = synth::world::Request {
        seed: args.seed,
        regions: args.regions,
        kinds: args.kinds,
        dates: args.dates,
        size: synth::whole_size(args.size),
        baseline: args.baseline,
        level: args.level,
    };
    let mut failed = None;
    synth::run(&request, &args.out, &mut |made| {
        failed = failed.take().or(print(made).err());
    })?;
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Prints an error as users meet it: what, because, try.
fn complain(error: &anyhow::Error) {
    let fault = error.downcast_ref::<Fault>();
    let because = fault.map_or_else(
        || error.chain().skip(1).map(ToString::to_string).collect(),
        |fault| fault.because.clone(),
    );
    let mut lines = vec![format!("error: {error}")];
    lines.extend(because.iter().map(|reason| format!("  because {reason}")));
    let step = fault.and_then(|f| f.try_.as_ref());
    lines.extend(step.map(|step| format!("  try: {step}")));
    // Standard error may be closed; there is nobody left to tell.
    writeln!(stderr(), "{}", lines.join("\n")).unwrap_or(());
}
