//! Work that blocks: on threads that may, or, in a simulated cluster, here and now.
//!
//! *Invariants*: a caller waits for its work; a simulated cluster has one thread, so which of its
//! works comes first is drawn from its seed and from nothing else.
//!
//! *Not here*: what the work is (`store`, `runs`).

use std::cell::RefCell;

use crate::simulate::dice::Dice;

/// Longest that a simulated disk takes for one work, in milliseconds: a disk of the slow kind.
const SIMULATED_MS_MAX: u64 = 12;

thread_local! {
    /// Draws how long each work takes, if this thread simulates a cluster.
    static SIMULATED: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// The thread that worked is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thread that works on the disk was lost")]
pub(crate) struct Lost;

/// Says that all work on this thread is simulated from now on, or no more.
pub(crate) fn simulate(dice: Option<Dice>) {
    SIMULATED.with_borrow_mut(|simulated| *simulated = dice);
}

/// Does what blocks where it hinders nobody.
pub(crate) async fn work<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Lost> {
    let drawn = SIMULATED.with_borrow_mut(|simulated| {
        let dice = simulated.as_mut()?;
        Some(dice.millis(1, SIMULATED_MS_MAX))
    });
    match drawn {
        None => tokio::task::spawn_blocking(work).await.map_err(|_| Lost),
        Some(pause) => {
            tokio::time::sleep(pause).await;
            Ok(work())
        }
    }
}
