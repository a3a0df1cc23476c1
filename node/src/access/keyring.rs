//! The tokens as a running node keeps them: in memory and in a file.
//!
//! ```json
//! {"format":1,"given":[{"id":HEX,"purpose":{"ask":"read"},"label":"","hash":HEX,"made":S,
//!  "expires":S,"by":NODE,"signature":HEX},…],"revoked":[{"id":HEX,"by":NODE,"signature":HEX},…]}
//! ```
//! *Invariants*: `tokens.json` has mode 0600 and is refused with another; it holds hashes only;
//! whether a token is known is not told by how long the answer takes.
//!
//! *Not here*: who sends what (`cluster::gossip`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wire::access::{Purpose, Role, TokenMade, TokenRequest, TokenState, TokenView, Tokens};
use wire::fault::{Fault, FaultKind};

use super::fixed::Fixed;
use super::grant::{Grant, GrantId, GrantNews, Grants, LABEL_BYTES_MAX, Merged, Revocation};
use crate::identity::{
    Identity, NodeId, check_private, from_hex, random_key, to_hex, write_private,
};
use crate::token::{ClusterId, ClusterSecret};

/// Name of the file in a node's data folder.
const TOKENS_FILE: &str = "tokens.json";
/// Version of the file.
const FORMAT: u32 = 1;
/// First characters of a token to ask with.
const BEARER_MARK: &str = "glebekey1_";
/// Hexadecimal digits of a token's id.
const ID_DIGITS: usize = 16;
/// Seconds that a token to join with is good unless told otherwise: long enough to carry it to a
/// rack.
const JOIN_SECONDS: u64 = 24 * 3_600;
/// Longest life of a token, in seconds: ten years.
const SECONDS_MAX: u64 = 10 * 366 * 24 * 3_600;

/// The tokens of a node's cluster.
#[derive(Debug)]
pub struct Keyring {
    cluster: ClusterId,
    /// None without a data folder of a cluster.
    file: Option<PathBuf>,
    grants: Mutex<Grants>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// What it may do.
    pub role: Role,
    /// By which token.
    pub id: GrantId,
}

/// Why a token is not taken; a stranger is not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It is no token to ask with.
    #[error("the token is not one of this cluster")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was taken back.
    #[error("the token was revoked")]
    Revoked,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It cannot be read or written, or others may.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what a node writes.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    #[serde(flatten)]
    news: GrantNews,
}

impl Keyring {
    /// Returns the keyring of a node without a cluster: no token is good.
    pub fn none() -> Self {
        Self {
            cluster: ClusterId::draw(),
            file: None,
            grants: Mutex::default(),
        }
    }

    /// Opens the tokens that a data folder holds.
    pub fn open(data: &Path, cluster: ClusterId) -> Result<Self, KeyringError> {
        let path = data.join(TOKENS_FILE);
        let mut grants = Grants::default();
        if let Some(kept) = read(&path)? {
            // They were checked when they were taken in; who may change the file could as well
            // change the program.
            grants.merge(kept.news, cluster, |_| true);
        }
        Ok(Self {
            cluster,
            file: Some(path),
            grants: Mutex::new(grants),
        })
    }

    /// Tells who shows a token.
    pub fn check(&self, text: &str, now: Timestamp) -> Result<Admitted, Stranger> {
        let (id, hash) = parts(text).ok_or(Stranger::Unknown)?;
        let nobody = blake3::Hash::from_bytes([0; 32]);
        self.look(|grants| {
            let grant = grants.get(&id);
            let wanted = grant.map_or(nobody, |g| blake3::Hash::from_bytes(g.hash.0));
            // `blake3::Hash` compares in constant time; an unknown id takes as long.
            let same = wanted == hash;
            let role = grant.and_then(Grant::role).filter(|_| same);
            let (Some(grant), Some(role)) = (grant, role) else {
                return Err(Stranger::Unknown);
            };
            if grants.is_revoked(&id) {
                return Err(Stranger::Revoked);
            }
            if grant.is_expired(now.as_second()) {
                return Err(Stranger::Expired);
            }
            Ok(Admitted { role, id })
        })
    }

    /// Makes a token in a member's name and keeps what is to be known of it.
    pub fn make(
        &self,
        request: &TokenRequest,
        (identity, secret): (&Identity, &ClusterSecret),
        now: Timestamp,
    ) -> Result<TokenMade, Fault> {
        let label = request.label.clone().unwrap_or_default();
        if label.len() > LABEL_BYTES_MAX || label.contains(char::is_control) {
            let what = format!("a label has at most {LABEL_BYTES_MAX} characters, all on one line");
            return Err(Fault::new(FaultKind::Usage, what));
        }
        let seconds = seconds(request)?;
        let made = now.as_second();
        let expires = seconds.map(|s| u64::try_from(made).unwrap_or(0).saturating_add(s));
        let mut id = [0; 8];
        id.copy_from_slice(&random_key()[..8]);
        let (token, hash) = match request.purpose {
            Purpose::Join => {
                let token = secret.token_named(self.cluster, expires.unwrap_or(0), id);
                (token.to_string(), Fixed::default())
            }
            Purpose::Ask(_) => bearer(id),
        };
        let grant = Grant {
            id: Fixed(id),
            purpose: request.purpose,
            label,
            hash,
            made,
            expires,
            by: identity.node(),
            signature: Fixed::default(),
        };
        let grant = grant.sign(self.cluster, identity);
        let about = self.look(|grants| view(grants, &grant, made));
        let news = GrantNews {
            given: vec![grant],
            ..GrantNews::default()
        };
        self.keep(news)?;
        Ok(TokenMade { token, about })
    }

    /// Takes a token back in a member's name.
    pub fn revoke(&self, id: &str, identity: &Identity) -> Result<(), Fault> {
        let known = from_hex(id).map(Fixed);
        let known = known.filter(|id| self.look(|grants| grants.get(id).is_some()));
        let none = || {
            Fault::new(FaultKind::Nothing, format!("there is no token '{id}'"))
                .try_("glebe cluster token list")
        };
        let revocation = Revocation::new(known.ok_or_else(none)?, self.cluster, identity);
        self.keep(GrantNews {
            revoked: vec![revocation],
            ..GrantNews::default()
        })
    }

    /// Returns what is told of all tokens, the newest first.
    pub fn tokens(&self, now: Timestamp) -> Tokens {
        let mut tokens: Vec<TokenView> = self.look(|grants| {
            let views = grants.iter().map(|g| view(grants, g, now.as_second()));
            views.collect()
        });
        tokens.sort_by(|a, b| (b.made, &b.id).cmp(&(a.made, &a.id)));
        Tokens { tokens }
    }

    /// Tells whether a token was taken back.
    pub fn is_revoked(&self, id: [u8; 8]) -> bool {
        self.look(|grants| grants.is_revoked(&Fixed(id)))
    }

    /// Names what is held.
    pub fn digest(&self) -> u64 {
        self.look(Grants::digest)
    }

    /// Returns all that is held.
    pub fn news(&self) -> GrantNews {
        self.look(Grants::news)
    }

    /// Takes in what another node told; writes the file if something was new.
    pub fn absorb(
        &self,
        news: GrantNews,
        is_maker: impl Fn(&NodeId) -> bool,
    ) -> Result<Merged, KeyringError> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = grants.merge(news, self.cluster, is_maker);
        if merged.new > 0 {
            self.write(&grants)?;
        }
        Ok(merged)
    }

    fn keep(&self, news: GrantNews) -> Result<(), Fault> {
        let merged = self.absorb(news, |_| true).map_err(|e| {
            let source = std::error::Error::source(&e).map(ToString::to_string);
            let fault = Fault::new(FaultKind::Internal, "the token could not be kept");
            fault.because(source.unwrap_or_else(|| e.to_string()))
        })?;
        if merged.refused > 0 {
            return Err(
                Fault::new(FaultKind::Refused, "the cluster has too many tokens")
                    .because("those that expired or were revoked count, so that they stay so"),
            );
        }
        Ok(())
    }

    fn write(&self, grants: &Grants) -> Result<(), KeyringError> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let kept = Kept {
            format: FORMAT,
            news: grants.news(),
        };
        let text = serde_json::to_vec_pretty(&kept).map_err(|e| KeyringError::Damaged {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        write_private(path, &text).map_err(|source| KeyringError::Io {
            path: path.clone(),
            source,
        })
    }

    fn look<T>(&self, look: impl FnOnce(&Grants) -> T) -> T {
        look(&self.grants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(path: &Path) -> Result<Option<Kept>, KeyringError> {
    let failed = |source| KeyringError::Io {
        path: path.to_owned(),
        source,
    };
    match check_private(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        checked => checked.map_err(failed)?,
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let damaged = |reason: String| KeyringError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let kept: Kept = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    if kept.format != FORMAT {
        return Err(damaged(format!("format {} is not {FORMAT}", kept.format)));
    }
    Ok(Some(kept))
}

/// Returns how long a token is to be good.
fn seconds(request: &TokenRequest) -> Result<Option<u64>, Fault> {
    let seconds = match (request.purpose, request.lifetime) {
        (Purpose::Join, None) => Some(JOIN_SECONDS),
        (_, lifetime) => lifetime,
    };
    match seconds {
        Some(SECONDS_MAX..) => Err(
            Fault::new(FaultKind::Usage, "no token is good for that long")
                .try_("--for 30d, at most ten years"),
        ),
        seconds => Ok(seconds),
    }
}

/// Draws a token to ask with: its text, and what is kept of its secret.
fn bearer(id: [u8; 8]) -> (String, Fixed<32>) {
    let secret = random_key();
    let text = format!("{BEARER_MARK}{}{}", to_hex(&id), to_hex(&secret));
    (text, Fixed(*blake3::hash(&secret).as_bytes()))
}

/// Takes a token to ask with apart: its id and the hash of its secret.
fn parts(text: &str) -> Option<(GrantId, blake3::Hash)> {
    let digits = text.trim().strip_prefix(BEARER_MARK)?;
    let (id, secret) = digits.split_at_checked(ID_DIGITS)?;
    let secret: [u8; 32] = from_hex(secret)?;
    Some((Fixed(from_hex(id)?), blake3::hash(&secret)))
}

fn view(grants: &Grants, grant: &Grant, now: i64) -> TokenView {
    let instant = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let expires = |seconds: u64| instant(i64::try_from(seconds).unwrap_or(i64::MAX));
    let state = if grants.is_revoked(&grant.id) {
        TokenState::Revoked
    } else if grant.is_expired(now) {
        TokenState::Expired
    } else {
        TokenState::Good
    };
    TokenView {
        id: grant.id.to_string(),
        purpose: grant.purpose,
        label: Some(grant.label.clone()).filter(|label| !label.is_empty()),
        made_by: grant.by.to_string(),
        made: instant(grant.made),
        expires: grant.expires.map(expires),
        state,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ask(role: Role, lifetime: Option<u64>) -> TokenRequest {
        TokenRequest {
            purpose: Purpose::Ask(role),
            label: Some("lab".to_owned()),
            lifetime,
        }
    }

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, identity) = (ClusterId::draw(), Identity::generate());
        let secret = ClusterSecret::draw();
        let keyring = Keyring::open(folder.path(), cluster).unwrap();
        let make = |request| keyring.make(&request, (&identity, &secret), NOW).unwrap();
        let (short, long) = (
            make(ask(Role::Read, Some(10))),
            make(ask(Role::Admin, None)),
        );
        assert_eq!(keyring.check(&short.token, NOW).unwrap().role, Role::Read);
        assert_eq!(
            keyring.check(&short.token, later(10)),
            Err(Stranger::Expired)
        );
        let again = Keyring::open(folder.path(), cluster).unwrap();
        assert_eq!(
            again.check(&long.token, later(10)).unwrap().role,
            Role::Admin
        );
        again.revoke(&long.about.id, &identity).unwrap();
        assert_eq!(again.check(&long.token, NOW), Err(Stranger::Revoked));
        let third = Keyring::open(folder.path(), cluster).unwrap();
        assert_eq!(third.check(&long.token, NOW), Err(Stranger::Revoked));
        let states: Vec<TokenState> = third
            .tokens(later(11))
            .tokens
            .iter()
            .map(|t| t.state)
            .collect();
        assert!(states.contains(&TokenState::Revoked) && states.contains(&TokenState::Expired));
    }

    #[test]
    fn no_other_secret_is_taken_and_none_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, secret) = (Identity::generate(), ClusterSecret::draw());
        let keyring = Keyring::open(folder.path(), ClusterId::draw()).unwrap();
        let made = keyring
            .make(&ask(Role::Write, None), (&identity, &secret), NOW)
            .unwrap();
        let mut wrong = made.token.clone();
        let last = if wrong.pop() == Some('0') { '1' } else { '0' };
        wrong.push(last);
        let none = format!("{BEARER_MARK}{}", "0".repeat(80));
        for text in [
            wrong.as_str(),
            &none,
            "",
            "Bearer",
            BEARER_MARK,
            &made.token[..40],
        ] {
            assert_eq!(keyring.check(text, NOW), Err(Stranger::Unknown), "{text}");
        }
        let path = folder.path().join(TOKENS_FILE);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(!kept.contains(&made.token[BEARER_MARK.len() + ID_DIGITS..]));
        assert!(!format!("{made:?} {keyring:?}").contains(&made.token));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keyring::open(folder.path(), ClusterId::draw()).is_err());
    }

    #[test]
    fn a_token_to_join_with_is_none_to_ask_with() {
        let keyring = Keyring::none();
        let (identity, secret) = (Identity::generate(), ClusterSecret::draw());
        let request = TokenRequest {
            purpose: Purpose::Join,
            label: None,
            lifetime: None,
        };
        let made = keyring.make(&request, (&identity, &secret), NOW).unwrap();
        assert_eq!(keyring.check(&made.token, NOW), Err(Stranger::Unknown));
        let posing = format!("{BEARER_MARK}{}{}", made.about.id, to_hex(&[0; 32]));
        assert_eq!(keyring.check(&posing, NOW), Err(Stranger::Unknown));
        assert!(made.about.expires.is_some());
        let endless = ask(Role::Read, Some(u64::MAX));
        assert!(keyring.make(&endless, (&identity, &secret), NOW).is_err());
    }
}
