//! The worker that decodes scenes, cuts, measures and puts them; also the maker of synthetic ones.
//!
//! *Invariants*: foreign bytes are decoded here and nowhere else, under limits; nothing of a scene
//! is stored unless all of its bands were read; the same scene gives the same splits.
//!
//! *Not here*: where splits are kept (node), how progress is shown (cli).

pub mod args;
pub mod cut_scene;
pub mod cutting;
pub mod encode;
pub mod events;
pub mod facts;
pub mod failure;
pub mod ledger;
pub mod limits;
pub mod line;
pub mod name;
pub mod obey;
pub mod orders;
pub mod pieces;
pub mod plan;
pub mod probe;
pub mod process;
pub mod put;
pub mod source;
pub mod spool;
pub mod strip;
pub mod supervise;
pub mod synth;
pub mod target;
