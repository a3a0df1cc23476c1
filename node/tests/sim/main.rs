//! A whole cluster in one thread, whatever goes wrong.
//!
//! *Invariants*: every drill is decided by its seed; a failure names the command that replays it.
//!
//! *Not here*: real processes and networks (cli).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests: a failure is a panic, figures are printed, real time is measured"
)]

mod seeds;
