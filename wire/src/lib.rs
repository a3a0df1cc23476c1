//! All that crosses a process boundary to a user or a worker.
//!
//! *Invariants*: percentages 0–100 and RFC 3339 times; unknown fields are ignored on reading.
//!
//! *Not here*: what travels between nodes (node).

pub mod access;
pub mod bundle;
pub mod client;
pub mod cluster;
pub mod collection;
pub mod compose;
pub mod diary;
pub mod event;
pub mod fault;
pub mod hit;
pub mod hyper;
pub mod ledger;
pub mod model;
pub mod module;
pub mod ndjson;
pub mod object;
pub mod params;
pub mod region;
pub mod run;
pub mod search;
pub mod transfer;
