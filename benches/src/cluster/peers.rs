//! What a put is measured beside: the bare transport and the bare disk.
//!
//! *Invariants*: the transport carries chunks of the same length over the same libp2p stack; the
//! disk writes files of that length, each fsynced with its folder, as many at once as puts.
//!
//! *Not here*: the nodes.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::StreamExt;
use node::identity::{Identity, NodeId};
use node::swarm::{self, Lane, Link, Listening};
use tempfile::TempDir;

use super::{mebibytes, now};
use crate::objects::OBJECT_BYTES;

/// Longest that a chunk may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Two ends of the transport with nothing behind them.
pub(super) struct Transport {
    asker: Link,
    _answerer: Link,
    to: (NodeId, SocketAddr),
    _dirs: [TempDir; 2],
}

impl Transport {
    /// Connects the two.
    pub(super) async fn start() -> Result<Self> {
        let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [one, two] = [
            Identity::open(dirs[0].path())?,
            Identity::open(dirs[1].path())?,
        ];
        let any: SocketAddr = "127.0.0.1:0".parse()?;
        let asker = swarm::listen(&one, any).await?;
        let Listening {
            link,
            mut inbound,
            address,
            ..
        } = swarm::listen(&two, any).await?;
        asker.link.admit([two.node()]).await;
        link.admit([one.node()]).await;
        tokio::spawn(async move {
            while let Some(question) = inbound.recv().await {
                question.reply.send(vec![1]).await;
            }
        });
        Ok(Self {
            asker: asker.link,
            _answerer: link,
            to: (two.node(), address),
            _dirs: dirs,
        })
    }

    /// Sends chunks, some at once.
    pub(super) async fn mebibytes_a_second(&self, chunks: u64, at_once: usize) -> Result<f64> {
        let began = now();
        let asks = (0..chunks).map(|n| {
            let frame = vec![u8::try_from(n % 251).unwrap_or(0); OBJECT_BYTES];
            let to = (&self.to.0, self.to.1);
            self.asker.ask(to, frame, Lane::Work, LIMIT)
        });
        let mut asks = futures::stream::iter(asks).buffer_unordered(at_once);
        while let Some(answer) = asks.next().await {
            answer.map_err(|error| anyhow!("the bare transport: {error}"))?;
        }
        let took = began.elapsed().as_secs_f64();
        Ok(mebibytes(chunks * OBJECT_BYTES as u64) / took)
    }
}

/// Writes and fsyncs as many bytes as the puts of a round send to another node.
pub(super) async fn disk(files: u64, at_once: usize) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let began = now();
    let writes = (0..files).map(|n| {
        let folder = dir.path().to_owned();
        async move {
            let write = move || -> std::io::Result<()> {
                let bytes = vec![u8::try_from(n % 251).unwrap_or(0); OBJECT_BYTES];
                let mut file = File::create_new(folder.join(n.to_string()))?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                File::open(folder)?.sync_all()
            };
            tokio::task::spawn_blocking(write).await
        }
    });
    let mut writes = futures::stream::iter(writes).buffer_unordered(at_once);
    while let Some(written) = writes.next().await {
        written??;
    }
    let took = began.elapsed().as_secs_f64();
    Ok(mebibytes(files * OBJECT_BYTES as u64) / took)
}
