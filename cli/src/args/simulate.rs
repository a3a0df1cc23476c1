//! The flags of `glebe simulate`.
//!
//! *Invariants*: everything has a default that is a plausible cluster.
//!
//! *Not here*: what is simulated (node).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::verbs::SchemeArg;

/// What to type.
const EXAMPLES: &str = "\
Will 50 nodes be enough for the conterminous United States, every cell on 100 dates?
  glebe simulate --nodes 50 --dates 100 --split-size 25MB --rate 1Gbit --disk 20TB

How evenly does it lie if neighbours are to lie together, and what does rebalancing make of that?
  glebe simulate --nodes 50 --first 3

What is lost when three of twelve machines burn, with two replicas and with three?
  glebe simulate --nodes 12 --replicas 2 --kill 3
  glebe simulate --nodes 12 --replicas 3 --kill 3 -o json

What happens to a real cluster when everything goes wrong at once?
  glebe simulate drill --seed 7
  glebe simulate drill --seed 7 --faults kill,partition -v
  glebe simulate drill --seed 7 --faults rot,power-cut
  glebe simulate drill --seeds 100";

/// `glebe simulate`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    pub(crate) verb: Option<SimulateVerb>,
    #[command(flatten)]
    pub(crate) forecast: Forecast,
}

/// What else is simulated.
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateVerb {
    /// Run a cluster in this process and let everything go wrong
    Drill(Drill),
}

/// `glebe simulate`: what a cluster would be like.
#[derive(Debug, Args)]
pub(crate) struct Forecast {
    /// Nodes of the cluster, all alike
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        value_parser = clap::value_parser!(u16).range(1..=1_000)
    )]
    pub(crate) nodes: u16,
    /// Replicas of each split [default: 3, or as many as there are nodes]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u8).range(super::replicas()))]
    pub(crate) replicas: Option<u8>,
    /// Nodes that die at once, fewer than there are [default: 1, of one node none]
    #[arg(long, value_name = "K")]
    pub(crate) kill: Option<u16>,
    /// Where the imagery lies [default: the conterminous United States]
    #[arg(
        long,
        value_name = "W,S,E,N",
        allow_hyphen_values = true,
        default_value = "-124.8,24.5,-66.9,49.4"
    )]
    pub(crate) bbox: String,
    /// How cells are named
    #[arg(long, value_enum, default_value_t = SchemeArg::Geohash)]
    pub(crate) scheme: SchemeArg,
    /// Characters per geocode [default: 5, quad-tile 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=23))]
    pub(crate) precision: Option<u8>,
    /// Place by the first N characters of the geocode only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=23))]
    pub(crate) first: Option<u8>,
    /// Splits of each cell
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) dates: u32,
    /// Mean size of a split: 800KB, 25MB
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = amount)]
    pub(crate) split_size: u64,
    /// How far sizes spread: standard deviation over mean
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub(crate) spread: f64,
    /// What a node sends and receives in a second: 100Mbit, 1Gbit, 80MB
    #[arg(long, value_name = "RATE", default_value = "1Gbit", value_parser = amount)]
    pub(crate) rate: u64,
    /// What a node has for all that it holds, to tell whether the fullest one has room: 4TB
    #[arg(long, value_name = "SIZE", value_parser = amount)]
    pub(crate) disk: Option<u64>,
    /// Decides sizes of splits and who dies
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// `glebe simulate drill`.
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Decides everything
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Drills to run: this seed and those after it; only broken ones are shown
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "log",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) seeds: Option<u64>,
    /// Nodes at the start, 1,000 at most [default: 3 to 5, by the seed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) nodes: Option<u16>,
    /// Replicas, no more than there are nodes [default: 2 or 3, by the seed]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u8).range(super::replicas()))]
    pub(crate) replicas: Option<u8>,
    /// Virtual seconds in which things go wrong
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// What may go wrong [default: everything]
    #[arg(long, value_name = "FAULTS", value_enum, value_delimiter = ',')]
    pub(crate) faults: Option<Vec<FaultArg>>,
    /// Write every message to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultArg {
    /// Nothing does
    None,
    /// A node is killed, and starts again
    Kill,
    /// All nodes are killed at once
    Outage,
    /// A node's power fails while it writes, starts or heals, also at each step by name
    PowerCut,
    /// The cluster falls into two parts
    Partition,
    /// One node's words do not reach another
    OneWay,
    /// Frames are late, lost, doubled
    Storm,
    /// A disk is full
    FullDisk,
    /// A node is away, and its clock has jumped
    Pause,
    /// A time of day is wrong by an hour
    WrongDay,
    /// A node joins
    Join,
    /// A node is taken out for good
    Leave,
    /// A disk is lost, and its node taken out
    LostDisk,
    /// Slots move: a node is drained, or restored, its share changes, or bytes are evened out
    Shift,
    /// Bytes of a stored file turn, at one owner of several
    Rot,
}

impl FaultArg {
    /// Returns the fault, if it is one.
    pub(crate) fn fault(self) -> Option<node::simulate::Fault> {
        use node::simulate::Fault;
        Some(match self {
            Self::None => return None,
            Self::Kill => Fault::Kill,
            Self::Outage => Fault::Outage,
            Self::PowerCut => Fault::PowerCut,
            Self::Partition => Fault::Partition,
            Self::OneWay => Fault::OneWay,
            Self::Storm => Fault::Storm,
            Self::FullDisk => Fault::FullDisk,
            Self::Pause => Fault::Pause,
            Self::WrongDay => Fault::WrongDay,
            Self::Join => Fault::Join,
            Self::Leave => Fault::Leave,
            Self::LostDisk => Fault::LostDisk,
            Self::Shift => Fault::Shift,
            Self::Rot => Fault::Rot,
        })
    }
}

/// Reads bytes: `10MB`, or bits a second: `100Mbit`.
fn amount(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size or rate: 800KB, 25MB, 4TB, 1Gbit");
    let split = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let (scale, per) = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => (1, 1),
        "kb" => (1_000, 1),
        "mb" => (1_000_000, 1),
        "gb" => (1_000_000_000, 1),
        "tb" => (1_000_000_000_000, 1),
        "mbit" => (1_000_000, 8),
        "gbit" => (1_000_000_000, 8),
        _ => return Err(wrong()),
    };
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(scale).ok_or_else(wrong)? / per;
    if bytes == 0 {
        return Err(wrong());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_and_rates_are_bits() {
        assert_eq!(amount("25MB"), Ok(25_000_000));
        assert_eq!(amount("4TB"), Ok(4_000_000_000_000));
        assert_eq!(amount("100Mbit"), Ok(12_500_000));
        assert_eq!(amount("7"), Ok(7));
        for wrong in ["", "MB", "3XB", "0MB", "-1MB", "99999999999999999999GB"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }
}
