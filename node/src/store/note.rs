//! `object.json`: what an object's own files do not say.
//!
//! *Invariants*: a flipped bit in it is noticed; notes of every earlier version are read.
//!
//! *Not here*: the folder that it lies in (`files`).

use std::io;

use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;
use wire::hit::FileEntry;

use super::object::ObjectKey;
use super::record::Record;

/// Version of `object.json`. 1 had no seal; 2 added it, and tombstones.
const FORMAT: u32 = 2;

/// What an object's own files do not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectNote {
    /// Version of this structure.
    pub format: u32,
    /// Kind and id.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// See `Record::revision`.
    pub revision: u32,
    /// Its files, sorted by name; none of a tombstone.
    pub files: Vec<FileEntry>,
    /// BLAKE3, in hexadecimal digits, of the note without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// Why a note cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoteError {
    /// It is no JSON of a note.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is not what was written.
    #[error("its seal is broken")]
    Seal,
    /// A later version of glebe wrote it.
    #[error("format {0} is newer than {FORMAT}, which this glebe reads; run a newer one")]
    Newer(u32),
}

impl ObjectNote {
    /// Reads a note of any version so far.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoteError> {
        let mut note: Self = serde_json::from_slice(bytes)?;
        match note.format {
            1 if note.seal.is_none() && !note.files.is_empty() => Ok(note),
            FORMAT => {
                let seal = note.seal.take().ok_or(NoteError::Seal)?;
                if note.sum()? == seal {
                    Ok(note)
                } else {
                    Err(NoteError::Seal)
                }
            }
            newer if newer > FORMAT => Err(NoteError::Newer(newer)),
            _ => Err(NoteError::Seal),
        }
    }

    fn sum(&self) -> serde_json::Result<String> {
        let bytes = serde_json::to_vec(self)?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }
}

/// Returns the note of an object; a first revision of a split says all in its own GeoTIFFs.
pub(super) fn of(record: &Record) -> io::Result<Option<Vec<u8>>> {
    if record.key.kind == Kind::Split && record.revision == 1 && !record.is_tombstone() {
        return Ok(None);
    }
    let mut note = ObjectNote {
        format: FORMAT,
        key: record.key.clone(),
        placement_key: record.placement_key.clone(),
        revision: record.revision,
        files: record.files.clone(),
        seal: None,
    };
    note.seal = Some(note.sum()?);
    Ok(Some(serde_json::to_vec(&note)?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::object::{Object, ObjectFile};
    use super::*;

    /// Bytes of every version, one a line.
    const GOLDEN: &str = include_str!("../../tests/golden/object_json.txt");

    fn run() -> Object {
        let text = r#"{"name":"r","recipe":"ndvi-cnn","query":{},"seed":1}"#;
        Object {
            key: ObjectKey::new(Kind::Run, "r"),
            placement_key: PlacementKey::named("run", "r"),
            files: vec![ObjectFile {
                name: "run.json".to_owned(),
                bytes: Bytes::from(text),
            }],
        }
    }

    fn records() -> [Record; 2] {
        let tombstone = Object::tombstone(run().key, run().placement_key);
        let of = |object: Object| Record::describe(&object.into(), 2).unwrap();
        [of(run()), of(tombstone)]
    }

    #[test]
    fn a_note_stays_what_it_is() {
        let golden: Vec<&str> = GOLDEN.lines().collect();
        let written = records().map(|r| String::from_utf8(of(&r).unwrap().unwrap()).unwrap());
        assert_eq!(written.as_slice(), &golden[1..]);
    }

    #[test]
    fn notes_of_every_version_are_read_and_newer_ones_refused() {
        let [run, tombstone] = records();
        for (line, record) in GOLDEN.lines().zip([&run, &run, &tombstone]) {
            let note = ObjectNote::read(line.as_bytes()).unwrap();
            assert_eq!((&note.files, note.revision), (&record.files, 2));
        }
        let newer = GOLDEN.lines().next().unwrap().replace(":1,", ":3,");
        let error = ObjectNote::read(newer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("format 3 is newer than 2"), "{error}");
    }

    #[test]
    fn no_flipped_bit_is_read_as_another_note() {
        for line in GOLDEN.lines().skip(1) {
            for bit in 0..line.len() * 8 {
                let mut bytes = line.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(ObjectNote::read(&bytes).is_err(), "bit {bit}");
            }
        }
    }
}
