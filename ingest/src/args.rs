//! The workers' command lines. Users meet `glebe ingest`, `glebe synth` and `glebe predict`, which
//! start these processes; the words are the same.
//!
//! *Invariants*: what is parsed is well-formed: datasets are known, times are times.
//!
//! *Not here*: what the commands do (`supervise`, `obey`, `cut_scene`, `synth`, `probe`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use earth::crs::Crs;
use earth::geocode::Scheme;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::source::Given;
use crate::source::bounds::Bounds;
use crate::synth::world::{Baseline, Level};

/// Ingests scenes into a node, each in a process of its own; prints one JSON event a line.
#[derive(Debug, Parser)]
#[command(name = "glebe-supervise", version)]
pub struct Supervise {
    /// What to ingest, and how.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Decodes scenes, cuts them along cells and puts the splits.
#[derive(Debug, Parser)]
#[command(name = "glebe-ingest", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the worker can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do with one scene what `glebe-supervise` orders on standard input.
    #[command(hide = true)]
    Scene(RunArgs),
    /// Cut one scene into split folders, without a node.
    Cut(CutArgs),
    /// Write a world of synthetic scenes.
    Synth(SynthArgs),
    /// Print what this worker is built with, as JSON.
    Probe,
}

/// What a user says of scenes that do not say it themselves.
#[derive(Debug, Clone, Default, Args)]
pub struct GivenArgs {
    /// Dataset that the scenes belong to.
    #[arg(long, value_parser = dataset_name)]
    pub dataset: Option<String>,
    /// Sensing time, RFC 3339 or a date.
    #[arg(long, value_parser = instant)]
    pub datetime: Option<Timestamp>,
    /// Raster whose non-zero pixels are cloud.
    #[arg(long, value_name = "FILE")]
    pub cloud_mask: Option<PathBuf>,
    /// Outer edges of a picture that does not say where it lies: west, south, east, north.
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub bounds: Option<Bounds>,
    /// System of the bounds or of a world file (EPSG:4326 if absent).
    #[arg(long, value_name = "CRS", allow_hyphen_values = true)]
    pub crs: Option<Crs>,
}

impl From<&GivenArgs> for Given {
    fn from(args: &GivenArgs) -> Self {
        Self {
            dataset: args.dataset.clone(),
            acquired: args.datetime,
            cloud_mask: args.cloud_mask.clone(),
            bounds: args.bounds,
            crs: args.crs.clone(),
        }
    }
}

/// `glebe-supervise`, and what it starts.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Node to put to: `http://HOST:PORT` or `unix:PATH`; if absent, a line on standard input
    /// names it.
    #[arg(long)]
    pub node: Option<String>,
    /// Collection; the dataset's name if absent.
    #[arg(long)]
    pub collection: Option<String>,
    /// What the scenes do not say.
    #[command(flatten)]
    pub given: GivenArgs,
    /// Scheme of a new collection (geohash if absent).
    #[arg(long)]
    pub scheme: Option<SchemeArg>,
    /// Precision of a new collection (5 if absent).
    #[arg(long)]
    pub precision: Option<u8>,
    /// Threads that decode and cut; all cores if absent.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Replace splits that are there already.
    #[arg(long)]
    pub overwrite: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Scenes, or folders that hold some.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

/// `cut`.
#[derive(Debug, Args)]
pub struct CutArgs {
    /// The scene.
    pub scene: PathBuf,
    /// Bands to cut; all if absent.
    #[arg(long, value_delimiter = ',')]
    pub bands: Vec<String>,
    /// Scheme of the cells.
    #[arg(long, default_value = "geohash")]
    pub scheme: SchemeArg,
    /// Precision of the cells.
    #[arg(long, default_value_t = 5)]
    pub precision: u8,
    /// What the scene does not say.
    #[command(flatten)]
    pub given: GivenArgs,
    /// Folder for the split folders.
    #[arg(short = 'O', long)]
    pub out: PathBuf,
}

/// `synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Seed; the same seed gives the same bytes.
    #[arg(long)]
    pub seed: u64,
    /// Regions, each one tile with its own looks and law.
    #[arg(long)]
    pub regions: u32,
    /// Kinds of looks with a law each, which regions take in turn; each its own if not given.
    #[arg(long)]
    pub kinds: Option<u32>,
    /// Dates of every region.
    #[arg(long)]
    pub dates: u32,
    /// Pixels of 10 m a side, rounded up to a multiple of 6.
    #[arg(long, default_value_t = 1100)]
    pub size: u32,
    /// Processing baseline; before 04.00 numbers carry no offset.
    #[arg(long, default_value = "04.00")]
    pub baseline: Baseline,
    /// Processing level; 1C has 13 bands, no scene classes and no cloud mask.
    #[arg(long, default_value = "2A")]
    pub level: Level,
    /// Folder for the scenes.
    #[arg(short = 'O', long)]
    pub out: PathBuf,
}

/// How cells are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemeArg {
    /// Base-32 geohash.
    Geohash,
    /// Bing quad-tiles.
    Quadtile,
}

impl From<SchemeArg> for Scheme {
    fn from(arg: SchemeArg) -> Self {
        match arg {
            SchemeArg::Geohash => Self::Geohash,
            SchemeArg::Quadtile => Self::QuadTile,
        }
    }
}

/// Accepts the name of a known dataset.
fn dataset_name(text: &str) -> Result<String, String> {
    let known = earth::dataset::dataset(text).map(|d| d.name.to_owned());
    known.ok_or_else(|| {
        let names: Vec<_> = earth::dataset::DATASETS.iter().map(|d| d.name).collect();
        format!("unknown dataset; known are {}", names.join(", "))
    })
}

/// Parses a sensing time: RFC 3339, or a date that stands for its first instant in UTC.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let day = text.parse::<Date>().and_then(|d| d.to_zoned(TimeZone::UTC));
    day.map(|z| z.timestamp())
        .map_err(|_| "is no time such as 2015-07-31T10:00:09Z or 2015-07-31".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_or_days_and_nothing_else() {
        let day = instant("2015-07-31").unwrap();
        assert_eq!(day.to_string(), "2015-07-31T00:00:00Z");
        assert!(instant("2015-07-31T10:00:09Z").is_ok());
        for wrong in ["2015-02-30", "yesterday", "", "2015-13-01", "20150731T99"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_datasets_are_refused_with_the_known_ones() {
        let error = dataset_name("sentinel-9").unwrap_err();
        assert!(error.contains("sentinel-2-l2a"), "{error}");
    }
}
