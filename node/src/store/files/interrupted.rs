//! What lies in `tmp` as a store starts: read, undone, removed.
//!
//! *Invariants*: each deed is done at once or not at all, so that a start that is cut off itself
//! leaves what the next one can settle.
//!
//! *Not here*: which of them is undone (`settle`).

use std::io;
use std::path::{Path, PathBuf};

use super::{Files, Intent};
use crate::store::error::StoreError;

impl Files {
    /// Returns the intents that a crash left behind, with the folders staged for them.
    pub(in crate::store) fn intents(&self) -> Result<Vec<(Intent, PathBuf)>, StoreError> {
        let read = || -> io::Result<Vec<(Intent, PathBuf)>> {
            let mut intents = Vec::new();
            for entry in self.disk.entries(&self.tmp)? {
                let path = self.tmp.join(entry.name);
                if path.extension().is_none_or(|e| e != "intent") {
                    continue;
                }
                // One that was cut off was cut off before its rename: nothing to undo.
                if let Ok(intent) = serde_json::from_slice(&self.disk.read(&path)?) {
                    intents.push((intent, path.with_extension("")));
                }
            }
            Ok(intents)
        };
        read().map_err(StoreError::io("read what was interrupted"))
    }

    /// Takes back what an intent did: the staged folder returns to its place, at once or not at
    /// all.
    pub(in crate::store) fn undo(&self, intent: &Intent, staged: &Path) -> Result<(), StoreError> {
        let parent = self.slot_folder(intent.key.kind, intent.slot);
        let folder = self.folder(&intent.key, intent.slot);
        let undo = || -> io::Result<()> {
            if self.disk.is_there(&folder) {
                self.disk.exchange(staged, &folder)?;
            } else {
                self.disk.rename(staged, &folder)?;
            }
            self.disk.sync_folder(&parent)
        };
        undo().map_err(StoreError::io("undo what was interrupted"))
    }

    /// Moves the folder that an intent speaks of out of sight, at once or not at all.
    pub(in crate::store) fn discard(
        &self,
        intent: &Intent,
        staged: &Path,
    ) -> Result<(), StoreError> {
        let parent = self.slot_folder(intent.key.kind, intent.slot);
        let folder = self.folder(&intent.key, intent.slot);
        let away = staged.with_extension("away");
        let discard = || -> io::Result<()> {
            if !self.disk.is_there(&folder) {
                return Ok(());
            }
            self.disk.remove(&away)?;
            self.disk.rename(&folder, &away)?;
            self.disk.sync_folder(&parent)
        };
        discard().map_err(StoreError::io("undo what was interrupted"))
    }

    /// Removes everything below `tmp`: intents first, and for good, so that none of them comes back
    /// without the folder that tells what it did.
    pub(in crate::store) fn clear_tmp(&self) -> Result<(), StoreError> {
        let clear = || -> io::Result<()> {
            let (intents, rest): (Vec<_>, Vec<_>) = { self.disk.entries(&self.tmp)?.into_iter() }
                .map(|entry| self.tmp.join(entry.name))
                .partition(|path| path.extension().is_some_and(|e| e == "intent"));
            for intent in &intents {
                self.disk.remove(intent)?;
            }
            if !intents.is_empty() {
                self.disk.sync_folder(&self.tmp)?;
            }
            rest.iter().try_for_each(|path| self.disk.remove(path))
        };
        clear().map_err(StoreError::io("empty the folder of unfinished writes"))
    }
}
