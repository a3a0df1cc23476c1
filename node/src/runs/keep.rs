//! The book of jobs on disk: `DIR/jobs.redb`.
//!
//! ```text
//! table "about" key "format"       value  u32, the version of all of this; 1 where it is absent
//! table "jobs"  key "RUN/GEOCODE"  value  u32 LE CRC-32 of what follows, then the job as JSON
//! table "runs"  key "RUN"          value  u32 LE CRC-32 of what follows, then what is known of the
//!                                         run as JSON: definition, slots planned, wish,
//!                                         cells left to other nodes
//! ```
//! *Invariants*: a book of a later version is refused, not begun anew; no file is made before
//! there is a run to write down, so that a node that never trained opens and closes none; a record
//! that does not check is dropped with a warning, never believed: a job whose model is published is
//! known by the model, any other is done again.
//!
//! *Not here*: what jobs are (`book`).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::KnownRun;
use super::book::{Book, Job, JobKey};

const JOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");
const RUNS: TableDefinition<&str, &[u8]> = TableDefinition::new("runs");

const ABOUT: TableDefinition<&str, u32> = TableDefinition::new("about");
/// Where the version stands in its table.
const FORMAT_KEY: &str = "format";
/// Version of the book: what is not understood by who reads this one is another.
const FORMAT: u32 = 1;

/// Why the book cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk, or redb, refuses.
    #[error("the jobs of this node cannot be kept in {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: redb::Error,
    },
    /// A later glebe wrote it.
    #[error(
        "the jobs in {} are of format {found}, newer than {FORMAT}, which this glebe reads; \
        run a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// Job states and run definitions on disk.
#[derive(Debug)]
pub struct Keep {
    path: PathBuf,
    /// None until there is something to keep.
    db: Option<Database>,
}

impl Keep {
    /// Opens the file if there is one.
    pub fn open(path: &Path) -> Result<Self, KeepError> {
        let mut keep = Self {
            path: path.to_path_buf(),
            db: None,
        };
        if path.exists() {
            let db = keep.create()?;
            let found = format(&db).map_err(|e| keep.fault(e))?;
            if found > FORMAT {
                let path = path.to_path_buf();
                return Err(KeepError::Newer { path, found });
            }
            keep.db = Some(db);
        }
        Ok(keep)
    }

    /// Opens or makes the file; one that cannot be opened is set aside and begun anew.
    fn create(&self) -> Result<Database, KeepError> {
        let path = &self.path;
        let db = Database::create(path).or_else(|error| {
            if is_of_the_disk(&error) {
                return Err(error);
            }
            tracing::warn!(%error, "the book of jobs is damaged and begun anew");
            let aside = path.with_extension("damaged");
            std::fs::rename(path, aside).map_err(redb::StorageError::Io)?;
            Database::create(path)
        });
        db.map_err(|e| self.fault(e.into()))
    }

    /// Reads all that checks.
    pub fn load(&self) -> Result<(Book, BTreeMap<String, KnownRun>), KeepError> {
        let mut book = Book::default();
        let Some(db) = &self.db else {
            return Ok((book, BTreeMap::new()));
        };
        let jobs = read::<Job>(db, JOBS).map_err(|e| self.fault(e))?;
        for (key, job) in jobs {
            if let Some((run, geocode)) = key.split_once('/') {
                let key = JobKey {
                    run: run.to_owned(),
                    geocode: geocode.to_owned(),
                };
                book.restore(key, job);
            }
        }
        let runs = read::<KnownRun>(db, RUNS).map_err(|e| self.fault(e))?;
        for ceded in runs.iter().flat_map(|(_, known)| known.ceded.values()) {
            book.count_from(ceded.token);
        }
        Ok((book, runs.into_iter().collect()))
    }

    /// Writes the states of jobs, durably and at once.
    pub fn jobs(&mut self, jobs: &[(JobKey, Job)]) -> Result<(), KeepError> {
        self.write(JOBS, jobs.iter().map(|(k, j)| (named(k), sealed(j))))
    }

    /// Writes a run with its jobs, durably and at once.
    pub fn run(&mut self, known: &KnownRun, jobs: &[(JobKey, Job)]) -> Result<(), KeepError> {
        self.jobs(jobs)?;
        self.write(RUNS, [(known.run.name.clone(), sealed(known))])
    }

    /// Removes jobs and writes their run without them, durably and at once.
    pub fn withdraw(&mut self, known: &KnownRun, jobs: &[JobKey]) -> Result<(), KeepError> {
        self.commit(|transaction| {
            let mut table = transaction.open_table(JOBS)?;
            for key in jobs {
                table.remove(named(key).as_str())?;
            }
            let mut table = transaction.open_table(RUNS)?;
            table.insert(known.run.name.as_str(), sealed(known).as_slice())?;
            Ok(())
        })
    }

    fn write(
        &mut self,
        table: TableDefinition<&str, &[u8]>,
        rows: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), KeepError> {
        self.commit(|transaction| {
            let mut table = transaction.open_table(table)?;
            for (key, value) in rows {
                table.insert(key.as_str(), value.as_slice())?;
            }
            Ok(())
        })
    }

    fn commit(
        &mut self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), KeepError> {
        let db = match self.db.take() {
            Some(db) => db,
            None => self.create()?,
        };
        let db = self.db.insert(db);
        let all = || -> Result<(), redb::Error> {
            let transaction = db.begin_write()?;
            transaction.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        let written = all();
        if written.is_err() {
            // After an error, such as a full disk, redb takes nothing more until it is opened anew.
            self.db = None;
        }
        written.map_err(|e| self.fault(e))
    }

    fn fault(&self, source: redb::Error) -> KeepError {
        KeepError::Disk {
            path: self.path.clone(),
            source,
        }
    }
}

fn named(key: &JobKey) -> String {
    format!("{}/{}", key.run, key.geocode)
}

/// Tells whether the disk is at fault, as when it is full, and not what lies on it.
fn is_of_the_disk(error: &DatabaseError) -> bool {
    let DatabaseError::Storage(StorageError::Io(error)) = error else {
        return false;
    };
    // What redb says of a file that is no database, or half of one.
    !matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}

/// Returns the version of a book.
fn format(db: &Database) -> Result<u32, redb::Error> {
    let transaction = db.begin_read()?;
    let table = match transaction.open_table(ABOUT) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(1),
        Err(e) => return Err(e.into()),
    };
    let found = table.get(FORMAT_KEY)?;
    Ok(found.map_or(1, |found| found.value()))
}

fn read<T: DeserializeOwned>(
    db: &Database,
    table: TableDefinition<&str, &[u8]>,
) -> Result<Vec<(String, T)>, redb::Error> {
    let transaction = db.begin_read()?;
    let table = match transaction.open_table(table) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        if let Some(found) = opened(value.value()) {
            rows.push((key.value().to_owned(), found));
        } else {
            tracing::warn!(key = key.value(), "a record of the book does not check");
        }
    }
    Ok(rows)
}

/// Returns the checksum and the value as JSON; our own types always are JSON.
fn sealed(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).unwrap_or_default();
    let mut out = crc32fast::hash(&json).to_le_bytes().to_vec();
    out.extend_from_slice(&json);
    out
}

fn opened<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (crc, json) = bytes.split_first_chunk::<4>()?;
    (crc32fast::hash(json) == u32::from_le_bytes(*crc)).then_some(())?;
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests;
