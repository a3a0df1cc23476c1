//! A user's module as a network: logits learned, chances answered, what it draws repeatable.
//!
//! *Invariants*: the same weights, chips and seed give the same answers in a step, also where the
//! module drops out by chance: libtorch's generator is set from the batch and held meanwhile.
//!
//! *Not here*: whether the module can learn (`open`).

use std::sync::{Mutex, PoisonError};

use tch::{CModule, Kind, Tensor};
use wire::module::Loss;

use crate::loss;
use crate::module::Module;
use crate::network::floats;
use crate::recipe::{Net, Phase};
use crate::torchscript::{TorchScriptError, bytes_of};

/// Held while a module draws: libtorch has one generator for all threads.
static DRAWING: Mutex<()> = Mutex::new(());

/// A user's module.
#[derive(Debug)]
pub struct Foreign {
    module: &'static Module,
    script: Mutex<CModule>,
    seed: u64,
}

impl Foreign {
    /// Takes a module that was tried.
    pub fn new(module: &'static Module, script: CModule, seed: u64) -> Self {
        Self {
            module,
            script: Mutex::new(script),
            seed,
        }
    }
}

impl Net for Foreign {
    #[expect(
        clippy::panic,
        reason = "as networks of ours do where libtorch fails: `memory::tried` reads the words"
    )]
    fn forward(&self, chips: &Tensor, phase: Phase) -> Tensor {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = match phase {
            Phase::Learn => {
                let drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
                tch::manual_seed(seed(self.seed, chips));
                script.set_train();
                let answers = script.forward_ts(&[chips]);
                drop(drawing);
                answers
            }
            Phase::Answer => {
                script.set_eval();
                script.forward_ts(&[chips])
            }
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => std::panic::panic_any(error.to_string()),
        };
        let answers = answers.reshape(self.module.shape(chips.size()[0], chips.size()[2]));
        match (phase, self.module.wish().loss) {
            (Phase::Learn, _) | (_, Loss::Mse | Loss::Mae) => answers,
            (Phase::Answer, Loss::Bce) => answers.sigmoid(),
            (Phase::Answer, Loss::CrossEntropy) => answers.softmax(1, Kind::Float),
        }
    }

    fn script(&self) -> Option<Result<Vec<u8>, TorchScriptError>> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.set_eval();
        Some(bytes_of(&script))
    }

    fn losses(&self, answers: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        let chances = match self.module.wish().loss {
            Loss::Mse => {
                let mse = loss::mse(answers, labels);
                return (mse.shallow_clone(), mse);
            }
            Loss::Mae => answers.detach(),
            Loss::Bce => answers.detach().sigmoid(),
            Loss::CrossEntropy => answers.detach().softmax(1, Kind::Float),
        };
        let small = match self.module.wish().loss {
            Loss::Bce => loss::bce(answers, labels),
            Loss::CrossEntropy => loss::cross_entropy(answers, labels),
            Loss::Mse | Loss::Mae => loss::l1(answers, labels),
        };
        (small, loss::mse(&chances, labels))
    }
}

/// Returns the number of a class, if the value is one of so many.
pub fn class_of(value: f32, count: usize) -> Option<usize> {
    (0..count).find(|class| (value - *class as f32).abs() < f32::EPSILON)
}

/// Returns what libtorch's generator is set to for a batch.
fn seed(base: u64, chips: &Tensor) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&base.to_le_bytes());
    for value in floats(chips) {
        hasher.update(&value.to_le_bytes());
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(head)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{class_of, seed};

    #[test]
    fn what_is_drawn_follows_from_seed_and_batch() {
        let batch = |to: i64| Tensor::arange(to, (Kind::Float, Device::Cpu));
        assert_eq!(seed(1, &batch(9)), seed(1, &batch(9)));
        assert_ne!(seed(1, &batch(9)), seed(2, &batch(9)));
        assert_ne!(seed(1, &batch(9)), seed(1, &batch(8)));
    }

    #[test]
    fn a_class_is_a_whole_number_below_their_count() {
        assert_eq!([0.0, 2.0].map(|v| class_of(v, 3)), [Some(0), Some(2)]);
        let none = [3.0, -1.0, 0.5, f32::NAN];
        assert_eq!(none.map(|v| class_of(v, 3)), [None; 4]);
    }
}
