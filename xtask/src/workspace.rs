//! Where things lie: the clone and the user's cache.
//!
//! *Invariants*: all paths are absolute; nothing outside the clone and the cache is written.
//!
//! *Not here*: what lies there (`setup`).

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::trouble::{Result, Trouble};

/// The clone that is worked on and the cache that all clones of a user share.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    cache: PathBuf,
}

impl Workspace {
    /// Finds the clone that `cargo xtask` runs in, else the one this program was built from, and
    /// the user's cache folder.
    pub(crate) fn find() -> Result<Self> {
        // A clone that was copied with its target folder keeps a program built elsewhere.
        let runs_in = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = runs_in.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = manifest.parent().unwrap_or(Path::new("/"));
        Ok(Self {
            root: root.to_owned(),
            cache: cache_folder()?.join("glebe"),
        })
    }

    /// Returns the top folder of the clone.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder in the user's cache that all clones share.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns the folder of links from the clone into the cache.
    pub(crate) fn deps(&self) -> PathBuf {
        self.root.join(".deps")
    }

    /// Returns a binary of the workspace as `cargo build` leaves it.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        self.root.join(target).join("debug").join(name)
    }

    /// Makes `.deps/NAME` a link to `target`.
    pub(crate) fn link(&self, name: &str, target: &Path) -> Result<()> {
        let link = self.deps().join(name);
        if fs::read_link(&link).is_ok_and(|now| now == target) {
            return Ok(());
        }
        let made = fs::create_dir_all(self.deps())
            .and_then(|()| {
                if link.is_symlink() {
                    fs::remove_file(&link)
                } else {
                    Ok(())
                }
            })
            .and_then(|()| symlink(target, &link));
        made.map_err(|error| {
            Trouble::new(
                format!(
                    "{} cannot be linked to {}",
                    link.display(),
                    target.display()
                ),
                error.to_string(),
                format!("rm -r {}, then cargo xtask setup", link.display()),
            )
        })
    }
}

/// Returns the user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`.
fn cache_folder() -> Result<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    given
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .ok_or_else(|| {
            Trouble::new(
                "there is no cache folder",
                "neither XDG_CACHE_HOME nor HOME is set",
                "export HOME=/home/YOU",
            )
        })
}
