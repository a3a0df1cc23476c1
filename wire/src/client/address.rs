//! Where a node listens: a TCP address or a unix socket.
//!
//! *Invariants*: valid by construction; displays as it was written.
//!
//! *Not here*: connecting.

use std::fmt;
use std::path::PathBuf;

use crate::fault::{Fault, FaultKind};

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a slash at its end.
    Tcp(String),
    /// `unix:PATH`: the socket of an embedded store.
    Unix(PathBuf),
}

impl Address {
    /// Parses `http://HOST:PORT`, `https://HOST:PORT`, `HOST:PORT` or `unix:PATH`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.as_os_str().is_empty() {
                Err(wrong(text, "the path of the socket is missing"))
            } else {
                Ok(Self::Unix(path))
            };
        }
        let with_scheme = if text.starts_with("http://") || text.starts_with("https://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = reqwest::Url::parse(&with_scheme).map_err(|e| wrong(text, e.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong(text, "the host is missing"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(wrong(text, "an address ends after its port"));
        }
        Ok(Self::Tcp(with_scheme.trim_end_matches('/').to_owned()))
    }

    /// Tells whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp(base) if base.starts_with("https://"))
    }

    /// Returns the URL of a path below this address; a unix socket answers to any host name.
    pub(super) fn url(&self, path: &str) -> String {
        match self {
            Self::Tcp(base) => format!("{base}{path}"),
            Self::Unix(_) => format!("http://localhost{path}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(base) => f.write_str(base),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn wrong(text: &str, reason: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Usage, format!("'{text}' is no node's address"))
        .because(reason)
        .try_("--cluster http://HOST:PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_display_as_they_were_written() {
        for text in [
            "http://127.0.0.1:7480",
            "unix:.glebe/node.sock",
            "http://[::1]:80",
            "https://lab3:7480",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_host_and_port_is_http() {
        let address = Address::parse("lab3:7480").unwrap();
        assert_eq!(address.url("/v1/status"), "http://lab3:7480/v1/status");
    }

    #[test]
    fn what_is_no_address_is_a_usage_fault() {
        for text in [
            "",
            "unix:",
            "http://",
            "https://",
            "https://a:1/x",
            "http://a:1/x",
            "a b",
            "ftp://a",
        ] {
            let fault = Address::parse(text).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Usage, "{text}");
        }
    }
}
