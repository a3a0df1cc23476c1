//! The flags of each verb.
//!
//! *Invariants*: `--dry-run` wherever something is changed; `-O` names where files are written.
//!
//! *Not here*: the selectors, the global flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::heirs::Heirs;
use super::lesson::{HeldArgs, RateArgs};
use super::module::ModuleArgs;
use super::moving::{Moving, Reading, Rebalance};
use super::selectors::Selectors;
use super::token::TokenArgs;
use super::wrangle::{GET_EXAMPLES, PairBounds, Pairs, Wrangle};
use crate::export::Format;

/// How cells are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum SchemeArg {
    Geohash,
    Quadtile,
}

impl From<SchemeArg> for earth::geocode::Scheme {
    fn from(arg: SchemeArg) -> Self {
        match arg {
            SchemeArg::Geohash => Self::Geohash,
            SchemeArg::Quadtile => Self::QuadTile,
        }
    }
}

/// `glebe ingest`.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Scenes: products of Sentinel-2 and -3, Landsat, MODIS, NAIP, NLCD as folders, files or
    /// archives (.zip, .tar, .tar.gz); GeoTIFFs, pictures, STAC items; or folders of all these
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Collection to put them in [default: the dataset's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// Dataset, where the files do not say it
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// Sensing time, where the files do not say it
    #[arg(long, value_name = "WHEN")]
    pub(crate) datetime: Option<String>,
    /// Raster whose non-zero pixels are cloud
    #[arg(long, value_name = "FILE")]
    pub(crate) cloud_mask: Option<PathBuf>,
    /// Outer edges of a PNG or JPEG, where nothing beside it says where it lies
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(crate) bounds: Option<String>,
    /// System of --bounds or of a world file [default: EPSG:4326]
    #[arg(long, value_name = "CRS", allow_hyphen_values = true)]
    pub(crate) crs: Option<String>,
    /// How cells are named [default: geohash]
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<SchemeArg>,
    /// Characters per geocode [default: 5, quad-tile 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=23))]
    pub(crate) precision: Option<u8>,
    /// Threads that decode and cut; scenes are read one after another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: Option<u16>,
    /// Put splits again even if they are there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Say what would be stored, store nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `glebe get`.
#[derive(Debug, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct Get {
    /// Split ids; - reads them from stdin; none takes the selectors
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Folder to write into
    #[arg(short = 'O', long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// As what: the splits' own files, or converted
    #[arg(long, value_enum, default_value_t = GetFormat::Split)]
    pub(crate) format: GetFormat,
    /// Only these bands, by their own or common names: B04,B03 or red,green
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) bands: Vec<String>,
    /// Physical values (32-bit floats, NaN for fill) instead of stored numbers
    #[arg(long)]
    pub(crate) physical: bool,
    /// Write over files that hold something else
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) wrangle: Wrangle,
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

/// What `get` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetFormat {
    /// The split's own GeoTIFFs, in a folder each
    Split,
    /// Cloud-optimised GeoTIFF, one a split and resolution
    Cog,
    /// NumPy array of time × band × row × column, one a split and resolution
    Npy,
    /// NumPy arrays with mask, times, bands and place: all dates of a cell
    Npz,
    /// Quick-look picture, one a split, all with one stretch
    Png,
    /// Zarr v3 cube that xarray opens, one a cell and resolution, all dates
    Zarr,
    /// HDF5 with data_10m, data_20m, data_60m, classes, one a cell, all dates
    Hdf5,
}

impl GetFormat {
    /// Returns the format that cubes are written as; `None` for the splits' own files.
    pub(crate) fn export(self) -> Option<Format> {
        match self {
            Self::Split => None,
            Self::Cog => Some(Format::Cog),
            Self::Npy => Some(Format::Npy),
            Self::Npz => Some(Format::Npz),
            Self::Png => Some(Format::Png),
            Self::Zarr => Some(Format::Zarr),
            Self::Hdf5 => Some(Format::Hdf5),
        }
    }
}

/// `glebe train`.
#[derive(Debug, Args)]
#[command(after_help = super::RUN_CODES)]
pub(crate) struct Train {
    /// Recipe: ndmi-unet, ndvi-cnn, spagan, torchscript:FILE.pt (your own module, with --inputs and
    /// --label), or exec:PROGRAM (of those that the node's owner allows)
    pub(crate) recipe: String,
    /// Say what the recipe learns, layer by layer; train nothing
    #[arg(long)]
    pub(crate) describe: bool,
    /// Name of the run [default: recipe and time]
    #[arg(long, value_name = "RUN")]
    pub(crate) name: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 7)]
    pub(crate) seed: u64,
    /// Greatest number of epochs
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<u32>,
    /// Samples a step
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<u32>,
    /// Epochs without improvement before stopping
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<u32>,
    /// Chip side in pixels
    #[arg(long, value_name = "PX")]
    pub(crate) chip: Option<u32>,
    /// Threads that a job computes with, 1 to 64; other numbers give other weights [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    /// How many models of a node come to be at once
    #[arg(long, value_enum, default_value_t = ModeArg::Sequential)]
    pub(crate) mode: ModeArg,
    /// Wait until the run has ended
    #[arg(long)]
    pub(crate) wait: bool,
    /// Say what would be trained where, train nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    // Headings reach until the next one: flags without any come first.
    #[command(flatten)]
    pub(crate) rate: RateArgs,
    #[command(flatten)]
    pub(crate) held: HeldArgs,
    #[command(flatten)]
    pub(crate) heirs: Heirs,
    #[command(flatten)]
    pub(crate) pairs: PairBounds,
    #[command(flatten)]
    pub(crate) module: ModuleArgs,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

/// Training modes that this version offers: one model per geocode, at its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// One after the other
    #[value(alias = "partitioned")]
    Sequential,
    /// As many at once as memory and cores allow, measured on the first; the same weights
    Packed,
}

/// `glebe predict`.
#[derive(Debug, Args)]
#[command(after_long_help = PREDICT_AFTER)]
pub(crate) struct Predict {
    /// Run (each cell by its own model), RUN/GEOCODE (all by that one), or with SCENE a folder
    pub(crate) model: String,
    /// Scene to apply it to, --dataset and --datetime where the file does not say them; without it,
    /// the newest of the stored splits of each cell that match, where they lie
    pub(crate) scene: Option<PathBuf>,
    /// Pixels on either side of a border over which neighbours' models are blended; 0 for a hard
    /// border (default: the side of a chip)
    #[arg(long, value_name = "PIXELS")]
    pub(crate) margin: Option<u32>,
    /// GeoTIFF to write
    #[arg(short = 'O', long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Write over an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

const PREDICT_AFTER: &str = "\
The last band of the map, 'outside', is 1 where the imagery is unlike all that the models have learned
from. Without SCENE, FILE.provenance.tif says for each pixel which scene it was made of, and FILE.json
which model answered for each cell; the map waits on the disk of -O, some three times its size. It is
4 GiB at most, what a GeoTIFF holds: larger areas are predicted in several, each with its own --bbox.

Examples: glebe predict july scenes/SCENE.SAFE -O ndvi.tif
    glebe predict july --bbox -105.3,40.4,-104.9,40.7 --datetime 2026-07 -O ndvi.tif";

/// `glebe synth`.
#[derive(Debug, Args)]
pub(crate) struct Synth {
    /// Seed of the world
    #[arg(long, value_name = "S", default_value_t = 7)]
    pub(crate) seed: u64,
    /// Regions, each with its own texture and spectral law
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) regions: u32,
    /// Kinds of texture with a law each, which regions take in turn [default: each its own]
    #[arg(long, value_name = "N")]
    pub(crate) kinds: Option<u32>,
    /// Dates of each region
    #[arg(long, value_name = "D", default_value_t = 3)]
    pub(crate) dates: u32,
    /// Side of a scene in 10 m pixels
    #[arg(long, value_name = "PX")]
    pub(crate) size: Option<u32>,
    /// Processing baseline: before 04.00 numbers carry no offset
    #[arg(long, value_name = "NN.NN", value_parser = ["02.14", "03.01", "04.00", "05.00"])]
    pub(crate) baseline: Option<String>,
    /// Processing level: 1C has 13 bands and no cloud mask
    #[arg(long, value_name = "LEVEL", value_parser = ["1C", "2A"])]
    pub(crate) level: Option<String>,
    /// Folder to write into
    #[arg(short = 'O', long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// `glebe node …`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// List nodes
    List,
    /// Show one node
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Take all slots from a node, which stays a member and answers: its data goes elsewhere
    Drain {
        /// Its id, or the beginning or end of it
        id: String,
        /// Give it slots again
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        moving: Moving,
    },
    /// End a node's membership; drain it first, unless it is lost
    Remove {
        /// Its id, or the beginning or end of it
        id: String,
        /// Though it is lost with what only it held, or only it and others that are forsaken: all
        /// of that is given up for good. Who answers hands over what it holds, as without
        #[arg(long)]
        forsake: bool,
        #[command(flatten)]
        moving: Moving,
    },
    /// Read all that a node holds, heal what is corrupt or gone, pull what other owners have newer
    Repair {
        /// Its id, or the beginning or end of it [default: the node asked]
        node: Option<String>,
        /// Remake every record of the index of the node asked, from its files alone
        #[arg(long, conflicts_with = "node")]
        rebuild_index: bool,
        #[command(flatten)]
        reading: Reading,
    },
}

/// `glebe collection …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CollectionVerb {
    /// List collections
    List,
    /// Make one
    Create(CollectionCreate),
    /// Show one
    Show {
        /// Its name
        name: String,
    },
    /// Delete one with all its splits and ledgers, on every node, also while one is down
    Delete {
        /// Its name
        name: String,
        /// Say what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Bring a collection's splits to deeper or larger cells, without its scenes
    Resplit(Resplit),
    /// List the scenes that were ingested, and those that failed with the reason
    Scenes {
        /// Its name; all collections if absent
        name: Option<String>,
        /// Only scenes that failed
        #[arg(long)]
        failed: bool,
    },
}

/// `glebe collection resplit`.
#[derive(Debug, Args)]
pub(crate) struct Resplit {
    /// The collection to read; it stays as it is
    pub(crate) collection: String,
    /// Characters per geocode: more make deeper cells, fewer put splits together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=23))]
    pub(crate) precision: u8,
    /// The collection to write; made if it is not there
    #[arg(long, value_name = "NAME")]
    pub(crate) into: String,
    /// Say what would be written, and whether it can be, without writing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `glebe collection create`.
#[derive(Debug, Args)]
pub(crate) struct CollectionCreate {
    /// Its name
    pub(crate) name: String,
    /// Dataset of its scenes
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: String,
    /// How cells are named
    #[arg(long, value_enum, default_value_t = SchemeArg::Geohash)]
    pub(crate) scheme: SchemeArg,
    /// Characters per geocode [default: 5, quad-tile 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=23))]
    pub(crate) precision: Option<u8>,
    /// Place by the first N characters only
    #[arg(long, value_name = "N", conflicts_with = "drop_last")]
    pub(crate) first: Option<u8>,
    /// Place by all but the last N characters
    #[arg(long, value_name = "N")]
    pub(crate) drop_last: Option<u8>,
    /// Area of the forecast of balance [default: the contiguous United States]
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(crate) over: Option<String>,
    /// Print the forecast, make nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `glebe job …`.
#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// List runs
    List,
    /// Show a run's jobs
    Show {
        /// Run
        run: String,
    },
    /// Wait until a run is finished
    #[command(after_help = super::RUN_CODES)]
    Wait {
        /// Run
        run: String,
    },
    /// Print what was said of a run's jobs: epochs, what was decided and why; -o ndjson one line
    /// at a time, -o json all at once
    Logs {
        /// Run, or RUN/GEOCODE for one of its jobs
        job: String,
        /// Go on until the run has ended; not with -o json
        #[arg(short, long)]
        follow: bool,
    },
    /// Begin no more jobs of a run; those under way stop where they can go on
    Pause {
        /// Run
        run: String,
        /// Say how many jobs would be paused, and pause none
        #[arg(long)]
        dry_run: bool,
    },
    /// Go on with a paused run; try again what failed or was cancelled, keep what is done
    #[command(after_help = super::RUN_CODES)]
    Resume {
        /// Run
        run: String,
        /// Say how many jobs would wait again, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Cancel a run's waiting, running and paused jobs
    Cancel {
        /// Run
        run: String,
        /// Say how many jobs would be cancelled, and cancel none
        #[arg(long)]
        dry_run: bool,
    },
}

/// `glebe cluster …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Print a token to join with or to ask with; list tokens, take them back
    Token(TokenArgs),
    /// Show the layout: slots, owners, nodes
    Show,
    /// Prove that every object lies on its owners with the right bytes
    Verify(Reading),
    /// Move slots until every node holds its share of the bytes
    Rebalance(Rebalance),
}
