//! Golden JSON of every type on the wire: old bytes keep reading, new bytes are the same.
//!
//! `GLEBE_BLESS=1` writes the file of a type that has none; an existing file is never rewritten,
//! since someone out there may send exactly these bytes.
//!
//! *Invariants*: reading ignores fields that it does not know.
//!
//! *Not here*: bundles (`bundles`), files at rest (earth, node).

mod check;
mod clusters;
mod events;
mod objects;
mod runs;
mod samples;
mod searches;
mod tokens;
