//! The words that select splits, the same in every verb.
//!
//! *Invariants*: everything is validated before a node is asked; a wrong word is a usage fault.
//!
//! *Not here*: evaluation (query).

use std::path::{Path, PathBuf};

use clap::Args;
use earth::geocode::{Geocode, Scheme};
use query::{Query, Range};
use wire::fault::{Fault, FaultKind};

/// Which splits.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selectors")]
pub(crate) struct Selectors {
    /// Collections
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) collection: Vec<String>,
    /// Datasets
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) dataset: Vec<String>,
    /// Geocodes, as prefixes: 9xj,9xk
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) geocode: Vec<String>,
    /// Geocodes match whole, not as prefixes
    #[arg(long)]
    pub(crate) exact: bool,
    /// Box in degrees: W,S,E,N; W > E crosses the antimeridian
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(crate) bbox: Option<String>,
    /// GeoJSON file of an area; - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) intersects: Option<PathBuf>,
    /// Sensing time: 2019-07, 2019-07-01/2019-07-15, 2019-07/..
    #[arg(long, value_name = "WHEN")]
    pub(crate) datetime: Option<String>,
    /// Least cloud cover in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min_cloud: Option<f64>,
    /// Greatest cloud cover in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    #[arg(aliases = ["cloud", "cloud-cover"])]
    pub(crate) max_cloud: Option<f64>,
    /// Least pixel coverage in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent, alias = "coverage")]
    pub(crate) min_coverage: Option<f64>,
    /// Greatest pixel coverage in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) max_coverage: Option<f64>,
    /// Order: id, time, cloud, coverage, geocode; - before a key reverses it
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// At most this many splits
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

impl Selectors {
    /// Checks every word and builds the query.
    pub(crate) fn query(&self) -> Result<Query, Fault> {
        for name in &self.dataset {
            known_dataset(name)?;
        }
        let geocodes: Result<Vec<_>, _> = self.geocode.iter().map(|g| geocode(g)).collect();
        Ok(Query {
            collections: self.collection.clone(),
            datasets: self.dataset.clone(),
            geocodes: geocodes?,
            exact: self.exact,
            bbox: self.bbox.as_deref().map(bbox).transpose()?,
            intersects: self.intersects.as_deref().map(area).transpose()?,
            time: self
                .datetime
                .as_deref()
                .map(when)
                .transpose()?
                .unwrap_or_default(),
            cloud: Range {
                min: self.min_cloud,
                max: self.max_cloud,
            },
            coverage: Range {
                min: self.min_coverage,
                max: self.max_coverage,
            },
            sort: self
                .sort
                .as_deref()
                .map(order)
                .transpose()?
                .unwrap_or_default(),
            limit: self.limit,
            ..Query::default()
        })
    }
}

/// Refuses a dataset name that nobody knows, and names the nearest.
pub(crate) fn known_dataset(name: &str) -> Result<(), Fault> {
    if earth::dataset::dataset(name).is_some() {
        return Ok(());
    }
    let names: Vec<_> = earth::dataset::DATASETS.iter().map(|d| d.name).collect();
    let nearest = names
        .iter()
        .min_by_key(|n| distance(n, name))
        .copied()
        .unwrap_or("generic");
    Err(Fault::new(FaultKind::Usage, format!("no dataset '{name}'"))
        .because(format!("known datasets: {}", names.join(", ")))
        .try_(format!("--dataset {nearest}")))
}

/// Counts the single-character edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    let within = (0.0..=100.0).contains(&value);
    within
        .then_some(value)
        .ok_or_else(|| format!("{text} is outside 0..=100 percent"))
}

fn geocode(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let parsed = Geocode::parse(Scheme::Geohash, &lower);
    match (parsed, Geocode::parse(Scheme::QuadTile, &lower)) {
        (Ok(_), _) | (_, Ok(_)) => Ok(lower),
        (Err(why), Err(_)) => Err(Fault::new(
            FaultKind::Usage,
            format!("--geocode: '{text}' is no geocode"),
        )
        .because(why.to_string())
        .try_("--geocode 9xj (geohash) or --geocode 0231 (quad-tile)")),
    }
}

pub(crate) fn bbox(text: &str) -> Result<earth::extent::LonLatBox, Fault> {
    query::text::lon_lat_box(text).map_err(|why| {
        Fault::new(FaultKind::Usage, format!("--bbox: '{text}' is no box"))
            .because(why.to_string())
            .try_("--bbox -105.3,40.4,-104.9,40.7 (west, south, east, north in degrees)")
    })
}

/// Reads a point on Earth.
pub(crate) fn point(text: &str) -> Result<(f64, f64), Fault> {
    let parts: Option<Vec<f64>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([lon, lat]) if lon.abs() <= 180.0 && lat.abs() <= 90.0 => Ok((*lon, *lat)),
        _ => Err(
            Fault::new(FaultKind::Usage, format!("--at: '{text}' is no point"))
                .because("a point is longitude,latitude in degrees")
                .try_("--at -105.08,40.57"),
        ),
    }
}

fn when(text: &str) -> Result<query::TimeRange, Fault> {
    query::text::time_range(text).map_err(|why| {
        Fault::new(
            FaultKind::Usage,
            format!("--datetime: '{text}' is no time or range"),
        )
        .because(why.to_string())
        .try_("--datetime 2019-07, 2019-07-01/2019-07-15 or 2019-07/..")
    })
}

/// Parses one instant, as `--datetime` of a scene.
pub(crate) fn instant(text: &str) -> Result<jiff::Timestamp, Fault> {
    let range = when(text)?;
    range.start.ok_or_else(|| {
        Fault::new(
            FaultKind::Usage,
            format!("--datetime: '{text}' has no beginning"),
        )
        .try_("--datetime 2015-07-31T10:00:09Z")
    })
}

fn order(text: &str) -> Result<Vec<query::SortOrder>, Fault> {
    query::text::sort(text).map_err(|why| {
        Fault::new(FaultKind::Usage, format!("--sort: '{text}' is no order"))
            .because(why.to_string())
            .try_("--sort -cloud,id")
    })
}

/// Greatest GeoJSON file: a country's border in detail stays below it.
const AREA_BYTES_MAX: u64 = 16 << 20;

fn area(path: &Path) -> Result<serde_json::Value, Fault> {
    use std::io::Read as _;
    let fault = |why: String| {
        Fault::new(
            FaultKind::Usage,
            format!("--intersects: {} is no area", path.display()),
        )
        .because(why)
        .try_("a GeoJSON Polygon, MultiPolygon, Feature or FeatureCollection in lon/lat")
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .take(AREA_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|f| f.take(AREA_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|e| fault(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| fault(e.to_string()))
}
