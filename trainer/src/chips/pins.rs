//! Stocks of chips that stay for the next job on the same splits: files in a folder of the node's,
//! mapped by whoever needs them.
//!
//! ```text
//!  0  "GLEBECHP"
//!  8  u16 LE version, 54 bytes of 0
//! 64  records: 32-bit floats LE (see `stock`)
//!     postcard: form, positions, ends of sources, what was left out
//!     u64 LE bytes of that
//!     32 bytes BLAKE3 of all before
//! ```
//! A file is named after all that its records depend on. It is mapped, not read: its pages are the
//! kernel's, the same for all workers, and given back where memory is short.
//!
//! *Invariants*: a file appears whole or not at all, and one that does not check is removed and
//! made anew; all files together, and what is being written, stay below the bound: the one
//! that was used longest ago goes first; a writer that was killed leaves nothing that counts.
//!
//! *Not here*: what a record is (`stock`), which splits (`job::stocked`).

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tch::{Device, Kind, Tensor};

use crate::chips::stock::{About, Form, Stock};
use crate::log::say;

/// Most mebibytes of all files unless told otherwise: those of some twenty cells of geohash 5 with
/// twenty dates at 10 m each.
pub const MEBIBYTES: u64 = 2_048;
/// First bytes of a file.
const MAGIC: [u8; 8] = *b"GLEBECHP";
/// Version of what follows: from 2 on it tells which source a chip came from. A file of another is
/// made anew.
const VERSION: u16 = 2;
/// Bytes before the records: a line of any cache, so that floats lie where a map wants them.
const HEAD_BYTES: usize = 64;
/// Bytes behind what is told of the records.
const TAIL_BYTES: usize = 8 + blake3::OUT_LEN;
/// Bytes that are told of a chip at most, beside those of all together.
const TOLD_BYTES: u64 = 16;
const TOLD_BYTES_ALL: u64 = 256;
/// How files end that are whole, and that are being written.
const WHOLE: &str = "chips";
const PART: &str = "part";

/// Names what a stock is of: all that its records depend on.
pub type Of = [u8; blake3::OUT_LEN];

/// The folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Where.
    pub folder: PathBuf,
    /// Most bytes of all files.
    pub bytes_max: u64,
}

/// A file that is being written.
#[derive(Debug)]
pub struct Pinning {
    part: PathBuf,
    place: PathBuf,
    /// Locked as long as it is being written.
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

/// Tells writers of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Pins {
    /// Brings the folder below its bound.
    ///
    /// # Errors
    /// A folder that cannot be written in.
    pub fn trim(&self) -> io::Result<()> {
        let _gate = self.gate()?;
        self.makes_room(0).map(|_| ())
    }

    /// Locks the folder.
    fn gate(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let gate = File::create(self.folder.join("lock"))?;
        gate.lock()?;
        Ok(gate)
    }

    /// Returns the stock of that name, if there is one that checks.
    pub fn find(&self, of: &Of) -> Option<Stock> {
        let path = self.place(of);
        match open(&path) {
            Ok(stock) => Some(stock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                say(&format!("{} is made anew: {error}", path.display()));
                drop(fs::remove_file(path));
                None
            }
        }
    }

    /// Begins the file of a stock of at most so many chips; `None` where it has no room.
    ///
    /// # Errors
    /// A folder that cannot be written in.
    pub fn begin(&self, of: &Of, (form, chips): (Form, u64)) -> io::Result<Option<Pinning>> {
        let record = (form.numbers() * size_of::<f32>()) as u64 + TOLD_BYTES;
        let ends = (HEAD_BYTES + TAIL_BYTES) as u64 + TOLD_BYTES_ALL;
        let bytes = chips.saturating_mul(record).saturating_add(ends);
        let _gate = self.gate()?;
        if !self.makes_room(bytes)? {
            return Ok(None);
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = self.place(of);
        let part = place.with_extension(format!("{}-{number}.{PART}", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&part)?;
        file.lock()?;
        // What it will take counts from now on.
        file.set_len(bytes)?;
        let mut pinning = Pinning {
            part,
            place,
            file: BufWriter::new(file),
            hasher: blake3::Hasher::new(),
        };
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&MAGIC);
        head[8..10].copy_from_slice(&VERSION.to_le_bytes());
        pinning.write(&head)?;
        Ok(Some(pinning))
    }

    fn place(&self, of: &Of) -> PathBuf {
        let name = blake3::Hash::from_bytes(*of).to_hex();
        self.folder.join(format!("{name}.{WHOLE}"))
    }

    /// Removes what nobody writes any more, then what was used longest ago, until as much fits.
    fn makes_room(&self, wanted: u64) -> io::Result<bool> {
        let (mut whole, mut freeable) = (Vec::new(), 0);
        let mut bytes = wanted;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let about = match entry.metadata() {
                Ok(about) => about,
                // Whoever wrote it has just ended it or given it up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match path.extension().and_then(|e| e.to_str()) {
                Some(PART) if is_left(&path) => remove(&path)?,
                Some(PART) => bytes = bytes.saturating_add(about.len()),
                Some(WHOLE) => {
                    bytes = bytes.saturating_add(about.len());
                    freeable += about.len();
                    whole.push((about.modified()?, path, about.len()));
                }
                _ => {}
            }
        }
        if bytes - freeable > self.bytes_max {
            return Ok(false);
        }
        whole.sort();
        for (_, path, freed) in whole {
            if bytes <= self.bytes_max {
                break;
            }
            remove(&path)?;
            bytes -= freed;
        }
        Ok(true)
    }
}

impl Pinning {
    /// Adds a record.
    pub fn push(&mut self, record: &[f32]) -> io::Result<()> {
        let bytes: Vec<u8> = record.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.write(&bytes)
    }

    /// Ends the file, puts it in its place and maps it.
    pub fn finish(mut self, form: Form, about: &About) -> io::Result<Stock> {
        let told = postcard::to_stdvec(&(form, about)).map_err(io::Error::other)?;
        self.write(&told)?;
        self.write(&(told.len() as u64).to_le_bytes())?;
        let hash = self.hasher.finalize();
        self.file.write_all(hash.as_bytes())?;
        self.file.flush()?;
        let bytes = self.file.stream_position()?;
        self.file.get_ref().set_len(bytes)?;
        fs::rename(&self.part, &self.place)?;
        open(&self.place)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}

impl Drop for Pinning {
    fn drop(&mut self) {
        // Its lock goes with it: whoever makes room next removes what cannot be removed now.
        drop(fs::remove_file(&self.part));
    }
}

/// Removes a file, unless it is gone.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells whether nobody writes a file any more: the lock of a process goes with it.
fn is_left(part: &Path) -> bool {
    let file = File::options().write(true).open(part);
    file.is_ok_and(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Checks a file and maps it; it counts as used now.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver: which file goes first decides nothing that is learned"
)]
fn open(path: &Path) -> io::Result<Stock> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let hashed = bytes.checked_sub(blake3::OUT_LEN as u64);
    let hashed = hashed.ok_or_else(|| damaged("it is cut short"))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader((&mut file).take(hashed))?;
    let mut hash = [0; blake3::OUT_LEN];
    file.read_exact(&mut hash)?;
    if hasher.finalize() != hash {
        return Err(damaged("it is damaged"));
    }
    let mut head = [0; HEAD_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    if head[..8] != MAGIC || head[8..10] != VERSION.to_le_bytes() {
        return Err(damaged("it is of another version"));
    }
    let tail = bytes.checked_sub(TAIL_BYTES as u64);
    let tail = tail.ok_or_else(|| damaged("it is cut short"))?;
    let mut length = [0; 8];
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let records = tail
        .checked_sub(length)
        .and_then(|end| end.checked_sub(HEAD_BYTES as u64));
    let records = records.ok_or_else(|| damaged("it contradicts itself"))?;
    let mut told = Vec::new();
    file.seek(SeekFrom::Start(HEAD_BYTES as u64 + records))?;
    (&mut file).take(length).read_to_end(&mut told)?;
    let told: Result<(Form, About), _> = postcard::from_bytes(&told);
    let (form, about) = told.map_err(|_| damaged("it contradicts itself"))?;
    let chips = about.positions.len();
    let wanted = chips.checked_mul(form.numbers() * size_of::<f32>());
    if wanted.map(|bytes| bytes as u64) != Some(records) || !about.is_whole() {
        return Err(damaged("it contradicts itself"));
    }
    let marked = File::options().append(true).open(path)?;
    marked.set_modified(SystemTime::now())?;
    Ok(Stock::mapped(form, about, map(path, records)?))
}

/// Maps the records of a file.
fn map(path: &Path, bytes: u64) -> io::Result<Tensor> {
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::other("its name is no text"))?;
    let floats = |bytes: u64| i64::try_from(bytes / size_of::<f32>() as u64).unwrap_or(i64::MAX);
    let (first, count) = (floats(HEAD_BYTES as u64), floats(bytes));
    let all = Tensor::f_from_file(path, false, first + count, (Kind::Float, Device::Cpu));
    let all = all.map_err(io::Error::other)?;
    Ok(all.narrow(0, first, count))
}
