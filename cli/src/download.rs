//! Files from a node to disk.
//!
//! *Invariants*: a file appears under its name only when it is whole and its hash is right; it is
//! never held in memory; what was brought of one whose download broke off is gone on from, if it is
//! of the same content; nothing is left of one whose bytes are wrong.
//!
//! *Not here*: which files (the verbs).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use wire::client::FilePart;
use wire::fault::{Fault, FaultKind};

use crate::export::unwritable;
use crate::print::bytes;

/// Letters of a file's hash in the name of its beginning: enough to tell two contents of one name
/// apart.
const HASH_SHOWN: usize = 16;
/// Bytes read at a time of a beginning that is gone on from.
const READ_BYTES: usize = 1 << 20;

/// Writes a file into `folder/name` and checks its BLAKE3 (hex); returns its bytes. `ask` asks for
/// it from a position on.
pub(crate) async fn file<Asked>(
    ask: impl Fn(u64) -> Asked,
    (folder, name): (&Path, &str),
    blake3: &str,
) -> Result<u64, Fault>
where
    Asked: Future<Output = Result<FilePart, Fault>>,
{
    let mut begun = Begun::open(&folder.join(name), blake3)?;
    if begun.length > 0 && begun.is_whole(blake3) {
        return begun.place();
    }
    loop {
        let mut part = ask(begun.length).await?;
        if part.offset == 0 {
            begun.clear()?;
        }
        let afresh = begun.length == 0;
        while let Some(chunk) = part.bytes.next().await {
            match chunk {
                Ok(chunk) => begun.write(&chunk)?,
                Err(fault) => return Err(begun.told(fault, name)),
            }
        }
        if begun.is_whole(blake3) {
            return begun.place();
        }
        begun.clear()?;
        // What was there may have been harmed: then all of it is asked for once more.
        if afresh {
            return Err(Fault::new(FaultKind::Data, format!("{name} is damaged"))
                .because("its bytes do not hash to what the index says")
                .try_("glebe cluster verify"));
        }
    }
}

/// The beginning of a file, beside the place where all of it is to be.
#[derive(Debug)]
struct Begun {
    file: File,
    path: PathBuf,
    target: PathBuf,
    length: u64,
    hasher: blake3::Hasher,
}

impl Begun {
    /// Opens what there is of a file of that content, or begins it.
    fn open(target: &Path, blake3: &str) -> Result<Self, Fault> {
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let hash = blake3.get(..HASH_SHOWN).unwrap_or(blake3);
        let path = folder.join(format!(".{name}.{hash}.part"));
        let failed = |e: std::io::Error| unwritable(&path, &e);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let what = format!("{} is being downloaded already", target.display());
            return Err(Fault::new(FaultKind::Refused, what)
                .because("another glebe writes it")
                .try_("the same command once that has ended, or another -O"));
        }
        let mut hasher = blake3::Hasher::new();
        let (mut length, mut buffer) = (0, vec![0; READ_BYTES]);
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        Ok(Self {
            file,
            path,
            target: target.to_owned(),
            length,
            hasher,
        })
    }

    /// Forgets all of it.
    fn clear(&mut self) -> Result<(), Fault> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(|e| unwritable(&self.path, &e))?;
        self.hasher = blake3::Hasher::new();
        self.length = 0;
        Ok(())
    }

    /// Adds what comes next. Where there is no room for it, room is made of what there is.
    fn write(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        if let Err(e) = self.file.write_all(chunk) {
            self.clear()?;
            return Err(unwritable(&self.target, &e));
        }
        self.hasher.update(chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }

    fn is_whole(&self, blake3: &str) -> bool {
        self.hasher.finalize().to_hex().as_str() == blake3
    }

    /// Puts it in its place; returns its bytes.
    fn place(self) -> Result<u64, Fault> {
        std::fs::rename(&self.path, &self.target).map_err(|e| unwritable(&self.target, &e))?;
        Ok(self.length)
    }

    /// Says how much of it stays.
    fn told(&self, fault: Fault, name: &str) -> Fault {
        if self.length == 0 {
            return fault;
        }
        let length = bytes(self.length);
        let stays = format!("{length} of {name} are here; the same command again goes on there");
        fault.because(stays)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // A beginning without a byte is none. After the rename nothing is there.
        if self.length == 0
            && let Err(e) = std::fs::remove_file(&self.path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            crate::print::to_stderr(&format!("left behind: {} ({e})", self.path.display()));
        }
    }
}

/// Tells whether a file holds the bytes of this BLAKE3 (hex); `None` if nothing is there.
pub(crate) fn is_whole(path: &Path, blake3: &str) -> Result<Option<bool>, Fault> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unwritable(path, &e)),
    };
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut file, &mut hasher).map_err(|e| unwritable(path, &e))?;
    Ok(Some(hasher.finalize().to_hex().as_str() == blake3))
}

#[cfg(test)]
mod tests;
