//! Putting an object on its owners.
