//! The join token: what lets a new node into a cluster.
//!
//! ```text
//! glebe1_ 128 hex digits = cluster id (16) | expiry (u64 BE, Unix seconds) | id (8) | mac (32)
//! mac   = BLAKE3 keyed by the cluster's secret, of "glebe join token 1" | cluster id | expiry | id
//! proof = BLAKE3 keyed by the mac, of what it is for | asking peer | answering peer
//! ```
//! A joiner proves that it holds the token without sending it, bound to the two ends of this
//! connection, so that a stranger who answers at the address learns nothing to join with. The
//! answer carries a proof too: the joiner knows that it met the cluster and not the stranger.
//!
//! *Invariants*: proofs are compared in constant time; token and secret appear in no `Debug` text.
//!
//! *Not here*: the messages that carry proofs (`peer`), the file that keeps the secret
//! (`cluster::file`), which tokens were taken back (`access`).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{NodeId, from_hex, random_key, to_hex};

/// First characters of a token's text: what it is, and its version.
const TEXT_MARK: &str = "glebe1_";
/// Bytes of a token behind its mark.
const TOKEN_BYTES: usize = 16 + 8 + 8 + 32;
/// What a token's mac is made over, before its fields.
const MAC_MARK: &[u8] = b"glebe join token 1";

/// The name of a cluster, drawn at random when it is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId([u8; 16]);

/// What makes and checks tokens; every member holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterSecret([u8; 32]);

/// Lets nodes into one cluster until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    cluster: ClusterId,
    expires: u64,
    id: [u8; 8],
    mac: [u8; 32],
}

/// The claim to hold a token, as it is sent; the token itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Cluster of the token.
    pub cluster: [u8; 16],
    /// Expiry of the token, Unix seconds.
    pub expires: u64,
    /// Id of the token.
    pub id: [u8; 8],
    /// Proof, for the two ends of the connection.
    pub proof: [u8; 32],
}

/// The two ends of a join: a proof for one pair is worth nothing to another.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// Who asks to join.
    pub joiner: &'a NodeId,
    /// Who answers.
    pub member: &'a NodeId,
}

/// Why a text is no token, or a claim is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not look like one.
    #[error("the text is no join token (it starts with {TEXT_MARK})")]
    Malformed,
    /// It is for another cluster.
    #[error("the join token is for another cluster")]
    OtherCluster,
    /// Its time is over.
    #[error("the join token has expired")]
    Expired,
    /// It was taken back.
    #[error("the join token was revoked")]
    Revoked,
    /// It was not made by this cluster.
    #[error("the join token is wrong")]
    Wrong,
}

impl ClusterId {
    /// Draws a new one.
    pub fn draw() -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&random_key()[..16]);
        Self(id)
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

impl ClusterSecret {
    /// Draws a new one.
    pub fn draw() -> Self {
        Self(random_key())
    }

    /// Makes a token that is good until it expires.
    pub fn token(&self, cluster: ClusterId, expires: Timestamp) -> Token {
        let expires = u64::try_from(expires.as_second()).unwrap_or(0);
        let mut id = [0; 8];
        id.copy_from_slice(&random_key()[..8]);
        self.token_named(cluster, expires, id)
    }

    /// Makes a token of that id, good until so many seconds after 1970.
    pub(crate) fn token_named(&self, cluster: ClusterId, expires: u64, id: [u8; 8]) -> Token {
        Token {
            cluster,
            expires,
            id,
            mac: self.mac(&cluster.0, expires, id),
        }
    }

    /// Checks a claim; returns the proof that answers it.
    pub fn admit(
        &self,
        cluster: ClusterId,
        claim: &Claim,
        ends: Ends<'_>,
        now: Timestamp,
    ) -> Result<[u8; 32], TokenError> {
        let mac = self.mac(&claim.cluster, claim.expires, claim.id);
        let expected = proof(&mac, Purpose::Join, ends);
        // `blake3::Hash` compares in constant time.
        if expected != blake3::Hash::from_bytes(claim.proof) {
            return Err(if claim.cluster == cluster.0 {
                TokenError::Wrong
            } else {
                TokenError::OtherCluster
            });
        }
        if i128::from(claim.expires) <= i128::from(now.as_second()) {
            return Err(TokenError::Expired);
        }
        Ok(*proof(&mac, Purpose::Admit, ends).as_bytes())
    }

    fn mac(&self, cluster: &[u8; 16], expires: u64, id: [u8; 8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher
            .update(MAC_MARK)
            .update(cluster)
            .update(&expires.to_be_bytes())
            .update(&id);
        *hasher.finalize().as_bytes()
    }
}

impl Token {
    /// Returns the claim to hold the token, for one join.
    pub fn claim(&self, ends: Ends<'_>) -> Claim {
        Claim {
            cluster: self.cluster.0,
            expires: self.expires,
            id: self.id,
            proof: *proof(&self.mac, Purpose::Join, ends).as_bytes(),
        }
    }

    /// Tells whether the answer came from a member of the token's cluster.
    pub fn answered_by(&self, answer: [u8; 32], ends: Ends<'_>) -> bool {
        proof(&self.mac, Purpose::Admit, ends) == blake3::Hash::from_bytes(answer)
    }

    /// Returns the cluster that it lets into.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }
}

/// What a proof is for: the answer to a claim is not the claim sent back.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Join,
    Admit,
}

fn proof(mac: &[u8; 32], purpose: Purpose, ends: Ends<'_>) -> blake3::Hash {
    let purpose: &[u8] = match purpose {
        Purpose::Join => b"glebe join 1\n",
        Purpose::Admit => b"glebe admit 1\n",
    };
    let mut hasher = blake3::Hasher::new_keyed(mac);
    hasher.update(purpose);
    hasher.update(ends.joiner.as_str().as_bytes()).update(b"\n");
    hasher.update(ends.member.as_str().as_bytes()).update(b"\n");
    hasher.finalize()
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expires = self.expires.to_be_bytes();
        let parts: [&[u8]; 4] = [&self.cluster.0, &expires, &self.id, &self.mac];
        write!(f, "{TEXT_MARK}{}", to_hex(&parts.concat()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Token(cluster {}, expires {})",
            to_hex(&self.cluster.0),
            self.expires
        )
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digits = text
            .trim()
            .strip_prefix(TEXT_MARK)
            .ok_or(TokenError::Malformed)?;
        let bytes: [u8; TOKEN_BYTES] = from_hex(digits).ok_or(TokenError::Malformed)?;
        let mut token = Self {
            cluster: ClusterId([0; 16]),
            expires: 0,
            id: [0; 8],
            mac: [0; 32],
        };
        let mut expires = [0; 8];
        token.cluster.0.copy_from_slice(&bytes[..16]);
        expires.copy_from_slice(&bytes[16..24]);
        token.id.copy_from_slice(&bytes[24..32]);
        token.mac.copy_from_slice(&bytes[32..]);
        token.expires = u64::from_be_bytes(expires);
        Ok(token)
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        to_hex(&id.0)
    }
}

impl TryFrom<String> for ClusterId {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        from_hex(&text).map(Self).ok_or(TokenError::Malformed)
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret")
    }
}

impl From<ClusterSecret> for String {
    fn from(secret: ClusterSecret) -> Self {
        to_hex(&secret.0)
    }
}

impl TryFrom<String> for ClusterSecret {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        from_hex(&text).map(Self).ok_or(TokenError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).unwrap()
    }

    fn node(name: &str) -> NodeId {
        NodeId::parse(name).unwrap()
    }

    /// Text of the token of cluster 11…, secret 22…, expiry 1,700,003,600, id 44…: frozen.
    const GOLDEN: &str = include_str!("../tests/golden/token.txt");

    fn golden() -> (ClusterId, ClusterSecret, Token) {
        let (cluster, secret) = (ClusterId([0x11; 16]), ClusterSecret([0x22; 32]));
        let token = secret.token_named(cluster, 1_700_003_600, [0x44; 8]);
        (cluster, secret, token)
    }

    #[test]
    fn the_text_of_a_token_is_frozen_and_reads_back() {
        let (_, _, token) = golden();
        assert_eq!(token.to_string(), GOLDEN.trim_end());
        assert_eq!(GOLDEN.parse::<Token>().unwrap(), token);
    }

    #[test]
    fn a_holder_is_admitted_and_knows_who_admitted_it() {
        let (cluster, secret, token) = golden();
        let (joiner, member) = (node("joiner"), node("member"));
        let ends = Ends {
            joiner: &joiner,
            member: &member,
        };
        let answer = secret
            .admit(cluster, &token.claim(ends), ends, at(0))
            .unwrap();
        assert!(token.answered_by(answer, ends));
        assert!(!token.answered_by(token.claim(ends).proof, ends));
    }

    #[test]
    fn a_claim_is_good_for_its_two_ends_only() {
        let (cluster, secret, token) = golden();
        let (joiner, member, thief) = (node("joiner"), node("member"), node("thief"));
        let ends = |joiner, member| Ends { joiner, member };
        let caught = token.claim(ends(&joiner, &thief));
        for tried in [ends(&thief, &member), ends(&joiner, &member)] {
            let refused = secret.admit(cluster, &caught, tried, at(0));
            assert_eq!(refused, Err(TokenError::Wrong));
        }
    }

    #[test]
    fn other_secrets_other_clusters_and_late_tokens_are_refused() {
        let (cluster, secret, token) = golden();
        let (joiner, member) = (node("joiner"), node("member"));
        let ends = Ends {
            joiner: &joiner,
            member: &member,
        };
        let claim = token.claim(ends);
        let other = ClusterSecret([0x33; 32]);
        assert_eq!(
            other.admit(cluster, &claim, ends, at(0)),
            Err(TokenError::Wrong)
        );
        let elsewhere = ClusterId([0x12; 16]);
        let stolen = other.token(elsewhere, at(3_600)).claim(ends);
        assert_eq!(
            secret.admit(cluster, &stolen, ends, at(0)),
            Err(TokenError::OtherCluster)
        );
        assert_eq!(
            secret.admit(cluster, &claim, ends, at(3_600)),
            Err(TokenError::Expired)
        );
        let mut longer = claim.clone();
        longer.expires += 1;
        assert_eq!(
            secret.admit(cluster, &longer, ends, at(0)),
            Err(TokenError::Wrong)
        );
    }

    #[test]
    fn no_text_but_the_token_itself_shows_what_is_secret() {
        let (_, secret, token) = golden();
        let shown = format!("{token:?} {secret:?}");
        assert!(!shown.contains("2222") && !shown.contains(&to_hex(&token.mac)));
        for wrong in ["", "glebe1_", "glebe2_00", &GOLDEN.trim_end()[..50]] {
            assert_eq!(wrong.parse::<Token>(), Err(TokenError::Malformed));
        }
    }
}
