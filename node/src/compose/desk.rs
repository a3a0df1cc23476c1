//! Where workers that predict find their files: `DIR/predictions`.
//!
//! *Invariants*: what an earlier process left is removed at the start; a cell's folder goes with
//! its request; a model is brought once, and stays while anybody answers with it or it is among
//! the last that were.
//!
//! *Not here*: which models answer (`predict`), the worker (`infer`).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wire::bundle::Kind;
use wire::fault::{Fault, FaultKind};

use super::infer::unusable;
use crate::cluster::core::Core;
use crate::scatter;
use crate::store::{ContentHash, ObjectKey, Record};

/// Models kept beyond those in use: those of a cell, its neighbours, and some rows of cells more.
const MODELS_MAX: usize = 64;

/// The folder.
#[derive(Debug)]
pub(super) struct Desk {
    dir: PathBuf,
    made: AtomicU64,
    /// The models asked for last, the newest first.
    models: Mutex<VecDeque<(ContentHash, Place)>>,
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Where a model's folder is, once it was brought.
type Place = Arc<OnceCell<Arc<Folder>>>;

impl Desk {
    /// Names the folder below a node's, and removes what is left in it.
    pub(super) fn new(data: &Path) -> Self {
        // Workers are told whole paths, wherever they are started.
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let dir = data.join("predictions");
        remove(&dir);
        Self {
            dir,
            made: AtomicU64::new(0),
            models: Mutex::default(),
        }
    }

    /// Makes a folder.
    pub(super) fn folder(&self) -> io::Result<Folder> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(number.to_string());
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).recursive(true).create(&path)?;
        Ok(Folder(path))
    }

    /// Returns a model of a run, brought from the ring unless it is here.
    pub(super) async fn model(
        &self,
        core: &Arc<Core>,
        (run, geocode): (&str, &str),
    ) -> Result<Arc<Folder>, Fault> {
        let key = ObjectKey::new(Kind::Model, format!("{run}/{geocode}"));
        let record = scatter::record(core, &key).await?;
        let gone = || Fault::new(FaultKind::Nothing, format!("{key} is not there any more"));
        let record = record.ok_or_else(gone)?;
        let place = self.known(record.hash);
        let brought = place.get_or_try_init(|| self.bring(core, &record));
        brought.await.map(Arc::clone)
    }

    /// Returns the place of a model, which becomes the newest; the oldest makes room.
    fn known(&self, hash: ContentHash) -> Place {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let at = models.iter().position(|(of, _)| *of == hash);
        let found = at.and_then(|at| models.remove(at));
        let (_, place) = found.unwrap_or_else(|| (hash, Place::default()));
        models.push_front((hash, Arc::clone(&place)));
        models.truncate(MODELS_MAX);
        place
    }

    async fn bring(&self, core: &Arc<Core>, record: &Record) -> Result<Arc<Folder>, Fault> {
        let folder = self.folder().map_err(|e| unusable(&e))?;
        for file in &record.files {
            let bytes = scatter::fetch(core, &record.key, &file.name).await?;
            let written = tokio::fs::write(folder.0.join(&file.name), bytes).await;
            written.map_err(|e| unusable(&e))?;
        }
        Ok(Arc::new(folder))
    }
}

impl Folder {
    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, folder = %folder.display(), "a folder cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use wire::hit::FileEntry;

    use super::*;

    #[test]
    fn what_a_killed_node_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let before = Desk::new(dir.path());
        let left = before.folder().unwrap();
        fs::write(left.path().join("map.tif"), b"half").unwrap();
        std::mem::forget(left);
        let desk = Desk::new(dir.path());
        let folder = desk.folder().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_model_is_kept_while_it_is_in_use_or_among_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::new(dir.path());
        let hash = |i: usize| {
            let (name, bytes) = (i.to_string(), 1);
            let blake3 = "ab".repeat(32);
            ContentHash::of(&[FileEntry {
                name,
                bytes,
                blake3,
            }])
        };
        let first = desk.known(hash(0));
        for i in 1..MODELS_MAX {
            desk.known(hash(i));
        }
        assert!(
            Arc::ptr_eq(&first, &desk.known(hash(0))),
            "it is the newest again"
        );
        for i in MODELS_MAX..2 * MODELS_MAX {
            desk.known(hash(i));
        }
        assert!(!Arc::ptr_eq(&first, &desk.known(hash(0))), "it was let go");
    }
}
