//! The project's own commands: `cargo xtask setup | demo | test | bench | fuzz | tidy`.
//!
//! *Invariants*: the crate builds with nothing but Rust and a linker, so that it can fetch all that
//! the other crates need; it names no other crate of the workspace; every failure says what went
//! wrong, because of what, and what to try.
//!
//! *Not here*: the benchmarks (`benches`), the tests (each crate's own).

mod args;
mod bench;
mod ci;
mod command;
mod demo;
mod fuzz;
mod say;
mod setup;
mod tidy;
mod trouble;
mod workspace;

use std::process::ExitCode;

use crate::args::Verb;
use crate::trouble::Result;
use crate::workspace::Workspace;

/// Exit code of a wrong command line, as in every binary of the project.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let verb = match args::parse(&words) {
        Ok(verb) => verb,
        Err(trouble) => {
            say::failure(&trouble);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match carry_out(&verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say::failure(&trouble);
            ExitCode::FAILURE
        }
    }
}

fn carry_out(verb: &Verb) -> Result<()> {
    let workspace = Workspace::find()?;
    match verb {
        Verb::Help => {
            say::answer(args::HELP);
            Ok(())
        }
        Verb::Setup(depth) => setup::everything(&workspace, *depth),
        Verb::Test(extent) => ci::test(&workspace, *extent),
        Verb::Demo { scenes } => demo::run(&workspace, scenes.as_deref()),
        Verb::Bench { name, json } => bench::run(&workspace, name, json.as_deref()),
        Verb::Fuzz { target, seconds } => fuzz::run(&workspace, target.as_deref(), *seconds),
        Verb::Tidy => tidy::run(&workspace),
    }
}
