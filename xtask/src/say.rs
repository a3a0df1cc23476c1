//! What a person reads: answers on standard output, progress and failures on standard error.
//!
//! *Invariants*: a closed pipe is no reason to stop: these commands are run for what they do.
//!
//! *Not here*: the output of the programs that are started (it passes through).

use std::fmt::Display;
use std::io::Write;

use crate::trouble::Trouble;

/// Prints what was asked for, on standard output.
pub(crate) fn answer(text: impl Display) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a line about what is being done, on standard error.
pub(crate) fn note(text: impl Display) {
    drop(writeln!(std::io::stderr(), "xtask: {text}"));
}

/// Prints why a command stopped, on standard error.
pub(crate) fn failure(trouble: &Trouble) {
    drop(writeln!(std::io::stderr(), "{trouble}"));
}
