//! Anti-entropy between owners.
