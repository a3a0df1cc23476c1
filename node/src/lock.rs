//! The locks of a store's folder: one process holds it, others attach to that one.
//!
//! ```text
//! DIR/lock     exclusive by the holder, as long as it lives
//! DIR/users    shared by every process that is attached
//! ```
//! *Invariants*: the kernel drops a lock with its process, so none is ever stale.
//!
//! *Not here*: what the holder serves (`daemon`, `embedded`).

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;
use wire::fault::{Fault, FaultKind};

/// Names of the files in a store's folder that are locked.
pub(crate) const FILES: [&str; 2] = ["lock", "users"];

/// The right to write below a folder, until dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    _lock: File,
    users: File,
}

/// Says that this process is attached to the holder, until dropped.
#[derive(Debug)]
pub(crate) struct User {
    _users: File,
}

impl Holder {
    /// Takes the lock of a folder, making the folder; `None` while another process has it.
    pub(crate) fn take(dir: &Path) -> Result<Option<Self>, Fault> {
        fs::create_dir_all(dir).map_err(|e| unusable(dir, &e))?;
        let [lock, users] = FILES;
        let (lock, users) = (open(dir, lock)?, open(dir, users)?);
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _lock: lock, users })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(unusable(dir, &error.into())),
        }
    }

    /// Tells whether other processes are attached; none can attach anew meanwhile.
    pub(crate) fn is_used(&self) -> bool {
        rustix::fs::flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_err()
    }
}

impl User {
    /// Says that this process is attached; `None` while the holder is about to leave.
    pub(crate) fn attach(dir: &Path) -> Result<Option<Self>, Fault> {
        let [_, users] = FILES;
        let users = open(dir, users)?;
        match rustix::fs::flock(&users, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(Self { _users: users })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(unusable(dir, &error.into())),
        }
    }
}

fn open(dir: &Path, name: &str) -> Result<File, Fault> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options.open(dir.join(name)).map_err(|e| unusable(dir, &e))
}

fn unusable(dir: &Path, error: &io::Error) -> Fault {
    let what = format!("cannot use the folder {}", dir.display());
    Fault::new(FaultKind::Refused, what)
        .because(error.to_string())
        .try_("--data with a folder that can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_and_leaves_only_when_nobody_is_attached() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder::take(dir.path()).unwrap().unwrap();
        assert!(Holder::take(dir.path()).unwrap().is_none());
        let user = User::attach(dir.path()).unwrap().unwrap();
        let second = User::attach(dir.path()).unwrap().unwrap();
        assert!(holder.is_used());
        drop((user, second));
        assert!(!holder.is_used());
        assert!(
            User::attach(dir.path()).unwrap().is_none(),
            "it is about to leave"
        );
        drop(holder);
        assert!(Holder::take(dir.path()).unwrap().is_some());
    }
}
