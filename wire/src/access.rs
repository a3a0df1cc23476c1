//! Who may do what over HTTP: roles, the bearer tokens that carry them, and how they are told of.
//!
//! *Invariants*: a greater role may all that a lesser one may; a secret appears in no `Debug` text
//! and is never serialised by accident: only `TokenMade`, the one answer that carries it, does.
//!
//! *Not here*: which endpoint takes which role, and how tokens are kept (node).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the holder of a token may do; each role may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Search, get, compose, look.
    Read,
    /// Put objects, make collections, train.
    Write,
    /// Delete, mend, verify, change who is a member, give out tokens.
    Admin,
}

/// A text that must not be shown: a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a token is to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Lets a node into the cluster.
    Join,
    /// Lets a client ask with a role.
    Ask(Role),
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// What it is for.
    pub purpose: Purpose,
    /// Who or what it is given to, as people will read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Seconds until it expires; never if absent, which only tokens to ask with may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
}

/// A token just made; it is told this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// The token's text.
    pub token: String,
    /// What is told of it from now on.
    pub about: TokenView,
}

/// What is told of a token: everything but what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Names it; not secret.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Who or what it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The node that made it.
    pub made_by: String,
    /// When.
    pub made: Timestamp,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it is good now.
    pub state: TokenState,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It is.
    Good,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// All tokens of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// The newest first.
    pub tokens: Vec<TokenView>,
}

impl Role {
    /// Returns the role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join => f.write_str("join"),
            Self::Ask(role) => role.fmt(f),
        }
    }
}

impl Secret {
    /// Takes a text, without white space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Shows the text, to send it or to hand it to a child.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenMade({:?})", self.about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grow_and_purposes_read_as_people_write_them() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
        let json = |p: Purpose| serde_json::to_string(&p).unwrap();
        assert_eq!(json(Purpose::Join), "\"join\"");
        assert_eq!(json(Purpose::Ask(Role::Write)), "{\"ask\":\"write\"}");
    }

    #[test]
    fn a_secret_is_trimmed_and_never_shown() {
        let secret = Secret::new(" abc\n");
        assert_eq!(secret.reveal(), "abc");
        assert_eq!(format!("{secret:?}"), "…");
    }
}
