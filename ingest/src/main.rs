//! glebe-ingest: the process in which foreign imagery is decoded.
//!
//! *Invariants*: limits are set before the first foreign byte; data on standard output, errors on
//! standard error, exit codes as DESIGN §9 has them.
//!
//! *Not here*: what the commands do (the library); scenes one after another (`glebe-supervise`).

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest::args::{Cli, Command, CutArgs, RunArgs, SynthArgs};
use ingest::obey::obey;
use ingest::process::complain;
use ingest::{cut_scene, limits, probe, synth};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Scene(args) => ingest_scene(&args),
        Command::Cut(args) => foreign(None).and_then(|()| cut(&args)),
        Command::Synth(args) => make_world(&args),
        Command::Probe => limits::set_gdal().and_then(|()| print(&probe::probe())),
    };
    done.unwrap_or_else(|error| complain(&error))
}

/// Prepares the process for foreign bytes.
fn foreign(jobs: Option<usize>) -> anyhow::Result<()> {
    limits::set()?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0));
    threads.build_global().context("no threads")
}

/// `scene`.
fn ingest_scene(args: &RunArgs) -> anyhow::Result<ExitCode> {
    // Nobody would hear of this scene once the supervisor is gone.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    foreign(args.jobs)?;
    obey(args)
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
