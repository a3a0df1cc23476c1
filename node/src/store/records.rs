//! The index: redb tables of records, remade from the files whenever they cannot be trusted.
//!
//! ```text
//! records   kind u8 ‖ id              →  format u8 ‖ postcard Record ‖ crc32
//! held      kind u8 ‖ slot BE ‖ id    →  hash 32 ‖ revision u32 LE ‖ bytes u64 LE ‖ crc32
//! about     "version"                 →  u32 LE ‖ crc32
//! ```
//! *Invariants*: one transaction an object, so that its entries in all tables agree; a commit is
//! durable when it returns and a crash leaves nothing to repair.
//!
//! *Not here*: the files (`files`), the tables behind predicates (`rows`).

use std::path::Path;

use earth::split::placement::Slot;
use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use redb::{ReadableDatabase, WriteTransaction};
use wire::bundle::Kind;

use super::disk::Disk;
use super::error::{StoreError, index};
use super::files::KINDS;
use super::keys::{held_body, held_key, kind_byte, read_held, record_key, seal, unseal};
use super::object::ObjectKey;
use super::record::{Held, Record};
use crate::slots::SlotSet;

/// Version of all tables together; another one is remade from the files.
const VERSION: u32 = 1;
/// Version of a record's encoding.
const RECORD_FORMAT: u8 = 1;
/// Cache of pages: some ten thousand records, on the smallest host we aim at.
const CACHE_BYTES: usize = 64 << 20;

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

const RECORDS: Bytes = TableDefinition::new("records");
const HELD: Bytes = TableDefinition::new("held");
const ABOUT: Bytes = TableDefinition::new("about");

/// The tables of one store.
#[derive(Debug)]
pub(super) struct Records {
    db: Database,
}

impl Records {
    /// Opens the tables, or makes them where there is no file.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let fresh = !disk.is_there(path);
        let db = disk.database(path, &builder).map_err(index)?;
        let records = Self { db };
        if fresh {
            records.write(|txn| {
                for table in [RECORDS, HELD] {
                    txn.open_table(table).map_err(index)?;
                }
                super::rows::make(txn)?;
                let mut about = txn.open_table(ABOUT).map_err(index)?;
                let version = seal(b"version", VERSION.to_le_bytes().to_vec());
                about
                    .insert(b"version".as_slice(), version.as_slice())
                    .map_err(index)?;
                Ok(())
            })?;
        }
        records.check()?;
        Ok(records)
    }

    /// Checks the version, and that no table has lost or gained an entry.
    fn check(&self) -> Result<(), StoreError> {
        let txn = self.read()?;
        let about = txn.open_table(ABOUT).map_err(index)?;
        let found = about.get(b"version".as_slice()).map_err(index)?;
        let damaged = || StoreError::Damaged { table: "about" };
        let found = found.ok_or_else(damaged)?;
        if unseal("about", b"version", found.value())? != VERSION.to_le_bytes() {
            return Err(damaged());
        }
        let records = txn
            .open_table(RECORDS)
            .map_err(index)?
            .len()
            .map_err(index)?;
        let held = txn.open_table(HELD).map_err(index)?;
        if held.len().map_err(index)? != records {
            return Err(StoreError::Damaged { table: "held" });
        }
        super::rows::check(&txn, count(&held, Kind::Split)?)
    }

    /// Starts reading: a snapshot, whatever is written meanwhile.
    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.db.begin_read().map_err(index)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut txn = self.db.begin_write().map_err(index)?;
        // A crash leaves nothing to walk through: a start is instant, whatever the store holds.
        txn.set_quick_repair(true);
        let out = change(&txn)?;
        txn.commit().map_err(index)?;
        Ok(out)
    }

    /// Keeps records, each in the place of the one with its key.
    pub(super) fn insert(&self, records: &[Record]) -> Result<(), StoreError> {
        self.write(|txn| {
            for record in records {
                forget(txn, &record.key)?;
                keep(txn, record)?;
            }
            Ok(())
        })
    }

    /// Forgets an object.
    pub(super) fn remove(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.write(|txn| forget(txn, key))
    }

    /// Returns the record of an object.
    pub(super) fn get(&self, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(RECORDS).map_err(index)?;
        get(&table, key)
    }

    /// Returns the records of splits, in the order asked for.
    pub(super) fn splits<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Option<Record>>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(RECORDS).map_err(index)?;
        ids.map(|id| get(&table, &ObjectKey::new(Kind::Split, id)))
            .collect()
    }

    /// Returns what is held of a kind in some slots, by slot and id.
    pub(super) fn held(&self, kind: Kind, slots: &SlotSet) -> Result<Vec<Held>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(HELD).map_err(index)?;
        let mut found = Vec::new();
        for entry in table.range(of_kind(kind)).map_err(index)? {
            let (key, value) = entry.map_err(index)?;
            let body = unseal("held", key.value(), value.value())?;
            let held = read_held(kind, key.value(), body);
            let held = held.ok_or(StoreError::Damaged { table: "held" })?;
            if slots.contains(held.slot) {
                found.push(held);
            }
        }
        Ok(found)
    }

    /// Returns what is held of a kind in one slot, by id.
    pub(super) fn held_in(&self, kind: Kind, slot: Slot) -> Result<Vec<Held>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(HELD).map_err(index)?;
        let first = slot_start(kind, slot.number());
        let last = slot_start(kind, slot.number() + 1);
        let mut found = Vec::new();
        let range = table.range(first.as_slice()..last.as_slice());
        for entry in range.map_err(index)? {
            let (key, value) = entry.map_err(index)?;
            let body = unseal("held", key.value(), value.value())?;
            let held = read_held(kind, key.value(), body);
            found.push(held.ok_or(StoreError::Damaged { table: "held" })?);
        }
        Ok(found)
    }

    /// Returns all records of a kind in some slots, by id.
    pub(super) fn all(&self, kind: Kind, slots: &SlotSet) -> Result<Vec<Record>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(RECORDS).map_err(index)?;
        let mut found = Vec::new();
        for entry in table.range(of_kind(kind)).map_err(index)? {
            let (key, value) = entry.map_err(index)?;
            let record = decode(key.value(), value.value())?;
            if slots.contains(record.slot()) {
                found.push(record);
            }
        }
        Ok(found)
    }
}

/// Returns the record of an object, from an open table.
fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &ObjectKey,
) -> Result<Option<Record>, StoreError> {
    let bytes = record_key(key);
    let value = table.get(bytes.as_slice()).map_err(index)?;
    value.map(|v| decode(&bytes, v.value())).transpose()
}

fn keep(txn: &WriteTransaction, record: &Record) -> Result<(), StoreError> {
    let key = record_key(&record.key);
    let value = seal(&key, encode(record)?);
    let mut records = txn.open_table(RECORDS).map_err(index)?;
    records
        .insert(key.as_slice(), value.as_slice())
        .map_err(index)?;
    let held = record.held();
    let key = held_key(held.slot, &held.key);
    let value = seal(&key, held_body(&held));
    let mut table = txn.open_table(HELD).map_err(index)?;
    table
        .insert(key.as_slice(), value.as_slice())
        .map_err(index)?;
    if record.key.kind == Kind::Split && !record.is_tombstone() {
        super::rows::insert(txn, record)?;
    }
    Ok(())
}

fn forget(txn: &WriteTransaction, key: &ObjectKey) -> Result<(), StoreError> {
    let mut records = txn.open_table(RECORDS).map_err(index)?;
    let Some(old) = get(&records, key)? else {
        return Ok(());
    };
    records.remove(record_key(key).as_slice()).map_err(index)?;
    let mut held = txn.open_table(HELD).map_err(index)?;
    held.remove(held_key(old.slot(), key).as_slice())
        .map_err(index)?;
    if key.kind == Kind::Split && !old.is_tombstone() {
        super::rows::remove(txn, &old)?;
    }
    Ok(())
}

fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(record, vec![RECORD_FORMAT])
        .map_err(|_| StoreError::Damaged { table: "records" })
}

fn decode(key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
    let damaged = || StoreError::Damaged { table: "records" };
    let body = unseal("records", key, value)?;
    let (format, body) = body.split_first().ok_or_else(damaged)?;
    if *format != RECORD_FORMAT {
        return Err(damaged());
    }
    postcard::from_bytes(body).map_err(|_| damaged())
}

/// Counts the objects of a kind, without tombstones.
fn count(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    kind: Kind,
) -> Result<u64, StoreError> {
    let mut count = 0;
    for entry in table.range(of_kind(kind)).map_err(index)? {
        let (key, value) = entry.map_err(index)?;
        let held = read_held(
            kind,
            key.value(),
            unseal("held", key.value(), value.value())?,
        );
        let held = held.ok_or(StoreError::Damaged { table: "held" })?;
        count += u64::from(!held.is_tombstone());
    }
    Ok(count)
}

/// Returns where the entries of a slot begin.
fn slot_start(kind: Kind, slot: u16) -> Vec<u8> {
    let mut key = vec![kind_byte(kind)];
    key.extend_from_slice(&slot.to_be_bytes());
    key
}

/// Returns the range of keys of a kind.
fn of_kind(kind: Kind) -> std::ops::Range<&'static [u8]> {
    // One more than there are kinds: the end of the last one's.
    const BYTES: [u8; KINDS.len() + 2] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    let at = usize::from(kind_byte(kind));
    &BYTES[at..=at]..&BYTES[at + 1..=at + 1]
}
