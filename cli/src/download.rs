//! Files from a node to disk.
//!
//! *Invariants*: a file appears under its name only when it is whole and its hash is right; it is
//! never held in memory; nothing is left of one that failed.
//!
//! *Not here*: which files (the verbs).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use futures::StreamExt as _;
use wire::client::ByteStream;
use wire::fault::{Fault, FaultKind};

use crate::export::{Partial, unwritable};

/// Writes a stream into `folder/name` and checks its BLAKE3 (hex); returns its bytes.
pub(crate) async fn file(
    mut stream: ByteStream,
    folder: &Path,
    name: &str,
    blake3: &str,
) -> Result<u64, Fault> {
    let target = folder.join(name);
    let partial = Partial::beside(&target)?;
    let unwritable = |e: std::io::Error| unwritable(&target, &e);
    let mut out = File::create(partial.path()).map_err(unwritable)?;
    let mut hasher = blake3::Hasher::new();
    let mut total = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        hasher.update(&chunk);
        total += chunk.len() as u64;
        out.write_all(&chunk).map_err(unwritable)?;
    }
    if hasher.finalize().to_hex().as_str() != blake3 {
        return Err(Fault::new(FaultKind::Data, format!("{name} is damaged"))
            .because("its bytes do not hash to what the index says")
            .try_("glebe cluster verify"));
    }
    drop(out);
    std::fs::rename(partial.path(), &target).map_err(unwritable)?;
    Ok(total)
}

/// Tells whether a file holds the bytes of this BLAKE3 (hex); `None` if nothing is there.
pub(crate) fn is_whole(path: &Path, blake3: &str) -> Result<Option<bool>, Fault> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unwritable(path, &e)),
    };
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut file, &mut hasher).map_err(|e| unwritable(path, &e))?;
    Ok(Some(hasher.finalize().to_hex().as_str() == blake3))
}
