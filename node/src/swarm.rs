//! The transport between nodes: questions and answers over TCP, Noise and Yamux.
//!
//! One task owns the libp2p swarm; everybody else holds a `Link` and talks to it over a channel.
//!
//! ```text
//! Link ──Command──▶ task ──▶ libp2p      /glebe/1       among members
//! Inbound ◀──────── task ◀── libp2p      /glebe/join/1  from anyone, small
//! ```
//! *Invariants*: a stranger can open `/glebe/join/1` streams only; every question has a deadline;
//! at most `IN_FLIGHT_MAX` are open to a peer; queues are bounded and full ones refuse.
//!
//! *Not here*: what the bytes mean (`peer`), who may join (`cluster`).

mod codec;
mod gate;
mod link;
mod task;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::request_response::{Behaviour, Config, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, StreamProtocol, SwarmBuilder, connection_limits, noise, tcp, yamux};
use tokio::sync::mpsc;

pub use codec::{CHUNK_BYTES_MAX, FRAME_BYTES_MAX, JOIN_FRAME_BYTES_MAX};
pub use link::{Inbound, Lane, Link, LinkError, Reached, Reply};
pub(crate) use task::{Answered, Command};

use crate::identity::Identity;
use crate::refusals::Refusals;
use codec::Frames;
use gate::Gate;

/// Protocol among members.
const MEMBERS_PROTOCOL: StreamProtocol = StreamProtocol::new("/glebe/1");
/// Protocol that anyone may speak.
const JOIN_PROTOCOL: StreamProtocol = StreamProtocol::new("/glebe/join/1");
/// Questions open to one peer: request-response fails loudly from a hundred on.
pub const IN_FLIGHT_MAX: usize = 32;
/// Those of them that only beats and probes may take: work never makes a live node look dead.
const BEATS_IN_FLIGHT_MAX: usize = 4;
/// Streams a connection may carry: both directions of `IN_FLIGHT_MAX`, and some that wait.
const STREAMS_MAX: usize = 3 * IN_FLIGHT_MAX;
/// Streams on which a stranger may ask to join at once.
const JOIN_STREAMS_MAX: usize = 4;
/// Longest that libp2p keeps a question open; callers set shorter deadlines of their own.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Longest that a stranger's question may take to arrive.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection without a stream is kept: gossip keeps members' open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that reaching somebody, and both handshakes, may take: half-open connections go then.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(8);
/// Handshakes in progress: enough for a cluster that restarts, too few to hurt.
const PENDING_MAX: u32 = 64;
/// Connections from strangers; members do not count.
const STRANGERS_MAX: u32 = 64;
/// Connections to one stranger.
const PER_PEER_MAX: u32 = 4;
/// Commands and inbound questions that wait: a few for each of fifty peers.
pub(crate) const QUEUE_MAX: usize = 1_024;

/// What the swarm speaks.
#[derive(NetworkBehaviour)]
struct Speech {
    limits: connection_limits::Behaviour,
    members: Gate<Behaviour<Frames>>,
    joining: Behaviour<Frames>,
}

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error("{address} is in use")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot listen on {address}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// libp2p refuses.
    #[error("cannot listen on {address}: {reason}")]
    Transport {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

/// A listening swarm.
#[derive(Debug)]
pub struct Listening {
    /// How to talk to it.
    pub link: Link,
    /// Questions of others, to be answered.
    pub inbound: mpsc::Receiver<Inbound>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it refused.
    pub refusals: Arc<Refusals>,
}

/// Starts the swarm's task, which ends when the last `Link` is dropped or `Link::stop` is called.
pub async fn listen(identity: &Identity, address: SocketAddr) -> Result<Listening, ListenError> {
    check_free(address)?;
    let transport = |reason: String| ListenError::Transport { address, reason };
    let refusals = Arc::<Refusals>::default();
    let mut swarm = SwarmBuilder::with_existing_identity(identity.keypair().clone())
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|e| transport(e.to_string()))?
        .with_behaviour(|_| speech(&refusals))
        .map_err(|e| transport(e.to_string()))?
        .with_swarm_config(|config| {
            let buffer = NonZeroUsize::new(IN_FLIGHT_MAX).unwrap_or(NonZeroUsize::MIN);
            config
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_notify_handler_buffer_size(buffer)
                .with_max_negotiating_inbound_streams(STREAMS_MAX)
        })
        .with_connection_timeout(HANDSHAKE_LIMIT)
        .build();
    swarm
        .listen_on(multiaddr(address))
        .map_err(|e| transport(e.to_string()))?;
    let (commands, receiver) = mpsc::channel(QUEUE_MAX);
    let (sender, inbound) = mpsc::channel(QUEUE_MAX);
    let address = task::first_address(&mut swarm).await.map_err(transport)?;
    let commanded = (commands.downgrade(), receiver);
    let outside = (sender, Arc::clone(&refusals));
    tokio::spawn(task::Task::new(swarm, commanded, outside).run());
    Ok(Listening {
        link: Link::new(commands, identity.node()),
        inbound,
        address,
        refusals,
    })
}

/// Returns the libp2p form of a TCP address.
fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// Refuses a port that another process listens on; libp2p would share it.
fn check_free(address: SocketAddr) -> Result<(), ListenError> {
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(ListenError::InUse { address }),
        Err(source) => Err(ListenError::Io { address, source }),
    }
}

fn speech(refusals: &Arc<Refusals>) -> Speech {
    let config = |timeout, streams| {
        Config::default()
            .with_request_timeout(timeout)
            .with_max_concurrent_streams(streams)
    };
    let members = Behaviour::with_codec(
        Frames::members(refusals),
        [(MEMBERS_PROTOCOL, ProtocolSupport::Full)],
        config(REQUEST_TIMEOUT, STREAMS_MAX),
    );
    let joining = Behaviour::with_codec(
        Frames::joining(refusals),
        [(JOIN_PROTOCOL, ProtocolSupport::Full)],
        config(JOIN_TIMEOUT, JOIN_STREAMS_MAX),
    );
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_established_incoming(Some(STRANGERS_MAX))
        .with_max_established_per_peer(Some(PER_PEER_MAX));
    Speech {
        limits: connection_limits::Behaviour::new(limits),
        members: Gate::new(members),
        joining,
    }
}

#[cfg(test)]
mod tests;
