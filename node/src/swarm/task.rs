//! The task that owns the swarm.
//!
//! *Invariants*: it never waits for anything but its own two inputs; what it cannot hand on at
//! once is refused.
//!
//! *Not here*: deadlines (`link`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::{
    Event, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};

use super::link::{Inbound, LinkError, Reached, Reply, Way};
use super::{Speech, SpeechEvent, multiaddr};
use crate::refusals::{Refusals, Refused};
use crate::rope::Rope;

/// Why no answer came, or the answer.
pub(crate) type Answered = Result<Bytes, LinkError>;

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask a member.
    Ask {
        peer: PeerId,
        address: SocketAddr,
        frame: Rope,
        reply: oneshot::Sender<Answered>,
    },
    /// Connect to whoever is there.
    Reach {
        address: SocketAddr,
        reply: oneshot::Sender<Result<Reached, LinkError>>,
    },
    /// Ask to be let in.
    Join {
        peer: PeerId,
        frame: Rope,
        reply: oneshot::Sender<Answered>,
    },
    /// Answer a question.
    Answer {
        channel: ResponseChannel<Rope>,
        member: bool,
        frame: Rope,
    },
    /// Let peers speak the members' protocol.
    Admit { peers: Vec<PeerId> },
    /// Close all connections to a peer.
    Part { peer: PeerId },
    /// End.
    Stop,
}

/// Waits for the address that the listener got.
pub(super) async fn first_address(swarm: &mut Swarm<Speech>) -> Result<SocketAddr, String> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                return socket(&address).ok_or_else(|| format!("no TCP address: {address}"));
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                return Err(format!("the listener closed: {reason:?}"));
            }
            SwarmEvent::ListenerError { error, .. } => return Err(error.to_string()),
            _ => {}
        }
    }
}

fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// The swarm with the questions that wait for an answer.
pub(super) struct Task {
    swarm: Swarm<Speech>,
    commands: mpsc::Receiver<Command>,
    /// Lets answers come back; weak, so that the last `Link` ends the task.
    answers: mpsc::WeakSender<Command>,
    inbound: mpsc::Sender<Inbound>,
    refusals: Arc<Refusals>,
    asked: HashMap<OutboundRequestId, oneshot::Sender<Answered>>,
    joining: HashMap<OutboundRequestId, oneshot::Sender<Answered>>,
    reaching: HashMap<ConnectionId, oneshot::Sender<Result<Reached, LinkError>>>,
}

impl Task {
    /// Takes over a listening swarm.
    pub(super) fn new(
        swarm: Swarm<Speech>,
        commands: (mpsc::WeakSender<Command>, mpsc::Receiver<Command>),
        (inbound, refusals): (mpsc::Sender<Inbound>, Arc<Refusals>),
    ) -> Self {
        Self {
            swarm,
            answers: commands.0,
            commands: commands.1,
            inbound,
            refusals,
            asked: HashMap::new(),
            joining: HashMap::new(),
            reaching: HashMap::new(),
        }
    }

    /// Runs until it is stopped or nobody can command it any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    None | Some(Command::Stop) => return,
                    Some(command) => self.carry_out(command),
                },
                event = self.swarm.select_next_some() => self.heard(event),
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Ask {
                peer,
                address,
                frame,
                reply,
            } => {
                self.connect(peer, address);
                let members = self.swarm.behaviour_mut().members.inner();
                let id = members.send_request(&peer, frame);
                self.asked.insert(id, reply);
            }
            Command::Reach { address, reply } => self.reach(address, reply),
            Command::Join { peer, frame, reply } => {
                let id = self
                    .swarm
                    .behaviour_mut()
                    .joining
                    .send_request(&peer, frame);
                self.joining.insert(id, reply);
            }
            Command::Answer {
                channel,
                member,
                frame,
            } => self.answer(channel, member, frame),
            Command::Admit { peers } => {
                let speech = self.swarm.behaviour_mut();
                for peer in peers {
                    speech.members.admit(peer);
                    speech.limits.bypass_peer_id(&peer);
                }
            }
            // Err: there was no connection to close.
            Command::Part { peer } => drop(self.swarm.disconnect_peer_id(peer)),
            Command::Stop => {}
        }
    }

    /// Dials a member unless there is a connection that speaks the members' protocol.
    ///
    /// One from before it was admitted does not; libp2p, which takes it for enough, would let the
    /// question wait until that one is closed as idle.
    fn connect(&mut self, peer: PeerId, address: SocketAddr) {
        if self
            .swarm
            .behaviour_mut()
            .members
            .inner()
            .is_connected(&peer)
        {
            return;
        }
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::NotDialing)
            .addresses(vec![multiaddr(address)])
            .build();
        if let Err(error) = self.swarm.dial(dial) {
            tracing::trace!(%peer, %error, "not dialled");
        }
    }

    fn reach(&mut self, address: SocketAddr, reply: oneshot::Sender<Result<Reached, LinkError>>) {
        let dial = DialOpts::unknown_peer_id()
            .address(multiaddr(address))
            .build();
        let connection = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => drop(self.reaching.insert(connection, reply)),
            Err(_) => tell(reply, Err(LinkError::Unreachable)),
        }
    }

    fn answer(&mut self, channel: ResponseChannel<Rope>, member: bool, frame: Rope) {
        let speech = self.swarm.behaviour_mut();
        let behaviour = if member {
            speech.members.inner()
        } else {
            &mut speech.joining
        };
        if behaviour.send_response(channel, frame).is_err() {
            tracing::debug!("an answer came too late: the asker is gone");
        }
    }

    fn heard(&mut self, event: SwarmEvent<SpeechEvent>) {
        match event {
            SwarmEvent::Behaviour(SpeechEvent::Members(event)) => self.spoken(event, true),
            SwarmEvent::Behaviour(SpeechEvent::Joining(event)) => self.spoken(event, false),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            } => {
                if let Some(reply) = self.reaching.remove(&connection_id) {
                    let node = peer_id.into();
                    tell(
                        reply,
                        Ok(Reached {
                            node,
                            peer: peer_id,
                        }),
                    );
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                tracing::debug!(%error, "no connection");
                if let Some(reply) = self.reaching.remove(&connection_id) {
                    tell(reply, Err(LinkError::Unreachable));
                }
            }
            SwarmEvent::IncomingConnectionError {
                error,
                send_back_addr,
                ..
            } => {
                let why = match error {
                    ListenError::Denied { .. } => Refused::Connection,
                    _ => Refused::Handshake,
                };
                self.refusals.note(why, &send_back_addr, &error);
            }
            _ => {}
        }
    }

    fn spoken(&mut self, event: Event<Rope, Rope>, member: bool) {
        match event {
            Event::Message {
                peer,
                message:
                    Message::Request {
                        request, channel, ..
                    },
                ..
            } => self.asked_by(peer, member, request, channel),
            Event::Message {
                message:
                    Message::Response {
                        request_id,
                        response,
                    },
                ..
            } => {
                if let Some(reply) = self.waiting(member).remove(&request_id) {
                    tell(reply, Ok(response.joined()));
                }
            }
            Event::OutboundFailure {
                request_id,
                connection_id,
                error,
                ..
            } => {
                if matches!(error, OutboundFailure::UnsupportedProtocols) {
                    // Made before one of us had admitted the other; the next one is better.
                    self.swarm.close_connection(connection_id);
                }
                if let Some(reply) = self.waiting(member).remove(&request_id) {
                    tell(reply, Err(failure(&error)));
                }
            }
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a question could not be answered");
            }
            Event::ResponseSent { .. } => {}
        }
    }

    fn asked_by(
        &mut self,
        peer: PeerId,
        member: bool,
        frame: Rope,
        channel: ResponseChannel<Rope>,
    ) {
        let commands = self.answers.clone();
        let inbound = Inbound {
            from: peer.into(),
            member,
            frame: frame.joined(),
            reply: Reply {
                way: Way::Swarm {
                    channel,
                    member,
                    commands,
                },
            },
        };
        if self.inbound.try_send(inbound).is_err() {
            tracing::warn!(%peer, "too many questions wait; refused one");
        }
    }

    fn waiting(
        &mut self,
        member: bool,
    ) -> &mut HashMap<OutboundRequestId, oneshot::Sender<Answered>> {
        if member {
            &mut self.asked
        } else {
            &mut self.joining
        }
    }
}

fn failure(error: &OutboundFailure) -> LinkError {
    match error {
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => LinkError::Unreachable,
        OutboundFailure::Timeout => LinkError::Timeout,
        OutboundFailure::UnsupportedProtocols | OutboundFailure::Io(_) => LinkError::Refused,
    }
}

/// Hands on what was waited for; whoever waited may have given up.
fn tell<T>(reply: oneshot::Sender<T>, told: T) {
    drop(reply.send(told));
}
