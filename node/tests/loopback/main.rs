//! Real nodes on 127.0.0.1, in one process: what holds when they join, die and come back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: a failure is a panic, waits have deadlines by the clock, skips are loud"
)]

mod bench;
mod change;
mod delete;
mod doubt;
#[path = "../local/fixture.rs"]
#[allow(dead_code, reason = "the fixture serves two test binaries")]
mod fixture;
mod full;
mod grow;
mod heirs;
mod hostile;
mod leftover;
mod lose;
mod many;
mod mixed;
mod models;
mod moves;
mod refuse;
mod repair;
mod rivals;
mod three;
mod versions;
mod wishes;
