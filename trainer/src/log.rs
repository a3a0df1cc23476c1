//! Lines for people on stderr; stdout is for data.
//!
//! *Invariants*: one event a line; no secret.
//!
//! *Not here*: structured logs of the daemon (node).

use std::io::Write as _;

/// Words between a reason and the next step that it ends with.
const NEXT: &str = "; try: ";

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

/// Joins a reason and a next step in one line, as runs keep them.
pub fn joined(reason: &str, next: &str) -> String {
    format!("{reason}{NEXT}{next}")
}

/// Parts a reason from the next step that it ends with, if it names one.
pub fn parted(reason: String) -> (String, Option<String>) {
    match reason.split_once(NEXT) {
        Some((because, next)) => (because.to_owned(), Some(next.to_owned())),
        None => (reason, None),
    }
}
