//! Which splits of a lease are learned from, judged by their metadata alone.
//!
//! *Invariants*: splits are in order of their ids, each once; all are on one grid: that of most
//! splits, the finer one on a tie; what is left out is counted.
//!
//! *Not here*: pixels (`lesson`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use earth::geocode::Scheme;
use earth::split::meta::SplitMeta;
use wire::run::{Lease, LeaseSplit};

use crate::chips::choose::{Choice, UsedBand, choose};
use crate::chips::cut::chip_grid;
use crate::chips::onto::Shape;
use crate::config::{BandUse, SplitsLeftOut};
use crate::files::{ReadError, read_meta};
use crate::recipe::Recipe;

/// Most pixel values kept for a job: 512 MiB of 32-bit floats, held twice while normalising.
const VALUES_MAX: usize = 128 << 20;

/// The splits that a job learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Scheme of the cell.
    pub scheme: Scheme,
    /// Grid of the chips.
    pub shape: Shape,
    /// Nominal resolution of that grid in metres.
    pub resolution_m: f64,
    /// The splits, in order of their ids.
    pub splits: Vec<Surveyed>,
    /// Splits not used.
    pub left_out: SplitsLeftOut,
}

/// A split that is learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// Folder of its files.
    pub folder: PathBuf,
    /// Its metadata.
    pub meta: SplitMeta,
    /// Its bands for the recipe.
    pub choice: Choice,
}

/// Why no split can be used.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The lease offers none.
    #[error("the job has no splits")]
    None,
    /// Not one has the bands.
    #[error(
        "none of {splits} splits has the bands of {recipe}: {first}; choose a collection whose \
         bands have the common names {wanted} (glebe collection list), or another recipe"
    )]
    Bands {
        /// Splits offered.
        splits: usize,
        /// Recipe.
        recipe: &'static str,
        /// What the first of them lacks.
        first: String,
        /// Common names of the recipe's bands.
        wanted: String,
    },
    /// One split alone is too large.
    #[error(
        "a split of {width} x {height} pixels is too large for a job in memory; \
         make the collection with a greater precision"
    )]
    Large {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A split cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads the metadata of a lease's splits and chooses those to learn from.
pub fn survey(lease: &Lease, recipe: &dyn Recipe) -> Result<Survey, SurveyError> {
    let offered = in_order(&lease.splits);
    let mut left_out = SplitsLeftOut::default();
    let mut first_lack = None;
    let mut found = Vec::new();
    for split in &offered {
        let meta = read_meta(&split.folder)?;
        match choose(&meta, recipe.inputs(), recipe.label_bands()) {
            Ok(choice) => found.push(Surveyed {
                folder: split.folder.clone(),
                meta,
                choice,
            }),
            Err(lack) => {
                left_out.no_band += 1;
                first_lack.get_or_insert(lack.to_string());
            }
        }
    }
    let Some(grid) = most_common(&found) else {
        return Err(
            first_lack.map_or(SurveyError::None, |first| SurveyError::Bands {
                splits: offered.len(),
                recipe: recipe.name(),
                first,
                wanted: wanted(recipe),
            }),
        );
    };
    let all = found.len();
    found.retain(|s| Grid::of(s) == grid);
    left_out.other_grid = (all - found.len()) as u64;
    let side = usize::try_from(lease.run.hyper.chip_px).unwrap_or(1);
    let values_a_chip = recipe.inputs().len() * side * side + recipe.answer().len(side);
    let kept = thin(found, grid.shape, side, values_a_chip)?;
    left_out.too_many = all as u64 - left_out.other_grid - kept.len() as u64;
    Ok(Survey {
        scheme: kept[0].meta.geocode.scheme(),
        shape: grid.shape,
        resolution_m: kept[0].choice.resolution_m,
        splits: kept,
        left_out,
    })
}

impl Survey {
    /// Returns the datasets, sorted.
    pub fn datasets(&self) -> Vec<String> {
        let mut names: Vec<String> = self.splits.iter().map(|s| s.meta.dataset.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Returns the first and last sensing time.
    pub fn acquired(&self) -> [String; 2] {
        let times = || self.splits.iter().map(|s| s.meta.acquired);
        [times().min(), times().max()].map(|t| t.map(|t| t.to_string()).unwrap_or_default())
    }

    /// Returns the BLAKE3 (hex) of the ids, each followed by a newline.
    pub fn ids_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for split in &self.splits {
            hasher.update(split.meta.id.as_str().as_bytes());
            hasher.update(b"\n");
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Returns the bands used, with the number of splits that used them so.
    pub fn bands(&self) -> Vec<BandUse> {
        let mut uses: Vec<(Vec<UsedBand>, u64)> = Vec::new();
        for split in &self.splits {
            let used = split.choice.used();
            match uses.iter_mut().find(|(bands, _)| *bands == used) {
                Some((_, splits)) => *splits += 1,
                None => uses.push((used, 1)),
            }
        }
        let tell = |(bands, splits)| BandUse { bands, splits };
        uses.into_iter().map(tell).collect()
    }
}

/// Names what a recipe's bands may be called.
fn wanted(recipe: &dyn Recipe) -> String {
    let wishes = recipe.inputs().iter().chain(recipe.label_bands());
    let mut names: Vec<String> = Vec::new();
    for name in wishes.map(|w| w.commons.join(" or ")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Returns the splits in order of their ids, each once.
fn in_order(splits: &[LeaseSplit]) -> Vec<LeaseSplit> {
    let by_id: BTreeMap<_, _> = splits.iter().map(|s| (s.id.clone(), s.clone())).collect();
    by_id.into_values().collect()
}

/// A grid that splits can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Grid {
    shape: Shape,
}

impl Grid {
    fn of(split: &Surveyed) -> Self {
        Self {
            shape: split.choice.shape,
        }
    }
}

/// Returns the grid of most splits; of several, the finest.
fn most_common(splits: &[Surveyed]) -> Option<Grid> {
    let mut counts: BTreeMap<Grid, usize> = BTreeMap::new();
    for split in splits {
        *counts.entry(Grid::of(split)).or_default() += 1;
    }
    let by_count_then_pixels =
        |(grid, count): &(Grid, usize)| (*count, grid.shape.width * grid.shape.height);
    counts
        .into_iter()
        .max_by_key(by_count_then_pixels)
        .map(|(grid, _)| grid)
}

/// Keeps as many splits as fit in memory, evenly spaced in their order.
fn thin(
    splits: Vec<Surveyed>,
    shape: Shape,
    chip_px: usize,
    values_a_chip: usize,
) -> Result<Vec<Surveyed>, SurveyError> {
    let grid = chip_grid(shape, chip_px);
    let chips = usize::try_from(u64::from(grid.rows) * u64::from(grid.columns));
    let values = chips.unwrap_or(usize::MAX).saturating_mul(values_a_chip);
    let most = VALUES_MAX / values.max(1);
    if most == 0 {
        let Shape { width, height } = shape;
        return Err(SurveyError::Large { width, height });
    }
    let all = splits.len();
    if all <= most {
        return Ok(splits);
    }
    let kept = |i: usize| (i * most) / all != ((i + 1) * most) / all;
    let numbered = splits.into_iter().enumerate();
    Ok(numbered.filter(|(i, _)| kept(*i)).map(|(_, s)| s).collect())
}
