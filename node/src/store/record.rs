//! The record of an object: what is known of it without reading its files.
//!
//! *Invariants*: remade from the files alone (`rebuild`), equal to the one written at the put.
//!
//! *Not here*: how records are kept (`records`).

use earth::split::meta::SplitMeta;
use earth::split::placement::{PlacementKey, Slot};
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;
use wire::hit::FileEntry;
use wire::module::{ABOUT_FILE, About, BYTES_MAX, MODULE_FILE};

use super::object::{ContentHash, Hashed, Object, ObjectError, ObjectKey};

/// What is known of a stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub key: ObjectKey,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// Its files, sorted by name.
    pub files: Vec<FileEntry>,
    /// Hash of its files.
    pub hash: ContentHash,
    /// 1, and one more with every overwrite: of two replicas the greater is the newer.
    pub revision: u32,
    /// JSON that describes it: a split's `SplitMeta`, a model's `config.json`, or the one file of
    /// a run, ledger or collection.
    pub document: String,
}

/// Which content of an object is held; the greater is the newer, of equal revisions the one with
/// the lesser hash stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// 1, and one more with every overwrite and deletion.
    pub revision: u32,
    /// Hash of its files.
    pub hash: ContentHash,
}

/// What comparing replicas needs to know of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// Its slot.
    pub slot: Slot,
    /// Its name.
    pub key: ObjectKey,
    /// Hash of its files.
    pub hash: ContentHash,
    /// Of two replicas the greater is the newer.
    pub revision: u32,
    /// Bytes of its files.
    pub bytes: u64,
}

impl Held {
    /// Tells whether it says that the object was deleted.
    pub fn is_tombstone(&self) -> bool {
        self.hash == ContentHash::NOTHING
    }

    /// Returns what is compared.
    pub fn version(&self) -> Version {
        Version {
            revision: self.revision,
            hash: self.hash,
        }
    }
}

impl Version {
    /// Tells whether a holder of this version lacks nothing of the other.
    pub fn covers(&self, other: &Self) -> bool {
        (self.revision, other.hash) >= (other.revision, self.hash)
    }

    /// Tells whether it says that the object was deleted.
    pub fn is_tombstone(&self) -> bool {
        self.hash == ContentHash::NOTHING
    }
}

impl Record {
    /// Returns what is compared.
    pub fn version(&self) -> Version {
        Version {
            revision: self.revision,
            hash: self.hash,
        }
    }

    /// Describes an object by its own files; a tombstone has none.
    pub fn describe(hashed: &Hashed, revision: u32) -> Result<Self, ObjectError> {
        let object = hashed.object();
        if object.is_tombstone() {
            object.key.check()?;
            return Ok(Self::tombstone(object, revision));
        }
        object.check()?;
        Ok(Self {
            key: object.key.clone(),
            placement_key: object.placement_key.clone(),
            hash: hashed.hash(),
            files: hashed.entries().to_vec(),
            revision,
            document: document(object)?,
        })
    }

    fn tombstone(object: &Object, revision: u32) -> Self {
        Self {
            key: object.key.clone(),
            placement_key: object.placement_key.clone(),
            files: Vec::new(),
            hash: ContentHash::NOTHING,
            revision,
            document: String::new(),
        }
    }

    /// Tells whether it says that the object was deleted.
    pub fn is_tombstone(&self) -> bool {
        self.hash == ContentHash::NOTHING
    }

    /// Returns the slot.
    pub fn slot(&self) -> Slot {
        self.placement_key.slot()
    }

    /// Returns the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// Returns the file of that name.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|f| f.name == name)
    }

    /// Returns what comparing replicas needs.
    pub fn held(&self) -> Held {
        Held {
            slot: self.slot(),
            key: self.key.clone(),
            hash: self.hash,
            revision: self.revision,
            bytes: self.bytes(),
        }
    }

    /// Reads the document as the type that its kind has.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ObjectError> {
        parse(&self.key, &self.document)
    }

    /// Reads the document of a split.
    pub fn split(&self) -> Result<SplitMeta, ObjectError> {
        self.read()
    }
}

/// Returns the document of an object, after checking that it says what the key says.
fn document(object: &Object) -> Result<String, ObjectError> {
    let key = &object.key;
    match key.kind {
        Kind::Split => super::split_file::document(object),
        Kind::Model => {
            let text = text(object, "config.json")?;
            let model: ModelHead = parse(key, &text)?;
            agree(key, &format!("{}/{}", model.run, model.geocode)).map(|()| text)
        }
        Kind::Run => {
            let text = text(object, "run.json")?;
            let run: wire::run::Run = parse(key, &text)?;
            agree(key, &run.name).map(|()| text)
        }
        Kind::Ledger => {
            let text = text(object, "ledger.json")?;
            let ledger: wire::ledger::Ledger = parse(key, &text)?;
            agree(key, &format!("{}/{}", ledger.collection, ledger.scene)).map(|()| text)
        }
        Kind::Collection => {
            let text = text(object, "collection.json")?;
            let collection: earth::split::collection::Collection = parse(key, &text)?;
            agree(key, &collection.name).map(|()| text)
        }
        Kind::Tag => {
            let text = text(object, "tag.json")?;
            let tag: wire::model::Tag = parse(key, &text)?;
            agree(key, &format!("{}/{}", tag.tag, tag.geocode)).map(|()| text)
        }
        Kind::Module => {
            let text = text(object, ABOUT_FILE)?;
            let about: About = parse(key, &text)?;
            let file = object.files.iter().find(|f| f.name == MODULE_FILE);
            let file = file.ok_or_else(|| wrong(key, format!("{MODULE_FILE} is missing")))?;
            if file.bytes.len() as u64 > BYTES_MAX {
                return Err(wrong(key, format!("it has more than {BYTES_MAX} bytes")));
            }
            agree(key, &about.blake3)?;
            agree(key, blake3::hash(&file.bytes).to_hex().as_str()).map(|()| text)
        }
    }
}

/// What a model's `config.json` must say to belong to its key.
#[derive(Deserialize)]
struct ModelHead {
    run: String,
    geocode: String,
}

/// Returns the text of a file that must be there.
fn text(object: &Object, name: &str) -> Result<String, ObjectError> {
    let file = object.files.iter().find(|f| f.name == name);
    let file = file.ok_or_else(|| wrong(&object.key, format!("{name} is missing")))?;
    let text = std::str::from_utf8(&file.bytes);
    text.map(str::to_owned)
        .map_err(|_| wrong(&object.key, format!("{name} is no text")))
}

fn parse<T: serde::de::DeserializeOwned>(key: &ObjectKey, text: &str) -> Result<T, ObjectError> {
    serde_json::from_str(text).map_err(|e| wrong(key, e.to_string()))
}

/// Checks that the id the files speak of is the key's.
pub(super) fn agree(key: &ObjectKey, id: &str) -> Result<(), ObjectError> {
    if key.id == id {
        return Ok(());
    }
    Err(wrong(key, format!("they say that they are {id}")))
}

pub(super) fn wrong(key: &ObjectKey, reason: impl Into<String>) -> ObjectError {
    ObjectError::Content {
        key: key.clone(),
        reason: reason.into(),
    }
}
