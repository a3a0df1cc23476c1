//! Who is alive: the table of all members' latest beats, as one node knows it.
//!
//! Every node counts up its own beat; gossip spreads the newest of each. A beat that stands still
//! makes its node suspect, and down if probes, direct and through others, bring nothing either.
//!
//! *Invariants*: decides liveness only, never ownership; a beat is replaced by a newer one only;
//! nobody but the node itself counts up its beat; reads no clock: `now` is time since the start.
//!
//! *Not here*: the messages (`peer`), when they are sent (`cluster`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::cluster::NodeState;

use crate::access::Fixed;
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::slots::SlotSet;

/// How long a beat may stand still: four rounds of gossip.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(2);
/// How long before a suspect that no probe reached is down; a pause of 2 s is none.
pub const DOWN_AFTER: Duration = Duration::from_millis(4_500);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub node: NodeId,
    /// When it was said.
    pub age: Age,
    /// `host:port` of its peer-to-peer listener.
    pub p2p: String,
    /// Its HTTP address.
    pub http: String,
    /// The newest layout it knows; no write under an older one alone is in flight there.
    pub known: Stamp,
    /// The newest layout of whose slots it holds all that its owners should.
    pub synced: Stamp,
    /// The layout it reads from.
    pub reading: Stamp,
    /// Slots of which it holds what perhaps not all owners do: it must be asked, too.
    pub unconfirmed: SlotSet,
    /// Names the collections that it holds: another value, other collections.
    pub catalog: u64,
    /// The node's signature over all of this: nobody else speaks for it.
    pub signature: Fixed<64>,
}

/// What a beat's signature is made over, before its fields.
const BEAT_MARK: &[u8] = b"glebe beat 1\n";

impl Beat {
    /// Returns what its node signs.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let fields = (
            (&self.node, self.age, &self.p2p, &self.http),
            (self.known, self.synced, self.reading),
            (&self.unconfirmed, self.catalog),
        );
        [BEAT_MARK, &crate::peer::encode(&fields)].concat()
    }

    /// Tells whether its node signed it.
    pub fn is_signed(&self) -> bool {
        self.node.signed(&self.signed_bytes(), &self.signature)
    }
}

/// Orders the beats of one node: starts, then counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Age {
    /// One more with every start.
    pub incarnation: u64,
    /// One more with every beat.
    pub count: u64,
}

/// Another node.
#[derive(Debug, Clone)]
struct Peer {
    beat: Beat,
    heard: Duration,
    state: NodeState,
}

/// The latest beats.
#[derive(Debug, Clone)]
pub struct Table {
    me: Beat,
    /// When the own beat was as it was signed.
    signed: Option<Age>,
    peers: BTreeMap<NodeId, Peer>,
}

impl Table {
    /// Returns a table that knows of nobody else.
    pub fn new(me: Beat) -> Self {
        Self {
            me,
            signed: None,
            peers: BTreeMap::new(),
        }
    }

    /// Returns the own beat.
    pub fn me(&self) -> &Beat {
        &self.me
    }

    /// Counts up the own beat, after a change to what it says.
    pub fn beat(&mut self, change: impl FnOnce(&mut Beat)) {
        change(&mut self.me);
        self.me.age.count += 1;
    }

    /// Signs the own beat, unless it stands as it was signed.
    pub fn sign(&mut self, sign: impl FnOnce(&[u8]) -> Fixed<64>) {
        if self.signed != Some(self.me.age) {
            self.me.signature = sign(&self.me.signed_bytes());
            self.signed = Some(self.me.age);
        }
    }

    /// Tells whether a beat would be news.
    pub fn is_news(&self, beat: &Beat) -> bool {
        self.of(&beat.node).is_none_or(|known| beat.age > known.age)
    }

    /// Takes in a beat; returns whether it was news.
    pub fn hear(&mut self, beat: Beat, now: Duration) -> bool {
        if beat.node == self.me.node {
            // Only an earlier life of this node can be ahead of it: say something newer.
            if beat.age > self.me.age {
                self.me.age.incarnation = beat.age.incarnation.saturating_add(1);
            }
            return false;
        }
        let known = self.peers.get(&beat.node);
        if known.is_some_and(|peer| beat.age <= peer.beat.age) {
            return false;
        }
        let peer = Peer {
            heard: now,
            state: NodeState::Up,
            beat,
        };
        self.peers.insert(peer.beat.node.clone(), peer);
        true
    }

    /// Takes in a beat of unknown freshness: where a node was before this one stopped.
    pub fn recall(&mut self, beat: Beat) {
        let peer = Peer {
            heard: Duration::ZERO,
            state: NodeState::Suspect,
            beat,
        };
        self.peers.entry(peer.beat.node.clone()).or_insert(peer);
    }

    /// Forgets nodes that are no members.
    pub fn retain(&mut self, member: impl Fn(&NodeId) -> bool) {
        self.peers.retain(|node, _| member(node));
    }

    /// Notes that a node answered.
    pub fn answered(&mut self, node: &NodeId, now: Duration) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.heard = now;
            peer.state = NodeState::Up;
        }
    }

    /// Notes that a node did not answer a question.
    pub fn failed(&mut self, node: &NodeId) {
        if let Some(peer) = self.peers.get_mut(node)
            && peer.state == NodeState::Up
        {
            peer.state = NodeState::Suspect;
        }
    }

    /// Notes that a node refuses connections, to this node and to all that were asked for help.
    pub fn gone(&mut self, node: &NodeId) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.state = NodeState::Down;
        }
    }

    /// Lets time pass; returns the suspects, to be probed.
    pub fn tick(&mut self, now: Duration) -> Vec<NodeId> {
        for peer in self.peers.values_mut() {
            let silent = now.saturating_sub(peer.heard);
            if silent >= DOWN_AFTER {
                peer.state = NodeState::Down;
            } else if silent >= SUSPECT_AFTER && peer.state == NodeState::Up {
                peer.state = NodeState::Suspect;
            }
        }
        let suspect = |(_, peer): &(&NodeId, &Peer)| peer.state == NodeState::Suspect;
        let suspects = self.peers.iter().filter(suspect);
        suspects.map(|(node, _)| node.clone()).collect()
    }

    /// Returns a node's liveness; who was never heard of is down.
    pub fn state(&self, node: &NodeId) -> NodeState {
        if *node == self.me.node {
            return NodeState::Up;
        }
        self.peers.get(node).map_or(NodeState::Down, |p| p.state)
    }

    /// Tells whether a node may answer.
    pub fn may_answer(&self, node: &NodeId) -> bool {
        self.state(node) != NodeState::Down
    }

    /// Returns a node's latest beat.
    pub fn of(&self, node: &NodeId) -> Option<&Beat> {
        if *node == self.me.node {
            return Some(&self.me);
        }
        self.peers.get(node).map(|peer| &peer.beat)
    }

    /// Returns the latest beats of all, this node's too.
    pub fn beats(&self) -> impl Iterator<Item = &Beat> {
        std::iter::once(&self.me).chain(self.peers.values().map(|p| &p.beat))
    }

    /// Returns the other nodes in that state.
    pub fn peers_in(&self, state: NodeState) -> impl Iterator<Item = &NodeId> {
        let there = self.peers.iter().filter(move |(_, p)| p.state == state);
        there.map(|(node, _)| node)
    }

    /// Returns how old each known beat is, to be compared by another node.
    pub fn ages(&self) -> Vec<(NodeId, Age)> {
        self.beats().map(|b| (b.node.clone(), b.age)).collect()
    }

    /// Returns the beats that are newer than those somebody has.
    pub fn newer_than(&self, ages: &[(NodeId, Age)]) -> Vec<Beat> {
        let theirs: BTreeMap<&NodeId, Age> = ages.iter().map(|(n, a)| (n, *a)).collect();
        let newer = |b: &&Beat| theirs.get(&b.node).is_none_or(|age| b.age > *age);
        self.beats().filter(newer).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::parse(name).unwrap()
    }

    fn beat(name: &str, incarnation: u64, count: u64) -> Beat {
        Beat {
            node: node(name),
            age: Age { incarnation, count },
            p2p: String::new(),
            http: String::new(),
            known: Stamp::default(),
            synced: Stamp::default(),
            reading: Stamp::default(),
            unconfirmed: SlotSet::none(),
            catalog: 0,
            signature: Fixed::default(),
        }
    }

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    fn table() -> Table {
        let mut table = Table::new(beat("me", 1, 0));
        assert!(table.hear(beat("peer", 1, 5), seconds(0.0)));
        table
    }

    #[test]
    fn silence_makes_suspect_then_down_and_any_news_up() {
        let mut table = table();
        let peer = node("peer");
        assert!(table.tick(seconds(1.9)).is_empty());
        assert_eq!(table.tick(seconds(2.0)), vec![peer.clone()]);
        assert_eq!(table.state(&peer), NodeState::Suspect);
        assert!(table.tick(seconds(4.5)).is_empty());
        assert_eq!(table.state(&peer), NodeState::Down);
        assert!(table.hear(beat("peer", 1, 6), seconds(5.0)));
        assert_eq!(table.state(&peer), NodeState::Up);
    }

    #[test]
    fn an_old_beat_heard_again_is_no_sign_of_life() {
        let mut table = table();
        assert!(!table.hear(beat("peer", 1, 5), seconds(4.0)));
        assert!(!table.hear(beat("peer", 1, 4), seconds(4.0)));
        table.tick(seconds(4.5));
        assert_eq!(table.state(&node("peer")), NodeState::Down);
        assert!(
            table.hear(beat("peer", 2, 0), seconds(5.0)),
            "a restart counts from zero"
        );
    }

    #[test]
    fn a_probe_that_is_answered_clears_the_suspicion() {
        let mut table = table();
        table.failed(&node("peer"));
        assert_eq!(table.state(&node("peer")), NodeState::Suspect);
        table.answered(&node("peer"), seconds(1.0));
        assert_eq!(table.state(&node("peer")), NodeState::Up);
        table.gone(&node("peer"));
        assert!(!table.may_answer(&node("peer")));
    }

    #[test]
    fn nobody_else_counts_up_this_nodes_beat() {
        let mut table = table();
        assert!(!table.hear(beat("me", 7, 3), seconds(1.0)));
        assert_eq!(table.me().age.incarnation, 8);
        assert_eq!(table.state(&node("me")), NodeState::Up);
    }

    #[test]
    fn only_what_is_newer_is_told() {
        let mut table = table();
        table.beat(|me| me.http = "http://x".to_owned());
        let told = table.newer_than(&[(
            node("peer"),
            Age {
                incarnation: 1,
                count: 5,
            },
        )]);
        assert_eq!(
            told.iter().map(|b| b.node.as_str()).collect::<Vec<_>>(),
            ["me"]
        );
        assert!(table.newer_than(&table.ages()).is_empty());
    }
}
