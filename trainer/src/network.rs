//! A recipe's network together with its weights by name.
//!
//! *Invariants*: weights are 32-bit floats; names and shapes are those of the recipe's description.
//!
//! *Not here*: learning (`fit`), files (`weights`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, nn};

use crate::memory::without_gradients;
use crate::module::Module;
use crate::module::open::ModuleError;
use crate::recipe::{Net, Phase, Recipe, Rival};
use crate::seed::Dice;
use crate::torchscript::TorchScriptError;

/// Pixels answered at once without gradients, one chip at least: each layer's maps of 16 channels
/// stay below 16 MiB.
const ANSWER_PIXELS: i64 = 256 * 32 * 32;

/// A network with its weights.
#[derive(Debug)]
pub struct Network {
    vars: nn::VarStore,
    body: Box<dyn Net>,
    rival: Option<Opponent>,
}

/// A network that another learns to fool, with its weights.
#[derive(Debug)]
pub struct Opponent {
    /// The store that an optimiser works on.
    pub vars: nn::VarStore,
    /// Its layers.
    pub body: Box<dyn Rival>,
}

/// One stored tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub fn new(recipe: &dyn Recipe, device: Device, dice: &mut Dice) -> Self {
        let vars = nn::VarStore::new(device);
        let body = recipe.network(&vars.root(), dice);
        let rival = None;
        Self { vars, body, rival }
    }

    /// Builds the network of a model of a user's module, with the weights of its file.
    pub fn of_module(
        module: &'static Module,
        file: &[u8],
        device: Device,
    ) -> Result<Self, ModuleError> {
        let vars = nn::VarStore::new(device);
        let body = module.network_of(file, &vars.root(), &mut Dice::new(0, &[]))?;
        let rival = None;
        Ok(Self { vars, body, rival })
    }

    /// Sets the recipe's rival against the network, where it has one: to learn, never to answer.
    pub fn challenge(&mut self, recipe: &dyn Recipe, dice: &mut Dice) {
        let vars = nn::VarStore::new(self.vars.device());
        let body = recipe.rival(&vars.root(), dice);
        self.rival = body.map(|body| Opponent { vars, body });
    }

    /// Returns the rival that was set against the network.
    pub fn rival(&self) -> Option<&Opponent> {
        self.rival.as_ref()
    }

    /// Returns the store that an optimiser works on.
    pub fn vars(&self) -> &nn::VarStore {
        &self.vars
    }

    /// Maps normalised chips [n, channels, side, side] to standardised labels, shaped as by `Net`.
    pub fn forward(&self, chips: &Tensor, phase: Phase) -> Tensor {
        self.body.forward(chips, phase)
    }

    /// Maps chips as `forward` does, with what was attended to, as by `Net`.
    pub fn attend(&self, chips: &Tensor, phase: Phase) -> (Tensor, Option<Tensor>) {
        self.body.attend(chips, phase)
    }

    /// Returns what is made small and the mean squared error, as by `Net`.
    pub fn losses(&self, answers: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        self.body.losses(answers, labels)
    }

    /// Returns a user's module with the weights that it has now, as by `Net`.
    pub fn script(&self) -> Option<Result<Vec<u8>, TorchScriptError>> {
        self.body.script()
    }

    /// Answers normalised chips [n, channels, side, side] without gradients, in order.
    pub fn answer(&self, chips: &Tensor) -> Vec<f32> {
        let (count, pixels) = (chips.size()[0], chips.size()[2] * chips.size()[3]);
        let batch = (ANSWER_PIXELS / pixels.max(1)).max(1);
        let mut answers = Vec::new();
        let mut start = 0;
        while start < count {
            let part = chips.narrow(0, start, batch.min(count - start));
            let part = part.to_device(self.vars.device());
            answers.extend(floats(&without_gradients(|| {
                self.forward(&part, Phase::Answer)
            })));
            start += batch;
        }
        answers
    }

    /// Makes the weights constants: nothing can be learned any more.
    pub fn freeze(&mut self) {
        self.vars.freeze();
    }

    /// Returns all that a step changes before its end: what batches leave behind, and the rival.
    pub fn changing(&self) -> Vec<Tensor> {
        let left_behind = self.vars.variables().into_values();
        let left_behind = left_behind.filter(|tensor| !tensor.requires_grad());
        let rival = self.rival.iter();
        let rival = rival.flat_map(|rival| rival.vars.variables().into_values());
        left_behind.chain(rival).collect()
    }

    /// Copies the weights out.
    pub fn weights(&self) -> Weights {
        copied(&self.vars)
    }

    /// Copies the rival's weights out, where there is one.
    pub fn rival_weights(&self) -> Option<Weights> {
        self.rival.as_ref().map(|rival| copied(&rival.vars))
    }

    /// Puts weights in; all or none.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), WeightsError> {
        put(&self.vars, weights)
    }

    /// Puts the rival's weights in; all or none. Without a rival there is nothing to put.
    pub fn set_rival_weights(&mut self, weights: &Weights) -> Result<(), WeightsError> {
        self.rival
            .as_ref()
            .map_or(Ok(()), |rival| put(&rival.vars, weights))
    }
}

/// Copies all weights of a store out.
fn copied(vars: &nn::VarStore) -> Weights {
    let copy = |(name, tensor): (String, Tensor)| {
        let weight = Weight {
            shape: tensor.size(),
            values: floats(&tensor),
        };
        (name, weight)
    };
    vars.variables().into_iter().map(copy).collect()
}

/// Puts weights into a store; all or none.
fn put(vars: &nn::VarStore, weights: &Weights) -> Result<(), WeightsError> {
    let variables: BTreeMap<String, Tensor> = vars.variables().into_iter().collect();
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
    without_gradients(|| {
        for (name, mut tensor) in variables {
            let weight = &weights[&name];
            tensor.copy_(&Tensor::from_slice(&weight.values).reshape(&weight.shape));
        }
    });
    Ok(())
}

/// Copies a tensor out as 32-bit floats, row-major.
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(tch::Kind::Float);
    let mut values = vec![0.0_f32; tensor.numel()];
    let count = values.len();
    tensor.copy_data(&mut values, count);
    values
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{Network, Phase, WeightsError};
    use crate::recipe::RECIPES;
    use crate::recipe::ndvi_cnn::NdviCnn;
    use crate::seed::Dice;

    fn network(seed: u64) -> Network {
        Network::new(&NdviCnn, Device::Cpu, &mut Dice::new(seed, &[]))
    }

    #[test]
    fn weights_put_into_another_network_give_the_same_answers() {
        for recipe in RECIPES {
            let network = |seed| Network::new(recipe, Device::Cpu, &mut Dice::new(seed, &[]));
            let (one, mut other) = (network(1), network(2));
            let chips = Tensor::arange(60 * 3 * 256, (Kind::Float, Device::Cpu)).sin();
            let chips = chips.reshape([60, 3, 16, 16]);
            // A step forward changes what a network remembers of its batches.
            drop(tch::no_grad(|| one.forward(&chips, Phase::Learn)));
            assert_ne!(one.answer(&chips), other.answer(&chips));
            other.set_weights(&one.weights()).expect("same recipe");
            assert_eq!(one.answer(&chips), other.answer(&chips));
        }
    }

    #[test]
    fn an_answer_depends_on_no_other_chip_of_its_batch() {
        for recipe in RECIPES {
            let network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
            let chips = Tensor::arange(9 * 3 * 256, (Kind::Float, Device::Cpu)).sin();
            let chips = chips.reshape([9, 3, 16, 16]);
            let (all, last) = (
                network.answer(&chips),
                network.answer(&chips.narrow(0, 8, 1)),
            );
            let there = &all[all.len() - last.len()..];
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
            assert!(there.iter().zip(&last).all(near), "{}", recipe.name());
        }
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
