//! The tokens of a cluster: who was given what, what was taken back, and who may ask what.
//!
//! ```text
//! to join   glebe1_…     proves itself, unsent (`token`); listed and revocable here
//! to ask    glebekey1_   16 hex digits of its id | 64 hex digits of a random secret
//! kept      id, purpose, label, BLAKE3 of the secret, times, maker and its signature
//! ```
//! Every node holds all of it, signed by the member that made it, and gossip makes them alike.
//!
//! *Invariants*: a secret is kept as its hash alone and compared in constant time; what was taken
//! back stays so; nothing is taken in that no member signed; at most `GRANTS_MAX` are kept.
//!
//! *Not here*: HTTP (`http`), messages (`peer`), joining (`cluster::join`).

mod fixed;
mod grant;
mod keyring;

pub use fixed::Fixed;
pub use grant::{Grant, GrantId, GrantNews, Grants, Revocation};
pub use keyring::{Admitted, Keyring, KeyringError, Stranger};
