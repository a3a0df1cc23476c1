//! Every way to answer a query against the plain one: look at each row.
//!
//! *Invariants*: the oracle reads the query itself, not what the predicate made of it.
//!
//! *Not here*: unit tests of single parts (beside them).

mod emptied;
mod found;
mod oracle;
mod paged;
mod paired;
mod questions;
mod routed;
mod world;
