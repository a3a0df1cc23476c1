//! Who has joined, left and been weighted: a mergeable set of changes.
