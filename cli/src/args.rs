//! The words of the command line.
//!
//! *Invariants*: selectors are the same words in every verb; every flag that has an environment
//! variable names it in its help.
//!
//! *Not here*: what the verbs do (one file each), configuration files (`config`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod compose;
mod heirs;
pub(crate) mod lesson;
mod model;
mod module;
mod moving;
mod region;
mod selectors;
mod simulate;
mod token;
mod up;
mod verbs;
mod wrangle;

pub(crate) use compose::Compose;
pub(crate) use model::{ModelPull, ModelVerb, Place};
pub(crate) use moving::{Moving, Reading, Rebalance, Timed};
pub(crate) use region::{RegionGroups, RegionVerb};
pub(crate) use selectors::{Selectors, bbox, instant, known_dataset, point};
pub(crate) use simulate::{Drill as DrillArgs, Forecast as ForecastArgs, Simulate, SimulateVerb};
pub(crate) use token::{TokenArgs, TokenVerb};
pub(crate) use up::Up;
pub(crate) use verbs::{
    ClusterVerb, CollectionCreate, CollectionVerb, Get, Ingest, JobVerb, ModeArg, NodeVerb,
    Predict, Resplit, Synth, Train,
};
pub(crate) use wrangle::{Pairs, StepRule, Wrangle};

/// How every verb ends.
const EXIT_CODES: &str = "\
Exit codes: 0 ok, an empty list too; 1 nothing matched; 2 wrong words; 3 unreachable; 4 partial;
5 refused; 6 a file cannot be read; 124 time ran out; 130 interrupted.";
/// How verbs end that wait for a run.
const RUN_CODES: &str = "\
Exit codes of a run that has ended: 0 every cell has its model, 4 some have none, 6 none has.";

/// A peer-to-peer store for satellite imagery that trains models where the imagery lies.
#[derive(Debug, Parser)]
#[command(
    name = "glebe",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb understands.
#[derive(Debug, Clone, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(crate) struct Global {
    /// HTTP address of any node; without one the store in --data is opened
    #[arg(long, global = true, value_name = "URL", env = "GLEBE_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// File with the token to show to the cluster, or to `up --join` with [or GLEBE_TOKEN itself]
    #[arg(long, global = true, value_name = "FILE", env = "GLEBE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates (PEM) that sign the nodes' own, instead of the system's
    #[arg(long, global = true, value_name = "FILE", env = "GLEBE_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Folder of the store [default: ./.glebe]
    #[arg(long, global = true, value_name = "DIR", env = "GLEBE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Format of the answer on stdout [default: table]
    #[arg(short, long, global = true, value_enum, env = "GLEBE_OUTPUT")]
    pub(crate) output: Option<Output>,
    /// Only errors on stderr
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More on stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colour on stderr and in tables
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// No progress on stderr
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Give up after this long: 30s, 5m, 1h; a number alone is seconds
    #[arg(long, global = true, value_name = "TIME", value_parser = seconds)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Answer yes to questions
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Configuration file instead of ./glebe.toml and the user's
    #[arg(long, global = true, value_name = "FILE", env = "GLEBE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Say where each setting came from, and stop
    #[arg(long, global = true)]
    pub(crate) show_origin: bool,
}

/// Formats of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Ndjson,
    Csv,
    Geojson,
    Id,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a node, or join a cluster
    Up(Up),
    /// Store scenes: cut along cells, measure, place
    Ingest(Ingest),
    /// Find splits
    Search(SearchArgs),
    /// Download splits
    Get(Get),
    /// Make one image of several splits of a place, where they lie
    Compose(Compose),
    /// Train one model per cell, where its data lies
    Train(Train),
    /// Apply models to a scene
    Predict(Predict),
    /// Show nodes, splits, bytes, balance, runs
    Status,
    /// Check this machine: each failure names its fix
    Doctor,
    /// Write a synthetic world of scenes
    Synth(Synth),
    /// Will so many nodes be enough, and what if everything goes wrong?
    Simulate(Simulate),
    /// Nodes of the cluster
    #[command(subcommand)]
    Node(NodeVerb),
    /// Collections: dataset, scheme, precision, placement
    #[command(subcommand)]
    Collection(CollectionVerb),
    /// Training runs and their jobs
    #[command(subcommand)]
    Job(JobVerb),
    /// Models in the ring
    #[command(subcommand)]
    Model(ModelVerb),
    /// Regions: which are of like texture
    #[command(subcommand)]
    Region(RegionVerb),
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `glebe search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Say which nodes were asked, by which index, and what they read
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

/// Parses `30s`, `5m`, `1h` or a number of seconds.
fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("'{text}' is no time; give 30s, 5m or 1h");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    std::time::Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Checks that every part of a list is `HOST:PORT`, and returns the list.
fn members(text: &str) -> Result<String, String> {
    text.split(',').try_for_each(|one| member(one.trim()))?;
    Ok(text.to_owned())
}

fn member(text: &str) -> Result<(), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("'{text}' has no port; give {text}:7400"));
    };
    let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || is_bare_v6 {
        return Err(format!(
            "'{text}' has no host before its port; give HOST:7400, or [::1]:7400"
        ));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(()),
        _ => Err(format!("'{port}' is no port; give 1 to {}", u16::MAX)),
    }
}

/// Returns how many replicas there can be.
fn replicas() -> std::ops::RangeInclusive<i64> {
    1..=node::layout::REPLICAS_MAX.into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn each_node_to_join_is_a_host_with_a_port() {
        for text in ["10.0.0.1:7400", "a.b:1, c:65535", "[::1]:7400"] {
            assert_eq!(members(text).as_deref(), Ok(text));
        }
        let wrong = [
            ("10.0.0.1", "give 10.0.0.1:7400"),
            ("a:1,b", "'b' has no port"),
            ("a:0", "'0' is no port"),
            ("a:http", "'http' is no port"),
            (":7400", "no host"),
            ("fe80::1", "give HOST:7400, or [::1]:7400"),
        ];
        for (text, told) in wrong {
            let said = members(text).unwrap_err();
            assert!(said.contains(told), "{text}: {said}");
        }
    }

    #[test]
    fn a_number_alone_is_a_time_in_the_unit_that_help_names() {
        assert_eq!(seconds("10").unwrap().as_millis(), 10_000);
        assert_eq!(seconds("2m").unwrap().as_millis(), 120_000);
        let mut command = Cli::command();
        let get = command.find_subcommand_mut("get").unwrap();
        let help = get.render_long_help().to_string().replace('\n', " ");
        let help: Vec<&str> = help.split_whitespace().collect();
        assert!(help.join(" ").contains("a number alone is days"));
        let help = command.render_long_help().to_string();
        assert!(help.contains("a number alone is seconds"), "{help}");
    }
}
