//! This node's key and id.
