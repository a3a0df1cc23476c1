//! The parts that networks are made of.
//!
//! *Invariants*: first weights come from our own generator, never from libtorch's, so that they
//! are the same for every version, thread count and order of tests.
//!
//! *Not here*: whole networks (`recipe`), how they learn (`fit`).

pub mod conv_cell;
pub mod dense;
pub mod first_weights;
