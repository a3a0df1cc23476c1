//! A wish to stop, passed from whoever hears of it to whoever computes.
//!
//! *Invariants*: once wished, always wished.
//!
//! *Not here*: why (a signal, a lost lease): `work`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wish to stop that many may hold.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Wishes to stop.
    pub fn wish(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Tells whether someone wishes to stop.
    pub fn wished(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
