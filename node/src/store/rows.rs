//! The tables behind predicates: one row a split, and an ordered table for each scan.
//!
//! ```text
//! rows        ordinal u32 BE             →  postcard StoredRow ‖ crc32
//! ordinals    id                         →  ordinal u32 LE ‖ crc32
//! time        key 12 ‖ ordinal u32 BE    →  crc32
//! cloud       key 12 ‖ ordinal u32 BE    →  crc32     (known shares only)
//! coverage    key 12 ‖ ordinal u32 BE    →  crc32
//! ```
//! The 12 bytes of a key are `query::index::bplus`'s.
//!
//! *Invariants*: within a snapshot an ordinal names one split; every table but `cloud` has as many
//! entries as there are splits.
//!
//! *Not here*: what predicates mean (query), rows in memory (`find`).

use std::ops::RangeInclusive;

use earth::geocode::{Geocode, Scheme};
use earth::split::meta::SplitMeta;
use earth::split::placement::Slot;
use jiff::Timestamp;
use query::index::bplus::{KEY_BYTES, Key, Keys};
use query::row::Row;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use redb::{TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::error::{StoreError, index};
use super::keys::{seal, unseal};
use super::record::Record;

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

const ROWS: Bytes = TableDefinition::new("rows");
const ORDINALS: Bytes = TableDefinition::new("ordinals");

/// Every split by sensing time.
pub(super) const TIME: Scan = Scan("time");
/// Splits by cloud share, where it is known.
pub(super) const CLOUD: Scan = Scan("cloud");
/// Every split by coverage.
pub(super) const COVERAGE: Scan = Scan("coverage");

/// An ordered table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan(&'static str);

impl Scan {
    fn table(self) -> Bytes {
        TableDefinition::new(self.0)
    }

    /// Hands over, in order, the ordinals under the keys of a range.
    pub(super) fn read(
        self,
        txn: &ReadTransaction,
        range: RangeInclusive<Key>,
        mut take: impl FnMut(u32),
    ) -> Result<(), StoreError> {
        let (first, last) = (entry(range.start(), 0), entry(range.end(), u32::MAX));
        if first > last {
            return Ok(());
        }
        let table = txn.open_table(self.table()).map_err(index)?;
        let entries = table.range(first.as_slice()..=last.as_slice());
        for found in entries.map_err(index)? {
            let (key, value) = found.map_err(index)?;
            unseal(self.0, key.value(), value.value())?;
            let ordinal = key.value().get(KEY_BYTES..).and_then(|o| o.try_into().ok());
            take(u32::from_be_bytes(
                ordinal.ok_or(StoreError::Damaged { table: self.0 })?,
            ));
        }
        Ok(())
    }
}

/// Returns `key 12 ‖ ordinal u32 BE`.
fn entry(key: &Key, ordinal: u32) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.extend_from_slice(&ordinal.to_be_bytes());
    bytes
}

/// What predicates look at, without the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredRow {
    collection: String,
    scene: String,
    dataset: String,
    scheme: Scheme,
    geocode: String,
    slot: Slot,
    second: i64,
    nano: i32,
    cloud: Option<f64>,
    coverage: f64,
    bytes: u64,
}

impl StoredRow {
    fn new(meta: &SplitMeta, bytes: u64) -> Self {
        Self {
            collection: meta.id.collection().to_owned(),
            scene: meta.id.scene().to_owned(),
            dataset: meta.dataset.clone(),
            scheme: meta.geocode.scheme(),
            geocode: meta.geocode.to_string(),
            slot: meta.placement_key.slot(),
            second: meta.acquired.as_second(),
            nano: meta.acquired.subsec_nanosecond(),
            cloud: meta.counts.cloud(),
            coverage: meta.counts.coverage(),
            bytes,
        }
    }

    /// Returns the view that predicates look at; `None` if no split is like it.
    pub(super) fn view(&self) -> Option<Row<'_>> {
        Some(Row {
            collection: &self.collection,
            scene: &self.scene,
            dataset: &self.dataset,
            geocode: Geocode::parse(self.scheme, &self.geocode).ok()?,
            slot: self.slot,
            acquired: Timestamp::new(self.second, self.nano).ok()?,
            cloud: self.cloud,
            coverage: self.coverage,
            bytes: self.bytes,
        })
    }

    /// Returns the entries of the ordered tables.
    fn entries(&self, ordinal: u32) -> Result<Vec<(Scan, Vec<u8>)>, StoreError> {
        let row = self.view().ok_or(StoreError::Damaged { table: "rows" })?;
        let keys = Keys::of(&row);
        let mut entries = vec![
            (TIME, entry(&keys.time, ordinal)),
            (COVERAGE, entry(&keys.coverage, ordinal)),
        ];
        entries.extend(keys.cloud.map(|k| (CLOUD, entry(&k, ordinal))));
        Ok(entries)
    }
}

/// Makes the tables in a fresh index.
pub(super) fn make(txn: &WriteTransaction) -> Result<(), StoreError> {
    for table in [
        ROWS,
        ORDINALS,
        TIME.table(),
        CLOUD.table(),
        COVERAGE.table(),
    ] {
        txn.open_table(table).map_err(index)?;
    }
    Ok(())
}

/// Checks that each table has an entry a split.
pub(super) fn check(txn: &ReadTransaction, splits: u64) -> Result<(), StoreError> {
    let length = |table: Bytes| -> Result<u64, StoreError> {
        let open = txn.open_table(table).map_err(index)?;
        open.len().map_err(index)
    };
    for table in [ROWS, ORDINALS, TIME.table(), COVERAGE.table()] {
        if length(table)? != splits {
            return Err(StoreError::Damaged { table: "rows" });
        }
    }
    if length(CLOUD.table())? > splits {
        return Err(StoreError::Damaged { table: "cloud" });
    }
    Ok(())
}

/// Adds a split's row.
pub(super) fn insert(txn: &WriteTransaction, record: &Record) -> Result<(), StoreError> {
    let row = StoredRow::new(&record.split()?, record.bytes());
    let mut rows = txn.open_table(ROWS).map_err(index)?;
    let ordinal = next_ordinal(&rows)?;
    let key = ordinal.to_be_bytes();
    let body = postcard::to_stdvec(&row).map_err(|_| StoreError::Damaged { table: "rows" })?;
    rows.insert(key.as_slice(), seal(&key, body).as_slice())
        .map_err(index)?;
    let mut ordinals = txn.open_table(ORDINALS).map_err(index)?;
    let id = record.key.id.as_bytes();
    let value = seal(id, ordinal.to_le_bytes().to_vec());
    ordinals.insert(id, value.as_slice()).map_err(index)?;
    for (scan, key) in row.entries(ordinal)? {
        let mut table = txn.open_table(scan.table()).map_err(index)?;
        let value = seal(&key, Vec::new());
        table
            .insert(key.as_slice(), value.as_slice())
            .map_err(index)?;
    }
    Ok(())
}

/// Removes a split's row.
pub(super) fn remove(txn: &WriteTransaction, record: &Record) -> Result<(), StoreError> {
    let mut ordinals = txn.open_table(ORDINALS).map_err(index)?;
    let id = record.key.id.as_bytes();
    let Some(ordinal) = ordinal(&ordinals, &record.key.id)? else {
        return Err(StoreError::Damaged { table: "ordinals" });
    };
    ordinals.remove(id).map_err(index)?;
    let mut rows = txn.open_table(ROWS).map_err(index)?;
    let row = row(&rows, ordinal)?.ok_or(StoreError::Damaged { table: "rows" })?;
    rows.remove(ordinal.to_be_bytes().as_slice())
        .map_err(index)?;
    for (scan, key) in row.entries(ordinal)? {
        let mut table = txn.open_table(scan.table()).map_err(index)?;
        table.remove(key.as_slice()).map_err(index)?;
    }
    Ok(())
}

/// One more than the greatest ordinal in use.
fn next_ordinal(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<u32, StoreError> {
    let damaged = || StoreError::Damaged { table: "rows" };
    match rows.last().map_err(index)? {
        None => Ok(0),
        Some((key, _)) => {
            let bytes: [u8; 4] = key.value().try_into().map_err(|_| damaged())?;
            u32::from_be_bytes(bytes).checked_add(1).ok_or_else(damaged)
        }
    }
}

/// Returns the ordinal of a split.
fn ordinal(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    id: &str,
) -> Result<Option<u32>, StoreError> {
    let Some(value) = table.get(id.as_bytes()).map_err(index)? else {
        return Ok(None);
    };
    let body = unseal("ordinals", id.as_bytes(), value.value())?;
    let bytes = body.try_into();
    let bytes: [u8; 4] = bytes.map_err(|_| StoreError::Damaged { table: "ordinals" })?;
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// Returns the row of that ordinal.
fn row(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    ordinal: u32,
) -> Result<Option<StoredRow>, StoreError> {
    let key = ordinal.to_be_bytes();
    let value = table.get(key.as_slice()).map_err(index)?;
    value.map(|v| decode(&key, v.value())).transpose()
}

fn decode(key: &[u8], value: &[u8]) -> Result<StoredRow, StoreError> {
    let body = unseal("rows", key, value)?;
    postcard::from_bytes(body).map_err(|_| StoreError::Damaged { table: "rows" })
}

/// Hands over every row with its ordinal, in the order of these.
pub(super) fn each(
    txn: &ReadTransaction,
    mut take: impl FnMut(u32, &StoredRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged { table: "rows" };
    let table = txn.open_table(ROWS).map_err(index)?;
    for found in table.iter().map_err(index)? {
        let (key, value) = found.map_err(index)?;
        let ordinal = key.value().try_into().map_err(|_| damaged())?;
        take(
            u32::from_be_bytes(ordinal),
            &decode(key.value(), value.value())?,
        )?;
    }
    Ok(())
}

/// Returns a split's ordinal and row.
pub(super) fn of(txn: &ReadTransaction, id: &str) -> Result<Option<(u32, StoredRow)>, StoreError> {
    let ordinals = txn.open_table(ORDINALS).map_err(index)?;
    let Some(ordinal) = ordinal(&ordinals, id)? else {
        return Ok(None);
    };
    let rows = txn.open_table(ROWS).map_err(index)?;
    Ok(row(&rows, ordinal)?.map(|row| (ordinal, row)))
}
