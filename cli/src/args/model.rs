//! Words of `glebe model`.
//!
//! *Invariants*: a model is named alike everywhere: RUN/GEOCODE, or a run and a place.
//!
//! *Not here*: what is done with them (`model`).

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where on Earth.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The model of this geocode
    #[arg(long, value_name = "CODE")]
    pub(crate) geocode: Option<String>,
    /// The model of the cell that holds this point
    #[arg(long, value_name = "LON,LAT", allow_hyphen_values = true)]
    #[arg(conflicts_with = "geocode")]
    pub(crate) at: Option<String>,
    /// The models of the cells that this box touches
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["geocode", "at"])]
    pub(crate) bbox: Option<String>,
    /// The model with this tag: latest, best, or one given by `glebe model tag`
    #[arg(long)]
    pub(crate) tag: Option<String>,
}

impl Place {
    /// Tells whether it is no place in particular.
    pub(crate) fn is_anywhere(&self) -> bool {
        self.geocode.is_none() && self.at.is_none() && self.bbox.is_none()
    }
}

/// `glebe model …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// List models
    List {
        /// Only those of this run
        #[arg(long)]
        run: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show one model
    Show {
        /// RUN/GEOCODE
        model: String,
    },
    /// Download a model folder, or all of an area
    Pull(ModelPull),
    /// Lay two runs, or two models, side by side
    Compare {
        /// RUN or RUN/GEOCODE
        one: String,
        /// RUN or RUN/GEOCODE
        other: String,
    },
    /// Name the model of a cell, or all of a run, each for its cell
    Tag {
        /// RUN/GEOCODE or RUN; with --remove GEOCODE, or nothing for every cell
        #[arg(required_unless_present = "remove", num_args = 0..=1)]
        model: Option<String>,
        /// The name: letters, digits, '-', '_' and '.'
        #[arg(long = "as", value_name = "TAG")]
        #[arg(required_unless_present = "remove", conflicts_with = "remove")]
        name: Option<String>,
        /// Take this tag away
        #[arg(long, value_name = "TAG")]
        remove: Option<String>,
        /// Say what would be called so, or no more, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete one model, or all of a run
    Delete {
        /// RUN/GEOCODE, or RUN
        model: String,
        /// Say what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// `glebe model pull`.
#[derive(Debug, Args)]
pub(crate) struct ModelPull {
    /// RUN/GEOCODE, or RUN with --geocode, --at, or --bbox and --bundle
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Download all that match into one folder, which `glebe predict` takes without a cluster
    #[arg(long)]
    pub(crate) bundle: bool,
    /// Folder to write into
    #[arg(short = 'O', long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
