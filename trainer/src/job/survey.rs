//! Which splits of a lease are learned from, judged by their metadata alone.
//!
//! *Invariants*: splits are in order of their cells, then of their ids, each once; those of a cell
//! are on one grid: that of most splits, the finer one on a tie; those of several cells are on
//! grids of one resolution, by the same rule; what is left out is counted.
//!
//! *Not here*: pixels (`lesson`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use earth::geocode::Scheme;
use earth::split::meta::SplitMeta;
use wire::run::{Lease, LeaseSplit};

use crate::chips::choose::{Choice, UsedBand, choose};
use crate::chips::cut::chip_grid;
use crate::chips::onto::Shape;
use crate::config::{BandUse, SplitsLeftOut};
use crate::files::{ReadError, read_meta};
use crate::job::pairs::{self, PairsError};
use crate::recipe::Task;

/// Most pixel values kept for a job: 512 MiB of 32-bit floats, held twice while normalising where
/// chips are not pinned, with what labels are made of beside them.
const VALUES_MAX: usize = 128 << 20;

/// The splits that a job learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Scheme of the cell.
    pub scheme: Scheme,
    /// Nominal resolution of the chips' grids in metres.
    pub resolution_m: f64,
    /// The splits, in order of their cells, then of their ids.
    pub splits: Vec<Surveyed>,
    /// What chips are cut of.
    pub sources: Vec<Source>,
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

/// Where inputs and label of some chips come from: indexes of splits, the same but of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The split of the inputs.
    pub input: usize,
    /// The split of the label.
    pub label: usize,
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
        /// Task.
        recipe: &'static str,
        /// What the first of them lacks.
        first: String,
        /// Common names of the recipe's bands.
        wanted: String,
    },
    /// No pair can be made.
    #[error(transparent)]
    Pairs(#[from] PairsError),
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
pub fn survey(lease: &Lease, task: &dyn Task) -> Result<Survey, SurveyError> {
    let offered = in_order(&lease.splits);
    let mut left_out = SplitsLeftOut::default();
    let mut first_lack = None;
    let mut found = Vec::new();
    for split in &offered {
        let meta = read_meta(&split.folder)?;
        match choose(&meta, task.inputs(), task.label_bands()) {
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
    if found.is_empty() {
        return Err(
            first_lack.map_or(SurveyError::None, |first| SurveyError::Bands {
                splits: offered.len(),
                recipe: task.name(),
                first,
                wanted: wanted(task),
            }),
        );
    }
    let all = found.len();
    let found = alike(found);
    left_out.other_grid = (all - found.len()) as u64;
    let side = usize::try_from(lease.run.hyper.chip_px).unwrap_or(1);
    let values_a_chip = task.inputs().len() * side * side + task.answer().len(side);
    let sources = match task.pairs() {
        None => (0..found.len()).map(Source::alone).collect(),
        Some(rule) => pairs::mine(&found, pairs::rule(&lease.run.query, rule)?)?,
    };
    let paired = used(&sources, &found);
    left_out.no_pair = (found.len() - paired) as u64;
    let sources = thin(sources, largest(&found), side, values_a_chip)?;
    left_out.too_many = (paired - used(&sources, &found)) as u64;
    let (splits, sources) = without_unused(found, sources);
    Ok(Survey {
        scheme: splits[0].meta.geocode.scheme(),
        resolution_m: splits[0].choice.resolution_m,
        splits,
        sources,
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

    /// Returns the BLAKE3 (hex) of the sorted ids, each followed by a newline.
    pub fn ids_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let ids: BTreeSet<&str> = self.splits.iter().map(|s| s.meta.id.as_str()).collect();
        for id in ids {
            hasher.update(id.as_bytes());
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
fn wanted(task: &dyn Task) -> String {
    let wishes = task.inputs().iter().chain(task.label_bands());
    let mut names: Vec<String> = Vec::new();
    for name in wishes.map(|w| w.commons.join(" or ")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Returns the splits in order of their cells, then of their ids, each once.
fn in_order(splits: &[LeaseSplit]) -> Vec<LeaseSplit> {
    let key = |s: &LeaseSplit| (s.id.geocode().to_owned(), s.id.clone());
    let by_id: BTreeMap<_, _> = splits.iter().map(|s| (key(s), s.clone())).collect();
    by_id.into_values().collect()
}

/// Returns the splits whose chips can be learned from together.
fn alike(splits: Vec<Surveyed>) -> Vec<Surveyed> {
    let mut cells: BTreeMap<String, Vec<Surveyed>> = BTreeMap::new();
    for split in splits {
        let cell = split.meta.geocode.to_string();
        cells.entry(cell).or_default().push(split);
    }
    let mut resolutions: BTreeMap<u64, usize> = BTreeMap::new();
    for splits in cells.values_mut() {
        let shape = most_common(splits);
        splits.retain(|split| Some(split.choice.shape) == shape);
        // The bits of positive numbers are in the numbers' order.
        *resolutions.entry(metres(splits)).or_default() += splits.len();
    }
    let most = resolutions
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count);
    let is_most = |splits: &Vec<Surveyed>| Some(metres(splits)) == most.map(|(metres, _)| metres);
    cells.into_values().filter(is_most).flatten().collect()
}

/// Returns the bits of the nominal resolution of a cell's splits.
fn metres(splits: &[Surveyed]) -> u64 {
    splits
        .first()
        .map_or(0, |s| s.choice.resolution_m.to_bits())
}

/// Returns the grid of most splits; of several, the finest.
fn most_common(splits: &[Surveyed]) -> Option<Shape> {
    let mut counts: BTreeMap<Shape, usize> = BTreeMap::new();
    for split in splits {
        *counts.entry(split.choice.shape).or_default() += 1;
    }
    let by_count_then_pixels = |(shape, count): &(Shape, usize)| (*count, pixels(*shape));
    let most = counts.into_iter().max_by_key(by_count_then_pixels);
    most.map(|(shape, _)| shape)
}

fn pixels(shape: Shape) -> usize {
    shape.width * shape.height
}

/// Returns the largest grid of some splits.
fn largest(splits: &[Surveyed]) -> Shape {
    let shapes = splits.iter().map(|split| split.choice.shape);
    let largest = shapes.max_by_key(|shape| pixels(*shape));
    largest.unwrap_or(Shape {
        width: 0,
        height: 0,
    })
}

impl Source {
    fn alone(split: usize) -> Self {
        Self {
            input: split,
            label: split,
        }
    }
}

/// Counts the splits that sources use.
fn used(sources: &[Source], splits: &[Surveyed]) -> usize {
    let mut is_used = vec![false; splits.len()];
    for source in sources {
        (is_used[source.input], is_used[source.label]) = (true, true);
    }
    is_used.into_iter().filter(|used| *used).count()
}

/// Drops the splits that no source uses, and numbers the others anew.
fn without_unused(splits: Vec<Surveyed>, sources: Vec<Source>) -> (Vec<Surveyed>, Vec<Source>) {
    let both = sources.iter().flat_map(|s| [s.input, s.label]);
    let numbers: BTreeMap<usize, usize> =
        both.collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    let source = |s: Source| Source {
        input: numbers[&s.input],
        label: numbers[&s.label],
    };
    let sources = sources.into_iter().map(source).collect();
    let numbered = splits.into_iter().enumerate();
    let kept = numbered.filter(|(i, _)| numbers.contains_key(i));
    (kept.map(|(_, split)| split).collect(), sources)
}

/// Keeps as many splits or pairs as fit in memory, evenly spaced in their order.
fn thin(
    sources: Vec<Source>,
    shape: Shape,
    chip_px: usize,
    values_a_chip: usize,
) -> Result<Vec<Source>, SurveyError> {
    let grid = chip_grid(shape, chip_px);
    let chips = usize::try_from(u64::from(grid.rows) * u64::from(grid.columns));
    let values = chips.unwrap_or(usize::MAX).saturating_mul(values_a_chip);
    let most = VALUES_MAX / values.max(1);
    if most == 0 {
        let Shape { width, height } = shape;
        return Err(SurveyError::Large { width, height });
    }
    let all = sources.len();
    if all <= most {
        return Ok(sources);
    }
    let kept = |i: usize| (i * most) / all != ((i + 1) * most) / all;
    let numbered = sources.into_iter().enumerate();
    Ok(numbered.filter(|(i, _)| kept(*i)).map(|(_, s)| s).collect())
}
