//! The peer: store, ring, swarm, queries, runs, HTTP.
//!
//! ```text
//! http ─▶ conduit ─▶ cluster ─▶ replicate, scatter ─▶ (own node: answer; others: swarm ─▶ answer)
//!                                                            answer ─▶ store, runs
//! ```
//! *Invariants*: `store` and `runs` know one node only and block; they are called on blocking
//! threads. `cluster` is the one way from HTTP to more than one node, also when there is only one.
//! `ring`, `layout` and `membership` do no I/O and read no clock.
//!
//! *Not here*: decoding of foreign bytes (ingest), training (trainer), the command line (cli).

pub mod access;
mod budget;
pub(crate) mod clock;
pub mod conduit;
pub mod config;
pub mod daemon;
pub mod embedded;
mod hands;
pub mod http;
mod lock;
pub mod models;
pub mod store;

pub mod answer;
pub mod cluster;
mod compose;
pub mod identity;
pub mod issuer;
pub mod layout;
pub mod membership;
pub mod meters;
pub mod peer;
pub mod refusals;
pub mod replicate;
pub mod ring;
pub mod rope;
pub mod runs;
pub mod scatter;
pub mod simulate;
pub mod swarm;
pub mod sync;
pub mod token;
pub mod upkeep;

pub use query::slots;
