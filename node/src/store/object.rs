//! An object: what the store keeps, replicates and deletes as one.
//!
//! *Invariants*: file names are plain; no two are the same; the content hash depends on names and
//! bytes only, so that replicas compare by it.
//!
//! *Not here*: where the files lie on disk (`files`), what is indexed of them (`records`).

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use earth::split::collection::is_name;
use earth::split::placement::{PlacementKey, Slot};
use serde::{Deserialize, Serialize};
use wire::bundle::{FILES_MAX, Kind};
use wire::hit::FileEntry;

/// The file in which the store keeps what an object's own files do not say.
pub const OBJECT_FILE: &str = "object.json";
/// Longest id: collection, scene and geocode with their separators.
pub const ID_LENGTH_MAX: usize = 250;

/// Kind and id: the name of an object in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its id within the kind.
    pub id: String,
}

/// A file of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFile {
    /// A plain name.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Something to keep: key, placement and files; without files, the tombstone of what was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: ObjectKey,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// Its files.
    pub files: Vec<ObjectFile>,
}

/// An object that is hashed once, by whoever first asks what its files hash to.
#[derive(Debug)]
pub struct Hashed {
    object: Object,
    entries: OnceLock<Vec<FileEntry>>,
}

/// BLAKE3 over the lines `HASH  NAME\n` of an object's files, sorted by name.
///
/// It is what `b3sum * | b3sum` prints inside the folder. Of no files, a tombstone's, it is zero:
/// the least there is, so that of equal revisions the deletion stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash([u8; 32]);

/// Why something cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The id does not fit its kind.
    #[error("'{id}' is no id of a {kind:?}")]
    Id {
        /// The kind.
        kind: Kind,
        /// The id.
        id: String,
    },
    /// A file name is not plain, reserved or given twice.
    #[error("'{name}' cannot name a file of an object")]
    FileName {
        /// The name.
        name: String,
    },
    /// There is no file, or there are too many.
    #[error("an object has 1 to {FILES_MAX} files, not {found}")]
    FileCount {
        /// Files given.
        found: usize,
    },
    /// The files do not describe the object they are said to be.
    #[error("the files of {key} do not describe it: {reason}")]
    Content {
        /// The key.
        key: ObjectKey,
        /// What is wrong.
        reason: String,
    },
}

impl ObjectKey {
    /// Builds a key without judging the id.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self {
            kind,
            id: id.into(),
        }
    }

    /// Checks that the id has the form of its kind: one name, or `NAME/NAME`.
    pub fn check(&self) -> Result<(), ObjectError> {
        let fits = match self.kind {
            Kind::Split => earth::split::meta::SplitId::parse(&self.id).is_ok(),
            Kind::Model | Kind::Ledger | Kind::Tag => self
                .id
                .split_once('/')
                .is_some_and(|(first, second)| is_name(first) && is_name(second)),
            Kind::Run | Kind::Collection | Kind::Module => is_name(&self.id),
        };
        if fits && self.id.len() <= ID_LENGTH_MAX {
            return Ok(());
        }
        Err(ObjectError::Id {
            kind: self.kind,
            id: self.id.clone(),
        })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.id)
    }
}

impl Object {
    /// Returns what takes the place of a deleted object.
    pub fn tombstone(key: ObjectKey, placement_key: PlacementKey) -> Self {
        Self {
            key,
            placement_key,
            files: Vec::new(),
        }
    }

    /// Tells whether it says that the object was deleted.
    pub fn is_tombstone(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the slot it is placed in.
    pub fn slot(&self) -> Slot {
        self.placement_key.slot()
    }

    /// Returns the sum of its files' bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes.len() as u64).sum()
    }

    /// Returns name, length and hash of each file, sorted by name.
    pub fn entries(&self) -> Vec<FileEntry> {
        let mut entries: Vec<FileEntry> = self
            .files
            .iter()
            .map(|f| entry(&f.name, &f.bytes))
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Checks key, file names and file count; a tombstone is nothing that a user may put.
    pub fn check(&self) -> Result<(), ObjectError> {
        self.key.check()?;
        let found = self.files.len();
        if found == 0 || found > FILES_MAX {
            return Err(ObjectError::FileCount { found });
        }
        let mut names: Vec<&str> = self.files.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        let wrong = names.iter().find(|name| !is_file_name(name));
        match twice.map(|pair| &pair[0]).or(wrong) {
            Some(name) => Err(ObjectError::FileName {
                name: (*name).to_owned(),
            }),
            None => Ok(()),
        }
    }
}

impl Hashed {
    /// Takes an object whose files were checked against these entries already.
    pub(crate) fn checked(object: Object, mut entries: Vec<FileEntry>) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            object,
            entries: entries.into(),
        }
    }

    /// Returns the object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Returns name, length and hash of each file, sorted by name.
    pub fn entries(&self) -> &[FileEntry] {
        self.entries.get_or_init(|| self.object.entries())
    }

    /// Returns the hash of all files.
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.entries())
    }
}

impl From<Object> for Hashed {
    fn from(object: Object) -> Self {
        Self {
            object,
            entries: OnceLock::new(),
        }
    }
}

impl ContentHash {
    /// The hash of a tombstone.
    pub const NOTHING: Self = Self([0; 32]);

    /// Hashes an object's files, sorted by name.
    pub fn of(entries: &[FileEntry]) -> Self {
        let mut sorted: Vec<&FileEntry> = entries.iter().collect();
        if sorted.is_empty() {
            return Self::NOTHING;
        }
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hasher = blake3::Hasher::new();
        for entry in sorted {
            hasher.update(format!("{}  {}\n", entry.blake3, entry.name).as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Builds the hash from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Returns name, length and hash of a file.
pub(super) fn entry(name: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        name: name.to_owned(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
    }
}

/// Tells whether a text may name a file of an object.
fn is_file_name(name: &str) -> bool {
    is_name(name) && name != OBJECT_FILE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(names: &[&str]) -> Object {
        let file = |name: &&str| ObjectFile {
            name: (*name).to_owned(),
            bytes: Bytes::copy_from_slice(name.as_bytes()),
        };
        Object {
            key: ObjectKey::new(Kind::Run, "r"),
            placement_key: PlacementKey::named("run", "r"),
            files: names.iter().map(file).collect(),
        }
    }

    #[test]
    fn only_plain_distinct_names_are_kept() {
        assert_eq!(object(&["a", "b.json"]).check(), Ok(()));
        for wrong in [
            &["../a"][..],
            &["a", "a"],
            &["object.json"],
            &[".hidden"],
            &[""],
        ] {
            let refused = matches!(object(wrong).check(), Err(ObjectError::FileName { .. }));
            assert!(refused, "{wrong:?}");
        }
        assert_eq!(
            object(&[]).check(),
            Err(ObjectError::FileCount { found: 0 })
        );
    }

    #[test]
    fn ids_fit_their_kind() {
        let fits = |kind, id: &str| ObjectKey::new(kind, id).check().is_ok();
        assert!(fits(Kind::Split, "s2/scene~9xj5k"));
        assert!(fits(Kind::Model, "run/9xj5k"));
        assert!(fits(Kind::Collection, "s2"));
        assert!(!fits(Kind::Split, "s2/scene"));
        assert!(!fits(Kind::Model, "run/../9xj5k"));
        assert!(!fits(Kind::Collection, "a/b"));
        assert!(!fits(Kind::Ledger, "a+b/c"));
    }

    #[test]
    fn the_content_hash_ignores_order_and_notices_names_and_bytes() {
        let hash = |names: &[&str]| ContentHash::of(&object(names).entries());
        assert_eq!(hash(&["a", "b"]), hash(&["b", "a"]));
        assert_ne!(hash(&["a", "b"]), hash(&["a"]));
        let mut renamed = object(&["a"]);
        renamed.files[0].name = "c".to_owned();
        assert_ne!(ContentHash::of(&renamed.entries()), hash(&["a"]));
    }
}
