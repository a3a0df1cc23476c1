//! What learning heeds on its way: a wish to stop, and the time to write a checkpoint.
//!
//! *Invariants*: heeding changes no weight.
//!
//! *Not here*: what is learned (`fit`), the file (`checkpoint`).

use crate::checkpoint::Keeper;
use crate::fit::state::State;
use crate::stop::Stop;

/// What learning heeds.
#[derive(Debug)]
pub struct Heed<'a> {
    /// Wished for once nobody wants the model.
    pub stop: &'a Stop,
    /// What writes checkpoints, where there is a place for them.
    pub keeper: Option<Keeper>,
}

impl<'a> Heed<'a> {
    /// Heeds a wish to stop alone.
    pub fn only(stop: &'a Stop) -> Self {
        Self { stop, keeper: None }
    }

    /// Tells whether a checkpoint is to be written.
    pub fn is_due(&self) -> bool {
        self.keeper.as_ref().is_some_and(Keeper::is_due)
    }

    /// Writes a checkpoint, where there is a place for it.
    pub fn keep(&mut self, state: impl FnOnce() -> State) {
        if let Some(keeper) = &mut self.keeper {
            keeper.keep(state());
        }
    }
}
