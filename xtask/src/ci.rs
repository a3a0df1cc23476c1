//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! *Invariants*: one profile and one set of features, so that lints, binaries and tests compile
//! each dependency as seldom as cargo can; checks that do not need one another all run, so that one
//! run tells all that is wrong; the last line counts the tests.
//!
//! *Not here*: what the tests test.

mod report;
mod skips;
mod tally;

use std::process::Command;

use crate::command::{self, cargo};
use crate::fuzz;
use crate::say;
use crate::setup::{self, Depth};
use crate::tidy;
use crate::trouble::Result;
use crate::workspace::Workspace;

use report::Report;

/// Simulated clusters of a daily run: minutes of all cores.
const SEEDS: &str = "2000";

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every change runs.
    Daily,
    /// The long checks too; tests see `GLEBE_NIGHTLY=1`.
    Nightly,
}

/// Runs all checks and prints what each took.
pub(crate) fn test(workspace: &Workspace, extent: Extent) -> Result<()> {
    tell_absent_imagery(workspace);
    let mut report = Report::new();
    let outcome = checks(workspace, extent, &mut report);
    report.print();
    outcome.and_then(|()| report.verdict())
}

/// Runs the checks in an order that tells the cheap news first; `Err` when going on is pointless.
fn checks(workspace: &Workspace, extent: Extent, report: &mut Report) -> Result<()> {
    let depth = if extent == Extent::Nightly {
        Depth::Verify
    } else {
        Depth::Quick
    };
    report.needed("setup", || setup::everything(workspace, depth))?;
    report.step("format", || {
        cargo_step(workspace, &["fmt", "--all", "--check"], "cargo fmt --all")
    });
    report.needed("build", || {
        let all = ["build", "--workspace", "--all-targets", "--locked"];
        cargo_step(workspace, &all, "mend what the compiler says")
    })?;
    report.step("tidy", || tidy::run(workspace));
    report.step("clippy", || clippy(workspace));
    report.step("fuzz targets", || fuzz_targets(workspace));
    deny(workspace, extent, report)?;
    skips::forget(workspace.root(), extent);
    report.tests(|| tally::nextest(nextest(workspace, extent)));
    for (why, count) in skips::told(workspace.root(), extent) {
        report.skipped("tests", &format!("{count} could not look: {why}"));
    }
    report.step("doc tests", || {
        let doc = ["test", "--doc", "--workspace", "--locked", "--quiet"];
        cargo_step(workspace, &doc, "cargo test --doc --workspace")
    });
    if extent == Extent::Nightly {
        report.step("fuzz", || fuzz::run(workspace, None, fuzz::SECONDS));
    }
    Ok(())
}

fn cargo_step(workspace: &Workspace, arguments: &[&str], remedy: &str) -> Result<()> {
    let what = format!("cargo {}", arguments[0]);
    command::run(&mut cargo(workspace, arguments), &what, remedy)
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ];
    cargo_step(workspace, &lints, "mend what clippy says")
}

/// Checks that the fuzz targets compile: they are a workspace of their own, which only nights run.
fn fuzz_targets(workspace: &Workspace) -> Result<()> {
    let check = [
        "check",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--locked",
        "--target-dir",
        "target",
    ];
    let remedy = "cargo check --manifest-path fuzz/Cargo.toml";
    cargo_step(workspace, &check, remedy)
}

/// Runs cargo-deny where it is; compiling it takes too long for every change.
fn deny(workspace: &Workspace, extent: Extent, report: &mut Report) -> Result<()> {
    if !setup::cargo_deny(workspace, extent == Extent::Nightly)? {
        report.skipped(
            "deny",
            "cargo-deny is not installed; tidy has checked Cargo.lock",
        );
        return Ok(());
    }
    report.step("deny", || {
        let deny = ["deny", "--offline", "check", "licenses", "bans", "sources"];
        cargo_step(workspace, &deny, "see deny.toml")
    });
    Ok(())
}

fn nextest(workspace: &Workspace, extent: Extent) -> Command {
    let mut tests = cargo(workspace, &["nextest", "run", "--workspace", "--locked"]);
    if extent == Extent::Nightly {
        tests
            .args(["--profile", "nightly"])
            .env("GLEBE_NIGHTLY", "1");
    } else if std::env::var_os("GLEBE_SEEDS").is_none() {
        tests.env("GLEBE_SEEDS", SEEDS);
    }
    tests
}

/// Says that tests of real imagery will skip, where there is none.
fn tell_absent_imagery(workspace: &Workspace) {
    let beside = workspace.root().join("../shared/data");
    if std::env::var_os("GLEBE_REAL_DATA").is_none() && !beside.is_dir() {
        say::note("SKIPPED: tests on real imagery, as there is no ../shared/data");
        say::note("         (GLEBE_REAL_DATA may name another folder)");
    }
}
