//! The words that bring bands, dates, cells and sensors together.
//!
//! *Invariants*: whatever needs no node is checked before one is asked.
//!
//! *Not here*: what they do (`get::wrangle`, `pairs`).

use clap::{Args, ValueEnum};
use earth::cube::regular::Every;
use earth::raster::resample::Method;
use jiff::SignedDuration;
use query::pairs::{CLEAR_MAX, CLOUDY_MIN, Rule};
use wire::fault::{Fault, FaultKind};

use super::selectors::percent;

/// Days between splits of two sensors, where nothing is said: one orbit of Landsat.
const WITHIN_DAYS: i64 = 16;

/// Widest halo in pixels: more than the receptive field of any network, less than most cells.
const HALO_MAX: u32 = 4096;

/// What `glebe get --help` ends with.
pub(crate) const GET_EXAMPLES: &str = "\
Examples:
  glebe get --geocode 9xj5k --index ndvi,ndwi -O indices
  glebe get --geocode 9xj5k --expr 'ratio=B08/B04' --resolution 20 --resampling cubic -O ratio
  glebe get --geocode 9xj5k --exact --cube --every 10d --step-rule median -O cube.npz
  glebe get --collection sentinel2 --with modis --within 2d --resolution 10 -O both
  glebe get --geocode 9xj --halo 16 -O wide
  glebe get --geocode 9xj --pairs --cloudy 30 --within 35d --format cog -O clouds";

/// How bands, dates and sensors come together.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Bringing together (with a --format, or cog; npz for cubes)")]
pub(crate) struct Wrangle {
    /// Bring all bands to this nominal resolution in metres [default: the finest]
    #[arg(long, value_name = "M", value_parser = metres)]
    pub(crate) resolution: Option<f64>,
    /// nearest, bilinear, cubic, average (area) or mode; classes take nearest, or mode when coarser
    /// [default: bilinear onto finer, average onto coarser pixels]
    #[arg(long, value_name = "KERNEL", value_parser = method)]
    pub(crate) resampling: Option<Method>,
    /// Indices: ndvi, ndmi, ndwi, ndsi, nbr, evi, bsi, ndbi
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) index: Vec<String>,
    /// Arithmetic over bands, again and again: 'wet=(green - nir) / (green + nir) > 0.2'
    #[arg(long, value_name = "NAME=EXPR")]
    pub(crate) expr: Vec<String>,
    /// Also the bands of these collections, of the split nearest in time; names get a prefix
    #[arg(long, value_name = "COLLECTION", value_delimiter = ',')]
    pub(crate) with: Vec<String>,
    /// All dates of a cell as one cube
    #[arg(long)]
    pub(crate) cube: bool,
    /// Steps of a cube: irregular (each date), or 10d, 2w, 1mo, 1y
    #[arg(long, value_name = "STEP", requires = "cube")]
    pub(crate) every: Option<String>,
    /// What stands for several dates of a step
    #[arg(long, value_enum, default_value_t = StepRule::Nearest, requires = "every")]
    pub(crate) step_rule: StepRule,
    /// Add so many pixels of the neighbouring cells on every side
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(HALO_MAX)))]
    pub(crate) halo: u32,
}

/// What stands for several dates of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum StepRule {
    /// The date nearest to the middle of the step, filled up from the next
    #[default]
    Nearest,
    /// The median of each pixel
    Median,
    /// The date with the least cloud, filled up from the next
    LeastCloud,
}

impl Wrangle {
    /// Returns the first flag given that changes pixels or grids.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let flags = [
            (self.resolution.is_some(), "--resolution"),
            (self.resampling.is_some(), "--resampling"),
            (!self.index.is_empty(), "--index"),
            (!self.expr.is_empty(), "--expr"),
            (!self.with.is_empty(), "--with"),
            (self.cube, "--cube"),
            (self.halo > 0, "--halo"),
        ];
        { flags.iter() }.find(|(given, _)| *given).map(|(_, f)| *f)
    }

    /// Returns the length of a cube's steps; `None` for each date by itself.
    pub(crate) fn step(&self) -> Result<Option<Every>, Fault> {
        match self.every.as_deref() {
            None | Some("irregular") => Ok(None),
            Some(text) => Every::parse(text).map(Some).map_err(|e| {
                Fault::new(FaultKind::Usage, format!("--every: {e}"))
                    .try_("--every 10d, --every 1mo or --every irregular")
            }),
        }
    }
}

/// Cloudy splits with clear ones.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pairs")]
pub(crate) struct Pairs {
    /// Each cloudy split with the clear one of its cell and collection nearest in time
    #[arg(long = "pairs", id = "pairs")]
    pub(crate) wanted: bool,
    /// Cloudy from this cloud cover in percent on [default: 20]
    #[arg(long, value_name = "PERCENT", requires = "pairs", value_parser = percent)]
    pub(crate) cloudy: Option<f64>,
    /// Clear up to this cloud cover in percent [default: 5]
    #[arg(long, value_name = "PERCENT", requires = "pairs", value_parser = percent)]
    pub(crate) clear: Option<f64>,
    /// Farthest apart, for --pairs and --with: 35d, 12h; a number alone is days [default: any; 16d
    /// for --with]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) within: Option<SignedDuration>,
}

/// What makes a pair, for recipes that learn from pairs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pairs (spagan)")]
pub(crate) struct PairBounds {
    /// Cloudy from this cloud cover in percent on [default: 20]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    cloudy: Option<f64>,
    /// Clear up to this cloud cover in percent [default: 5]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    clear: Option<f64>,
    /// Farthest apart: 35d, 12h; a number alone is days [default: any]
    #[arg(long, value_name = "TIME", value_parser = span)]
    within: Option<SignedDuration>,
}

impl PairBounds {
    /// Returns the rule, where a bound is given.
    pub(crate) fn rule(&self) -> Result<Option<Rule>, Fault> {
        let pairs = Pairs {
            wanted: self.cloudy.is_some() || self.clear.is_some() || self.within.is_some(),
            cloudy: self.cloudy,
            clear: self.clear,
            within: self.within,
        };
        pairs.wanted.then(|| pairs.rule()).transpose()
    }
}

impl Pairs {
    /// Returns what makes splits cloudy and clear.
    pub(crate) fn rule(&self) -> Result<Rule, Fault> {
        let clear = self.clear.unwrap_or(CLEAR_MAX);
        let cloudy = self.cloudy.unwrap_or(CLOUDY_MIN);
        Rule::new(clear, cloudy, self.within).map_err(|e| {
            Fault::new(FaultKind::Usage, "--clear must be less than --cloudy")
                .because(e.to_string())
                .try_("--clear 5 --cloudy 20")
        })
    }

    /// Refuses `--within` where nothing is near anything.
    pub(crate) fn alone(&self) -> Result<(), Fault> {
        if self.within.is_none() {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Usage,
            "--within needs --pairs, or --with a collection",
        )
        .because("it bounds how far apart in time two splits may be")
        .try_("--datetime, for splits of some time"))
    }

    /// Returns how far apart splits of two sensors may be.
    pub(crate) fn sensors_within(&self) -> SignedDuration {
        { self.within }.unwrap_or_else(|| SignedDuration::from_hours(24 * WITHIN_DAYS))
    }
}

fn metres(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    let range = earth::grid::RESOLUTION_MIN..=earth::grid::RESOLUTION_MAX;
    let within = range.contains(&value);
    within.then_some(value).ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        format!("{text} m is outside {low}..={high} m")
    })
}

fn method(text: &str) -> Result<Method, String> {
    Method::named(text).ok_or_else(|| {
        let names = Method::ALL.map(|(name, _)| name);
        format!("no kernel '{text}'; there are {}", names.join(", "))
    })
}

/// Parses `35d`, `12h`, `90m`; a number alone is days.
fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("'{text}' is no time; give 35d or 12h");
    let end = { text.find(|c: char| !c.is_ascii_digit()) }.unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let minutes = match unit {
        "" | "d" => 24 * 60,
        "w" => 7 * 24 * 60,
        "h" => 60,
        "m" => 1,
        _ => return Err(wrong()),
    };
    let minutes = number.checked_mul(minutes).ok_or_else(wrong)?;
    let seconds = minutes.checked_mul(60).ok_or_else(wrong)?;
    Ok(SignedDuration::from_secs(seconds))
}
