//! One node on its own, as processes and callers see it.

mod crash;
mod daemon;
mod embedded;
mod find;
mod fixture;
mod store;
