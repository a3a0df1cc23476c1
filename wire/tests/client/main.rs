//! The client against a server that answers what the test tells it to.
//!
//! *Invariants*: real sockets, TCP and unix; nothing sleeps: every wait has its own signal.
//!
//! *Not here*: a real node (node's own tests).

mod endpoints;
mod failures;
mod searches;
mod server;
