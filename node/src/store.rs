//! What one node keeps: objects as files, and records that index them.
//!
//! *Invariants*: the files are the truth, the index is remade from them; what is acknowledged is
//! fsynced; bytes are verified before they are handed out; nothing half-written is ever visible.
//!
//! *Not here*: other nodes (`cluster`), what a predicate means (query).

pub mod object;
pub mod record;
mod split_file;
