//! What was given and taken back: two mergeable sets.
//!
//! *Invariants*: merging is union, so it is commutative, associative and idempotent; every entry is
//! signed, over the cluster's id too, by a node that is or was a member; pure: no clock, no file.
//!
//! *Not here*: the secrets (nowhere), the file (`keyring`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::access::{Purpose, Role};

use super::fixed::Fixed;
use crate::identity::{Identity, NodeId};
use crate::peer::encode;
use crate::token::ClusterId;

/// Greatest number of tokens kept, those taken back too: one a day for three years, and all of
/// them, with their signatures, fit a message between nodes.
const GRANTS_MAX: usize = 1_024;
/// Longest label.
pub(super) const LABEL_BYTES_MAX: usize = 120;
/// What a grant's signature is made over, before its fields.
const GRANT_MARK: &[u8] = b"glebe grant 1\n";
/// What a revocation's signature is made over, before its fields.
const REVOCATION_MARK: &[u8] = b"glebe revocation 1\n";

/// Names a token.
pub type GrantId = Fixed<8>;

/// A token that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Names it.
    pub id: GrantId,
    /// What it is for.
    pub purpose: Purpose,
    /// Who or what it was given to; empty if nobody said.
    pub label: String,
    /// BLAKE3 of its secret; zeros for a token to join with, which proves itself.
    pub hash: Fixed<32>,
    /// When, Unix seconds.
    pub made: i64,
    /// Until when it is good, Unix seconds.
    pub expires: Option<u64>,
    /// The member that made it.
    pub by: NodeId,
    /// That member's signature.
    pub signature: Fixed<64>,
}

/// A token that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which.
    pub id: GrantId,
    /// The member that did.
    pub by: NodeId,
    /// That member's signature.
    pub signature: Fixed<64>,
}

/// What another node may not know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GrantNews {
    /// Tokens given.
    pub given: Vec<Grant>,
    /// Tokens taken back.
    pub revoked: Vec<Revocation>,
}

/// All tokens of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    given: BTreeMap<GrantId, Grant>,
    revoked: BTreeMap<GrantId, Revocation>,
}

/// What merging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Entries that were new.
    pub new: usize,
    /// Entries that nobody may have made, or for which there is no room.
    pub refused: usize,
}

impl Grant {
    fn signed(&self, cluster: ClusterId) -> Vec<u8> {
        let fields = (
            cluster.bytes(),
            self.id,
            self.purpose,
            &self.label,
            self.hash,
            self.made,
            self.expires,
            &self.by,
        );
        [GRANT_MARK, &encode(&fields)].concat()
    }

    /// Signs it.
    #[must_use]
    pub fn sign(mut self, cluster: ClusterId, identity: &Identity) -> Self {
        self.by = identity.node();
        self.signature = identity.sign(&self.signed(cluster));
        self
    }

    fn is_sound(&self, cluster: ClusterId) -> bool {
        self.label.len() <= LABEL_BYTES_MAX
            && self.by.signed(&self.signed(cluster), &self.signature)
    }

    /// Returns the role of whoever shows it, if it is one to ask with.
    pub fn role(&self) -> Option<Role> {
        match self.purpose {
            Purpose::Join => None,
            Purpose::Ask(role) => Some(role),
        }
    }

    /// Tells whether its time is over.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires
            .is_some_and(|e| i128::from(e) <= i128::from(now))
    }
}

impl Revocation {
    /// Takes a token back in a member's name.
    pub fn new(id: GrantId, cluster: ClusterId, identity: &Identity) -> Self {
        let by = identity.node();
        let signature = identity.sign(&Self::signed(id, cluster, &by));
        Self { id, by, signature }
    }

    fn signed(id: GrantId, cluster: ClusterId, by: &NodeId) -> Vec<u8> {
        [REVOCATION_MARK, &encode(&(cluster.bytes(), id, by))].concat()
    }

    fn is_sound(&self, cluster: ClusterId) -> bool {
        let bytes = Self::signed(self.id, cluster, &self.by);
        self.by.signed(&bytes, &self.signature)
    }
}

impl Grants {
    /// Returns a token.
    pub fn get(&self, id: &GrantId) -> Option<&Grant> {
        self.given.get(id)
    }

    /// Tells whether a token was taken back.
    pub fn is_revoked(&self, id: &GrantId) -> bool {
        self.revoked.contains_key(id)
    }

    /// Returns all tokens.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.given.values()
    }

    /// Tells whether another token can be kept.
    pub fn has_room(&self) -> bool {
        self.given.len() < GRANTS_MAX
    }

    /// Returns all entries, for another node or the file.
    pub fn news(&self) -> GrantNews {
        GrantNews {
            given: self.given.values().cloned().collect(),
            revoked: self.revoked.values().cloned().collect(),
        }
    }

    /// Names the content: nodes with the same name hold the same.
    pub fn digest(&self) -> u64 {
        let names = (
            self.given.keys().collect::<Vec<_>>(),
            self.revoked.keys().collect::<Vec<_>>(),
        );
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(&encode(&names)).as_bytes()[..8]);
        u64::from_be_bytes(first)
    }

    /// Takes in what is new, signed, and by somebody of whom `is_maker` holds.
    pub fn merge(
        &mut self,
        news: GrantNews,
        cluster: ClusterId,
        is_maker: impl Fn(&NodeId) -> bool,
    ) -> Merged {
        let mut merged = Merged::default();
        for grant in news.given {
            if self.given.contains_key(&grant.id) {
                continue;
            }
            if self.has_room() && is_maker(&grant.by) && grant.is_sound(cluster) {
                self.given.insert(grant.id, grant);
                merged.new += 1;
            } else {
                merged.refused += 1;
            }
        }
        for revocation in news.revoked {
            if self.revoked.contains_key(&revocation.id) {
                continue;
            }
            let has_room = self.revoked.len() < GRANTS_MAX;
            if has_room && is_maker(&revocation.by) && revocation.is_sound(cluster) {
                self.revoked.insert(revocation.id, revocation);
                merged.new += 1;
            } else {
                merged.refused += 1;
            }
        }
        merged
    }
}

impl GrantNews {
    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.revoked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(id: u8, identity: &Identity, cluster: ClusterId) -> Grant {
        let grant = Grant {
            id: Fixed([id; 8]),
            purpose: Purpose::Ask(Role::Read),
            label: String::new(),
            hash: Fixed([id; 32]),
            made: 5,
            expires: Some(10),
            by: identity.node(),
            signature: Fixed::default(),
        };
        grant.sign(cluster, identity)
    }

    fn given(given: Vec<Grant>) -> GrantNews {
        GrantNews {
            given,
            ..GrantNews::default()
        }
    }

    #[test]
    fn entries_merge_in_any_order_and_what_was_taken_back_stays_so() {
        let (maker, cluster) = (Identity::generate(), ClusterId::draw());
        let all = given(vec![grant(1, &maker, cluster), grant(2, &maker, cluster)]);
        let back = GrantNews {
            revoked: vec![Revocation::new(Fixed([1; 8]), cluster, &maker)],
            ..GrantNews::default()
        };
        let (mut a, mut b) = (Grants::default(), Grants::default());
        a.merge(all.clone(), cluster, |_| true);
        a.merge(back.clone(), cluster, |_| true);
        b.merge(back, cluster, |_| true);
        let merged = b.merge(all.clone(), cluster, |_| true);
        assert_eq!((merged.new, merged.refused), (2, 0));
        assert_eq!((&a, a.digest()), (&b, b.digest()));
        assert_eq!(a.merge(all, cluster, |_| true), Merged::default());
        assert!(a.is_revoked(&Fixed([1; 8])) && !a.is_revoked(&Fixed([2; 8])));
    }

    #[test]
    fn what_no_member_signed_for_this_cluster_is_refused() {
        let (maker, cluster) = (Identity::generate(), ClusterId::draw());
        let good = grant(1, &maker, cluster);
        let mut greater = good.clone();
        greater.purpose = Purpose::Ask(Role::Admin);
        let mut of_another = good.clone();
        of_another.by = Identity::generate().node();
        let foreign = grant(1, &maker, ClusterId::draw());
        let mut grants = Grants::default();
        for bad in [greater, of_another, foreign] {
            let merged = grants.merge(given(vec![bad]), cluster, |_| true);
            assert_eq!((merged.new, merged.refused), (0, 1));
        }
        let merged = grants.merge(given(vec![good.clone()]), cluster, |_| false);
        assert_eq!(merged.refused, 1, "the maker is no member");
        let mut taken = Revocation::new(Fixed([1; 8]), cluster, &maker);
        taken.id = Fixed([9; 8]);
        let news = GrantNews {
            revoked: vec![taken],
            ..given(vec![good])
        };
        let merged = grants.merge(news, cluster, |_| true);
        assert_eq!((merged.new, merged.refused), (1, 1));
    }

    #[test]
    fn a_flood_of_tokens_ends_at_the_limit() {
        let (maker, cluster) = (Identity::generate(), ClusterId::draw());
        let mut grants = Grants::default();
        let one = grant(1, &maker, cluster);
        for i in 0..GRANTS_MAX {
            let mut id = [0; 8];
            id[..2].copy_from_slice(&u16::try_from(i).unwrap().to_be_bytes());
            grants.given.insert(Fixed(id), one.clone());
        }
        let merged = grants.merge(given(vec![grant(7, &maker, cluster)]), cluster, |_| true);
        assert_eq!((merged.new, merged.refused), (0, 1));
    }
}
