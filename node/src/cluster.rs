//! The handle through which HTTP reaches every node of the cluster.
