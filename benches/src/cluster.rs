//! Three nodes on loopback: replicated puts, a killed node, a lost folder.
//!
//! *Invariants*: every put is acknowledged by two nodes that fsynced it; the peers (the bare
//! transport, the bare disk) move the same chunks in the same run, interleaved.
//!
//! *Not here*: starting processes (`process`): the nodes run in this one, on sockets, but for the
//! one that is lost, so that what it takes to come back is not taken from those that are asked.

mod nodes;
mod peers;
mod stores;
mod syncs;

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::StreamExt;
use node::store::Object;
use tokio::runtime::Runtime;

use crate::objects::{self, OBJECT_BYTES};
use crate::process::Bench;
use crate::row::Row;
use nodes::{Nodes, now};

/// Puts in a round.
const PUTS: u64 = 96;
/// Puts under way at once, as a busy ingest has them.
const AT_ONCE: usize = 16;
/// Rounds of each measurement.
const ROUNDS: u64 = 5;
/// Objects of the node that is lost, and the nodes that hold them all.
const LOST: (u64, u8) = (512, 3);
/// The same of a whole measurement: 10 GiB, on two nodes for want of disk.
const LOST_WHOLE: (u64, u8) = (20_480, 2);
/// Queries that tell what one takes with nothing else to do: ten are above the 99th percentile.
const IDLE_QUERIES: usize = 1_000;
/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(15);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let runtime = Runtime::new()?;
    let mut rows = runtime.block_on(puts(("split", 2), objects::split))?;
    rows.extend(runtime.block_on(puts(("model", 2), |n| Ok(objects::model(n))))?);
    // What safety costs: one replica, and three of which two are waited for.
    rows.extend(runtime.block_on(puts(("split", 1), objects::split))?);
    rows.extend(runtime.block_on(puts(("split", 3), objects::split))?);
    rows.push(runtime.block_on(stores::row())?);
    rows.extend(runtime.block_on(syncs::rows(1))?);
    rows.extend(runtime.block_on(syncs::rows(3))?);
    rows.push(runtime.block_on(scrubs())?);
    rows.push(runtime.block_on(kills())?);
    rows.extend(runtime.block_on(losses(bench))?);
    Ok(rows)
}

/// Mebibytes a second between nodes, beside the bare transport and the bare disk.
async fn puts(
    (kind, replicas): (&str, u8),
    object: impl Fn(u64) -> Result<Object>,
) -> Result<Vec<Row>> {
    let nodes = Nodes::start(3, replicas).await?;
    let bare = peers::Transport::start().await?;
    let (mut sent, mut transport, mut disk, mut acked) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let numbers = round * PUTS..(round + 1) * PUTS;
        let objects = numbers.map(&object).collect::<Result<Vec<Object>>>()?;
        let before = nodes.sent();
        let began = now();
        put_all(&nodes, replicas.min(2), objects.into_iter().map(Ok)).await?;
        let took = began.elapsed().as_secs_f64();
        sent.push(mebibytes(nodes.sent() - before) / took);
        acked.push(PUTS as f64 / took);
        transport.push(bare.mebibytes_a_second(PUTS, AT_ONCE).await?);
        disk.push(peers::disk(PUTS, AT_ONCE).await?);
    }
    let quorum = replicas.min(2);
    let what = format!("put of a {kind}, R={replicas} W={quorum}: bytes sent between nodes");
    let puts = format!("put of a {kind} of 512 KiB, R={replicas} W={quorum}");
    Ok(vec![
        Row::new(&what, "MiB/s", sent.clone()).beside("bare request-response", transport),
        Row::new(&what, "MiB/s", sent).beside("fsynced writes of the disk", disk),
        Row::new(&puts, "1/s", acked),
    ])
}

/// Mebibytes a second that a node reads of its own disk and holds against their checksums.
async fn scrubs() -> Result<Row> {
    let nodes = Nodes::start(1, 1).await?;
    put_all(&nodes, 1, (0..LOST.0).map(objects::split)).await?;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let began = now();
        let bytes = nodes.read_all().await?;
        rates.push(mebibytes(bytes) / began.elapsed().as_secs_f64());
    }
    Ok(Row::new(
        "all replicas of a node read and checked",
        "MiB/s",
        rates,
    ))
}

async fn put_all(
    nodes: &Nodes,
    quorum: u8,
    objects: impl Iterator<Item = Result<Object>>,
) -> Result<()> {
    let puts = objects.map(|object| {
        let cluster = nodes.first().clone();
        async move {
            let put = cluster.put(object?, node::store::PutMode::Keep);
            put.await.map_err(|fault| anyhow::anyhow!("{fault:?}"))
        }
    });
    let mut puts = futures::stream::iter(puts).buffer_unordered(AT_ONCE);
    while let Some(ack) = puts.next().await {
        let ack = ack?;
        ensure!(
            ack.acked_by.len() >= quorum.into(),
            "too few hold it: {ack:?}"
        );
    }
    Ok(())
}

/// Seconds until queries are complete again after a node was killed.
async fn kills() -> Result<Row> {
    let mut complete = Vec::new();
    for _ in 0..ROUNDS {
        let mut nodes = Nodes::start(3, 2).await?;
        put_all(&nodes, 2, (0..8).map(objects::split)).await?;
        nodes.stop_last().await;
        let began = now();
        while !nodes.is_complete().await? {
            ensure!(began.elapsed() < LIMIT, "queries stay partial");
        }
        complete.push(began.elapsed().as_secs_f64());
    }
    let what = "node killed: until queries are complete again";
    Ok(Row::new(what, "s", complete))
}

/// Rate at which a lost folder is filled again, beside the bare transport and the bare disk, and
/// what queries take meanwhile.
async fn losses(bench: &Bench) -> Result<Vec<Row>> {
    let whole = std::env::var_os("GLEBE_BENCH_FULL").is_some();
    let (lost, replicas) = if whole { LOST_WHOLE } else { LOST };
    let nodes = Nodes::start((replicas - 1).into(), replicas).await?;
    let token = bench.scratch.path().join("join.token");
    std::fs::write(&token, nodes.join_token()?)?;
    let address = nodes.first().p2p().to_owned();
    let token = token.display().to_string();
    let joined = ["--workers", "0", "--join", &address, "--token-file", &token];
    let node = bench.up_with("lost", &joined)?;
    nodes.settled(replicas.into()).await?;
    put_all(&nodes, 2, (0..lost).map(objects::split)).await?;
    let idle = nodes.query_millis(IDLE_QUERIES).await?;
    let dir = node.data.clone();
    drop(node);
    std::fs::remove_dir_all(dir.join("objects"))?;
    std::fs::remove_file(dir.join("index.redb"))?;
    let bare = peers::Transport::start().await?;
    let transport = bare.mebibytes_a_second(PUTS, 1).await?;
    let disk = peers::disk(PUTS, 1).await?;
    let began = now();
    let node = bench.up_with("lost", &["--workers", "0"])?;
    let mut busy = Vec::new();
    while nodes.splits_at(&node.http).await < lost {
        ensure!(began.elapsed() < LIMIT, "the lost folder is not filled");
        busy.extend(nodes.query_millis(20).await?);
    }
    let took = began.elapsed().as_secs_f64();
    let size = mebibytes(lost * OBJECT_BYTES as u64);
    let what = format!("folder of {size} MiB lost: filled again at");
    let filled = || Row::new(&what, "MiB/s", vec![size / took]);
    Ok(vec![
        filled().beside("bare request-response, one at a time", vec![transport]),
        filled().beside("fsynced writes of the disk, one at a time", vec![disk]),
        Row::new("query meanwhile, p99", "ms", vec![p99(busy)])
            .beside("idle, p99", vec![p99(idle)]),
    ])
}

fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * 99 / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
