//! Flags that say where models start from.
//!
//! *Invariants*: what changes nothing where nothing is grouped is refused there.
//!
//! *Not here*: the run's other flags (`verbs`), who is whose donor (node).

use clap::{Args, ValueEnum};
use wire::fault::{Fault, FaultKind};
use wire::transfer::{Transfer, TransferMode};

use super::region::MetricArg;

/// Where models start from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Start")]
pub(crate) struct Heirs {
    /// Where models start from
    #[arg(long, value_enum, default_value_t = TransferArg::None)]
    pub(crate) transfer: TransferArg,
    /// How textures are compared, with --transfer texture or random [default: euclidean]
    #[arg(long, value_enum)]
    pub(crate) metric: Option<MetricArg>,
    /// Number of groups, with --transfer texture or random [default: 2 to 24, whichever are told
    /// apart best]
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
    /// From the model of the cell around it (one digit less), learned first; only cells that do
    /// better on held-out places keep a model of their own, the others are answered by that one
    Tree,
}

impl Heirs {
    /// Returns what is asked for.
    pub(crate) fn wish(&self) -> Result<Transfer, Fault> {
        let mode = match self.transfer {
            TransferArg::None => TransferMode::None,
            TransferArg::Random => TransferMode::Random,
            TransferArg::Texture => TransferMode::Texture,
            TransferArg::Tree => TransferMode::Tree,
        };
        let is_grouped = matches!(mode, TransferMode::Random | TransferMode::Texture);
        if !is_grouped && (self.metric.is_some() || self.k.is_some()) {
            let what = match mode {
                TransferMode::Tree => "--metric and -k group cells by texture, and a tree does not",
                _ => "--metric and -k group cells, and without --transfer nothing is grouped",
            };
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
