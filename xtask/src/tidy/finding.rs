//! One place that breaks a rule.
//!
//! *Invariants*: sorts by place, so that output is stable.
//!
//! *Not here*: the rules.

use std::fmt;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: String,
}

impl Finding {
    /// Returns a finding; `line` counts from 1, 0 means the whole file.
    pub(crate) fn new(path: &str, line: usize, rule: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule } = self;
        if *line == 0 {
            write!(out, "{path}: {rule}")
        } else {
            write!(out, "{path}:{line}: {rule}")
        }
    }
}
