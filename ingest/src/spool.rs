//! Where encoded splits wait until the whole scene has been read.
//!
//! Nothing of a scene may be stored if any of its bands cannot be read, and a full tile's splits
//! do not fit in memory: they wait in one file.
//!
//! *Invariants*: the file has no name, so nothing is left behind whatever happens to the process;
//! what comes back has the hash of what went in.
//!
//! *Not here*: putting (`put`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use earth::split::meta::SplitMeta;
use wire::fault::{Fault, FaultKind};

/// Splits that wait.
#[derive(Debug)]
pub struct Spool {
    file: Arc<File>,
    end: AtomicU64,
}

/// One split that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its metadata.
    pub meta: SplitMeta,
    spool: Arc<File>,
    /// Name, start and length of each file in the spool.
    files: Vec<(String, u64, usize)>,
}

impl Waiting {
    /// Returns the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, _, length)| *length as u64).sum()
    }

    /// Reads the files back.
    pub fn read(&self) -> Result<Vec<(String, Bytes)>, Fault> {
        let read = |(name, start, length): &(String, u64, usize)| {
            let mut bytes = vec![0; *length];
            let found = self.spool.read_exact_at(&mut bytes, *start);
            found.map_err(|e| full(&e))?;
            Ok((name.clone(), Bytes::from(bytes)))
        };
        self.files.iter().map(read).collect()
    }
}

impl Spool {
    /// Opens an unnamed file in the system's folder for temporary files (`TMPDIR`).
    pub fn new() -> Result<Self, Fault> {
        let file = tempfile::tempfile().map_err(|e| full(&e))?;
        Ok(Self {
            file: Arc::new(file),
            end: AtomicU64::new(0),
        })
    }

    /// Adds a split's files; from as many threads at once as there are.
    pub fn push(&self, meta: SplitMeta, files: Vec<(String, Vec<u8>)>) -> Result<Waiting, Fault> {
        let mut waiting = Waiting {
            meta,
            spool: Arc::clone(&self.file),
            files: Vec::with_capacity(files.len()),
        };
        for (name, bytes) in files {
            let start = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let written = self.file.write_all_at(&bytes, start);
            written.map_err(|e| full(&e))?;
            waiting.files.push((name, start, bytes.len()));
        }
        Ok(waiting)
    }

    /// Reads a split's files back.
    pub fn read(&self, waiting: &Waiting) -> Result<Vec<(String, Bytes)>, Fault> {
        waiting.read()
    }
}

fn full(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, "splits cannot wait on disk")
        .because(error.to_string())
        .try_("set TMPDIR to a folder with as much room as the scene takes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use earth::geocode::{Geocode, Scheme};
    use earth::split::meta::{META_VERSION, SplitId};
    use earth::split::placement::PlacementRule;

    fn meta() -> SplitMeta {
        let geocode = Geocode::parse(Scheme::Geohash, "gc7").unwrap();
        SplitMeta {
            version: META_VERSION,
            id: SplitId::new("c", "s", &geocode).unwrap(),
            dataset: "generic".to_owned(),
            platform: None,
            geocode,
            placement_key: PlacementRule::Whole.key(&geocode),
            acquired: jiff::Timestamp::UNIX_EPOCH,
            assets: Vec::new(),
            bands: Vec::new(),
            counts: earth::split::meta::PixelCounts::default(),
            cloud_source: None,
            missing_bands: Vec::new(),
            texture: None,
            source_hash: String::new(),
            software: String::new(),
        }
    }

    #[test]
    fn what_waits_comes_back_in_any_order() {
        let spool = Spool::new().unwrap();
        let file = |n: u8| vec![(format!("r{n}.tif"), vec![n; usize::from(n) * 1000])];
        let waiting: Vec<_> = (0..9)
            .map(|n| spool.push(meta(), file(n)).unwrap())
            .collect();
        for (n, one) in (0..9_u8).zip(&waiting).rev() {
            let back = one.read().unwrap();
            assert_eq!(
                back,
                [(
                    format!("r{n}.tif"),
                    Bytes::from(vec![n; usize::from(n) * 1000])
                )]
            );
            assert_eq!(one.bytes(), u64::from(n) * 1000);
        }
    }
}
