//! Who is alive: the table of all members' latest beats, as one node knows it.
//!
//! ```text
//!            a question failed, or another said so          no probe in DOWN_AFTER
//!     up ──────────────────────────────────────▶ suspect ──────────────────────▶ down
//!      ◀──────────── it answered ───────────────┘   └── refused everywhere ──▶  │
//!      ◀──────────── it answered, or it has started anew ───────────────────────┘
//! ```
//! A node's beat is told when it says something new. Life is not read from it: every round each
//! node asks one other something (SWIM), and who does not answer is suspected by all at once.
//!
//! *Invariants*: decides liveness only, never ownership; a beat is replaced by a newer one only;
//! nobody but the node itself counts up its beat; reads no clock: `now` is time since the start; a
//! node that was itself paused takes nobody for dead because of it.
//!
//! *Not here*: the messages (`peer`), when they are sent (`cluster`).

mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::cluster::NodeState;

use crate::access::Fixed;
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::peer::Versions;
use crate::slots::SlotSet;

/// How long before a suspect that no probe reached is down. A pause of 2 s is none: the question
/// that finds it takes a second to fail, and these two come after it.
pub const DOWN_AFTER: Duration = Duration::from_secs(2);
/// Between two ticks, longer than this the node itself was paused: four rounds.
const PAUSED_AFTER: Duration = Duration::from_secs(2);

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
    /// What it speaks and reads.
    pub versions: Versions,
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
            (&self.unconfirmed, self.catalog, self.versions),
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
    state: NodeState,
    /// When it became suspect, if it is.
    suspect_since: Duration,
}

/// The latest beats.
#[derive(Debug, Clone)]
pub struct Table {
    me: Beat,
    /// When the own beat was as it was signed.
    signed: Option<Age>,
    peers: BTreeMap<NodeId, Peer>,
    /// Suspects that this node found by itself and has told nobody.
    untold: BTreeSet<NodeId>,
    /// Nodes that are down and yet said something: to be probed.
    stirring: BTreeSet<NodeId>,
    last_tick: Duration,
    /// When members refused to speak with this node, first and last, while none answered.
    refused: Option<(Duration, Duration)>,
}

/// What is to be done after time has passed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tick {
    /// Nodes to probe.
    pub probe: Vec<NodeId>,
    /// New suspects with the age of their beats: others are to probe them, too.
    pub tell: Vec<(NodeId, Age)>,
}

impl Table {
    /// Returns a table that knows of nobody else.
    pub fn new(me: Beat) -> Self {
        Self {
            me,
            signed: None,
            peers: BTreeMap::new(),
            untold: BTreeSet::new(),
            stirring: BTreeSet::new(),
            last_tick: Duration::ZERO,
            refused: None,
        }
    }

    /// Returns the own beat.
    pub fn me(&self) -> &Beat {
        &self.me
    }

    /// Changes what the own beat says; counts it up if that is something new.
    pub fn beat(&mut self, change: impl FnOnce(&mut Beat)) {
        let before = self.me.clone();
        change(&mut self.me);
        if self.me != before {
            self.me.age.count += 1;
        }
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
        let state = match known {
            Some(peer) if beat.age <= peer.beat.age => return false,
            // It may have said so long ago: only a start is a sign of life.
            Some(peer) if beat.age.incarnation == peer.beat.age.incarnation => peer.state,
            _ => NodeState::Up,
        };
        if state == NodeState::Down {
            self.stirring.insert(beat.node.clone());
        }
        let suspect_since = known.map_or(now, |peer| peer.suspect_since);
        let peer = Peer {
            beat,
            state,
            suspect_since,
        };
        self.peers.insert(peer.beat.node.clone(), peer);
        true
    }

    /// Takes in a beat of unknown freshness: where a node was before this one stopped.
    pub fn recall(&mut self, beat: Beat, now: Duration) {
        let peer = Peer {
            suspect_since: now,
            state: NodeState::Suspect,
            beat,
        };
        self.peers.entry(peer.beat.node.clone()).or_insert(peer);
    }

    /// Notes where a node that does not answer was found; to be probed there.
    pub fn found(&mut self, node: &NodeId, p2p: String) {
        if let Some(peer) = self.peers.get_mut(node)
            && peer.state != NodeState::Up
        {
            peer.beat.p2p = p2p;
            self.stirring.insert(node.clone());
        }
    }

    /// Forgets nodes that are no members.
    pub fn retain(&mut self, member: impl Fn(&NodeId) -> bool) {
        self.peers.retain(|node, _| member(node));
    }

    /// Notes that a node answered.
    pub fn answered(&mut self, node: &NodeId) {
        self.refused = None;
        if let Some(peer) = self.peers.get_mut(node) {
            peer.state = NodeState::Up;
            self.untold.remove(node);
        }
    }

    /// Notes that a node asked something: one that is down is to be probed.
    pub fn stirred(&mut self, node: &NodeId) {
        if self
            .peers
            .get(node)
            .is_some_and(|p| p.state == NodeState::Down)
        {
            self.stirring.insert(node.clone());
        }
    }

    /// Notes that a node did not answer a question; tells whether it is suspect from now on.
    pub fn failed(&mut self, node: &NodeId, now: Duration) -> bool {
        let found = self.suspect(node, now);
        if found {
            self.untold.insert(node.clone());
        }
        found
    }

    /// Notes that another suspects a node, whose beat of that age it knows.
    pub fn suspected(&mut self, node: &NodeId, age: Age, now: Duration) {
        if self.of(node).is_some_and(|beat| beat.age <= age) {
            self.suspect(node, now);
        }
    }

    fn suspect(&mut self, node: &NodeId, now: Duration) -> bool {
        match self.peers.get_mut(node) {
            Some(peer) if peer.state == NodeState::Up => {
                peer.state = NodeState::Suspect;
                peer.suspect_since = now;
                true
            }
            _ => false,
        }
    }

    /// Notes that a node refuses connections, to this node and to all that were asked for help.
    pub fn gone(&mut self, node: &NodeId) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.state = NodeState::Down;
        }
    }

    /// Lets time pass; returns what is to be done.
    pub fn tick(&mut self, now: Duration) -> Tick {
        let passed = now.saturating_sub(self.last_tick);
        self.last_tick = now;
        let paused = if passed > PAUSED_AFTER {
            passed
        } else {
            Duration::ZERO
        };
        let mut tick = Tick::default();
        for (node, peer) in &mut self.peers {
            if peer.state != NodeState::Suspect {
                continue;
            }
            peer.suspect_since += paused;
            if now.saturating_sub(peer.suspect_since) >= DOWN_AFTER {
                peer.state = NodeState::Down;
                continue;
            }
            tick.probe.push(node.clone());
            if self.untold.contains(node) {
                tick.tell.push((node.clone(), peer.beat.age));
            }
        }
        self.untold.clear();
        tick.probe.extend(std::mem::take(&mut self.stirring));
        tick
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

    /// Returns what other members say that must be asked besides owners.
    pub fn marked(&self) -> impl Iterator<Item = &Beat> {
        let beats = self.peers.values().map(|peer| &peer.beat);
        beats.filter(|beat| !beat.unconfirmed.is_empty())
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

    /// Returns a digest of how old each known beat is: the same where all the same is known. Who
    /// is remembered and has said nothing yet does not count: nobody can tell another of it.
    pub fn digest(&self) -> u64 {
        let said = self.beats().filter(|b| b.age > Age::default());
        let mut ages: Vec<(&NodeId, Age)> = said.map(|b| (&b.node, b.age)).collect();
        ages.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (node, age) in ages {
            hasher.update(node.as_str().as_bytes()).update(b"\n");
            hasher.update(&age.incarnation.to_le_bytes());
            hasher.update(&age.count.to_le_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_be_bytes(first)
    }

    /// Returns the beats that are newer than those somebody has.
    pub fn newer_than(&self, ages: &[(NodeId, Age)]) -> Vec<Beat> {
        let theirs: BTreeMap<&NodeId, Age> = ages.iter().map(|(n, a)| (n, *a)).collect();
        let newer = |b: &&Beat| theirs.get(&b.node).is_none_or(|age| b.age > *age);
        self.beats().filter(newer).cloned().collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
