//! Chips of all splits, those learned from and those held out, ready for a network.
//!
//! *Invariants*: normalisation is measured on training chips alone.
//!
//! *Not here*: which splits (`survey`), cutting their chips (`stocked`), which are held out
//! (`parts`), scores (`scores`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;
use wire::run::{HoldOut, Hyper};

use crate::chips::envelope::Envelope;
use crate::chips::normal::{DEVIATION_MIN, Normalisation, Spread};
use crate::chips::{ChipSet, LeftOut};
use crate::config::BlocksConfig;
use crate::fit::{Lesson, Sample};
use crate::job::parts::{Parts, parts};
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
    /// Chips held out to choose the best epoch by.
    pub validation: Exam,
    /// Chips held out to score what was chosen.
    pub test: Option<Exam>,
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
}

/// Chips held out.
#[derive(Debug)]
pub struct Exam {
    /// Them, normalised.
    pub sample: Sample,
    /// Their labels, as they are; NaN is masked.
    pub truth: Vec<f32>,
    /// Number of each one's place, the same on every date.
    pub places: Vec<usize>,
}

/// Why there is nothing to learn from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LessonError {
    /// Too few chips.
    #[error(
        "too few chips of {chip_px} pixels without fill or cloud: {train} to learn from (at least \
         {TRAIN_CHIPS_MIN}) and {validation} held out (at least {VALIDATION_CHIPS_MIN}) in \
         {blocks} blocks or days of {splits} splits; left out: {} for fill, {} for cloud, {} in the dark, \
         {buffered} beside held-out ones; a smaller --chip or --buffer, more dates or less strict \
         selectors help",
        left_out.fill, left_out.cloud, left_out.no_label
    )]
    TooFew {
        /// Side of a chip in pixels.
        chip_px: usize,
        /// Chips to learn from.
        train: usize,
        /// Chips held out.
        validation: usize,
        /// Blocks that hold chips, or days.
        blocks: u64,
        /// Splits.
        splits: usize,
        /// Chips left out.
        left_out: LeftOut,
        /// Chips left out for they lie beside held-out ones.
        buffered: u64,
    },
    /// Days are to be held out, and there is one.
    #[error(
        "no cell has chips of two days in the {splits} splits that are learned from, so that no \
         later day can be held out; more dates, or --hold-out blocks"
    )]
    OneDay {
        /// Splits.
        splits: usize,
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
    /// Every pixel is of the same class.
    #[error(
        "every labelled pixel of the {chips} chips to learn from is of class {class}, so there is \
         nothing to tell apart; a larger cell (a lesser --precision), or a --label band of several \
         classes here"
    )]
    OneClass {
        /// The class.
        class: usize,
        /// Chips to learn from.
        chips: usize,
    },
}

impl Material {
    /// Returns what the network is given.
    pub fn lesson(&self) -> Lesson<'_> {
        Lesson {
            train: &self.train,
            validation: &self.validation.sample,
            label_variance: self.normalisation.label.std.powi(2),
        }
    }
}

/// Parts chips into those learned from and those held out, and normalises them.
pub fn prepare(cuts: &Cuts, hyper: &Hyper) -> Result<Material, LessonError> {
    let set = &cuts.set;
    let parted = parts(cuts, hyper);
    if !parted.is_enough() {
        return Err(too_few(cuts, &parted, hyper.hold_out));
    }
    let Parts {
        train,
        validation,
        test,
        told,
    } = parted;
    let is_chance = |l: &f32| l.is_nan() || (0.0..=1.0).contains(l);
    if cuts.of_chances && !set.labels.iter().all(is_chance) {
        return Err(LessonError::NoChance);
    }
    if let Some(class) = only_class(cuts, &train) {
        let chips = train.len();
        return Err(LessonError::OneClass { class, chips });
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
        validation: pick.exam(cuts, &validation),
        test: (!test.is_empty()).then(|| pick.exam(cuts, &test)),
        envelope: Envelope::measure(set, &normalisation, (&train, &validation)),
        left_out: set.left_out,
        decoded: cuts.decoded,
        blocks: told,
        normalisation,
    })
}

/// Returns the class of all pixels of those chips, where labels are classes and there is one: its
/// plane is 1 and every other one 0, so that all numbers together are not the same.
fn only_class(cuts: &Cuts, chips: &[usize]) -> Option<usize> {
    let set = &cuts.set;
    let area = set.label_side().pow(2);
    if !cuts.of_chances || set.labels_a_chip <= area {
        return None;
    }
    let is_of = |plane: &[f32]| plane.iter().any(|chance| *chance > 0.0);
    let classes = chips.iter().flat_map(|chip| {
        let planes = set.label(*chip).chunks_exact(area).enumerate();
        planes.filter_map(|(class, plane)| is_of(plane).then_some(class))
    });
    let classes: BTreeSet<usize> = classes.collect();
    classes.first().copied().filter(|_| classes.len() == 1)
}

/// Tells why chips so parted are not enough.
fn too_few(cuts: &Cuts, parted: &Parts, hold_out: HoldOut) -> LessonError {
    let told = &parted.told;
    if hold_out == HoldOut::Dates && parted.validation.is_empty() && !parted.train.is_empty() {
        let splits = cuts.splits;
        return LessonError::OneDay { splits };
    }
    LessonError::TooFew {
        chip_px: cuts.set.chip_px(),
        train: parted.train.len(),
        validation: parted.validation.len(),
        blocks: told.train + told.validation + told.test,
        splits: cuts.splits,
        left_out: cuts.set.left_out,
        buffered: told.buffered,
    }
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
    /// Returns held-out chips with their labels.
    fn exam(&self, cuts: &Cuts, indexes: &[usize]) -> Exam {
        let truth = indexes.iter().flat_map(|i| self.set.label(*i));
        Exam {
            truth: truth.copied().collect(),
            places: places(cuts, indexes),
            sample: self.sample(indexes),
        }
    }

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

    use wire::run::Hyper;

    use super::{LessonError, prepare};
    use crate::job::parts::parts;
    use crate::job::parts::tests::cuts;
    use crate::job::stocked::Cuts;
    use crate::network::floats;

    #[test]
    fn no_place_is_learned_from_on_one_date_and_judged_on_another() {
        let material = prepare(&cuts(), &Hyper::default()).expect("enough chips");
        let undo = |l: &f32| material.normalisation.label.undo(*l).round().to_bits();
        let seen =
            |labels: &tch::Tensor| -> BTreeSet<u32> { floats(labels).iter().map(undo).collect() };
        let learned = seen(&material.train.labels);
        let judged = seen(&material.validation.sample.labels);
        assert_eq!((learned.len(), judged.len()), (5, 2));
        assert!(learned.is_disjoint(&judged), "{learned:?} {judged:?}");
        assert_eq!(
            material.validation.sample.labels.numel(),
            2 * 16 * 3,
            "every date of a held-out block"
        );
    }

    #[test]
    fn one_label_everywhere_is_refused_with_the_label() {
        let mut cuts = cuts();
        cuts.set.labels.fill(0.25);
        let refused = prepare(&cuts, &Hyper::default()).map(|_| ());
        let chips = 5 * 16 * 3;
        let label = 0.25;
        assert_eq!(refused, Err(LessonError::OneLabel { label, chips }));
    }

    /// Chips of one pixel, each of one of three classes.
    fn of_classes(class: impl Fn(usize) -> usize) -> Cuts {
        let mut cuts = cuts();
        let plane = |chip| (0..3).map(move |of| (chip, of));
        let has = |(chip, of)| if class(chip) == of { 1.0 } else { 0.0 };
        cuts.set.labels = (0..cuts.set.len()).flat_map(plane).map(has).collect();
        (cuts.set.labels_a_chip, cuts.of_chances) = (3, true);
        cuts
    }

    #[test]
    fn one_class_everywhere_is_refused_with_the_class() {
        let refused = |cuts: &Cuts| prepare(cuts, &Hyper::default()).map_or_else(Some, |_| None);
        let one = LessonError::OneClass {
            class: 2,
            chips: 5 * 16 * 3,
        };
        assert_eq!(refused(&of_classes(|_| 2)), Some(one.clone()));
        assert_eq!(refused(&of_classes(|chip| chip % 3)), None);
        // Held-out chips of another class teach nothing; a pixel under cloud is of no class.
        let learned: BTreeSet<usize> = parts(&cuts(), &Hyper::default())
            .train
            .into_iter()
            .collect();
        let mut held = of_classes(|chip| if learned.contains(&chip) { 2 } else { 0 });
        assert_eq!(refused(&held), Some(one.clone()));
        let clouded = learned.first().expect("a chip") * 3;
        held.set.labels[clouded..clouded + 3].fill(f32::NAN);
        assert_eq!(refused(&held), Some(one));
    }

    #[test]
    fn normalisation_is_measured_on_training_chips_alone() {
        let material = prepare(&cuts(), &Hyper::default()).expect("enough chips");
        let labels = floats(&material.train.labels);
        let mean: f32 = labels.iter().sum::<f32>() / labels.len() as f32;
        assert!(mean.abs() < 1e-5, "{mean}");
        let band = material.normalisation.bands[0];
        assert!((band.mean - material.normalisation.label.mean).abs() < 1e-9);
    }
}
