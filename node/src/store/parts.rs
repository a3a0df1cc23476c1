//! Long files, read in parts.
//!
//! *Invariants*: a file is read and verified as a whole when a part of it is first asked for,
//! whichever that is, and not again for each until the last was read; whoever puts parts together
//! checks the whole.
//!
//! *Not here*: asking for parts (`scatter::find`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Store;
use super::error::StoreError;
use super::object::{ContentHash, ObjectKey};

/// Files being read in parts: more than fifty nodes fetch at a time.
const WHOLE_MAX: usize = 1_024;

/// Files that were found whole and are being read, by their object's content; the latest first.
#[derive(Debug, Default)]
pub(super) struct Whole(Mutex<VecDeque<(ContentHash, String)>>);

impl Whole {
    fn contains(&self, hash: ContentHash, name: &str) -> bool {
        let whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        whole.iter().any(|(h, n)| *h == hash && n == name)
    }

    fn note(&self, hash: ContentHash, name: &str) {
        self.forget(hash, name);
        let mut whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        whole.truncate(WHOLE_MAX - 1);
        whole.push_front((hash, name.to_owned()));
    }

    fn forget(&self, hash: ContentHash, name: &str) {
        let mut whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        whole.retain(|(h, n)| *h != hash || n != name);
    }
}

impl Store {
    /// Returns part of a file.
    pub(crate) fn part(
        &self,
        key: &ObjectKey,
        name: &str,
        (offset, length): (u64, usize),
    ) -> Result<Bytes, StoreError> {
        let record = self.held_record(key)?;
        let long = record.file(name).filter(|e| e.bytes > length as u64);
        if let Some(entry) = long.filter(|e| self.whole.contains(record.hash, &e.name)) {
            let path = self.folder(&record).join(&entry.name);
            let part = self.files.disk.read_part(&path, (offset, length));
            let expected = entry.bytes.saturating_sub(offset).min(length as u64);
            if let Ok(part) = part
                && part.len() as u64 == expected
            {
                if offset.saturating_add(expected) >= entry.bytes {
                    self.whole.forget(record.hash, &entry.name);
                }
                return Ok(part.into());
            }
        }
        let whole = self.file(key, name)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let start = start.min(whole.len());
        let part = start..start.saturating_add(length).min(whole.len());
        let Some(entry) = long else {
            return Ok(whole.slice(part));
        };
        if part.end < whole.len() {
            self.whole.note(record.hash, &entry.name);
        }
        // A slice would keep the whole in memory.
        Ok(Bytes::copy_from_slice(&whole[part]))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use earth::geocode::{Geocode, Scheme};
    use earth::split::placement::PlacementRule;
    use tempfile::TempDir;
    use wire::bundle::Kind;

    use super::*;
    use crate::store::{Object, ObjectFile, PutMode};

    const PART: usize = 1_000;
    const NAME: &str = "model.safetensors";

    fn object(bytes: &[u8]) -> Object {
        let cell = Geocode::parse(Scheme::Geohash, "9xj5").unwrap();
        let config = br#"{"run":"r","geocode":"9xj5"}"#;
        let file = |name: &str, bytes: &[u8]| ObjectFile {
            name: name.to_owned(),
            bytes: Bytes::copy_from_slice(bytes),
        };
        Object {
            key: ObjectKey::new(Kind::Model, "r/9xj5"),
            placement_key: PlacementRule::Whole.key(&cell),
            files: vec![file("config.json", config), file(NAME, bytes)],
        }
    }

    fn weights(salt: u8) -> Vec<u8> {
        (0..3_456_u32)
            .map(|i| salt ^ i.wrapping_mul(2_654_435_761).to_le_bytes()[3])
            .collect()
    }

    fn stored(bytes: &[u8]) -> (TempDir, Store, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_with_reserve(dir.path(), 0).unwrap();
        store.put(&object(bytes), PutMode::Keep).unwrap();
        let record = store.record(&object(bytes).key).unwrap().unwrap();
        let path = store.folder(&record).join(NAME);
        (dir, store, path)
    }

    fn read(store: &Store, offset: usize) -> Result<Bytes, StoreError> {
        let key = object(b"").key;
        store.part(&key, NAME, (offset as u64, PART))
    }

    fn harm(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[3_000] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn parts_add_up_to_the_file_wherever_they_begin() {
        let bytes = weights(1);
        let (_dir, store, _) = stored(&bytes);
        for start in [0, 1, 2_000] {
            let mut found = Vec::new();
            while start + found.len() < bytes.len() {
                found.extend_from_slice(&read(&store, start + found.len()).unwrap());
            }
            assert_eq!(found, bytes[start..]);
        }
        for behind in [bytes.len(), bytes.len() + 1, usize::MAX] {
            assert_eq!(read(&store, behind).unwrap(), b"".as_ref());
        }
    }

    #[test]
    fn a_harmed_file_is_told_by_whichever_part_comes_first() {
        for first in [0, 2_000] {
            let (_dir, store, path) = stored(&weights(1));
            harm(&path);
            let told = read(&store, first);
            assert!(matches!(told, Err(StoreError::Corrupt { .. })), "{told:?}");
        }
    }

    #[test]
    fn a_file_is_not_read_whole_for_each_part_and_one_that_was_cut_off_is_told() {
        let bytes = weights(1);
        let (_dir, store, path) = stored(&bytes);
        read(&store, 0).unwrap();
        harm(&path);
        // Whoever puts the parts together tells that one of them is wrong.
        assert_eq!(read(&store, 1_000).unwrap(), bytes[1_000..2_000]);
        std::fs::write(&path, &bytes[..1_500]).unwrap();
        assert!(read(&store, 1_000).is_err());
    }

    #[test]
    fn a_file_is_verified_again_once_its_last_part_was_read() {
        for starts in [&[0, 1_000, 2_000, 3_000][..], &[3_000]] {
            let (_dir, store, path) = stored(&weights(1));
            for start in starts {
                read(&store, *start).unwrap();
            }
            harm(&path);
            assert!(read(&store, 0).is_err());
        }
    }

    #[test]
    fn what_takes_the_place_of_an_object_is_verified_again() {
        let (_dir, store, path) = stored(&weights(1));
        read(&store, 0).unwrap();
        store.put(&object(&weights(2)), PutMode::Overwrite).unwrap();
        harm(&path);
        assert!(read(&store, 0).is_err());
    }
}
