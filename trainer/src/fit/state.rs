//! All that learning under way depends on beside its chips: what a checkpoint holds.
//!
//! *Invariants*: learning that goes on from a state gives the weights, to the bit, that it would
//! have given without a pause, unless chips come in other parts because memory runs out.
//!
//! *Not here*: the file (`checkpoint`), whose chips they are (`job`).

use serde::{Deserialize, Serialize};

use crate::fit::adam::Moments;
use crate::fit::early_stop::EarlyStop;
use crate::fit::tutor::{Losses, Rivalry};
use crate::fit::{Epoch, Learning};
use crate::network::{Weights, WeightsError};

/// Learning at the border of two batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The network's weights and, where there is one, its rival's.
    pub weights: (Weights, Option<Weights>),
    /// Those of the best epoch so far.
    pub best: (Weights, Option<Weights>),
    /// What steps them.
    pub moments: (Moments, Option<Moments>),
    /// Where the stream of numbers stands that orders and turns chips.
    pub dice: u64,
    /// Order of the chips in this walk.
    pub order: Vec<i64>,
    /// Where in the epoch it is.
    pub place: Place,
    /// Chips of a batch looked at at a time.
    pub part: u64,
    /// What early stopping has seen.
    pub watch: EarlyStop,
    /// Epochs that have ended.
    pub epochs: Vec<Told>,
}

/// A place in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Walks over the chips that have ended.
    pub walk: u64,
    /// Chips of this walk that were learned from.
    pub chip: u64,
    /// Mean losses of the walks that have ended.
    pub losses: Losses,
    /// Mean losses of this walk so far.
    pub walk_losses: Losses,
}

/// An epoch: number, training and validation error and learning rate, whether the best, rivalry.
pub type Told = (u32, [f64; 3], bool, Option<Rivalry>);

/// Why a state cannot be gone on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Something else does not.
    #[error("its {0} are of another lesson")]
    Other(&'static str),
}

impl Learning<'_> {
    /// Copies out all that the next step depends on.
    pub fn state(&self) -> State {
        let told = |e: &Epoch| {
            let numbers = [e.train_mse, e.validation_mse, e.learning_rate];
            (e.epoch, numbers, e.best, e.rivalry)
        };
        State {
            weights: (self.network.weights(), self.network.rival_weights()),
            best: self.best.clone(),
            moments: self.tutor.moments(),
            dice: self.dice.state(),
            order: self.order.clone(),
            place: self.place,
            part: self.part as u64,
            watch: self.watch.clone(),
            epochs: self.epochs.iter().map(told).collect(),
        }
    }

    /// Goes on from a state.
    pub fn restore(&mut self, state: State) -> Result<(), StateError> {
        let mut order = state.order.clone();
        order.sort_unstable();
        if !order.iter().copied().eq(0..self.chips) || state.place.chip >= self.order.len() as u64 {
            return Err(StateError::Other("chips"));
        }
        if !self.tutor.set_moments(&state.moments) {
            return Err(StateError::Other("moments"));
        }
        self.network.set_weights(&state.weights.0)?;
        if let Some(rival) = &state.weights.1 {
            self.network.set_rival_weights(rival)?;
        }
        let epoch =
            |(epoch, [train_mse, validation_mse, learning_rate], best, rivalry): Told| Epoch {
                epoch,
                train_mse,
                validation_mse,
                learning_rate,
                best,
                rivalry,
            };
        self.best = state.best;
        self.dice.set_state(state.dice);
        self.order = state.order;
        self.place = state.place;
        self.part = usize::try_from(state.part).unwrap_or(1).max(1);
        self.watch = state.watch;
        self.epochs = state.epochs.into_iter().map(epoch).collect();
        Ok(())
    }
}
