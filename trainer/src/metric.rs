//! Scores of predictions against truth, one a file.
//!
//! *Invariants*: sums run in 64 bits and in order; the score of nothing is NaN, never a good one.
//!
//! *Not here*: losses, which must be differentiable (`fit`).

pub mod mae;
pub mod mse;
