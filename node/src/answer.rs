//! What this node answers for itself to other nodes.
