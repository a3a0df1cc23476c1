//! Files and folders that appear whole or not at all.
//!
//! *Invariants*: content is written beside its name and renamed; what was left unfinished is
//! removed when its value is dropped; equal content is left as it is. Several that belong together
//! are staged, all of them, before the first is put in its place.
//!
//! *Not here*: what is written.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use wire::fault::{Fault, FaultKind};

/// Bytes compared at a time.
const COMPARED_AT_ONCE: usize = 1 << 16;

/// What becomes of a file that is there with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and writing is refused.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// A file or folder that is whole, and may take its place.
#[derive(Debug)]
pub(crate) struct Staged {
    target: PathBuf,
    /// `None` where the same content is in its place already.
    partial: Option<Partial>,
    bytes: u64,
}

impl Staged {
    /// Returns where it will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts it in its place; returns its bytes.
    pub(crate) fn place(self) -> Result<u64, Fault> {
        let fault = |e: std::io::Error| unwritable(&self.target, &e);
        let Some(partial) = &self.partial else {
            return Ok(self.bytes);
        };
        if !self.target.is_dir() {
            std::fs::rename(&partial.0, &self.target).map_err(fault)?;
            return Ok(self.bytes);
        }
        // A rename cannot replace a folder that holds files: the old one steps aside for a moment,
        // and is removed only once the new one is in its place.
        let old = partial.0.with_extension("old");
        std::fs::rename(&self.target, &old).map_err(fault)?;
        if let Err(error) = std::fs::rename(&partial.0, &self.target) {
            let back = std::fs::rename(&old, &self.target);
            let fault = fault(error);
            return Err(match back {
                Ok(()) => fault,
                Err(_) => fault.because(format!("what was there is {} now", old.display())),
            });
        }
        drop(Partial(old));
        Ok(self.bytes)
    }
}

/// Writes a file; returns its bytes.
pub(crate) fn file(target: &Path, existing: Existing, content: &[u8]) -> Result<u64, Fault> {
    stage_file(target, existing, content)?.place()
}

/// Writes a file beside its place.
pub(crate) fn stage_file(
    target: &Path,
    existing: Existing,
    content: &[u8],
) -> Result<Staged, Fault> {
    let partial = Partial::beside(target)?;
    let fault = |e: std::io::Error| unwritable(target, &e);
    let staged = |partial| Staged {
        target: target.to_owned(),
        partial,
        bytes: content.len() as u64,
    };
    if target.exists() {
        if holds(target, content).map_err(fault)? {
            return Ok(staged(None));
        }
        refuse_other(target, existing)?;
    }
    let mut out = File::create(&partial.0).map_err(fault)?;
    out.write_all(content).map_err(fault)?;
    Ok(staged(Some(partial)))
}

/// Has a file written beside its place, for content that is not in memory.
pub(crate) fn stage_written(
    target: &Path,
    existing: Existing,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<Staged, Fault> {
    let partial = Partial::beside(target)?;
    let fault = |e: std::io::Error| unwritable(target, &e);
    let mut file = File::create(&partial.0).map_err(fault)?;
    write(&mut file).map_err(fault)?;
    let bytes = file.metadata().map_err(fault)?.len();
    let there = target.exists() && same(&partial.0, target).map_err(fault)?;
    if !there && target.exists() {
        refuse_other(target, existing)?;
    }
    Ok(Staged {
        target: target.to_owned(),
        partial: (!there).then_some(partial),
        bytes,
    })
}

/// Fills a folder beside its place. A folder is replaced only if it holds `mark`.
pub(crate) fn stage_folder(
    target: &Path,
    (existing, mark): (Existing, &str),
    fill: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<Staged, Fault> {
    let partial = Partial::beside(target)?;
    let fault = |e: std::io::Error| unwritable(target, &e);
    std::fs::create_dir(&partial.0).map_err(fault)?;
    fill(&partial.0).map_err(fault)?;
    let bytes = bytes_below(&partial.0).map_err(fault)?;
    let there = target.is_dir() && same_tree(&partial.0, target).map_err(fault)?;
    if !there && target.exists() && (existing == Existing::Keep || !target.join(mark).is_file()) {
        return Err(taken(target));
    }
    Ok(Staged {
        target: target.to_owned(),
        partial: (!there).then_some(partial),
        bytes,
    })
}

/// Returns the bytes of all files below a folder.
fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            bytes_below(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// Tells whether two folders hold the same files.
fn same_tree(a: &Path, b: &Path) -> std::io::Result<bool> {
    let names = |folder: &Path| -> std::io::Result<Vec<std::ffi::OsString>> {
        let entries = std::fs::read_dir(folder)?;
        let mut names = entries
            .map(|e| Ok(e?.file_name()))
            .collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let found = names(a)?;
    if found != names(b)? {
        return Ok(false);
    }
    for name in found {
        let (a, b) = (a.join(&name), b.join(&name));
        let same = match (a.is_dir(), b.is_dir()) {
            (true, true) => same_tree(&a, &b)?,
            (false, false) => same(&a, &b)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn refuse_other(target: &Path, existing: Existing) -> Result<(), Fault> {
    if existing == Existing::Replace && !target.is_dir() {
        return Ok(());
    }
    Err(taken(target))
}

/// Returns the fault of a name under which something else lies.
pub(crate) fn taken(target: &Path) -> Fault {
    let what = format!("{} exists", target.display());
    Fault::new(FaultKind::Refused, what)
        .because("it holds something else, and is not written over unasked")
        .try_("--overwrite, or another -O")
}

/// Tells whether a file holds exactly these bytes.
fn holds(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() != content.len() as u64 {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    let mut part = vec![0; COMPARED_AT_ONCE];
    for expected in content.chunks(COMPARED_AT_ONCE) {
        let part = &mut part[..expected.len()];
        file.read_exact(part)?;
        if part != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells whether two files hold the same bytes.
fn same(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (of_a, of_b) = (std::fs::metadata(a)?, std::fs::metadata(b)?);
    if !of_a.is_file() || !of_b.is_file() || of_a.len() != of_b.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let mut left = usize::try_from(of_a.len()).unwrap_or(usize::MAX);
    let (mut one, mut other) = (vec![0; COMPARED_AT_ONCE], vec![0; COMPARED_AT_ONCE]);
    while left > 0 {
        let part = left.min(COMPARED_AT_ONCE);
        a.read_exact(&mut one[..part])?;
        b.read_exact(&mut other[..part])?;
        if one[..part] != other[..part] {
            return Ok(false);
        }
        left -= part;
    }
    Ok(true)
}

/// A name beside the target's, and whatever lies under it until it is renamed.
#[derive(Debug)]
pub(crate) struct Partial(PathBuf);

impl Partial {
    /// Returns the name to write under.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the target's folder and a name in it that nobody else writes under.
    pub(crate) fn beside(target: &Path) -> Result<Self, Fault> {
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let name = format!(".{name}.{}.part", std::process::id());
        Ok(Self(folder.join(name)))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename nothing is there, and a failure has been told already.
        let removed = match std::fs::symlink_metadata(&self.0) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&self.0),
            Ok(_) => std::fs::remove_file(&self.0),
            Err(_) => Ok(()),
        };
        if let Err(e) = removed {
            crate::print::to_stderr(&format!("left behind: {} ({e})", self.0.display()));
        }
    }
}

/// Says that a file cannot be written.
pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Data, format!("cannot write {}", path.display()))
        .because(error.to_string())
        .try_("another -O, with room and the right to write")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_successor_cannot_take_its_place_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("cube.zarr");
        let stage = |text: &str| {
            stage_folder(&target, (Existing::Replace, "mark"), |folder| {
                std::fs::write(folder.join("mark"), text)
            })
        };
        stage("old").unwrap().place().unwrap();
        let next = stage("new").unwrap();
        let partial = next.partial.as_ref().unwrap().0.clone();
        std::fs::remove_dir_all(partial).unwrap();
        next.place().unwrap_err();
        let mark = target.join("mark");
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "old");
        stage("new").unwrap().place().unwrap();
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
