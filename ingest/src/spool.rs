//! Where encoded splits wait until the whole scene has been read.
//!
//! Nothing of a scene may be stored if any of its bands cannot be read, and a full tile's splits
//! do not fit in memory: they wait in one file, which a supervisor lends to its scene's process.
//!
//! *Invariants*: the file has no name, so nothing is left behind whatever happens to the processes;
//! where a file is said to lie is checked against what is there.
//!
//! *Not here*: putting (`put`).

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use earth::split::meta::SplitMeta;
use earth::split::placement::PlacementKey;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use wire::event::SplitStored;
use wire::fault::{Fault, FaultKind};

/// Number of the open file that a process is lent as its spool.
const LENT_VARIABLE: &str = "GLEBE_SPOOL_FD";

/// Splits that wait.
#[derive(Debug)]
pub struct Spool {
    file: File,
    end: AtomicU64,
}

/// Where one file of a split lies in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name in the split.
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One split that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its metadata.
    pub meta: SplitMeta,
    /// Its files.
    pub files: Vec<Place>,
}

/// One split that waits, as it is told to whoever puts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// What is told once it is stored.
    pub split: SplitStored,
    /// What places it.
    pub key: PlacementKey,
    /// Its files.
    pub files: Vec<Place>,
}

impl Parcel {
    /// Returns what is told of a split that waits.
    pub fn of(waiting: Waiting) -> Self {
        let Waiting { meta, files } = waiting;
        let split = SplitStored {
            id: meta.id.to_string(),
            geocode: meta.geocode.to_string(),
            new: false,
            bytes: files.iter().map(|file| file.bytes).sum(),
            cloud_cover: meta.counts.cloud().map(|c| c * 100.0),
            pixel_coverage: meta.counts.coverage() * 100.0,
            standins: Vec::new(),
            owners_absent: Vec::new(),
        };
        Self {
            split,
            key: meta.placement_key,
            files,
        }
    }
}

impl Spool {
    /// Opens an unnamed file in the system's folder for temporary files (`TMPDIR`).
    pub fn new() -> Result<Self, Fault> {
        tempfile::tempfile().map(Self::of).map_err(|e| full(&e))
    }

    /// Opens the file that this process was lent.
    pub fn lent() -> Result<Self, Fault> {
        let number = std::env::var(LENT_VARIABLE).unwrap_or_default();
        let path = format!("/proc/self/fd/{number}");
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.map(Self::of).map_err(|e| full(&e))
    }

    fn of(file: File) -> Self {
        Self {
            file,
            end: AtomicU64::new(0),
        }
    }

    /// Starts a process that is lent this spool, and no other process.
    pub fn lend<T>(
        &self,
        start: impl FnOnce((&'static str, String)) -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        let number = self.file.as_raw_fd().to_string();
        fcntl_setfd(&self.file, FdFlags::empty())?;
        let started = start((LENT_VARIABLE, number));
        fcntl_setfd(&self.file, FdFlags::CLOEXEC)?;
        started
    }

    /// Adds a split's files; from as many threads at once as there are.
    pub fn push(&self, meta: SplitMeta, files: Vec<(String, Vec<u8>)>) -> Result<Waiting, Fault> {
        let mut places = Vec::with_capacity(files.len());
        for (name, content) in files {
            let bytes = content.len() as u64;
            let start = self.end.fetch_add(bytes, Ordering::Relaxed);
            let written = self.file.write_all_at(&content, start);
            written.map_err(|e| full(&e))?;
            places.push(Place { name, start, bytes });
        }
        let files = places;
        Ok(Waiting { meta, files })
    }

    /// Reads the files of a split back; fails if they are not there.
    pub fn read(&self, files: &[Place]) -> Result<Vec<(String, Bytes)>, Fault> {
        let there = self.file.metadata().map_err(|e| full(&e))?.len();
        let read = |place: &Place| {
            let end = place.start.checked_add(place.bytes);
            let length = usize::try_from(place.bytes);
            let (Some(true), Ok(length)) = (end.map(|end| end <= there), length) else {
                return Err(absent(&place.name));
            };
            let mut bytes = vec![0; length];
            let found = self.file.read_exact_at(&mut bytes, place.start);
            found.map_err(|e| full(&e))?;
            Ok((place.name.clone(), Bytes::from(bytes)))
        };
        files.iter().map(read).collect()
    }
}

fn absent(name: &str) -> Fault {
    let what = format!("'{}' is not where it is said to wait", name.escape_debug());
    Fault::new(FaultKind::Data, what)
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
            let back = spool.read(&one.files).unwrap();
            assert_eq!(
                back,
                [(
                    format!("r{n}.tif"),
                    Bytes::from(vec![n; usize::from(n) * 1000])
                )]
            );
            let parcel = Parcel::of(one.clone());
            assert_eq!(parcel.split.bytes, u64::from(n) * 1000);
            assert_eq!(parcel.key, one.meta.placement_key);
        }
    }

    #[test]
    fn what_is_said_to_lie_where_nothing_is_is_refused() {
        let spool = Spool::new().unwrap();
        spool
            .push(meta(), vec![("a".to_owned(), vec![1; 10])])
            .unwrap();
        for (start, bytes) in [(5, 6), (11, 0), (0, 1 << 60), (u64::MAX, 1), (1, u64::MAX)] {
            let name = "a".to_owned();
            let fault = spool.read(&[Place { name, start, bytes }]).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Data, "{start} {bytes}");
        }
    }
}
