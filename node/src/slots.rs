//! A set of slots: which part of the ring a question is about.
//!
//! *Invariants*: the same type that query's route returns.
//!
//! *Not here*: who owns a slot (layout).

pub use query::slots::{SlotSet, SlotSetError};
