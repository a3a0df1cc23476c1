//! The handle to the swarm's task.
//!
//! *Invariants*: a question is answered, fails, or times out; none hangs.
//!
//! *Not here*: what the bytes mean (`peer`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response::ResponseChannel;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::task::Command;
use super::{BEATS_IN_FLIGHT_MAX, IN_FLIGHT_MAX};
use crate::identity::NodeId;
use crate::rope::Rope;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No connection can be made, or it broke.
    #[error("no connection")]
    Unreachable,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It closed the question without an answer, or does not speak the protocol with us.
    #[error("no answer given")]
    Refused,
    /// The id names no peer.
    #[error("no peer of that name")]
    NoPeer,
    /// Our own transport has stopped.
    #[error("the transport has stopped")]
    Stopped,
}

/// A question from another node.
#[derive(Debug)]
pub struct Inbound {
    /// Who asks; the transport has verified it.
    pub from: NodeId,
    /// True on the members' protocol, false for a join request.
    pub member: bool,
    /// The question.
    pub frame: Bytes,
    /// Where the answer goes; dropped, there is none.
    pub reply: Reply,
}

/// Where the answer to one question goes.
#[derive(Debug)]
pub struct Reply {
    pub(super) way: Way,
}

/// The way back to who asked.
#[derive(Debug)]
pub(super) enum Way {
    /// By the swarm's task.
    Swarm {
        channel: ResponseChannel<Rope>,
        member: bool,
        commands: mpsc::WeakSender<Command>,
    },
    /// To a simulated network.
    Simulated(oneshot::Sender<Rope>),
}

impl Reply {
    /// Returns the way back over a simulated network.
    pub(crate) fn simulated(answer: oneshot::Sender<Rope>) -> Self {
        let way = Way::Simulated(answer);
        Self { way }
    }

    /// Sends the answer; it is lost if the asker is gone.
    pub async fn send(self, frame: impl Into<Rope>) {
        let frame = frame.into();
        let (channel, member, commands) = match self.way {
            Way::Swarm {
                channel,
                member,
                commands,
            } => (channel, member, commands),
            // Err: the asker is gone.
            Way::Simulated(answer) => return drop(answer.send(frame)),
        };
        let Some(commands) = commands.upgrade() else {
            return;
        };
        let command = Command::Answer {
            channel,
            member,
            frame,
        };
        if commands.send(command).await.is_err() {
            tracing::debug!("an answer came after the transport had stopped");
        }
    }
}

/// A node that answered at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Who it is.
    pub node: NodeId,
    pub(crate) peer: PeerId,
}

/// What a question may wait behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Other beats and probes.
    Beat,
    /// Everything else.
    Work,
}

/// Questions still allowed, by peer and lane.
type Allowances = HashMap<(PeerId, Lane), Arc<Semaphore>>;

/// Talks to the swarm's task.
#[derive(Debug, Clone)]
pub struct Link {
    commands: mpsc::Sender<Command>,
    me: NodeId,
    /// Questions still allowed, by peer.
    slots: Arc<Mutex<Allowances>>,
}

impl Link {
    pub(crate) fn new(commands: mpsc::Sender<Command>, me: NodeId) -> Self {
        Self {
            commands,
            me,
            slots: Arc::default(),
        }
    }

    /// Returns the own id.
    pub fn me(&self) -> &NodeId {
        &self.me
    }

    /// Asks a member and waits for its answer, at most for `limit`.
    pub async fn ask(
        &self,
        (node, address): (&NodeId, SocketAddr),
        frame: impl Into<Rope>,
        lane: Lane,
        limit: Duration,
    ) -> Result<Bytes, LinkError> {
        let peer = node.peer().ok_or(LinkError::NoPeer)?;
        let slots = self.slots(peer, lane);
        let asked = async {
            let permit = slots.acquire().await.map_err(|_| LinkError::Stopped)?;
            let answer = self
                .command(|reply| Command::Ask {
                    peer,
                    address,
                    frame: frame.into(),
                    reply,
                })
                .await?;
            drop(permit);
            answer
        };
        timeout(limit, asked)
            .await
            .map_err(|_| LinkError::Timeout)?
    }

    /// Connects to whoever answers at an address.
    pub async fn reach(&self, address: SocketAddr, limit: Duration) -> Result<Reached, LinkError> {
        let reached = self.command(|reply| Command::Reach { address, reply });
        let reached = timeout(limit, reached).await;
        reached.map_err(|_| LinkError::Timeout)??
    }

    /// Asks somebody just reached to be let in.
    pub async fn join(
        &self,
        reached: &Reached,
        frame: Vec<u8>,
        limit: Duration,
    ) -> Result<Bytes, LinkError> {
        let peer = reached.peer;
        let asked = self.command(|reply| Command::Join {
            peer,
            frame: frame.into(),
            reply,
        });
        let answer = timeout(limit, asked).await;
        answer.map_err(|_| LinkError::Timeout)??
    }

    /// Admits nodes: from their next connection on they speak the members' protocol.
    pub async fn admit(&self, nodes: impl IntoIterator<Item = NodeId>) {
        let peers = nodes.into_iter().filter_map(|node| node.peer()).collect();
        self.tell(Command::Admit { peers }).await;
    }

    /// Closes all connections to somebody just reached.
    pub async fn part(&self, reached: &Reached) {
        let peer = reached.peer;
        self.tell(Command::Part { peer }).await;
    }

    /// Closes all connections and ends the task.
    pub async fn stop(&self) {
        self.tell(Command::Stop).await;
        self.commands.closed().await;
    }

    async fn tell(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::debug!("a command came after the transport had stopped");
        }
    }

    async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, LinkError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| LinkError::Stopped)?;
        answer.await.map_err(|_| LinkError::Stopped)
    }

    fn slots(&self, peer: PeerId, lane: Lane) -> Arc<Semaphore> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match lane {
            Lane::Beat => BEATS_IN_FLIGHT_MAX,
            Lane::Work => IN_FLIGHT_MAX - BEATS_IN_FLIGHT_MAX,
        };
        let fresh = || Arc::new(Semaphore::new(count));
        Arc::clone(slots.entry((peer, lane)).or_insert_with(fresh))
    }
}
