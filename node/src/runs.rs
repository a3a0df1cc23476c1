//! Training runs on this node.
//!
//! *Invariants*: jobs are planned where their data lies; see `book` for what a lease promises.
//!
//! *Not here*: what a recipe computes (trainer).

pub mod book;
