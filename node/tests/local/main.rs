//! One node on its own, as processes and callers see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

mod crash;
mod daemon;
mod damage;
mod dealt;
mod embedded;
mod find;
mod fixture;
mod store;
