//! A split: all bands of one scene inside one geocode.
//!
//! *Invariants*: immutable; identified by `COLLECTION/SCENE~GEOCODE`; its files describe
//! themselves.
//!
//! *Not here*: where files lie on disk (node), how scenes are decoded (ingest).

pub mod codec;
pub mod collection;
pub mod compose;
pub mod cut;
pub mod measure;
pub mod meta;
pub mod placement;
pub mod resplit;
pub mod sky;
