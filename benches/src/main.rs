//! Benchmarks: glebe and a peer in one run, interleaved, on the same bytes.
//!
//! *Invariants*: figures are medians of whole processes as a user starts them; each row names its
//! unit; nothing is compared across runs.
//!
//! *Not here*: tests.

mod cluster;
mod compose;
mod ingest;
mod objects;
mod partition;
mod predict;
mod process;
mod query;
mod read;
mod ring;
mod row;
mod startup;
mod texture;
mod train;
mod transfer;
mod usage;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use process::Bench;
use row::Report;

/// Which benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Start-up of `glebe --version` and of an embedded search
    Startup,
    /// Seconds from delivered files to acknowledged splits, beside rasterio and decoding alone
    Ingest,
    /// Replicated puts beside transport and disk, a killed node, a lost folder, on three nodes
    Cluster,
    /// Pixels a second into the median of twelve dates of a cell, beside rasterio and xarray
    Compose,
    /// Seconds to partition four datasets at three precisions each
    Partition,
    /// Pixels a second of a run's models over a scene, with and without blended borders
    Predict,
    /// Milliseconds a query, embedded and over three nodes
    Query,
    /// Pixels a second from stored splits to 32-bit values, beside rasterio on the same files
    Read,
    /// Balance and movement of layouts over the contiguous US, beside random tokens
    Ring,
    /// Images a second of 18 texture values, beside scikit-image
    Texture,
    /// Samples a second of each recipe, loaders, packed jobs
    Train,
    /// Epochs that heirs take to what a cold start reaches, by the likeness of their donor
    Transfer,
    /// Cores and memory over time while many small models come to be
    Usage,
}

/// Runs one benchmark, or all.
#[derive(Debug, Parser)]
struct Args {
    /// Benchmarks; none for all
    names: Vec<Name>,
    /// File for the figures
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder with glebe's binaries [default: beside this one]
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            row::say(&format!("error: {e:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let bench = Bench::new(args.bin)?;
    let names = if args.names.is_empty() {
        Name::value_variants().to_vec()
    } else {
        args.names
    };
    let mut report = Report::new(
        &names
            .iter()
            .map(|n| format!("{n:?}").to_lowercase())
            .collect::<Vec<_>>()
            .join("+"),
    );
    for name in names {
        let rows = match name {
            Name::Startup => startup::run(&bench)?,
            Name::Ingest => ingest::run(&bench)?,
            Name::Cluster => cluster::run(&bench)?,
            Name::Compose => compose::run(&bench)?,
            Name::Partition => partition::run(&bench)?,
            Name::Predict => predict::run(&bench)?,
            Name::Query => query::run(&bench)?,
            Name::Read => read::run(&bench)?,
            Name::Ring => ring::run()?,
            Name::Texture => texture::run(&bench)?,
            Name::Train => train::run(&bench)?,
            Name::Transfer => transfer::run(&bench)?,
            Name::Usage => usage::run(&bench)?,
        };
        report.rows.extend(rows);
    }
    report.print();
    if let Some(path) = args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
