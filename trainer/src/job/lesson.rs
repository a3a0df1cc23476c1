//! Chips of all splits, parted into those learned from and those held out, ready for a network.
//!
//! *Invariants*: a block's chips are all on one side, whatever their date; a cell holds out the
//! same blocks whether it is learned from alone or among others; normalisation is measured on
//! training chips alone.
//!
//! *Not here*: which splits (`survey`), cutting their chips (`stocked`), scores (`scores`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;
use wire::run::Lease;

use crate::chips::blocks::{Block, block_of, held_out};
use crate::chips::envelope::Envelope;
use crate::chips::normal::{DEVIATION_MIN, Normalisation, Spread};
use crate::chips::{ChipSet, LeftOut};
use crate::config::BlocksConfig;
use crate::fit::{Lesson, Sample};
use crate::job::stocked::Cuts;

/// Least chips to learn from: fewer say nothing about a region.
pub const TRAIN_CHIPS_MIN: usize = 8;
/// Least chips to be judged by: one is no mean.
pub const VALIDATION_CHIPS_MIN: usize = 2;

/// All that a network learns from and is judged by.
#[derive(Debug)]
pub struct Material {
    /// Chips learned from, normalised.
    pub train: Sample,
    /// Chips held out, normalised.
    pub validation: Sample,
    /// How they were normalised.
    pub normalisation: Normalisation,
    /// What the chips learned from look like.
    pub envelope: Envelope,
    /// Chips left out.
    pub left_out: LeftOut,
    /// Chips that were decoded: none where all were pinned.
    pub decoded: u64,
    /// How chips were held out.
    pub blocks: BlocksConfig,
    /// Labels of the held-out chips, as they are; NaN is masked.
    pub truth: Vec<f32>,
    /// Number of each held-out chip's place, the same on every date.
    pub places: Vec<usize>,
}

/// Why there is nothing to learn from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LessonError {
    /// Too few chips.
    #[error(
        "too few chips of {chip_px} pixels without fill or cloud: {train} to learn from (at least \
         {TRAIN_CHIPS_MIN}) and {validation} held out (at least {VALIDATION_CHIPS_MIN}) in \
         {blocks} blocks of {splits} splits; left out: {} for fill, {} for cloud, {} in the dark; \
         a smaller --chip, more dates or less strict selectors help",
        left_out.fill, left_out.cloud, left_out.no_label
    )]
    TooFew {
        /// Side of a chip in pixels.
        chip_px: usize,
        /// Chips to learn from.
        train: usize,
        /// Chips held out.
        validation: usize,
        /// Blocks that hold chips.
        blocks: usize,
        /// Splits.
        splits: usize,
        /// Chips left out.
        left_out: LeftOut,
    },
    /// A label is no chance and of no class.
    #[error(
        "the label band holds values that can be no label: binary cross-entropy takes 0 to 1, \
         cross-entropy the whole numbers below --classes, at the chips' own resolution or coarser"
    )]
    NoChance,
    /// Every label is the same.
    #[error(
        "the label is {label:.4} in all {chips} chips to learn from, so there is nothing to tell \
         apart; more dates, another season or a larger cell (a lesser --precision) help"
    )]
    OneLabel {
        /// The label.
        label: f64,
        /// Chips to learn from.
        chips: usize,
    },
}

impl Material {
    /// Returns what the network is given.
    pub fn lesson(&self) -> Lesson<'_> {
        Lesson {
            train: &self.train,
            validation: &self.validation,
            label_variance: self.normalisation.label.std.powi(2),
        }
    }
}

/// Parts chips into those learned from and those held out, and normalises them.
pub fn prepare(cuts: &Cuts, lease: &Lease) -> Result<Material, LessonError> {
    let set = &cuts.set;
    let blocks: Vec<CellBlock<'_>> = (0..set.len()).map(|chip| block(cuts, chip)).collect();
    let all: BTreeSet<CellBlock<'_>> = blocks.iter().copied().collect();
    let held = held(&all, lease.run.hyper.validation);
    let (validation, train): (Vec<usize>, Vec<usize>) =
        (0..set.len()).partition(|i| held.contains(&blocks[*i]));
    if train.len() < TRAIN_CHIPS_MIN || validation.len() < VALIDATION_CHIPS_MIN {
        return Err(LessonError::TooFew {
            chip_px: set.chip_px(),
            train: train.len(),
            validation: validation.len(),
            blocks: all.len(),
            splits: cuts.splits,
            left_out: set.left_out,
        });
    }
    let is_chance = |l: &f32| l.is_nan() || (0.0..=1.0).contains(l);
    if cuts.of_chances && !set.labels.iter().all(is_chance) {
        return Err(LessonError::NoChance);
    }
    let mut normalisation = Normalisation::measure(set, &train);
    let labels = train.iter().flat_map(|i| set.label(*i));
    let distance = |l: &f32| (f64::from(*l) - normalisation.label.mean).abs();
    if labels
        .map(distance)
        .all(|d| d.is_nan() || d < DEVIATION_MIN)
    {
        return Err(LessonError::OneLabel {
            label: normalisation.label.mean,
            chips: train.len(),
        });
    }
    if cuts.of_chances {
        normalisation.label = Spread::none();
    }
    let pick = Pick {
        set,
        normalisation: &normalisation,
    };
    Ok(Material {
        train: pick.sample(&train),
        validation: pick.sample(&validation),
        truth: validation
            .iter()
            .flat_map(|i| set.label(*i))
            .copied()
            .collect(),
        places: places(cuts, &validation),
        envelope: Envelope::measure(set, &normalisation, (&train, &validation)),
        left_out: set.left_out,
        decoded: cuts.decoded,
        blocks: BlocksConfig {
            side_chips: cuts.cells.first().map_or(1, |cell| cell.side_chips),
            train: (all.len() - held.len()) as u64,
            validation: held.len() as u64,
        },
        normalisation,
    })
}

/// A block of one of several cells.
type CellBlock<'a> = (&'a str, Block);

/// Returns the block of a chip.
fn block(cuts: &Cuts, chip: usize) -> CellBlock<'_> {
    let cell = cuts.cell(chip);
    let block = block_of(cuts.set.position(chip), cell.side_chips);
    (&cell.geocode, block)
}

/// Returns what all cells hold out, each what it would by itself.
fn held<'a>(all: &BTreeSet<CellBlock<'a>>, share: f64) -> BTreeSet<CellBlock<'a>> {
    let mut cells: BTreeMap<&str, BTreeSet<Block>> = BTreeMap::new();
    for (cell, block) in all {
        cells.entry(cell).or_default().insert(*block);
    }
    let each = cells.into_iter().flat_map(|(cell, blocks)| {
        let held = held_out(cell, &blocks, share);
        held.into_iter().map(move |block| (cell, block))
    });
    each.collect()
}

/// Numbers the places of some chips.
fn places(cuts: &Cuts, chips: &[usize]) -> Vec<usize> {
    let mut known = BTreeMap::new();
    let number = |chip: &usize| {
        let next = known.len();
        let place = (&cuts.cell(*chip).geocode, cuts.set.position(*chip));
        *known.entry(place).or_insert(next)
    };
    chips.iter().map(number).collect()
}

/// Takes chips out of a set, normalised.
struct Pick<'a> {
    set: &'a ChipSet,
    normalisation: &'a Normalisation,
}

impl Pick<'_> {
    /// Returns the chips of those indexes as tensors.
    fn sample(&self, indexes: &[usize]) -> Sample {
        let mut pixels = Vec::with_capacity(indexes.len() * self.set.chip_len());
        for index in indexes {
            pixels.extend_from_slice(&self.set.chip(*index));
            let start = pixels.len() - self.set.chip_len();
            self.normalisation.apply(&mut pixels[start..]);
        }
        let labels = indexes.iter().flat_map(|i| self.set.label(*i));
        let labels: Vec<f32> = labels.map(|l| self.normalisation.label.apply(*l)).collect();
        let side = self.set.label_side();
        let bands = self.set.labels_a_chip / (side * side);
        let veils = indexes.iter().map(|i| self.set.veil(*i));
        let veils: Option<Vec<Cow<'_, [f32]>>> = veils.collect();
        Sample {
            chips: tensor(&pixels, self.set.channels(), self.set.chip_px()),
            labels: tensor(&labels, bands, side),
            veils: veils.map(|v| tensor(&v.concat(), 1, self.set.chip_px())),
        }
    }
}

/// Shapes pixels or labels (chip, band, row, column) as a tensor.
pub fn tensor(pixels: &[f32], channels: usize, side: usize) -> Tensor {
    let whole = |n: usize| i64::try_from(n).unwrap_or(0);
    Tensor::from_slice(pixels).reshape([-1, whole(channels), whole(side), whole(side)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use earth::geocode::{Geocode, Scheme};
    use earth::split::placement::PlacementRule;
    use wire::run::{Lease, Run};

    use super::{Cuts, LessonError, prepare};
    use crate::chips::blocks::block_of;
    use crate::chips::{ChipSet, Position};
    use crate::job::stocked::Cell;
    use crate::network::floats;

    const SIDE_CHIPS: u32 = 4;

    fn lease() -> Lease {
        let geocode = Geocode::parse(Scheme::Geohash, "9xj5k").expect("a cell");
        Lease {
            token: 1,
            expires_millis: 1,
            run: Run {
                name: "r".to_owned(),
                recipe: "ndvi-cnn".to_owned(),
                query: query::Query::default(),
                mode: wire::run::Mode::Partitioned,
                packing: wire::run::Packing::Sequential,
                hyper: wire::run::Hyper::default(),
                seed: 1,
                transfer: wire::transfer::Transfer::default(),
                inheritance: None,
                collections: Vec::new(),
                module: None,
            },
            geocode: geocode.to_string(),
            placement_key: PlacementRule::Whole.key(&geocode),
            splits: Vec::new(),
            heritage: None,
            checkpoint: None,
        }
    }

    /// Three dates of 12 × 12 chips of one pixel whose label is the number of their block.
    fn cuts() -> Cuts {
        let (mut numbers, mut positions) = (Vec::new(), Vec::new());
        for _date in 0..3 {
            for (row, column) in (0..12).flat_map(|r| (0..12).map(move |c| (r, c))) {
                let position = Position { row, column };
                let block = block_of(position, SIDE_CHIPS);
                let number = u16::try_from(block.row * 3 + block.column).expect("a small number");
                numbers.push(f32::from(number));
                positions.push(position);
            }
        }
        Cuts {
            set: ChipSet::held((1, 1), (&numbers, numbers.clone()), &positions),
            splits: 3,
            cells: vec![Cell {
                geocode: lease().geocode,
                side_chips: SIDE_CHIPS,
            }],
            decoded: numbers.len() as u64,
            of_chances: false,
        }
    }

    #[test]
    fn no_place_is_learned_from_on_one_date_and_judged_on_another() {
        let material = prepare(&cuts(), &lease()).expect("enough chips");
        let undo = |l: &f32| material.normalisation.label.undo(*l).round().to_bits();
        let seen =
            |labels: &tch::Tensor| -> BTreeSet<u32> { floats(labels).iter().map(undo).collect() };
        let learned = seen(&material.train.labels);
        let judged = seen(&material.validation.labels);
        assert_eq!((learned.len(), judged.len()), (7, 2));
        assert!(learned.is_disjoint(&judged), "{learned:?} {judged:?}");
        assert_eq!(
            material.validation.labels.numel(),
            2 * 16 * 3,
            "every date of a held-out block"
        );
    }

    #[test]
    fn one_label_everywhere_is_refused_with_the_label() {
        let mut cuts = cuts();
        cuts.set.labels.fill(0.25);
        let refused = prepare(&cuts, &lease()).map(|_| ());
        let chips = 7 * 16 * 3;
        let label = 0.25;
        assert_eq!(refused, Err(LessonError::OneLabel { label, chips }));
    }

    #[test]
    fn normalisation_is_measured_on_training_chips_alone() {
        let material = prepare(&cuts(), &lease()).expect("enough chips");
        let labels = floats(&material.train.labels);
        let mean: f32 = labels.iter().sum::<f32>() / labels.len() as f32;
        assert!(mean.abs() < 1e-5, "{mean}");
        let band = material.normalisation.bands[0];
        assert!((band.mean - material.normalisation.label.mean).abs() < 1e-9);
    }
}
