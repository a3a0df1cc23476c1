//! Normalisation: bands and label to mean 0 and standard deviation 1 over the training chips.
//!
//! *Invariants*: measured on training chips alone; stored with the model and the only one used when
//! it answers; deviations are never 0.
//!
//! *Not here*: scale and offset of digital numbers (`planes`), which come before.

use serde::{Deserialize, Serialize};

use crate::chips::ChipSet;

/// Least deviation divided by: a constant band must not blow up (a tenth of a digital number).
pub const DEVIATION_MIN: f64 = 1e-5;

/// Mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the whole, not of a sample).
    pub std: f64,
}

/// How numbers are made ready for the network, and its answers turned back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// One a band, in the order of the network's channels.
    pub bands: Vec<Spread>,
    /// The label's.
    pub label: Spread,
}

impl Spread {
    /// Returns what changes nothing.
    pub const fn none() -> Self {
        Self {
            mean: 0.0,
            std: 1.0,
        }
    }

    /// Measures the values that are numbers, in order; 0 and 1 for none.
    pub fn of(values: impl Iterator<Item = f32> + Clone) -> Self {
        let values = values.filter(|v| !v.is_nan());
        let count = values.clone().count();
        if count == 0 {
            return Self {
                mean: 0.0,
                std: 1.0,
            };
        }
        let mean = values.clone().map(f64::from).sum::<f64>() / count as f64;
        let squares: f64 = values.map(|v| (f64::from(v) - mean).powi(2)).sum();
        let std = (squares / count as f64).sqrt();
        Self {
            mean,
            std: if std < DEVIATION_MIN { 1.0 } else { std },
        }
    }

    /// Normalises a value.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "networks compute in 32-bit floats"
    )]
    pub fn apply(&self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) / self.std) as f32
    }

    /// Turns a normalised value back.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "answers are 32-bit floats like the network's"
    )]
    pub fn undo(&self, value: f32) -> f32 {
        (f64::from(value) * self.std + self.mean) as f32
    }
}

impl Normalisation {
    /// Measures the chips of those indexes.
    pub fn measure(set: &ChipSet, indexes: &[usize]) -> Self {
        let band = |b: usize| {
            let all = indexes.iter().flat_map(|i| set.band(*i, b).into_owned());
            let pixels: Vec<f32> = all.collect();
            Spread::of(pixels.iter().copied())
        };
        Self {
            bands: (0..set.channels()).map(band).collect(),
            label: Spread::of(indexes.iter().flat_map(|i| set.label(*i)).copied()),
        }
    }

    /// Normalises one chip (band, row, column) in place.
    pub fn apply(&self, chip: &mut [f32]) {
        let area = chip.len() / self.bands.len().max(1);
        for (pixels, spread) in chip.chunks_exact_mut(area.max(1)).zip(&self.bands) {
            for pixel in pixels {
                *pixel = spread.apply(*pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Normalisation, Spread};
    use crate::chips::{ChipSet, Position};

    #[test]
    fn training_chips_come_out_with_mean_0_and_deviation_1() {
        let pixels = [
            0.1, 0.2, 0.3, 0.4, 5.0, 5.0, 5.0, 5.0, //
            0.5, 0.6, 0.7, 0.8, 5.0, 5.0, 5.0, 5.0, //
            9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0,
        ];
        let positions = [Position { row: 0, column: 0 }; 3];
        let set = ChipSet::held((2, 2), (&pixels, vec![0.0, 1.0, 77.0]), &positions);
        let normal = Normalisation::measure(&set, &[0, 1]);
        assert!(
            (normal.bands[0].mean - 0.45).abs() < 1e-6,
            "held-out chips count nothing"
        );
        let constant = Spread {
            mean: 5.0,
            std: 1.0,
        };
        assert_eq!(normal.bands[1], constant);
        let mut chip = set.chip(1).to_vec();
        normal.apply(&mut chip);
        assert!(chip[4..].iter().all(|v| v.abs() < 1e-6), "{chip:?}");
        let back = normal.label.undo(normal.label.apply(0.3));
        assert!((back - 0.3).abs() < 1e-6);
    }
}
