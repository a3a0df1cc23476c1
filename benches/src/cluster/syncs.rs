//! What it costs that puts are fsynced: the same puts where syncing does nothing.
//!
//! *Invariants*: both clusters live at once and take turns; where there is no file system in memory
//! with room, that is said and nothing is measured.
//!
//! *Not here*: puts beside transport and disk (`super`).

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use node::store::Object;

use super::nodes::{Nodes, now};
use super::{OBJECT_BYTES, PUTS, ROUNDS, objects, put_all};
use crate::row::{Row, say};

/// A file system in memory, on which fsync has nothing to do.
const MEMORY: &str = "/dev/shm";
/// Nodes of each cluster.
const NODES: usize = 3;
/// Bytes beside the objects themselves: indexes, intents, what a put leaves for a moment.
const BESIDE_BYTES: u64 = 512 << 20;

/// Puts a second, beside those of nodes that keep all in memory.
pub(super) async fn rows(replicas: u8) -> Result<Vec<Row>> {
    let needed = ROUNDS * PUTS * OBJECT_BYTES as u64 * u64::from(replicas) + BESIDE_BYTES;
    let free = room(Path::new(MEMORY)).unwrap_or(0);
    if free < needed {
        say(&format!(
            "{MEMORY} has {free} bytes of room, below {needed}: what fsync costs is not measured"
        ));
        return Ok(Vec::new());
    }
    let safe = Nodes::start(NODES, replicas).await?;
    let quick = Nodes::start_in(Path::new(MEMORY), NODES, replicas).await?;
    let (mut synced, mut unsynced) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        synced.push(a_second(&safe, replicas, round).await?);
        unsynced.push(a_second(&quick, replicas, round).await?);
    }
    let quorum = replicas.min(2);
    let what = format!("put of a split of 512 KiB, R={replicas} W={quorum}, fsynced");
    let row = Row::new(&what, "1/s", synced);
    Ok(vec![
        row.beside("in memory, where fsync does nothing", unsynced),
    ])
}

/// Puts a round of objects; returns how many a second were acknowledged.
async fn a_second(nodes: &Nodes, replicas: u8, round: u64) -> Result<f64> {
    let numbers = round * PUTS..(round + 1) * PUTS;
    let objects = numbers
        .map(objects::split)
        .collect::<Result<Vec<Object>>>()?;
    let began = now();
    put_all(nodes, replicas.min(2), objects.into_iter().map(Ok)).await?;
    Ok(PUTS as f64 / began.elapsed().as_secs_f64())
}

/// Bytes that fit onto a file system.
fn room(folder: &Path) -> Result<u64> {
    let asked = Command::new("df")
        .args(["--block-size=1", "--output=avail"])
        .arg(folder)
        .output()?;
    let text = String::from_utf8(asked.stdout)?;
    let last = text.lines().last().context("df says nothing")?;
    Ok(last.trim().parse()?)
}
