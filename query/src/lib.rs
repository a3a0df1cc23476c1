//! Predicates over splits, the indexes that answer them, and the route to them.
//!
//! *Invariants*: pure; ordered scans come through a trait; percent at the edge, shares inside.
//!
//! *Not here*: storage and network (node), text of the command line (cli).

pub mod model;

pub use model::{Query, Range, SortKey, SortOrder, TimeRange};
