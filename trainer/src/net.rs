//! The parts that networks are made of.
//!
//! *Invariants*: first weights come from our own generator, never from libtorch's, so that they
//! are the same for every version, thread count and order of tests; names and layouts of tensors
//! are PyTorch's.
//!
//! *Not here*: whole networks (`recipe`), how they learn (`fit`).

pub mod attention;
pub mod batch_norm;
pub mod conv;
pub mod conv_block;
pub mod conv_cell;
pub mod dense;
pub mod first_weights;
pub mod irnn;
pub mod residual;
pub mod up_block;

/// Channels that enter and leave a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Channels that enter.
    pub from: i64,
    /// Channels that leave.
    pub to: i64,
}
