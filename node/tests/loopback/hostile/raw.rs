//! A peer that writes whatever bytes it likes onto a stream.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::multiaddr::Protocol;
use libp2p::request_response::{Behaviour, Codec, Config, Event, Message, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use node::identity::KEY_FILE;

/// Longest that an answer, or none, is waited for.
const LIMIT: Duration = Duration::from_secs(5);

/// Writes and reads bytes as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        io.close().await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Says bytes to a node under the key in a folder, by the first of these protocols that the node
/// knows; returns its answer, which is empty if it refuses.
pub(crate) async fn say(
    key: &Path,
    to: SocketAddr,
    protocols: &[&'static str],
    bytes: Vec<u8>,
) -> Vec<u8> {
    let each = protocols.iter().map(|name| StreamProtocol::new(name));
    let protocols: Vec<_> = each.map(|p| (p, ProtocolSupport::Outbound)).collect();
    let mut swarm = SwarmBuilder::with_existing_identity(keypair(key))
        .with_tokio()
        .with_tcp(
            tcp::Config::new(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Behaviour::<Bytes>::new(protocols, Config::default()))
        .unwrap()
        .build();
    let address = Multiaddr::from(to.ip()).with(Protocol::Tcp(to.port()));
    swarm.dial(address).unwrap();
    let said = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    swarm.behaviour_mut().send_request(&peer_id, bytes.clone());
                }
                SwarmEvent::Behaviour(Event::Message {
                    message: Message::Response { response, .. },
                    ..
                }) => return response,
                SwarmEvent::Behaviour(Event::OutboundFailure { .. })
                | SwarmEvent::ConnectionClosed { .. }
                | SwarmEvent::OutgoingConnectionError { .. } => return Vec::new(),
                _ => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, said).await.unwrap_or_default()
}

/// Reads the key file of a folder.
fn keypair(folder: &Path) -> libp2p::identity::Keypair {
    let text = std::fs::read_to_string(folder.join(KEY_FILE)).unwrap();
    let digits = text.trim_end().rsplit(' ').next().unwrap();
    let byte = |i: usize| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap();
    let mut seed: Vec<u8> = (0..32).map(byte).collect();
    libp2p::identity::Keypair::ed25519_from_bytes(&mut seed).unwrap()
}

/// Has `peak` tell the most memory from now on; returns what this process holds, in bytes.
pub(super) fn peak_from_now() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    memory("VmRSS:")
}

/// The most memory that this process has held, in bytes.
pub(super) fn peak() -> u64 {
    memory("VmHWM:")
}

fn memory(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(which));
    let kibibytes = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap() << 10
}
