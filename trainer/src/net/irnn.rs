//! A recurrent network that sweeps over maps from four sides (Wang et al. 2019, Pan 2020).
//!
//! Each sweep carries what it met on along its direction, so that every place hears of all places
//! on its row and column: `state = relu(weight * state + map)`, row after row. Weights begin as a
//! scaled identity (Le, Jaitly, Hinton 2015) and are one number a channel and direction.
//!
//! *Invariants*: maps are square, so that all four sweeps are one; states are not negative.
//!
//! *Not here*: what directions count where (`attention`).

use tch::nn::Init;
use tch::{Tensor, nn};

/// Sides that sweeps start from: north, south, west, east.
pub const DIRECTIONS: i64 = 4;
/// First weight: what was met is halved at each step, and dies out within ten pixels.
const FIRST_WEIGHT: f64 = 0.5;

/// Sweeps from four sides.
#[derive(Debug)]
pub struct Irnn {
    weight: Tensor,
}

impl Irnn {
    /// Registers `weight` [4, channels] under `path`.
    pub fn new(path: &nn::Path<'_>, channels: i64) -> Self {
        let shape = [DIRECTIONS, channels];
        Self {
            weight: path.var("weight", &shape, Init::Const(FIRST_WEIGHT)),
        }
    }

    /// Maps [n, channels, side, side] to [n, 4 channels, side, side]: the states of each sweep.
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        sweep(maps, &self.weight)
    }
}

/// Sweeps over square maps [n, channels, side, side] with weights [4, channels].
fn sweep(maps: &Tensor, weight: &Tensor) -> Tensor {
    // Turned so that every sweep runs from the first row to the last.
    let across = maps.transpose(2, 3);
    let turned = [
        maps.shallow_clone(),
        maps.flip([2]),
        across.shallow_clone(),
        across.flip([2]),
    ];
    let weight = weight.reshape([1, -1, 1]);
    let mut states: Vec<Tensor> = Vec::new();
    for row in Tensor::cat(&turned, 1).unbind(2) {
        let state = match states.last() {
            None => row.relu(),
            Some(last) => (last * &weight + row).relu(),
        };
        states.push(state);
    }
    let swept = Tensor::stack(&states, 2).chunk(DIRECTIONS, 1);
    let back = [
        swept[0].shallow_clone(),
        swept[1].flip([2]),
        swept[2].transpose(2, 3),
        swept[3].flip([2]).transpose(2, 3),
    ];
    Tensor::cat(&back, 1)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::sweep;
    use crate::loss::slope::{check, drawn};

    #[test]
    fn each_sweep_carries_what_it_met_along_its_own_direction() {
        let maps = Tensor::zeros([1, 1, 3, 3], (Kind::Double, Device::Cpu));
        drop(maps.get(0).get(0).get(1).get(1).fill_(8.0));
        let weight = Tensor::from_slice(&[0.5, 0.25, 0.5, 0.25]).reshape([4, 1]);
        let swept = sweep(&maps, &weight);
        let all = Vec::<f64>::try_from(swept.reshape([-1])).expect("numbers");
        let none = 0.0;
        let wanted = [
            [none, none, none, none, 8.0, none, none, 4.0, none],
            [none, 2.0, none, none, 8.0, none, none, none, none],
            [none, none, none, none, 8.0, 4.0, none, none, none],
            [none, none, none, 2.0, 8.0, none, none, none, none],
        ];
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
        assert!(all.iter().zip(wanted.as_flattened()).all(near), "{all:?}");
    }

    #[test]
    fn gradients_to_maps_and_weights_are_those_of_central_differences() {
        let (maps, weight) = (drawn(&[2, 3, 4, 4]), drawn(&[4, 3]) * 0.4);
        // Weighted, so that no two states count alike.
        let counts = drawn(&[2, 12, 4, 4]);
        check(|m| (sweep(m, &weight) * &counts).sum(Kind::Double), &maps);
        check(|w| (sweep(&maps, w) * &counts).sum(Kind::Double), &weight);
    }
}
