//! What it costs to keep an object on one disk, with no other node and nothing sent.
//!
//! *Invariants*: as many threads put at once as puts of a cluster are under way; beside it the bare
//! disk writes files of the same length.
//!
//! *Not here*: nodes (`super`).

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use node::store::{Hashed, Object, PutMode, Store};

use super::nodes::now;
use super::{AT_ONCE, PUTS, ROUNDS, mebibytes, objects, peers};
use crate::objects::OBJECT_BYTES;
use crate::row::Row;

/// Mebibytes a second into one store.
pub(super) async fn row() -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    let (mut kept, mut disk) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let numbers = round * PUTS..(round + 1) * PUTS;
        let objects = numbers
            .map(objects::split)
            .collect::<Result<Vec<Object>>>()?;
        let objects: Vec<Hashed> = objects.into_iter().map(Hashed::from).collect();
        let began = now();
        put_all(&store, &objects)?;
        kept.push(mebibytes(PUTS * OBJECT_BYTES as u64) / began.elapsed().as_secs_f64());
        disk.push(peers::disk(PUTS, AT_ONCE).await?);
    }
    let what = "split kept by one store, nothing sent";
    Ok(Row::new(what, "MiB/s", kept).beside("fsynced writes of the disk", disk))
}

fn put_all(store: &Store, objects: &[Hashed]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let put = || -> Result<()> {
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            store.put_hashed(object, PutMode::Keep)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(put)).collect();
        let mut ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.try_for_each(|put| put.map_err(|_| anyhow!("a put panicked"))?)
    })
}
