//! Lines for people on stderr; stdout is for data.
//!
//! *Invariants*: one event a line; no secret.
//!
//! *Not here*: structured logs of the daemon (node).

use std::io::Write as _;

/// Writes one line to stderr; a closed stderr is no reason to stop.
pub fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "glebe-trainer: {line}").unwrap_or_default();
}

/// Joins an error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
