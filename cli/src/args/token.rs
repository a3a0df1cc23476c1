//! The flags of `glebe cluster token`.
//!
//! *Invariants*: no token is ever an argument.
//!
//! *Not here*: making tokens (node).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use wire::access::Role;

const EXAMPLES: &str = "\
Examples:
  glebe cluster token -O join.token                 then: glebe up --join HOST:PORT --token-file …
  glebe cluster token --role read --for 30d --label ann -O ann.token
  glebe cluster token list
  glebe cluster token revoke 0f6f1b3c2a9d4e58";

/// `glebe cluster token`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<TokenVerb>,
    /// A token to ask with over HTTP, instead of one to join with
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleArg>,
    /// How long it is good: 12h, 30d; a number alone is seconds [default: 24h to join with,
    /// without end to ask with]
    #[arg(long = "for", value_name = "TIME", value_parser = lifetime)]
    pub(crate) lifetime: Option<Duration>,
    /// Who or what it is given to, for the list
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,
    /// File to write it to, which only you can read, instead of stdout
    #[arg(short = 'O', long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `glebe cluster token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// List tokens: what for, for whom, until when; never the tokens themselves
    List,
    /// Take a token back; every node refuses it within seconds
    Revoke {
        /// Its id
        id: String,
    },
}

/// Roles as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Search, get, compose, look
    Read,
    /// And ingest, make collections, train
    Write,
    /// And delete, mend, verify, change the cluster, give out tokens
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Read => Self::Read,
            RoleArg::Write => Self::Write,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Parses `90s`, `15m`, `12h` or `30d`.
fn lifetime(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').map(str::parse::<u32>);
    let found = match days {
        Some(Ok(days)) => Some(Duration::from_secs(u64::from(days) * 86_400)),
        Some(Err(_)) => None,
        None => super::seconds(text).ok(),
    };
    let found = found.filter(|d| d.as_secs() > 0);
    found.ok_or_else(|| format!("'{text}' is no time; give 15m, 12h or 30d"))
}
