//! Bytes that turn on a disk in memory, and a look at what it holds without a store.
//!
//! *Invariants*: what is looked at is what the next start of its node finds: without power, what a
//! cut has left.
//!
//! *Not here*: whose bytes turn, and when (`simulate`); what bits do (`state`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::disk::Disk;
use super::ModelDisk;
use crate::simulate::dice::Dice;

impl ModelDisk {
    /// Returns every file below a folder with its bytes; none if there is no such folder.
    pub(crate) fn files_below(&self, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        self.surviving().collect(folder, &mut found);
        found
    }

    /// Returns the bytes of a file, if there is one.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.surviving().read(path).ok()
    }

    /// Turns bits of a file that was synced; tells whether there was anything to turn.
    pub(crate) fn rot(&self, path: &Path, dice: &mut Dice) -> bool {
        let disk = self.surviving();
        let Ok(file) = disk.find(path) else {
            return false;
        };
        disk.lock().state.turn_bits(file, dice)
    }

    fn surviving(&self) -> Self {
        self.left().unwrap_or_else(|| self.clone())
    }

    fn collect(&self, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in self.entries(folder).unwrap_or_default() {
            let path = folder.join(&entry.name);
            if entry.is_folder {
                self.collect(&path, found);
            } else if let Ok(bytes) = self.read(&path) {
                found.insert(path, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use earth::split::placement::PlacementKey;
    use wire::bundle::Kind;

    use super::*;
    use crate::store::{Harm, Object, ObjectFile, ObjectKey, PutMode, StoreError};

    const DIR: &str = "/d";

    fn object() -> Object {
        let file = |name: &str, bytes: &[u8]| ObjectFile {
            name: name.to_owned(),
            bytes: Bytes::copy_from_slice(bytes),
        };
        Object {
            key: ObjectKey::new(Kind::Model, "r/c1"),
            placement_key: PlacementKey::named("test", "c1"),
            files: vec![
                file("config.json", br#"{"run":"r","geocode":"c1"}"#),
                file("model.safetensors", &[7; 900]),
            ],
        }
    }

    /// Returns a disk that holds the object, and where its weights are.
    fn holding() -> (ModelDisk, PathBuf) {
        let disk = ModelDisk::new();
        let store = disk.open(Path::new(DIR)).unwrap();
        store.put(&object(), PutMode::Keep).unwrap();
        let files = disk.files_below(&Path::new(DIR).join("objects"));
        let mut weights = files.keys().filter(|p| p.ends_with("model.safetensors"));
        let path = weights.next().unwrap().clone();
        assert_eq!((files.len(), files[&path].len()), (3, 900), "{files:?}");
        (disk, path)
    }

    #[test]
    fn what_rots_is_not_read_as_it_was_and_no_power_cut_undoes_it() {
        for seed in 0..50 {
            let (disk, path) = holding();
            let mut dice = Dice::new(seed);
            assert!(disk.rot(&path, &mut dice));
            let now = disk.content(&path).unwrap();
            let turned = now.iter().filter(|byte| **byte != 7).count();
            assert!((1..=8).contains(&turned) && now.len() == 900, "{turned}");
            let left = disk.cut(&mut dice);
            assert_eq!(left.content(&path).unwrap(), now, "seed {seed}");
            for disk in [disk, left] {
                let store = disk.open(Path::new(DIR)).unwrap();
                let key = object().key;
                let read = store.file(&key, "model.safetensors");
                assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
                assert_eq!(store.audit(&key).unwrap().0, Harm::Files);
                assert!(store.file(&key, "config.json").is_ok());
            }
        }
    }

    #[test]
    fn only_files_rot() {
        let (disk, path) = holding();
        let mut dice = Dice::new(1);
        for nothing in [path.parent().unwrap(), Path::new("/d/none")] {
            assert!(!disk.rot(nothing, &mut dice), "{nothing:?}");
        }
    }
}
