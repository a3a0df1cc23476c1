//! Tokens to owners.
