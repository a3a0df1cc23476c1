//! glebe-supervise: ingests scenes, each in a process of its own.
//!
//! *Invariants*: GDAL is not linked, so it starts in milliseconds and no file can break it; data on
//! standard output, errors on standard error, exit codes as DESIGN §9 has them.
//!
//! *Not here*: what it does (the library's `supervise`), scenes' processes (`glebe-ingest`).

use std::io::stdout;
use std::process::ExitCode;

use clap::Parser;
use ingest::args::Supervise;
use ingest::events::Events;
use ingest::process::{complain, drive};
use ingest::supervise;

fn main() -> ExitCode {
    let args = Supervise::parse().run;
    let mut events = Events::new(Box::new(stdout()));
    let done = drive(supervise::run(&args, &mut events));
    done.unwrap_or_else(|error| complain(&error))
}
