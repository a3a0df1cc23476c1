//! A recipe's network together with its weights by name.
//!
//! *Invariants*: weights are 32-bit floats; names and shapes are those of the recipe's description.
//!
//! *Not here*: learning (`fit`), files (`weights`).

use std::collections::BTreeMap;

use tch::{Device, Tensor, nn};

use crate::recipe::Recipe;
use crate::recipe::ndvi_cnn::NdviCnn;
use crate::seed::Dice;

/// Chips answered at once without gradients: keeps the maps of a 32-pixel chip below 64 MiB.
const ANSWER_BATCH: i64 = 256;
/// The same as a step.
const ANSWER_STEP: usize = 256;

/// A network with its weights.
#[derive(Debug)]
pub struct Network {
    vars: nn::VarStore,
    body: NdviCnn,
}

/// One stored tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Shape.
    pub shape: Vec<i64>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// All weights by name, in text order.
pub type Weights = BTreeMap<String, Weight>;

/// Why weights do not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Names differ.
    #[error("the weights are {found:?}, the network's are {wanted:?}")]
    Names {
        /// Names given.
        found: Vec<String>,
        /// Names of the network.
        wanted: Vec<String>,
    },
    /// A shape differs.
    #[error("weight {name} has shape {found:?}, the network's has {wanted:?}")]
    Shape {
        /// Which weight.
        name: String,
        /// Shape given.
        found: Vec<i64>,
        /// Shape of the network.
        wanted: Vec<i64>,
    },
}

impl Network {
    /// Builds the recipe's network with first weights drawn from `dice`.
    pub fn new(recipe: Recipe, device: Device, dice: &mut Dice) -> Self {
        let vars = nn::VarStore::new(device);
        let body = match recipe {
            Recipe::NdviCnn => NdviCnn::new(&vars.root(), dice),
        };
        Self { vars, body }
    }

    /// Returns the store that an optimiser works on.
    pub fn vars(&self) -> &nn::VarStore {
        &self.vars
    }

    /// Maps normalised chips [n, channels, side, side] to standardised labels [n].
    pub fn forward(&self, chips: &Tensor) -> Tensor {
        self.body.forward(chips)
    }

    /// Answers normalised chips [n, channels, side, side] without gradients, in order.
    pub fn answer(&self, chips: &Tensor) -> Vec<f32> {
        let count = chips.size()[0];
        let mut answers = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        tch::no_grad(|| {
            for start in (0..count).step_by(ANSWER_STEP) {
                let part = chips.narrow(0, start, ANSWER_BATCH.min(count - start));
                let part = self.forward(&part.to_device(self.vars.device()));
                answers.extend(floats(&part));
            }
        });
        answers
    }

    /// Copies the weights out.
    pub fn weights(&self) -> Weights {
        let copy = |(name, tensor): (String, Tensor)| {
            let weight = Weight {
                shape: tensor.size(),
                values: floats(&tensor.flatten(0, -1)),
            };
            (name, weight)
        };
        self.vars.variables().into_iter().map(copy).collect()
    }

    /// Puts weights in; all or none.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), WeightsError> {
        let variables: BTreeMap<String, Tensor> = self.vars.variables().into_iter().collect();
        if !variables.keys().eq(weights.keys()) {
            return Err(WeightsError::Names {
                found: weights.keys().cloned().collect(),
                wanted: variables.keys().cloned().collect(),
            });
        }
        for (name, tensor) in &variables {
            let found = &weights[name].shape;
            if *found != tensor.size() {
                return Err(WeightsError::Shape {
                    name: name.clone(),
                    found: found.clone(),
                    wanted: tensor.size(),
                });
            }
        }
        tch::no_grad(|| {
            for (name, mut tensor) in variables {
                let weight = &weights[&name];
                tensor.copy_(&Tensor::from_slice(&weight.values).reshape(&weight.shape));
            }
        });
        Ok(())
    }
}

/// Copies a tensor of one dimension out, as 32-bit floats.
fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(tch::Kind::Float);
    let mut values = vec![0.0_f32; tensor.numel()];
    let count = values.len();
    tensor.copy_data(&mut values, count);
    values
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{Network, WeightsError};
    use crate::recipe::Recipe;
    use crate::seed::Dice;

    fn network(seed: u64) -> Network {
        Network::new(Recipe::NdviCnn, Device::Cpu, &mut Dice::new(seed, &[]))
    }

    #[test]
    fn weights_put_into_another_network_give_the_same_answers() {
        let (one, mut other) = (network(1), network(2));
        let chips = Tensor::arange(300 * 3 * 64, (Kind::Float, Device::Cpu)).sin();
        let chips = chips.reshape([300, 3, 8, 8]);
        assert_ne!(one.answer(&chips), other.answer(&chips));
        other.set_weights(&one.weights()).expect("same recipe");
        assert_eq!(one.answer(&chips), other.answer(&chips));
    }

    #[test]
    fn foreign_weights_are_refused_and_nothing_changes() {
        let mut net = network(1);
        let before = net.weights();
        let mut weights = network(2).weights();
        if let Some(weight) = weights.get_mut("hidden.weight") {
            weight.shape = vec![64, 32];
        }
        let wrong = net.set_weights(&weights);
        assert!(
            matches!(wrong, Err(WeightsError::Shape { .. })),
            "{wrong:?}"
        );
        weights.remove("cell1.bias");
        let wrong = net.set_weights(&weights);
        assert!(
            matches!(wrong, Err(WeightsError::Names { .. })),
            "{wrong:?}"
        );
        assert_eq!(net.weights(), before);
    }
}
