//! Slot → ordered owners, versioned.
