//! A donor's weights, told in the units of its heir.
//!
//! A network computes with numbers that were standardised by its own cell's chips. Its first and
//! last layer being linear, what they learned by the donor's numbers can be written for the heir's:
//! the network then answers the same reflectances with the same labels as at the donor.
//!
//! *Invariants*: answers stay the same but for rounding and the border that convolutions put around
//! a chip, which stands for the mean of the cell it is told for; the weights in between stay as
//! they are to the bit.
//!
//! *Not here*: whether the heir starts from them (`heir`).

use crate::chips::normal::Normalisation;
use crate::network::Weights;

/// Weights at which numbers enter a network and leave it, by name.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Weights [to, bands, ...] of the first layer: no other layer sees the chips.
    pub entry: &'static str,
    /// What takes up a shift of the first layer's answers.
    pub shift: Shift,
    /// Weights of the last layer: nothing comes after it.
    pub exit: &'static str,
    /// Its biases.
    pub exit_bias: &'static str,
}

/// What a shift of a layer's answers is put into.
#[derive(Debug, Clone, Copy)]
pub enum Shift {
    /// Biases, which are added.
    Bias(&'static str),
    /// Means that batch normalisation remembers, which are taken off.
    RunningMean(&'static str),
}

/// Writes weights learned under one normalisation for another; `None` if they are not as the ends
/// say.
pub fn told(
    weights: &Weights,
    ends: &Ends,
    (from, to): (&Normalisation, &Normalisation),
) -> Option<Weights> {
    let mut told = weights.clone();
    let entry = told.get_mut(ends.entry)?;
    let bands = from.bands.len();
    let outputs = usize::try_from(*entry.shape.first()?).ok()?;
    let taps = entry.values.len().checked_div(outputs * bands)?;
    let fits = outputs * bands * taps == entry.values.len() && bands == to.bands.len();
    if !fits || taps == 0 {
        return None;
    }
    let mut shifts = vec![0.0_f64; outputs];
    for (number, kernel) in entry.values.chunks_exact_mut(taps).enumerate() {
        let (old, new) = (from.bands[number % bands], to.bands[number % bands]);
        for weight in kernel {
            shifts[number / bands] += f64::from(*weight) * (new.mean - old.mean) / old.std;
            *weight = rounded(f64::from(*weight) * new.std / old.std);
        }
    }
    let (name, sign) = match ends.shift {
        Shift::Bias(name) => (name, 1.0),
        Shift::RunningMean(name) => (name, -1.0),
    };
    for (value, shift) in told.get_mut(name)?.values.iter_mut().zip(&shifts) {
        *value = rounded(f64::from(*value) + sign * shift);
    }
    let (old, new) = (from.label, to.label);
    for weight in &mut told.get_mut(ends.exit)?.values {
        *weight = rounded(f64::from(*weight) * old.std / new.std);
    }
    for bias in &mut told.get_mut(ends.exit_bias)?.values {
        *bias = rounded((f64::from(*bias) * old.std + old.mean - new.mean) / new.std);
    }
    Some(told)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "weights are 32-bit floats like the network's"
)]
fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::told;
    use crate::chips::normal::{Normalisation, Spread};
    use crate::network::Network;
    use crate::recipe::RECIPES;
    use earth::dice::Dice;

    fn spread(mean: f64, std: f64) -> Spread {
        Spread { mean, std }
    }

    #[test]
    fn the_same_land_is_answered_the_same_in_other_units() {
        let donor = Normalisation {
            bands: vec![spread(0.1, 0.02), spread(0.2, 0.03), spread(0.05, 0.01)],
            label: spread(0.4, 0.2),
        };
        let heir = Normalisation {
            bands: vec![spread(0.12, 0.01), spread(0.19, 0.04), spread(0.06, 0.02)],
            label: spread(0.6, 0.05),
        };
        // Land around both means, as reflectances [n, 3, 32, 32].
        let land = Tensor::arange(4 * 3 * 32 * 32, (Kind::Float, Device::Cpu)).sin();
        let land = land.reshape([4, 3, 32, 32]) * 0.02 + 0.1;
        let seen = |by: &Normalisation| {
            let band = |i: i64, s: &Spread| (land.narrow(1, i, 1) - s.mean) / s.std;
            let bands: Vec<Tensor> = (0..3).zip(&by.bands).map(|(i, s)| band(i, s)).collect();
            Tensor::cat(&bands, 1).to_kind(Kind::Float)
        };
        let mut tried = 0;
        for recipe in RECIPES {
            let Some(ends) = recipe.ends() else { continue };
            let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
            let middle = |answers: Vec<f32>, by: &Normalisation| -> Vec<f32> {
                let side = (answers.len() / 4).isqrt();
                let inner = |i: &usize| {
                    let (row, column) = (i % (side * side) / side, i % side);
                    side == 1 || [row, column].iter().all(|at| (12..20).contains(at))
                };
                let kept = (0..answers.len()).filter(inner);
                kept.map(|i| by.label.undo(answers[i])).collect()
            };
            let before = middle(network.answer(&seen(&donor)), &donor);
            let weights = told(&network.weights(), &ends, (&donor, &heir)).expect("they fit");
            network.set_weights(&weights).expect("the same shapes");
            let after = middle(network.answer(&seen(&heir)), &heir);
            let apart = before.iter().zip(&after).map(|(a, b)| (a - b).abs());
            let apart = apart.fold(0.0_f32, f32::max);
            assert!(apart < 0.02, "{}: {apart}", recipe.name());
            tried += 1;
        }
        assert_eq!(tried, 2);
    }
}
