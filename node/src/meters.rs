//! Bytes between nodes, by purpose.
