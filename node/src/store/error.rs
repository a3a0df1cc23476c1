//! Why the store cannot do what it was asked.
//!
//! *Invariants*: a full disk, a corrupt file and a damaged index are told apart.
//!
//! *Not here*: HTTP statuses (`http`).

use std::io;

use wire::fault::{Fault, FaultKind};

use super::object::{ObjectError, ObjectKey};

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object itself is wrong.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// There is no such object.
    #[error("there is no {key}")]
    Missing {
        /// The key asked for.
        key: ObjectKey,
    },
    /// The object has no file of that name.
    #[error("{key} has no file '{name}'")]
    MissingFile {
        /// The key asked for.
        key: ObjectKey,
        /// The file asked for.
        name: String,
    },
    /// The bytes on disk are not those that were acknowledged.
    #[error("file '{name}' of {key} is corrupt")]
    Corrupt {
        /// The object.
        key: ObjectKey,
        /// The file.
        name: String,
    },
    /// The disk is full, or nearly.
    #[error("no space left for {needed} bytes")]
    NoSpace {
        /// Bytes that were to be written.
        needed: u64,
    },
    /// A value of the index does not match its checksum.
    #[error("the index is damaged in table {table}")]
    Damaged {
        /// The table.
        table: &'static str,
    },
    /// The index does not answer.
    #[error("the index does not answer")]
    Index(#[source] Box<redb::Error>),
    /// The file system does not answer.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Returns the wrapper for errors of one step; a full disk gets its own kind.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { needed: 0 }
            }
            _ => Self::Io { what, source },
        }
    }

    /// Tells whether remaking the index from the files can help.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Index(error) => matches!(
                **error,
                redb::Error::Corrupted(_)
                    | redb::Error::UpgradeRequired(_)
                    | redb::Error::RepairAborted
                    | redb::Error::TableDoesNotExist(_)
                    | redb::Error::TableTypeMismatch { .. }
            ),
            // What redb says of a file that is no database, or half of one.
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ),
            _ => false,
        }
    }
}

/// Turns any of redb's errors into the store's; used as `.map_err(index)`.
pub(super) fn index<E: Into<redb::Error>>(error: E) -> StoreError {
    match error.into() {
        redb::Error::Io(source) => StoreError::io("write the index")(source),
        error => StoreError::Index(Box::new(error)),
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Object(_) | StoreError::Corrupt { .. } => FaultKind::Data,
            StoreError::Missing { .. } | StoreError::MissingFile { .. } => FaultKind::Nothing,
            StoreError::NoSpace { .. } => FaultKind::Refused,
            StoreError::Damaged { .. } | StoreError::Index(_) | StoreError::Io { .. } => {
                FaultKind::Internal
            }
        };
        let fault = Self::new(kind, error.to_string());
        let fault = match std::error::Error::source(&error) {
            Some(source) => fault.because(source.to_string()),
            None => fault,
        };
        match error {
            StoreError::Corrupt { .. } => fault.try_("glebe cluster verify"),
            StoreError::NoSpace { .. } => fault.try_("free space on the node's disk and go on"),
            StoreError::Damaged { .. } => fault.try_("glebe node repair --rebuild-index"),
            _ => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::io("write")(full);
        assert!(matches!(error, StoreError::NoSpace { .. }));
        assert_eq!(Fault::from(error).kind, FaultKind::Refused);
        let full = redb::StorageError::Io(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(index(full), StoreError::NoSpace { .. }));
    }
}
