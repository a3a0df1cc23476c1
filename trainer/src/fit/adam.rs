//! Adam (Kingma, Ba 2015), with its moments in the open: a checkpoint holds them.
//!
//! All variables lie one after the other in one tensor, so that a step of a small network is a few
//! calls into libtorch and not a few a layer.
//!
//! *Invariants*: moments put into another of the same variables make it step alike, to the bit.
//!
//! *Not here*: which loss (`tutor`), the file (`checkpoint`).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, nn};

use crate::memory::without_gradients;
use crate::network::floats;

/// Share of the last mean of squares in the next: the paper's.
const BETA2: f64 = 0.999;
/// Added to roots: the paper's.
const EPSILON: f64 = 1e-8;

/// Steps the variables of a store.
#[derive(Debug)]
pub struct Adam {
    variables: Vec<Tensor>,
    rate: f64,
    beta1: f64,
    steps: u64,
    mean: Tensor,
    square: Tensor,
}

/// Where the moments were.
#[derive(Debug)]
pub struct Mark(u64, Tensor, Tensor);

/// All that a step depends on but weights and gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Steps made.
    pub steps: u64,
    /// Running mean of gradients, variable by variable.
    pub mean: Vec<f32>,
    /// Running mean of their squares.
    pub square: Vec<f32>,
}

impl Adam {
    /// Steps the variables of `vars` that are learned, from no moments.
    pub fn new(vars: &nn::VarStore, rate: f64, beta1: f64) -> Self {
        let variables = vars.trainable_variables();
        let count = sizes(&variables).iter().sum::<i64>();
        let zeros = || Tensor::zeros([count], (Kind::Float, vars.device()));
        Self {
            variables,
            rate,
            beta1,
            steps: 0,
            mean: zeros(),
            square: zeros(),
        }
    }

    /// Steps at another rate from now on.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// Returns the gradient of a loss, all variables one after the other.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let gradients = Tensor::run_backward(&[loss], &self.variables, false, false);
        let flat = |(gradient, variable): (&Tensor, &Tensor)| {
            if gradient.defined() {
                gradient.reshape([-1])
            } else {
                variable.detach().zeros_like().reshape([-1])
            }
        };
        let all: Vec<Tensor> = gradients.iter().zip(&self.variables).map(flat).collect();
        Tensor::cat(&all, 0)
    }

    /// Moves the variables against a gradient; where memory runs out, nothing has changed.
    pub fn step(&mut self, gradient: &Tensor) {
        let steps = self.steps + 1;
        let left = |beta: f64| 1.0 - beta.powf(steps as f64);
        let (mean_left, square_left) = (left(self.beta1), left(BETA2));
        without_gradients(|| {
            let mean = self.mean.lerp(gradient, 1.0 - self.beta1);
            let square = self.square.lerp(&gradient.square(), 1.0 - BETA2);
            let root = square.sqrt() / square_left.sqrt() + EPSILON;
            let moves = (&mean * (-self.rate / mean_left)) / root;
            let moves = moves.split_with_sizes(sizes(&self.variables), 0);
            let shaped = self.variables.iter().zip(&moves);
            let moves: Vec<Tensor> = shaped.map(|(v, moves)| moves.view_as(v)).collect();
            for (variable, moves) in self.variables.iter_mut().zip(&moves) {
                drop(variable.g_add_(moves));
            }
            (self.steps, self.mean, self.square) = (steps, mean, square);
        });
    }

    /// Marks where the moments are.
    pub fn mark(&self) -> Mark {
        // Each step makes new tensors, so that these stay as they are.
        let (mean, square) = (self.mean.shallow_clone(), self.square.shallow_clone());
        Mark(self.steps, mean, square)
    }

    /// Brings the moments back to a mark.
    pub fn back(&mut self, Mark(steps, mean, square): Mark) {
        (self.steps, self.mean, self.square) = (steps, mean, square);
    }

    /// Copies the moments out.
    pub fn moments(&self) -> Moments {
        Moments {
            steps: self.steps,
            mean: floats(&self.mean),
            square: floats(&self.square),
        }
    }

    /// Puts moments in; tells whether they are of as many numbers.
    pub fn set_moments(&mut self, moments: &Moments) -> bool {
        let fits = |values: &Vec<f32>| values.len() == self.mean.numel();
        if !fits(&moments.mean) || !fits(&moments.square) {
            return false;
        }
        self.steps = moments.steps;
        self.mean.copy_(&Tensor::from_slice(&moments.mean));
        self.square.copy_(&Tensor::from_slice(&moments.square));
        true
    }
}

/// Returns how many numbers each variable has.
fn sizes(variables: &[Tensor]) -> Vec<i64> {
    let size = |v: &Tensor| v.size().iter().product();
    variables.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use tch::nn::OptimizerConfig as _;
    use tch::{Device, Kind, Tensor, nn};

    use super::Adam;
    use crate::network::floats;

    fn store() -> (nn::VarStore, [Tensor; 2]) {
        let vars = nn::VarStore::new(Device::Cpu);
        let start = |name, shape: &[i64], from: f64| {
            let count = shape.iter().product::<i64>();
            let mut variable = vars.root().zeros(name, shape);
            let values = (Tensor::arange(count, (Kind::Float, Device::Cpu)) + from).sin();
            tch::no_grad(|| variable.copy_(&values.reshape(shape)));
            variable
        };
        let variables = [start("a", &[3, 4], 1.0), start("b", &[4], 7.0)];
        (vars, variables)
    }

    /// A loss with a different slope in each variable, and at each step.
    fn loss([a, b]: &[Tensor; 2], step: u32) -> Tensor {
        let turn = f64::from(step) * 0.7;
        ((a + turn).cos() * b).sum(Kind::Float) + (b.square() * turn).sum(Kind::Float)
    }

    #[test]
    fn it_steps_as_libtorchs_does() {
        let ((ours, a), (theirs, b)) = (store(), store());
        let mut adam = Adam::new(&ours, 0.05, 0.9);
        let mut peer = nn::Adam::default().build(&theirs, 0.05).expect("settings");
        for step in 0..40 {
            let gradient = adam.gradient(&loss(&a, step));
            adam.step(&gradient);
            peer.backward_step(&loss(&b, step));
        }
        for (ours, theirs) in a.iter().zip(&b) {
            let (ours, theirs) = (floats(ours), floats(theirs));
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
            assert!(ours.iter().zip(&theirs).all(near), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn moments_put_into_another_make_it_step_alike_to_the_bit() {
        let ((one, a), (other, mut b)) = (store(), store());
        let mut adam = Adam::new(&one, 0.05, 0.5);
        for step in 0..9 {
            let gradient = adam.gradient(&loss(&a, step));
            adam.step(&gradient);
        }
        let mut heir = Adam::new(&other, 0.05, 0.5);
        assert!(heir.set_moments(&adam.moments()));
        tch::no_grad(|| b.iter_mut().zip(&a).for_each(|(b, a)| b.copy_(a)));
        for step in 9..20 {
            for (adam, at) in [(&mut adam, &a), (&mut heir, &b)] {
                let gradient = adam.gradient(&loss(at, step));
                adam.step(&gradient);
            }
        }
        let bits = |t: &Tensor| floats(t).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(a.each_ref().map(bits), b.each_ref().map(bits));
        let mut short = adam.moments();
        short.square.pop();
        assert!(!heir.set_moments(&short));
    }
}
