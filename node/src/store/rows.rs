//! The tables behind predicates: one row a split, and an ordered table for each thing asked for.
//!
//! ```text
//! rows        ordinal u32 BE                                   →  postcard StoredRow ‖ crc32
//! ordinals    id                                               →  ordinal u32 LE ‖ crc32
//! time        second i64 BE, sign flipped ‖ nano u32 BE ‖ ordinal BE   →  crc32
//! cloud       share f64 BE ‖ ordinal BE                                →  crc32  (known ones only)
//! coverage    share f64 BE ‖ ordinal BE                                →  crc32
//! geocode     scheme u8 ‖ text ‖ 0 ‖ ordinal BE                        →  crc32
//! ```
//! *Invariants*: within a snapshot an ordinal names one split;
//! every table but `cloud` has as many entries as there are splits.
//!
//! *Not here*: what predicates mean (query), how they drive these tables (`find`).

use earth::geocode::{Geocode, Scheme};
use earth::split::meta::SplitMeta;
use earth::split::placement::Slot;
use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use redb::{TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::error::{StoreError, index};
use super::keys::{seal, unseal};
use super::record::Record;

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

const ROWS: Bytes = TableDefinition::new("rows");
const ORDINALS: Bytes = TableDefinition::new("ordinals");
const TIME: Bytes = TableDefinition::new("time");
const CLOUD: Bytes = TableDefinition::new("cloud");
const COVERAGE: Bytes = TableDefinition::new("coverage");
const GEOCODE: Bytes = TableDefinition::new("geocode");

/// What predicates look at, without the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredRow {
    pub collection: String,
    pub scene: String,
    pub dataset: String,
    pub scheme: Scheme,
    pub geocode: String,
    pub slot: Slot,
    pub second: i64,
    pub nano: i32,
    pub cloud: Option<f64>,
    pub coverage: f64,
    pub bytes: u64,
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

    /// Returns the sensing time.
    pub(super) fn acquired(&self) -> Option<Timestamp> {
        Timestamp::new(self.second, self.nano).ok()
    }

    /// Returns the cell.
    pub(super) fn cell(&self) -> Option<Geocode> {
        Geocode::parse(self.scheme, &self.geocode).ok()
    }

    /// Returns the keys of the ordered tables.
    fn keys(&self, ordinal: u32) -> Vec<(Bytes, Vec<u8>)> {
        let with = |mut key: Vec<u8>| {
            key.extend_from_slice(&ordinal.to_be_bytes());
            key
        };
        let mut keys = vec![
            (TIME, with(time_bytes(self.second, self.nano))),
            (COVERAGE, with(share_bytes(self.coverage))),
            (GEOCODE, with(cell_bytes(self.scheme, &self.geocode, true))),
        ];
        keys.extend(self.cloud.map(|c| (CLOUD, with(share_bytes(c)))));
        keys
    }
}

/// Makes the tables in a fresh index.
pub(super) fn make(txn: &WriteTransaction) -> Result<(), StoreError> {
    for table in [ROWS, ORDINALS, TIME, CLOUD, COVERAGE, GEOCODE] {
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
    for table in [ROWS, ORDINALS, TIME, COVERAGE, GEOCODE] {
        if length(table)? != splits {
            return Err(StoreError::Damaged { table: "rows" });
        }
    }
    if length(CLOUD)? > splits {
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
    for (table, key) in row.keys(ordinal) {
        let mut table = txn.open_table(table).map_err(index)?;
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
    for (table, key) in row.keys(ordinal) {
        let mut table = txn.open_table(table).map_err(index)?;
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

/// Returns bytes whose order is the order of time.
fn time_bytes(second: i64, nano: i32) -> Vec<u8> {
    // jiff counts nanoseconds towards zero; floor them so that they only ever add.
    let (second, nano) = if nano < 0 {
        (second - 1, nano + 1_000_000_000)
    } else {
        (second, nano)
    };
    let flipped = second.cast_unsigned() ^ (1 << 63);
    let mut bytes = flipped.to_be_bytes().to_vec();
    bytes.extend_from_slice(&nano.cast_unsigned().to_be_bytes());
    bytes
}

/// Returns bytes whose order is the order of shares, which are never negative.
fn share_bytes(share: f64) -> Vec<u8> {
    share.max(0.0).to_bits().to_be_bytes().to_vec()
}

fn cell_bytes(scheme: Scheme, text: &str, ended: bool) -> Vec<u8> {
    let mut bytes = vec![match scheme {
        Scheme::Geohash => 1,
        Scheme::QuadTile => 2,
    }];
    bytes.extend_from_slice(text.as_bytes());
    if ended {
        bytes.push(0);
    }
    bytes
}
