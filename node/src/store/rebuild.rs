//! Remaking every record from the files alone.
//!
//! *Invariants*: nothing but the files is read; what does not match its own checksums is left out
//! and named; a folder that cannot be listed is named, and hides no other.
//!
//! *Not here*: putting the new index in the place of the old one (`store`).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use earth::split::placement::{PlacementKey, Slot};
use wire::bundle::Kind;

use super::disk::Disk;
use super::error::StoreError;
use super::files::{Files, Unlisted};
use super::note::ObjectNote;
use super::object::{OBJECT_FILE, Object, ObjectFile, ObjectKey};
use super::record::Record;
use super::records::Records;
use crate::slots::SlotSet;

/// Records a transaction: bounds memory, and a commit's fsync is shared by many.
const BATCH: usize = 256;

/// What remaking the index found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuild {
    /// Objects recorded.
    pub objects: u64,
    /// Folders left out because they are not whole.
    pub left_out: Vec<LeftOut>,
    /// Folders that could not be listed: what is in them is in no record.
    pub unlisted: Vec<Unlisted>,
}

/// What remaking the index would read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RebuildPlan {
    /// Folders of objects.
    pub(crate) objects: u64,
    /// Slots in which they lie.
    pub(crate) slots: u64,
    /// Bytes of all files in them.
    pub(crate) bytes: u64,
    /// Folders that cannot be listed.
    pub(crate) unlisted: Vec<Unlisted>,
}

/// What is on the disk and in no record, because it is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The object that it should be.
    pub key: ObjectKey,
    /// The slot under which it lies.
    pub slot: Slot,
    /// What is wrong with it.
    pub why: String,
}

impl Rebuild {
    /// Tells whether there was no folder at all.
    pub(super) fn found_nothing(&self) -> bool {
        self.objects == 0 && self.left_out.is_empty() && self.unlisted.is_empty()
    }
}

/// Orders what is left out by its key.
pub(super) fn by_key(left_out: impl IntoIterator<Item = LeftOut>) -> BTreeMap<ObjectKey, LeftOut> {
    let pairs = left_out.into_iter().map(|left| (left.key.clone(), left));
    pairs.collect()
}

/// Says what filling an empty index would read; nothing but folders is.
pub(super) fn plan(files: &Files) -> RebuildPlan {
    let (found, unlisted) = files.walk();
    let mut plan = RebuildPlan {
        unlisted,
        ..RebuildPlan::default()
    };
    let mut slots = SlotSet::none();
    for (_, slot, folder) in found {
        plan.objects += 1;
        slots.insert(slot);
        match files.disk.entries(&folder) {
            Ok(entries) => {
                let paths = entries.into_iter().map(|entry| folder.join(entry.name));
                plan.bytes += paths.filter_map(|p| files.disk.length(&p)).sum::<u64>();
            }
            Err(error) => plan.unlisted.push(Unlisted {
                folder,
                why: error.to_string(),
            }),
        }
    }
    plan.slots = slots.len();
    plan
}

/// Fills an empty index.
pub(super) fn fill(files: &Files, records: &Records) -> Result<Rebuild, StoreError> {
    let (found, unlisted) = files.walk();
    let mut done = Rebuild {
        unlisted,
        ..Rebuild::default()
    };
    let mut batch = Vec::new();
    for (key, slot, folder) in found {
        match read(files.disk.as_ref(), &key, (slot, &folder)) {
            Ok(record) => batch.push(record),
            Err(why) => {
                tracing::warn!(%key, why, "an object is left out of the index");
                done.left_out.push(LeftOut { key, slot, why });
            }
        }
        if batch.len() == BATCH {
            done.objects += batch.len() as u64;
            records.insert(&std::mem::take(&mut batch))?;
        }
    }
    done.objects += batch.len() as u64;
    records.insert(&batch)?;
    Ok(done)
}

/// Describes the object in a folder; an error says why it is not whole.
pub(super) fn read(
    disk: &dyn Disk,
    key: &ObjectKey,
    (slot, folder): (Slot, &Path),
) -> Result<Record, String> {
    let files = read_files(disk, folder).map_err(|e| e.to_string())?;
    let note = read_note(disk, folder)?;
    let revision = note.as_ref().map_or(1, |n| n.revision);
    let placement_key = match &note {
        Some(note) => note.placement_key.clone(),
        None => placement_of(key, &files)?,
    };
    let object = Object {
        key: key.clone(),
        placement_key,
        files,
    };
    let record = Record::describe(&object.into(), revision).map_err(|e| e.to_string())?;
    if note.is_some_and(|n| n.files != record.files || n.key != record.key) {
        return Err("its files are not those that were put".to_owned());
    }
    if record.slot() != slot {
        let right = record.slot();
        return Err(format!("it lies in slot {slot} and belongs to {right}"));
    }
    Ok(record)
}

fn read_note(disk: &dyn Disk, folder: &Path) -> Result<Option<ObjectNote>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{OBJECT_FILE}: {e}");
    match disk.read(&folder.join(OBJECT_FILE)) {
        Ok(bytes) => ObjectNote::read(&bytes).map_err(|e| wrong(&e)).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(&error)),
    }
}

fn placement_of(key: &ObjectKey, files: &[ObjectFile]) -> Result<PlacementKey, String> {
    if key.kind != Kind::Split {
        return Err(format!("{OBJECT_FILE} is missing"));
    }
    let meta = super::split_file::meta(key, files).map_err(|e| e.to_string())?;
    Ok(meta.placement_key)
}

fn read_files(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<ObjectFile>> {
    let mut files = Vec::new();
    for entry in disk.entries(folder)? {
        let name = entry.name;
        if name != OBJECT_FILE {
            let bytes = Bytes::from(disk.read(&folder.join(&name))?);
            files.push(ObjectFile { name, bytes });
        }
    }
    Ok(files)
}
