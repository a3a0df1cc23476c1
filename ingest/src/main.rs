//! glebe-ingest: the process in which foreign imagery is decoded.
//!
//! *Invariants*: limits are set before the first foreign byte; data on standard output, errors on
//! standard error, exit codes as DESIGN §9 has them.
//!
//! *Not here*: what the commands do (the library).

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ingest::args::{Cli, Command, SynthArgs};
use ingest::synth;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Synth(args) => run_synth(&args),
        _ => Ok(ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        let mut text = format!("error: {error}\n");
        for cause in error.chain().skip(1) {
            text.push_str(&format!("  because {cause}\n"));
        }
        std::io::stderr().write_all(text.as_bytes()).ok();
        ExitCode::FAILURE
    })
}

/// Writes a world; one JSON line a scene.
fn run_synth(args: &SynthArgs) -> anyhow::Result<ExitCode> {
    let request = synth::world::Request {
        seed: args.seed,
        regions: args.regions,
        dates: args.dates,
        size: synth::whole_size(args.size),
        baseline: args.baseline,
    };
    let mut out = std::io::stdout().lock();
    let mut failed = None;
    synth::run(&request, &args.out, &mut |made| {
        let line = serde_json::to_string(made).unwrap_or_default();
        failed = failed.take().or(writeln!(out, "{line}").err());
    })?;
    failed.map_or(Ok(ExitCode::SUCCESS), |e| Err(e.into()))
}
