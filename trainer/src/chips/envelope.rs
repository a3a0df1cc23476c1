//! Where a model may be trusted: how far a window lies from those it learned from.
//!
//! After the area of applicability of Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650): a
//! window is as unlike the training chips as its distance to the nearest of them, with predictors
//! standardised; it lies outside where that is farther than held-out chips lay. Here the predictors
//! are each band's mean and deviation within a window; instead of all training chips, a few that
//! cover them are kept (each next one is the farthest from those chosen); and the limit is the
//! greatest distance of a held-out chip, which are of other blocks, without extreme ones (beyond
//! three times the spread of the middle half; theirs is one and a half, which marks more of what is
//! like the training chips). Their index is divided by the training chips' mean distance, which
//! changes nothing in a comparison with a limit; it is left out, and so are weights by a model's
//! use of each predictor.
//!
//! *Invariants*: measured on normalised chips, as a network gets them; the same chips give the same
//! envelope; the limit is never 0.
//!
//! *Not here*: marking pixels (`infer::strip`).

use serde::{Deserialize, Serialize};

use crate::chips::ChipSet;
use crate::chips::normal::{Normalisation, Spread};

/// Most chips kept: they cover the training chips to within an eighth of their extent along two
/// predictors, and add 5 KiB to a model.
const ANCHORS_MAX: usize = 64;
/// Spreads of the middle half of held-out distances beyond which one is extreme: Tukey's outer
/// fence.
const FENCE: f32 = 3.0;
/// Least limit, in standard deviations: chips that are all alike must not bar every other.
const LIMIT_MIN: f32 = 0.1;

/// What a model has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Mean and deviation of each predictor over the training chips: of every band its mean in a
    /// window, then of every band its deviation.
    pub predictors: Vec<Spread>,
    /// Standardised predictors of the chips kept.
    #[serde(with = "lines")]
    pub anchors: Vec<Vec<f32>>,
    /// Greatest distance from the nearest of them that counts as seen.
    pub limit: f32,
}

impl Envelope {
    /// Measures the training chips, and by the held-out ones how far is too far.
    pub fn measure(
        set: &ChipSet,
        normal: &Normalisation,
        (train, held_out): (&[usize], &[usize]),
    ) -> Self {
        let look = |index: &usize| {
            let mut chip = set.chip(*index).into_owned();
            normal.apply(&mut chip);
            predictors(&chip, set.channels())
        };
        let mut seen: Vec<Vec<f32>> = train.iter().map(look).collect();
        let count = 2 * set.channels();
        let spread = |p: usize| Spread::of(seen.iter().map(|chip| chip[p]));
        let mut envelope = Self {
            predictors: (0..count).map(spread).collect(),
            anchors: Vec::new(),
            limit: LIMIT_MIN,
        };
        for chip in &mut seen {
            envelope.standardise(chip);
        }
        envelope.anchors = cover(&seen);
        let distance = |index: &usize| {
            let mut chip = look(index);
            envelope.standardise(&mut chip);
            envelope.nearest(&chip)
        };
        envelope.limit = limit(held_out.iter().map(distance).collect());
        envelope
    }

    /// Returns how unlike what was learned from a normalised window is: above 1 it lies outside.
    pub fn index(&self, window: &[f32]) -> f32 {
        let mut predictors = predictors(window, self.predictors.len() / 2);
        self.standardise(&mut predictors);
        self.nearest(&predictors) / self.limit
    }

    /// Tells whether it can judge windows of so many bands.
    pub fn fits(&self, bands: usize) -> bool {
        let count = 2 * bands;
        self.predictors.len() == count
            && self
                .predictors
                .iter()
                .all(|s| s.mean.is_finite() && s.std.is_normal())
            && !self.anchors.is_empty()
            && self
                .anchors
                .iter()
                .all(|a| a.len() == count && a.iter().all(|v| v.is_finite()))
            && self.limit.is_normal()
    }

    fn standardise(&self, chip: &mut [f32]) {
        for (value, spread) in chip.iter_mut().zip(&self.predictors) {
            *value = spread.apply(*value);
        }
    }

    /// Returns the distance to the nearest chip kept.
    fn nearest(&self, chip: &[f32]) -> f32 {
        let distances = self.anchors.iter().map(|anchor| distance(anchor, chip));
        distances.fold(f32::INFINITY, f32::min)
    }
}

/// Returns the greatest distance that is not extreme.
fn limit(mut distances: Vec<f32>) -> f32 {
    distances.sort_by(f32::total_cmp);
    let quarter = |n: usize| distances.get(distances.len() * n / 4).copied();
    let (Some(first), Some(third)) = (quarter(1), quarter(3)) else {
        return LIMIT_MIN;
    };
    let fence = third + FENCE * (third - first);
    let within = distances.iter().filter(|d| **d <= fence);
    within.copied().fold(LIMIT_MIN, f32::max)
}

/// Returns the predictors of a window (band, row, column): means, then deviations.
fn predictors(window: &[f32], bands: usize) -> Vec<f32> {
    let area = (window.len() / bands.max(1)).max(1);
    let mean = |band: &[f32]| band.iter().map(|v| f64::from(*v)).sum::<f64>() / area as f64;
    let deviation = |(band, mean): (&[f32], &f64)| {
        let squares: f64 = band.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        (squares / area as f64).sqrt()
    };
    let means: Vec<f64> = window.chunks_exact(area).map(mean).collect();
    let deviations = window.chunks_exact(area).zip(&means).map(deviation);
    let moments = means.iter().copied().chain(deviations);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "moments of 32-bit floats fit one"
    )]
    moments.map(|v| v as f32).collect()
}

/// Chooses chips that cover all: the one nearest to the mean, then always the farthest from those
/// chosen.
fn cover(chips: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let size = |chip: &Vec<f32>| chip.iter().map(|v| v * v).sum::<f32>();
    let first = (0..chips.len()).min_by(|a, b| size(&chips[*a]).total_cmp(&size(&chips[*b])));
    let mut anchors: Vec<Vec<f32>> = Vec::new();
    let mut away = vec![f32::INFINITY; chips.len()];
    let mut next = first;
    while let Some(chosen) = next.filter(|_| anchors.len() < ANCHORS_MAX) {
        for (away, chip) in away.iter_mut().zip(chips) {
            *away = away.min(distance(&chips[chosen], chip));
        }
        anchors.push(chips[chosen].clone());
        next = (0..chips.len()).max_by(|a, b| away[*a].total_cmp(&away[*b]));
        next = next.filter(|at| away[*at] > 0.0);
    }
    anchors
}

fn distance(one: &[f32], other: &[f32]) -> f32 {
    let squares = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>().sqrt()
}

/// Lists of numbers as lines of text: a list in a list fills a screen in indented JSON.
mod lines {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        rows: &[Vec<f32>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let line = |row: &Vec<f32>| {
            let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
            numbers.join(" ")
        };
        let lines: Vec<String> = rows.iter().map(line).collect();
        lines.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<f32>>, D::Error> {
        let lines: Vec<String> = Vec::deserialize(deserializer)?;
        let row = |line: &String| line.split(' ').map(str::parse).collect::<Result<_, _>>();
        let rows: Result<_, std::num::ParseFloatError> = lines.iter().map(row).collect();
        rows.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{ANCHORS_MAX, Envelope};
    use crate::chips::normal::Normalisation;
    use crate::chips::{ChipSet, Position};
    use crate::seed::Dice;

    /// Chips of two bands: dark and smooth, or bright and rough, never between.
    fn set(count: usize) -> ChipSet {
        let mut pixels = Vec::new();
        let mut dice = Dice::new(5, &["chips"]);
        for i in 0..count {
            let (mean, rough) = if i % 2 == 0 { (0.1, 0.01) } else { (0.5, 0.1) };
            let level = mean + 0.02 * dice.unit();
            for _ in 0..2 * 16 {
                #[expect(clippy::cast_possible_truncation, reason = "a reflectance")]
                pixels.push((level + rough * (dice.unit() - 0.5)) as f32);
            }
        }
        of(&pixels)
    }

    fn of(pixels: &[f32]) -> ChipSet {
        let count = pixels.len() / 32;
        let positions = vec![Position { row: 0, column: 0 }; count];
        ChipSet::held((4, 2), (pixels, vec![0.0; count]), &positions)
    }

    fn measured(count: usize) -> (ChipSet, Normalisation, Envelope) {
        let set = set(count);
        let (train, held_out): (Vec<usize>, Vec<usize>) = (0..count).partition(|i| i % 10 < 7);
        let normal = Normalisation::measure(&set, &train);
        let envelope = Envelope::measure(&set, &normal, (&train, &held_out));
        (set, normal, envelope)
    }

    #[test]
    fn what_is_like_training_chips_lies_inside_and_what_lies_between_their_kinds_does_not() {
        let (set, normal, envelope) = measured(600);
        assert!(envelope.fits(2) && !envelope.fits(3));
        assert!(envelope.anchors.len() <= ANCHORS_MAX);
        let index = |chip: &[f32]| {
            let mut chip = chip.to_vec();
            normal.apply(&mut chip);
            envelope.index(&chip)
        };
        let outside = (0..set.len())
            .filter(|i| index(&set.chip(*i)) > 1.0)
            .count();
        assert!(outside <= set.len() / 50, "{outside} of {}", set.len());
        let bright: Vec<f32> = set.chip(1).iter().map(|v| v * 2.0).collect();
        let between: Vec<f32> = set.chip(0).iter().map(|v| v + 0.2).collect();
        let rough: Vec<f32> = (0..32_u8).map(|i| 0.1 + 0.3 * f32::from(i % 2)).collect();
        for (name, chip) in [("bright", bright), ("between", between), ("rough", rough)] {
            assert!(index(&chip) > 1.0, "{name}: {}", index(&chip));
        }
    }

    #[test]
    fn an_envelope_read_back_is_the_same_and_chips_all_alike_bar_not_every_other() {
        let (_, _, envelope) = measured(60);
        let text = serde_json::to_string_pretty(&envelope).expect("JSON");
        assert!(text.lines().count() < 150, "{text}");
        let back: Envelope = serde_json::from_str(&text).expect("an envelope");
        assert_eq!(back, envelope);
        let set = of(&[0.3; 20 * 32]);
        let normal = Normalisation::measure(&set, &[0, 1, 2]);
        let envelope = Envelope::measure(&set, &normal, (&[0, 1, 2], &[3, 4]));
        assert_eq!((envelope.anchors.len(), envelope.fits(2)), (1, true));
        assert!(envelope.index(&[0.0; 32]) <= 1.0);
        let far: Vec<f32> = (0..20_u8)
            .map(|i| 1.0 + f32::from(i) / 20.0)
            .chain([90.0])
            .collect();
        let limit = super::limit(far);
        assert!(
            (limit - 1.95).abs() < 1e-6,
            "{limit}: an extreme one counts"
        );
    }
}
