//! Predicates over splits, the indexes that answer them, and the route to them.
//!
//! *Invariants*: pure; ordered scans come through a trait; percent at the edge, shares inside.
//!
//! *Not here*: storage and network (node), text of the command line (cli).

pub mod empty;
pub mod groups;
pub mod index;
pub mod merge;
pub mod model;
pub mod page;
pub mod pairs;
pub mod predicate;
pub mod recipe;
pub mod route;
pub mod row;
pub mod share;
pub mod slots;
pub mod space;
pub mod text;

pub use model::{Paired, Query, Range, SortKey, SortOrder, TimeRange};
