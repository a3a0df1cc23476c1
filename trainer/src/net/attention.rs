//! Spatial attention: how much each place is hidden, from all that lies on its row and column and,
//! by a second round, everywhere (Wang et al. 2019, Pan 2020).
//!
//! Two rounds of sweeps from four sides. What each direction counts at a place is itself learned
//! (`gates`), and the four are joined by a convolution after each round.
//!
//! *Invariants*: attention lies in 0..=1, one number a place; kernels are 3×3 throughout (Pan's
//! last is 1×1).
//!
//! *Not here*: what is attended to (`recipe::spagan`).

use tch::{Tensor, nn};

use crate::net::Width;
use crate::net::conv::Conv;
use crate::net::irnn::{DIRECTIONS, Irnn};
use crate::seed::Dice;

/// Attention over maps.
#[derive(Debug)]
pub struct Attention {
    gates: Conv,
    enter: Conv,
    rounds: [Round; 2],
    mask: Conv,
    inner: i64,
}

/// Sweeps, and what joins their directions.
#[derive(Debug)]
struct Round {
    sweep: Irnn,
    join: Conv,
}

impl Attention {
    /// Registers `gates`, `enter`, `sweep1`, `join1`, `sweep2`, `join2` and `mask` under `path`;
    /// `width.to` channels are swept.
    pub fn new(path: &nn::Path<'_>, width: Width, dice: &mut Dice) -> Self {
        let inner = width.to;
        let mut conv =
            |name: &str, from, to| Conv::new(&(path / name), Width { from, to }, 1, dice);
        let (gates, enter) = (
            conv("gates", width.from, DIRECTIONS),
            conv("enter", width.from, inner),
        );
        let rounds = [1, 2].map(|n| Round {
            sweep: Irnn::new(&(path / format!("sweep{n}")), inner),
            join: conv(&format!("join{n}"), DIRECTIONS * inner, inner),
        });
        let mask = conv("mask", inner, 1);
        Self {
            gates,
            enter,
            rounds,
            mask,
            inner,
        }
    }

    /// Maps [n, from, side, side] to attention [n, 1, side, side].
    pub fn forward(&self, maps: &Tensor) -> Tensor {
        let gates = self.gates.forward(maps).sigmoid();
        let mut inner = self.enter.forward(maps);
        for round in &self.rounds {
            let swept = round.sweep.forward(&inner);
            let gated = (0..DIRECTIONS)
                .map(|d| swept.narrow(1, d * self.inner, self.inner) * gates.narrow(1, d, 1));
            inner = round
                .join
                .forward(&Tensor::cat(&gated.collect::<Vec<_>>(), 1));
        }
        self.mask.forward(&inner.relu()).sigmoid()
    }
}
