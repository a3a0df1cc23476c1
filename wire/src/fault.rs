//! An error as a user meets it: what, because, try; also the HTTP error body (RFC 9457).
//!
//! *Invariants*: every fault has an exit code; no secret and no server path in its text.
//!
//! *Not here*: errors inside one process.

use query::predicate::PredicateError;
use query::text::TextError;
use serde::{Deserialize, Serialize};

/// Media type of a fault in an HTTP answer.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What kind of fault it is; decides exit code and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nothing matched.
    Nothing,
    /// A wrong word, number, date, box or name was given.
    Usage,
    /// A node or cluster does not answer.
    Unreachable,
    /// Some slots could not be asked.
    Partial,
    /// Token, port, quorum, quota or conflict.
    Refused,
    /// A file or split cannot be read.
    Data,
    /// Time ran out.
    Timeout,
    /// A bug or a failing machine.
    Internal,
    /// No token, or none that is good.
    Unidentified,
    /// The token's role is too small.
    Forbidden,
    /// Too much is asked at once.
    Busy,
}

impl FaultKind {
    /// Returns the process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Nothing | Self::Internal => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Partial => 4,
            Self::Refused | Self::Unidentified | Self::Forbidden | Self::Busy => 5,
            Self::Data => 6,
            Self::Timeout => 124,
        }
    }

    /// Returns the HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Nothing => 404,
            Self::Usage => 400,
            Self::Unreachable => 502,
            Self::Partial => 503,
            Self::Refused => 409,
            Self::Data => 422,
            Self::Timeout => 504,
            Self::Internal => 500,
            Self::Unidentified => 401,
            Self::Forbidden => 403,
            Self::Busy => 429,
        }
    }
}

/// What went wrong, why, and what to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// What went wrong, one line, lower case, no full stop.
    #[serde(rename = "title")]
    pub what: String,
    /// Why.
    #[serde(rename = "detail", default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// A command or step that helps.
    #[serde(rename = "try", default, skip_serializing_if = "Option::is_none")]
    pub try_: Option<String>,
}

impl Fault {
    /// Builds a fault that says what went wrong.
    pub fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            because: Vec::new(),
            try_: None,
        }
    }

    /// Reads the words in which every glebe binary complains on its standard error; `None` where
    /// there are none.
    pub fn read(kind: FaultKind, words: &str) -> Option<Self> {
        let after =
            |line: &str, word: &str| line.trim_start().strip_prefix(word).map(str::to_owned);
        let what = words.lines().find_map(|line| after(line, "error: "))?;
        let mut fault = Self::new(kind, what);
        for line in words.lines() {
            if let Some(reason) = after(line, "because ") {
                fault = fault.because(reason);
            } else if let Some(step) = after(line, "try: ") {
                fault = fault.try_(step);
            }
        }
        Some(fault)
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.because.push(reason.into());
        self
    }

    /// Sets what to try.
    #[must_use]
    pub fn try_(mut self, step: impl Into<String>) -> Self {
        self.try_ = Some(step.into());
        self
    }
}

impl From<PredicateError> for Fault {
    fn from(error: PredicateError) -> Self {
        Self::new(FaultKind::Usage, "the query cannot be understood").because(error.to_string())
    }
}

impl From<TextError> for Fault {
    fn from(error: TextError) -> Self {
        Self::new(FaultKind::Usage, "the selectors cannot be understood").because(error.to_string())
    }
}
