//! A network without wires: frames between the nodes of one thread, late, lost, doubled, cut off.
//!
//! ```text
//! Link ──Command──▶ carrier ──(delay, loss, cut)──▶ Inbound ──▶ answer ──(again)──▶ Link
//! ```
//! A node's `Link` is the real one, with its deadlines and lanes; only the task behind it is
//! another. As over TCP, what is lost comes later, or the connection breaks and nobody knows
//! whether the question arrived; across a cut nothing comes at all.
//!
//! *Invariants*: nothing is carried to or from a node that is down or without power; whom a node
//! has not admitted it does not answer; what is drawn depends on the seed and the order of frames
//! alone.
//!
//! *Not here*: when what goes wrong (`faults`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use super::dice::Dice;
use super::log::Log;
use crate::identity::NodeId;
use crate::rope::Rope;
use crate::store::ModelDisk;
use crate::swarm::{
    Answered, Command, Inbound, Link, LinkError, Listening, QUEUE_MAX, Reached, Reply,
};

/// Names of questions, by the first byte of their frames.
const WORDS: [&str; 22] = [
    "gossip",
    "tell",
    "probe",
    "versions",
    "put",
    "mark",
    "describe",
    "fetch",
    "list",
    "search",
    "emptiness",
    "records",
    "status",
    "forget",
    "plan",
    "jobs",
    "counts",
    "cancel",
    "compose",
    "fetch-composed",
    "compare",
    "repair",
];
/// Shortest and longest time after which TCP sends again what was lost, in milliseconds.
const SENT_AGAIN_MS: (u64, u64) = (200, 1_600);

/// How frames fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Shortest and longest time under way, in milliseconds.
    pub delay_ms: (u64, u64),
    /// Frames of a thousand that are lost and sent again.
    pub lost: u64,
    /// Frames of a thousand with which the connection breaks.
    pub broken: u64,
    /// Questions of a thousand that arrive twice.
    pub doubled: u64,
}

impl Weather {
    /// A rack.
    pub(crate) const CALM: Self = Self {
        delay_ms: (1, 5),
        lost: 0,
        broken: 0,
        doubled: 0,
    };
    /// A bad line.
    pub(crate) const STORM: Self = Self {
        delay_ms: (1, 250),
        lost: 120,
        broken: 25,
        doubled: 40,
    };
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    pub log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    weather: Weather,
    ends: BTreeMap<SocketAddr, End>,
    /// From whom to whom nothing comes through.
    cuts: BTreeSet<(NodeId, NodeId)>,
    sent: BTreeMap<NodeId, Sent>,
    /// Disks of nodes, which have power as long as these do.
    disks: BTreeMap<NodeId, ModelDisk>,
    /// What nodes are called: spelling that out for every frame took a twentieth of a drill.
    names: BTreeMap<PeerId, NodeId>,
}

/// A node that listens.
#[derive(Debug)]
struct End {
    node: NodeId,
    peer: PeerId,
    inbound: mpsc::Sender<Inbound>,
    admitted: BTreeSet<PeerId>,
}

/// What a node has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    /// Questions and answers.
    pub frames: u64,
    /// Their bytes, as encoded.
    pub bytes: u64,
}

/// What becomes of a frame.
enum Fate {
    Arrives(Duration),
    Breaks(Duration),
    Vanishes,
}

/// A question under way.
struct Question {
    from: NodeId,
    /// Who asks, as a peer.
    peer: Option<PeerId>,
    to: NodeId,
    address: Option<SocketAddr>,
    frame: Bytes,
    member: bool,
}

impl Network {
    /// Returns a network of nobody.
    pub(crate) fn new(dice: Dice, log: Arc<Log>) -> Arc<Self> {
        let state = State {
            dice,
            weather: Weather::CALM,
            ends: BTreeMap::new(),
            cuts: BTreeSet::new(),
            sent: BTreeMap::new(),
            disks: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        Arc::new(Self {
            log,
            state: Mutex::new(state),
        })
    }

    /// Lets a node listen at an address; its carrier ends with its last `Link`.
    pub(crate) fn attach(
        self: &Arc<Self>,
        node: &NodeId,
        address: SocketAddr,
        disk: &ModelDisk,
    ) -> Listening {
        self.lock().disks.insert(node.clone(), disk.clone());
        let (commands, receiver) = mpsc::channel(QUEUE_MAX);
        let (sender, inbound) = mpsc::channel(QUEUE_MAX);
        if let Some(peer) = node.peer() {
            let end = End {
                node: node.clone(),
                peer,
                inbound: sender,
                admitted: BTreeSet::new(),
            };
            let mut state = self.lock();
            state.ends.insert(address, end);
            state.names.insert(peer, node.clone());
        }
        let network = Arc::clone(self);
        tokio::spawn(network.carry_all((node.clone(), address), receiver));
        Listening {
            link: Link::new(commands, node.clone()),
            inbound,
            address,
            refusals: Arc::default(),
        }
    }

    /// Lets whoever listens at an address be gone, as after `kill -9`.
    pub(crate) fn detach(&self, address: SocketAddr) {
        self.lock().ends.remove(&address);
    }

    /// Changes how frames fare.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Lets nothing come through from one node to another, or everything again.
    pub(crate) fn cut(&self, from: &NodeId, to: &NodeId) {
        self.lock().cuts.insert((from.clone(), to.clone()));
    }

    /// Mends all cuts.
    pub(crate) fn mend(&self) {
        self.lock().cuts.clear();
    }

    /// Returns what each node has sent so far.
    pub(crate) fn sent(&self) -> BTreeMap<NodeId, Sent> {
        self.lock().sent.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out what a node's `Link` commands.
    async fn carry_all(
        self: Arc<Self>,
        (node, address): (NodeId, SocketAddr),
        mut commands: mpsc::Receiver<Command>,
    ) {
        let me = (&node, node.peer());
        while let Some(command) = commands.recv().await {
            match command {
                Command::Ask {
                    peer,
                    address,
                    frame,
                    reply,
                } => self.ask((me, peer), Some(address), (frame, true), reply),
                Command::Join { peer, frame, reply } => {
                    self.ask((me, peer), None, (frame, false), reply);
                }
                Command::Reach { address, reply } => {
                    tokio::spawn(Arc::clone(&self).reach(node.clone(), address, reply));
                }
                Command::Admit { peers } => {
                    if let Some(end) = self.lock().ends.get_mut(&address) {
                        end.admitted.extend(peers);
                    }
                }
                Command::Part { .. } | Command::Answer { .. } => {}
                Command::Stop => return,
            }
        }
    }

    fn ask(
        self: &Arc<Self>,
        ((from, peer), to): ((&NodeId, Option<PeerId>), PeerId),
        address: Option<SocketAddr>,
        (frame, member): (Rope, bool),
        reply: oneshot::Sender<Answered>,
    ) {
        let name = self.lock().names.get(&to).cloned();
        let question = Question {
            from: from.clone(),
            peer,
            to: name.unwrap_or_else(|| to.into()),
            address,
            frame: frame.joined(),
            member,
        };
        tokio::spawn(Arc::clone(self).carry(question, reply));
    }

    /// Carries a question there and its answer back.
    async fn carry(self: Arc<Self>, question: Question, reply: oneshot::Sender<Answered>) {
        let Question { from, to, .. } = &question;
        let word = question.word();
        match self.fate((from, to), (word, question.frame.len())) {
            Fate::Vanishes => return silence(reply).await,
            Fate::Arrives(delay) => tokio::time::sleep(delay).await,
            Fate::Breaks(delay) => {
                tokio::time::sleep(delay).await;
                return tell(reply, Err(LinkError::Unreachable));
            }
        }
        let waiting = match self.deliver(&question) {
            Ok(waiting) => waiting,
            Err(error) => return tell(reply, Err(error)),
        };
        let Ok(answer) = waiting.await else {
            let lives = self.lock().ends.values().any(|end| end.node == *to);
            let error = [LinkError::Unreachable, LinkError::Refused][usize::from(lives)].clone();
            return tell(reply, Err(error));
        };
        let answer = answer.joined();
        match self.fate((to, from), (word, answer.len())) {
            Fate::Vanishes => silence(reply).await,
            Fate::Arrives(delay) => {
                tokio::time::sleep(delay).await;
                tell(reply, Ok(answer));
            }
            Fate::Breaks(delay) => {
                tokio::time::sleep(delay).await;
                tell(reply, Err(LinkError::Unreachable));
            }
        }
    }

    /// Hands a question to the node it is for; returns where its answer comes.
    fn deliver(
        self: &Arc<Self>,
        question: &Question,
    ) -> Result<oneshot::Receiver<Rope>, LinkError> {
        let mut state = self.lock();
        let peer = question.peer.ok_or(LinkError::NoPeer)?;
        let doubled = state.weather.doubled;
        let doubled = question.member && state.dice.chance(doubled);
        let end = match question.address {
            Some(address) => state.ends.get(&address).filter(|e| e.node == question.to),
            None => state.ends.values().find(|end| end.node == question.to),
        };
        let end = end.ok_or(LinkError::Unreachable)?;
        if question.member && !end.admitted.contains(&peer) {
            return Err(LinkError::Refused);
        }
        let send = || {
            let (answer, waiting) = oneshot::channel();
            let inbound = Inbound {
                from: question.from.clone(),
                member: question.member,
                frame: question.frame.clone(),
                reply: Reply::simulated(answer),
            };
            let sent = end.inbound.try_send(inbound);
            sent.map(|()| waiting).map_err(|_| LinkError::Refused)
        };
        let waiting = send()?;
        if doubled {
            // Err: the doubled one found no place.
            drop(send());
        }
        Ok(waiting)
    }

    async fn reach(
        self: Arc<Self>,
        from: NodeId,
        address: SocketAddr,
        reply: oneshot::Sender<Result<Reached, LinkError>>,
    ) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let found = {
            let state = self.lock();
            let end = state.ends.get(&address);
            let cut = |end: &&End| {
                let (there, back) = (
                    (from.clone(), end.node.clone()),
                    (end.node.clone(), from.clone()),
                );
                !state.cuts.contains(&there) && !state.cuts.contains(&back)
            };
            end.filter(cut).map(|end| Reached {
                node: end.node.clone(),
                peer: end.peer,
            })
        };
        tell(reply, found.ok_or(LinkError::Unreachable));
    }

    fn fate(&self, (from, to): (&NodeId, &NodeId), (word, bytes): (&str, usize)) -> Fate {
        let mut state = self.lock();
        let sent = state.sent.entry(from.clone()).or_default();
        sent.frames += 1;
        sent.bytes += bytes as u64;
        let weather = state.weather;
        let delay = state.dice.millis(weather.delay_ms.0, weather.delay_ms.1);
        let (lost, broken) = (
            state.dice.chance(weather.lost),
            state.dice.chance(weather.broken),
        );
        let again = state.dice.millis(SENT_AGAIN_MS.0, SENT_AGAIN_MS.1);
        let cut = state.cuts.contains(&(from.clone(), to.clone()))
            || [from, to].into_iter().any(|node| state.is_dark(node));
        drop(state);
        let (fate, said) = match (cut, broken, lost) {
            (true, ..) => (Fate::Vanishes, "cut off"),
            (_, true, _) => (Fate::Breaks(delay), "broken"),
            (.., true) => (Fate::Arrives(delay + again), "late"),
            _ => (Fate::Arrives(delay), ""),
        };
        let (from, to) = (short(from), short(to));
        self.log
            .message(format_args!("{from} > {to}  {word} {bytes} B {said}"));
        fate
    }
}

impl State {
    /// Tells whether a node's power has failed.
    fn is_dark(&self, node: &NodeId) -> bool {
        self.disks.get(node).is_some_and(ModelDisk::has_failed)
    }
}

impl Question {
    fn word(&self) -> &'static str {
        let first = self.frame.first().map(|b| usize::from(*b));
        match first {
            _ if !self.member => "join",
            Some(i) => WORDS.get(i).copied().unwrap_or("unknown"),
            None => "empty",
        }
    }
}

/// Returns the last letters of a node's id, which tell nodes apart.
pub(crate) fn short(node: &NodeId) -> &str {
    let text = node.as_str();
    &text[text.len().saturating_sub(4)..]
}

/// Holds a question open until its asker gives up.
async fn silence<T>(mut reply: oneshot::Sender<T>) {
    reply.closed().await;
}

fn tell<T>(reply: oneshot::Sender<T>, told: T) {
    // Err: the asker has given up.
    drop(reply.send(told));
}
