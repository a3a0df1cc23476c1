//! The whole of glebe as processes: what users type, what they see, what is on disk.
//!
//! *Invariants*: every test makes its own folder and ports and ends only processes it started.
//!
//! *Not here*: parts tested inside their crates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests: a failure is a panic, a skip is said loudly, waits have deadlines"
)]

mod alike;
mod bad_input;
mod bad_training;
mod clouds;
mod compose;
mod corrupt;
mod cubes;
mod devices;
mod embedded;
mod everywhere;
mod harness;
mod heirs;
mod held_back;
mod indices;
mod keeping;
mod killed;
mod large;
mod layout;
mod lost;
mod manners;
mod modules;
mod moving;
mod mutants;
mod outputs;
mod pairs;
mod pausing;
mod predict;
mod programs;
mod raster;
mod real_imagery;
mod real_training;
mod regions;
mod registry;
mod resplit;
mod resume;
mod rows;
mod seams;
mod security;
mod sensors;
mod simulate;
mod standing;
mod three_nodes;
mod training;
mod tree;
mod wrangle;
