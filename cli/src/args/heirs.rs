//! Flags that say where models start from.
//!
//! *Invariants*: what changes nothing without `--transfer` is refused without it.
//!
//! *Not here*: the run's other flags (`verbs`), who is whose donor (node).

use clap::{Args, ValueEnum};
use wire::fault::{Fault, FaultKind};
use wire::transfer::{Transfer, TransferMode};

use super::region::MetricArg;

/// Where models start from.
#[derive(Debug, Args)]
pub(crate) struct Heirs {
    /// Where models start from
    #[arg(long, value_enum, default_value_t = TransferArg::None)]
    pub(crate) transfer: TransferArg,
    /// How textures are compared, with --transfer [default: euclidean]
    #[arg(long, value_enum)]
    pub(crate) metric: Option<MetricArg>,
    /// Number of groups, with --transfer [default: 2 to 24, whichever are told apart best]
    #[arg(short, value_name = "N")]
    pub(crate) k: Option<usize>,
}

/// Starting points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransferArg {
    /// Every model starts cold
    None,
    /// From a donor drawn from another group, to compare with
    Random,
    /// From the donor of its group of like texture
    Texture,
}

impl Heirs {
    /// Returns what is asked for.
    pub(crate) fn wish(&self) -> Result<Transfer, Fault> {
        let mode = match self.transfer {
            TransferArg::None => TransferMode::None,
            TransferArg::Random => TransferMode::Random,
            TransferArg::Texture => TransferMode::Texture,
        };
        if mode == TransferMode::None && (self.metric.is_some() || self.k.is_some()) {
            let what = "--metric and -k group cells, and without --transfer nothing is grouped";
            return Err(Fault::new(FaultKind::Usage, what)
                .try_("--transfer texture, or glebe region groups to look at groups alone"));
        }
        Ok(Transfer {
            mode,
            metric: self.metric.map(Into::into).unwrap_or_default(),
            groups: self.k,
        })
    }
}
