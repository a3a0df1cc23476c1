//! What learning heeds on its way: a wish to stop, the time to write a checkpoint, memory that is
//! nearly used up, a diary.
//!
//! *Invariants*: heeding changes no weight, but where chips come in parts for want of memory.
//!
//! *Not here*: what is learned (`fit`), the file (`checkpoint`).

use std::time::Instant;

use wire::diary::{EpochTold, Event};

use crate::checkpoint::Keeper;
use crate::diary::Diary;
use crate::fit::Epoch;
use crate::fit::state::State;
use crate::job::ordeal::Ordeal;
use crate::memory::Margin;
use crate::stop::Stop;

/// What learning heeds.
#[derive(Debug)]
pub struct Heed<'a> {
    /// Wished for once nobody wants the model.
    pub stop: &'a Stop,
    /// What writes checkpoints, where there is a place for them.
    pub keeper: Option<Keeper>,
    /// Where it says how it goes.
    pub diary: Diary,
    /// The note for the next worker, where there is a place for it.
    pub ordeal: Option<Ordeal>,
    /// What memory is left.
    pub margin: Margin,
    begun: Instant,
}

impl<'a> Heed<'a> {
    /// Heeds a wish to stop alone.
    pub fn only(stop: &'a Stop) -> Self {
        Self {
            stop,
            keeper: None,
            diary: Diary::default(),
            ordeal: None,
            margin: Margin::default(),
            begun: now(),
        }
    }

    /// Notes that an epoch begins.
    pub fn begins(&mut self) {
        self.begun = now();
    }

    /// Says how an epoch went.
    pub fn ended(&self, epoch: &Epoch) {
        self.diary.note(Event::Epoch(EpochTold {
            epoch: epoch.epoch,
            train_mse: epoch.train_mse,
            validation_mse: epoch.validation_mse,
            best: epoch.best,
            seconds: self.begun.elapsed().as_secs_f64(),
        }));
    }

    /// Tells whether a checkpoint is to be written.
    pub fn is_due(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_due)
    }

    /// Writes a checkpoint, where there is a place for it.
    pub fn keep(&mut self, state: impl FnOnce() -> State) {
        if let Some(keeper) = &mut self.keeper
            && let Err(error) = keeper.keep(state())
        {
            self.diary
                .say(&format!("no checkpoint can be written: {error}"));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: the seconds of an epoch are told and decide nothing"
)]
fn now() -> Instant {
    Instant::now()
}
