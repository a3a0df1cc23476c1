//! How a client behaves and what it shows to the nodes it asks.
//!
//! *Invariants*: a token comes from a file or the environment and appears in no `Debug` text; no
//! error names its content.
//!
//! *Not here*: flags and configuration files (the binaries).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::Secret;
use crate::fault::{Fault, FaultKind};

/// Names the file with the bearer token.
pub const TOKEN_FILE_VARIABLE: &str = "GLEBE_TOKEN_FILE";
/// Holds the bearer token itself.
pub const TOKEN_VARIABLE: &str = "GLEBE_TOKEN";
/// Names the file with the certificates that sign the nodes'.
pub const CA_VARIABLE: &str = "GLEBE_CA";
/// Greatest token file that is read: tokens have some hundred characters.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Longest time for one whole request, if bounded; `--timeout` of the command line.
    pub timeout: Option<Duration>,
    /// Bearer token, for nodes that demand one.
    pub token: Option<Secret>,
    /// File with the certificates (PEM) that nodes' certificates must be signed by; the system's
    /// if absent.
    pub ca: Option<PathBuf>,
}

impl ClientOptions {
    /// Returns the options that the environment gives: what a worker is started with.
    pub fn from_env() -> Result<Self, Fault> {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty());
        let token = match variable(TOKEN_FILE_VARIABLE) {
            Some(path) => Some(read_token(Path::new(&path))?),
            None => variable(TOKEN_VARIABLE).map(|t| Secret::new(&t.to_string_lossy())),
        };
        Ok(Self {
            timeout: None,
            token,
            ca: variable(CA_VARIABLE).map(PathBuf::from),
        })
    }
}

/// Reads a token from a file.
pub fn read_token(path: &Path) -> Result<Secret, Fault> {
    let fault = |why: String| {
        Fault::new(
            FaultKind::Usage,
            format!("{} holds no token", path.display()),
        )
        .because(why)
        .try_("glebe cluster token --role read -O FILE, on the machine of a node")
    };
    let length = std::fs::metadata(path).map_err(|e| fault(e.to_string()))?;
    if length.len() > TOKEN_BYTES_MAX {
        return Err(fault(format!("it has more than {TOKEN_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
    if text.trim().is_empty() || text.trim().contains(char::is_whitespace) {
        return Err(fault("it is not one word".to_owned()));
    }
    Ok(Secret::new(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_one_word_and_errors_do_not_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "word\n").unwrap();
        assert_eq!(read_token(&path).unwrap().reveal(), "word");
        std::fs::write(&path, "two words").unwrap();
        let fault = read_token(&path).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(!format!("{fault:?}").contains("two words"));
        std::fs::write(&path, vec![b'x'; 5_000]).unwrap();
        assert!(read_token(&path).is_err());
    }
}
