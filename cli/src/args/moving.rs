//! The flags of verbs that move or read much.
//!
//! *Invariants*: each of them has `--dry-run`, and says by the same words how long it may take.
//!
//! *Not here*: the verbs (`verbs`).

use clap::Args;
use serde::Serialize;

/// How a change of the layout is made.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Moving {
    /// Say what would move, move nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Return at once; data moves on its own
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Megabytes a second that a node sends or takes in, to tell how long it may take
    #[arg(long, value_name = "MB/S", default_value_t = 50.0, value_parser = rate)]
    pub(crate) rate: f64,
}

/// How all that is held is read.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Reading {
    /// Say what would be read, read nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Megabytes a second that a node reads, to tell how long it may take
    #[arg(long, value_name = "MB/S", default_value_t = 100.0, value_parser = rate)]
    pub(crate) rate: f64,
}

impl Moving {
    /// Returns how long sending or taking in takes at that rate.
    pub(crate) fn minutes(&self, bytes: u64) -> f64 {
        minutes(bytes, self.rate)
    }
}

impl Reading {
    /// Returns how long reading takes at that rate.
    pub(crate) fn minutes(&self, bytes: u64) -> f64 {
        minutes(bytes, self.rate)
    }
}

/// What is told as JSON of what moves or is read: all that a node says of it, and the time.
#[derive(Debug, Serialize)]
pub(crate) struct Timed<'a, T> {
    #[serde(flatten)]
    pub(crate) told: &'a T,
    /// How long the busiest node takes at `--rate`.
    pub(crate) minutes: f64,
}

/// Returns minutes for bytes at megabytes a second.
fn minutes(bytes: u64, rate: f64) -> f64 {
    bytes as f64 / (rate * 1e6) / 60.0
}

/// Parses a rate above zero.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|r: &f64| r.is_finite() && *r > 0.0);
    rate.ok_or_else(|| format!("'{text}' is no rate; give 50 or 112.5"))
}

/// `glebe cluster rebalance`.
#[derive(Debug, Args)]
pub(crate) struct Rebalance {
    /// Even out the cells that this collection is about to get, on a cluster that is still empty
    #[arg(long, value_name = "COLLECTION")]
    pub(crate) expect: Option<String>,
    /// Where these cells lie [default: the contiguous United States]
    #[arg(
        long,
        value_name = "W,S,E,N",
        allow_hyphen_values = true,
        requires = "expect"
    )]
    pub(crate) over: Option<String>,
    #[command(flatten)]
    pub(crate) moving: Moving,
}
