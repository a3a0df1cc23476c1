//! A failure as a person meets it: what, because of what, what to try.
//!
//! *Invariants*: all three parts are there; each fits the sentence it is printed in.
//!
//! *Not here*: printing (`say`).

use std::fmt;

/// Why a command of this crate stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    what: String,
    because: String,
    remedy: String,
}

/// The result of everything that can go wrong here.
pub(crate) type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    /// Returns a failure; `remedy` is a command or an instruction.
    pub(crate) fn new(
        what: impl Into<String>,
        because: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            because: because.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            because,
            remedy,
        } = self;
        write!(out, "error: {what}\n  because {because}\n  try: {remedy}")
    }
}
