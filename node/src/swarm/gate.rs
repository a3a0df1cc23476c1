//! Keeps the members' protocol from strangers: to them it does not exist.
//!
//! *Invariants*: the wrapped behaviour hears of connections to admitted peers only, and can open
//! no stream on any other; a connection stays what it was when it was made.
//!
//! *Not here*: who is admitted (`cluster`).

use std::collections::{HashMap, HashSet};
use std::task::{Context, Poll};

use either::Either;
use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};

/// A behaviour that exists for admitted peers only.
pub(super) struct Gate<B> {
    inner: B,
    admitted: HashSet<PeerId>,
    /// Connections that the inner behaviour knows of, by peer.
    inside: HashMap<PeerId, HashSet<ConnectionId>>,
}

impl<B> Gate<B> {
    /// Wraps a behaviour; nobody is admitted yet.
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            admitted: HashSet::new(),
            inside: HashMap::new(),
        }
    }

    /// Admits a peer: its next connections have the protocol.
    pub(super) fn admit(&mut self, peer: PeerId) {
        self.admitted.insert(peer);
    }

    /// Returns the wrapped behaviour.
    pub(super) fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    /// Tells whether the inner behaviour knows of a connection.
    fn knows(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        let connections = self.inside.get(peer);
        connections.is_some_and(|c| c.contains(&connection))
    }

    fn enter<H>(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        handler: impl FnOnce(&mut B) -> Result<H, ConnectionDenied>,
    ) -> Result<Either<H, dummy::ConnectionHandler>, ConnectionDenied> {
        if !self.admitted.contains(&peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = handler(&mut self.inner)?;
        self.inside.entry(peer).or_default().insert(connection);
        Ok(Either::Left(handler))
    }

    fn established(&mut self, event: ConnectionEstablished<'_>)
    where
        B: NetworkBehaviour,
    {
        if self.knows(&event.peer_id, event.connection_id) {
            let others = self.inside[&event.peer_id].len() - 1;
            let event = ConnectionEstablished {
                other_established: others,
                ..event
            };
            self.inner
                .on_swarm_event(FromSwarm::ConnectionEstablished(event));
        }
    }

    fn closed(&mut self, event: ConnectionClosed<'_>)
    where
        B: NetworkBehaviour,
    {
        let Some(connections) = self.inside.get_mut(&event.peer_id) else {
            return;
        };
        if !connections.remove(&event.connection_id) {
            return;
        }
        let remaining_established = connections.len();
        if remaining_established == 0 {
            self.inside.remove(&event.peer_id);
        }
        let event = ConnectionClosed {
            remaining_established,
            ..event
        };
        self.inner
            .on_swarm_event(FromSwarm::ConnectionClosed(event));
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gate<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(peer, id, |inner| {
            inner.handle_established_inbound_connection(id, peer, local, remote)
        })
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(peer, id, |inner| {
            inner.handle_established_outbound_connection(id, peer, address, role, port)
        })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.established(event),
            FromSwarm::ConnectionClosed(event) => self.closed(event),
            FromSwarm::AddressChange(change) => {
                if self.knows(&change.peer_id, change.connection_id) {
                    self.inner.on_swarm_event(event);
                }
            }
            _ => self.inner.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let Either::Left(event) = event;
        self.inner
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let event = self.inner.poll(cx);
        event.map(|event| event.map_in(Either::Left))
    }
}
