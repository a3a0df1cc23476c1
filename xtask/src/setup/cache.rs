//! The user's cache folder: one lock, and folders that appear whole or not at all.
//!
//! *Invariants*: a folder gets its name only once it is complete; what a stopped set-up left
//! behind is removed by the next one.
//!
//! *Not here*: what is unpacked there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::say;
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// Name of the folder in which things are made before they get their place.
const WORKSHOP: &str = ".unfinished";

/// Takes the lock that lets one set-up at a time change the cache; dropping it gives it back.
pub(crate) fn lock(workspace: &Workspace) -> Result<File> {
    let folder = workspace.cache();
    let file = fs::create_dir_all(folder).and_then(|()| File::create(folder.join(".lock")));
    let file = file.map_err(|error| unusable(folder, &error))?;
    if file.try_lock().is_err() {
        say::note("another set-up is at work; waiting for it");
        file.lock().map_err(|error| unusable(folder, &error))?;
    }
    Ok(file)
}

/// Returns an empty folder, on the cache's own file system, to make things in.
pub(crate) fn workshop(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.cache().join(WORKSHOP);
    let emptied = remove(&folder).and_then(|()| fs::create_dir_all(&folder));
    emptied.map_err(|error| unusable(&folder, &error))?;
    Ok(folder)
}

/// Gives a finished folder its place, instead of what may be there.
pub(crate) fn settle(made: &Path, place: &Path) -> Result<()> {
    let old = made.with_extension("replaced");
    let moved = remove(&old)
        .and_then(|()| {
            if place.exists() {
                fs::rename(place, &old)
            } else {
                Ok(())
            }
        })
        .and_then(|()| fs::rename(made, place))
        .and_then(|()| remove(&old));
    moved.map_err(|error| unusable(place, &error))
}

/// Removes the folder that things were made in.
pub(crate) fn close_workshop(workspace: &Workspace) -> Result<()> {
    let folder = workspace.cache().join(WORKSHOP);
    remove(&folder).map_err(|error| unusable(&folder, &error))
}

/// Returns the failure of a cache that cannot be read or written.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Trouble {
    Trouble::new(
        format!("{} cannot be prepared", path.display()),
        error.to_string(),
        "make room or mend its permissions, or set XDG_CACHE_HOME; then cargo xtask setup",
    )
}

fn remove(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
    } else {
        Ok(())
    }
}
