//! What a bundle's header may say.
//!
//! *Invariants*: a header that passes names one object of its kind and only plain file names, so
//! that ids and names can stand in paths.
//!
//! *Not here*: the bytes of the files (`decode`).

use earth::split::collection::is_name;
use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;

use super::{BUNDLE_BYTES_MAX, BundleHeader, FILES_MAX, HEADER_BYTES_MAX, Kind};
use crate::model::GLOBAL;

/// Length of a BLAKE3 hash in hexadecimal.
const HASH_CHARS: usize = 64;

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is longer than allowed.
    #[error("the header is longer than {HEADER_BYTES_MAX} bytes")]
    Long,
    /// There are too many files, or none.
    #[error("{count} files, where 1 to {FILES_MAX} are allowed")]
    Count {
        /// Files listed.
        count: usize,
    },
    /// The files are larger than allowed.
    #[error("the files are larger than {BUNDLE_BYTES_MAX} bytes")]
    Large,
    /// The id does not fit the kind.
    #[error("'{id}' is no id of a {kind}")]
    Id {
        /// The kind.
        kind: Kind,
        /// The id given.
        id: String,
    },
    /// The placement key does not fit the id.
    #[error("placement key '{key}' does not fit {kind} '{id}'")]
    Placement {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
        /// The key given.
        key: String,
    },
    /// A file's name is not plain.
    #[error("'{name}' is no plain file name")]
    Name {
        /// The name given.
        name: String,
    },
    /// Two files have one name.
    #[error("file '{name}' stands there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A file's hash is no BLAKE3 in lower-case hexadecimal.
    #[error("the hash of file '{name}' is no BLAKE3")]
    Hash {
        /// The file.
        name: String,
    },
}

impl BundleHeader {
    /// Checks id, placement key, names, hashes and sizes.
    pub fn check(&self) -> Result<(), HeaderError> {
        check_id(self.kind, &self.id)?;
        self.check_placement()?;
        self.check_files()
    }

    fn check_placement(&self) -> Result<(), HeaderError> {
        if places(self.kind, &self.id, &self.placement_key) {
            return Ok(());
        }
        Err(HeaderError::Placement {
            kind: self.kind,
            id: self.id.clone(),
            key: self.placement_key.as_str().to_owned(),
        })
    }

    fn check_files(&self) -> Result<(), HeaderError> {
        let count = self.files.len();
        if !(1..=FILES_MAX).contains(&count) {
            return Err(HeaderError::Count { count });
        }
        let mut names = std::collections::BTreeSet::new();
        let mut bytes = 0_u64;
        for file in &self.files {
            let name = || file.name.clone();
            if !is_name(&file.name) {
                return Err(HeaderError::Name { name: name() });
            }
            if !names.insert(&file.name) {
                return Err(HeaderError::Twice { name: name() });
            }
            if !is_hash(&file.blake3) {
                return Err(HeaderError::Hash { name: name() });
            }
            bytes = bytes.saturating_add(file.bytes);
        }
        if bytes > BUNDLE_BYTES_MAX as u64 {
            return Err(HeaderError::Large);
        }
        Ok(())
    }
}

/// Checks that an id is one of its kind.
pub(super) fn check_id(kind: Kind, id: &str) -> Result<(), HeaderError> {
    let fits = match kind {
        Kind::Split => SplitId::parse(id).is_ok(),
        Kind::Model | Kind::Tag => two_names(id).is_some_and(|(_, code)| is_code(code)),
        Kind::Ledger => two_names(id).is_some(),
        Kind::Run | Kind::Collection => is_name(id),
        Kind::Module => is_hash(id),
    };
    if fits {
        return Ok(());
    }
    let id = id.to_owned();
    Err(HeaderError::Id { kind, id })
}

/// Tells whether that key can place that object: the head of its geocode, or `KIND:ID`.
fn places(kind: Kind, id: &str, key: &PlacementKey) -> bool {
    let head_of = |code: &str| !key.as_str().is_empty() && code.starts_with(key.as_str());
    match kind {
        Kind::Split => id.rsplit_once('~').is_some_and(|(_, code)| head_of(code)),
        Kind::Model => two_names(id)
            .is_some_and(|(run, code)| head_of(code) || *key == PlacementKey::named(GLOBAL, run)),
        Kind::Run | Kind::Ledger | Kind::Collection | Kind::Tag | Kind::Module => {
            *key == PlacementKey::named(kind.word(), id)
        }
    }
}

fn two_names(id: &str) -> Option<(&str, &str)> {
    id.split_once('/').filter(|(a, b)| is_name(a) && is_name(b))
}

/// Tells whether a text can be a geocode of some scheme, or `global`.
fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH_CHARS
        && text
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}
