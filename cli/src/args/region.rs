//! Words of `glebe region`.
//!
//! *Invariants*: selectors as in every verb.
//!
//! *Not here*: what is done with them (`region`).

use clap::{Args, Subcommand, ValueEnum};
use query::groups::Metric;

use super::Selectors;

/// `glebe region …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegionVerb {
    /// Group the cells that match by their texture, and name a donor for each group
    Groups(RegionGroups),
}

/// `glebe region groups`.
#[derive(Debug, Args)]
pub(crate) struct RegionGroups {
    /// Number of groups [default: 2 to 24, whichever are told apart best]
    #[arg(short, value_name = "N")]
    pub(crate) k: Option<usize>,
    /// How textures are compared
    #[arg(long, value_enum, default_value_t = MetricArg::Euclidean)]
    pub(crate) metric: MetricArg,
    /// Seed of the groups' first centres
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

/// How two textures are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricArg {
    /// By the straight line between them
    Euclidean,
    /// By the sum of their differences
    Manhattan,
    /// By the angle between them
    Cosine,
}

impl From<MetricArg> for Metric {
    fn from(arg: MetricArg) -> Self {
        match arg {
            MetricArg::Euclidean => Self::Euclidean,
            MetricArg::Manhattan => Self::Manhattan,
            MetricArg::Cosine => Self::Cosine,
        }
    }
}
