//! The flags of `glebe compose`.
//!
//! *Invariants*: `--min-coverage` and `--max-cloud` bound the image that is made, not the splits
//! that go into it; all other selectors are those of every verb.
//!
//! *Not here*: what is done with them (`crate::compose`).

use std::path::PathBuf;

use clap::Args;
use earth::raster::splice::Rule;
use earth::split::compose::Resampling;

use super::Selectors;
use crate::export::Format;

/// `glebe compose`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER)]
pub(crate) struct Compose {
    /// Which of equally clear pixels: least-cloud, newest, median, medoid or max-ndvi
    #[arg(long, value_name = "RULE", default_value = "least-cloud", value_parser = rule)]
    pub(crate) rule: Rule,
    /// Greatest time between two splits of an image in days
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(crate) window: Option<f64>,
    /// Bands, by their own or common names: B04,B03 or red,green [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) bands: Vec<String>,
    /// Nominal resolution in metres [default: the finest of the bands]
    #[arg(long, value_name = "M", value_parser = metres)]
    pub(crate) resolution: Option<f64>,
    /// How bands get there: nearest, bilinear, cubic, area or mode; classes are never averaged
    #[arg(short, long, value_name = "KERNEL", default_value = "bilinear")]
    #[arg(value_parser = resampling)]
    pub(crate) resampling: Resampling,
    /// File of one image of all cells, cut at --bbox; or a folder with a file a cell
    #[arg(
        short = 'O',
        long,
        value_name = "FILE|DIR",
        required_unless_present = "dry_run"
    )]
    pub(crate) out: Option<PathBuf>,
    /// As what [default: by the file's name, else cog]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write over files that hold something else
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Say which splits would be used, compose nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) selectors: Selectors,
}

const AFTER: &str = "\
--min-coverage (default 100) and --max-cloud are limits of the image: splits are added, in the order
of the rule, until they are reached. Beside FILE.tif stand FILE.provenance.tif, which says for each
pixel which scene it came from, and FILE.json, which says what was reached.

Exit codes: 0 the limits are reached everywhere, 1 nothing matched, 4 some limit is not reached or
some split could not be asked for; what there is is written.

Example: glebe compose --dataset naip --geocode 9xjq8 --datetime 2017-06/2017-09 \\
    --min-coverage 99 --rule least-cloud --resolution 1 -O fc.tif";

fn rule(text: &str) -> Result<Rule, String> {
    let all: Vec<_> = Rule::ALL.iter().map(|r| r.word()).collect();
    Rule::of_word(text).ok_or_else(|| format!("'{text}' is no rule; there are {}", all.join(", ")))
}

fn resampling(text: &str) -> Result<Resampling, String> {
    Resampling::try_from(text.to_owned())
}

fn days(text: &str) -> Result<f64, String> {
    let found = text
        .parse()
        .ok()
        .filter(|d: &f64| d.is_finite() && *d > 0.0);
    found.ok_or_else(|| format!("'{text}' is no number of days above 0"))
}

fn metres(text: &str) -> Result<f64, String> {
    use earth::grid::{RESOLUTION_MAX, RESOLUTION_MIN};
    let found = text.parse().ok();
    let found = found.filter(|m: &f64| (RESOLUTION_MIN..=RESOLUTION_MAX).contains(m));
    found.ok_or_else(|| format!("'{text}' is none of {RESOLUTION_MIN} to {RESOLUTION_MAX} metres"))
}
