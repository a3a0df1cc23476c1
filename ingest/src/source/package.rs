//! A product's files under one root: a folder, or the same folder inside an archive.
//!
//! *Invariants*: names are relative to the root, with `/`; only listed files are read; a folder and
//! its archive have the same names, bytes and hash.
//!
//! *Not here*: what the files mean (`sentinel2`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::fault::{Fault, FaultKind};

use super::archive::{self, Archive, Kind};
use super::guard::ENTRIES_MAX;
use super::tarball::{self, Stretch};
use super::unpacked::Unpacked;
use crate::name::show;

/// Deepest folder below the root: SAFE has five levels.
const DEPTH_MAX: usize = 12;
/// Greatest metadata file: real ones stay below 1 MB.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// A product's files under one root.
#[derive(Debug)]
pub struct Package {
    root: Root,
    /// Relative name → bytes.
    files: BTreeMap<String, u64>,
    /// Keeps the files in being that were unpacked for this package.
    unpacked: Option<Arc<Unpacked>>,
}

/// Where the files lie.
#[derive(Debug)]
enum Root {
    Folder(PathBuf),
    /// The archive's path and what stands before every name in it, with its `/`.
    Zip(PathBuf, String),
    /// The archive's path and where in it each file lies.
    Tar(PathBuf, BTreeMap<String, Stretch>),
}

/// Name and content hash of everything delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// BLAKE3 (hex) over names, lengths and BLAKE3 of the files, by name.
    pub hash: String,
    /// Sum of the files' bytes.
    pub bytes: u64,
    /// Last bytes of each file, by name: what shows that a stream was cut short.
    pub ends: BTreeMap<String, Vec<u8>>,
}

/// Bytes that are read while those before them are hashed.
const STRETCH_BYTES: usize = 1 << 20;
/// Bytes kept of each file's end: a JPEG 2000 end marker has two.
const END_BYTES: usize = 2;

/// What one file adds to `Delivered`.
#[derive(Debug, Default)]
struct Digest {
    content: blake3::Hasher,
    bytes: u64,
    end: Vec<u8>,
}

impl Digest {
    /// Hashes a file; a stretch is read while the one before it is hashed.
    fn of_file(path: &Path) -> Result<Self, Fault> {
        let failed = |e| unreadable(path, &e);
        let mut from = File::open(path).map_err(failed)?;
        let (mut now, mut next) = (vec![0; STRETCH_BYTES], vec![0; STRETCH_BYTES]);
        let mut file = Self::default();
        let mut read = from.read(&mut now).map_err(failed)?;
        while read > 0 {
            let hash = || file.update(&now[..read]);
            let (more, ()) = rayon::join(|| from.read(&mut next), hash);
            read = more.map_err(failed)?;
            std::mem::swap(&mut now, &mut next);
        }
        Ok(file)
    }

    fn update(&mut self, piece: &[u8]) {
        self.content.update(piece);
        self.bytes += piece.len() as u64;
        self.end
            .extend_from_slice(&piece[piece.len().saturating_sub(END_BYTES)..]);
        self.end.drain(..self.end.len().saturating_sub(END_BYTES));
    }
}

/// Sums up files in the order they come in.
#[derive(Debug, Default)]
struct Sum {
    all: blake3::Hasher,
    bytes: u64,
    ends: BTreeMap<String, Vec<u8>>,
}

impl Sum {
    fn add(&mut self, name: &str, file: Digest) {
        self.all.update(&(name.len() as u64).to_le_bytes());
        self.all.update(name.as_bytes());
        self.all.update(&file.bytes.to_le_bytes());
        self.all.update(file.content.finalize().as_bytes());
        self.bytes += file.bytes;
        self.ends.insert(name.to_owned(), file.end);
    }

    fn done(self) -> Delivered {
        Delivered {
            hash: self.all.finalize().to_hex().to_string(),
            bytes: self.bytes,
            ends: self.ends,
        }
    }
}

impl Package {
    /// Lists a folder.
    pub fn folder(path: &Path) -> Result<Self, Fault> {
        let mut files = BTreeMap::new();
        list(path, "", DEPTH_MAX, &mut files)?;
        Ok(Self::of(Root::Folder(path.to_owned()), files))
    }

    /// Lists some of the files that lie directly in a folder.
    pub fn flat(path: &Path, keep: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let mut files = BTreeMap::new();
        list(path, "", 0, &mut files)?;
        Ok(Self::of(Root::Folder(path.to_owned()), files).keep(keep))
    }

    fn of(root: Root, files: BTreeMap<String, u64>) -> Self {
        Self {
            root,
            files,
            unpacked: None,
        }
    }

    /// Leaves out the files that are not of the product.
    #[must_use]
    pub fn keep(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.files.retain(|name, _| keep(name));
        self
    }

    /// Lists the one folder of a checked archive that directly holds a file accepted by `is_root`;
    /// an archive without a list is unpacked.
    ///
    /// Returns the package with that folder's name (empty if the files lie at the top).
    pub fn archive(path: &Path, is_root: impl Fn(&str) -> bool) -> Result<(Self, String), Fault> {
        match archive::kind(path) {
            Some(Kind::Tar) => Self::tar(path, is_root),
            Some(Kind::TarGz) => Self::unpacked(path, is_root),
            _ => Self::zip(path, is_root),
        }
    }

    fn zip(path: &Path, is_root: impl Fn(&str) -> bool) -> Result<(Self, String), Fault> {
        let archive = Archive::open(path)?;
        let folder = root_of(path, archive.files().map(|(name, _)| name), is_root)?;
        let prefix = prefix(&folder);
        let inside = |(name, size): (&str, u64)| {
            name.strip_prefix(prefix.as_str())
                .map(|n| (n.to_owned(), size))
        };
        let files = archive.files().filter_map(inside).collect();
        let package = Self::of(Root::Zip(absolute(path), prefix), files);
        Ok((package, last(&folder)))
    }

    fn tar(path: &Path, is_root: impl Fn(&str) -> bool) -> Result<(Self, String), Fault> {
        let listed = tarball::list(path)?;
        let folder = root_of(path, listed.keys().map(String::as_str), is_root)?;
        let prefix = prefix(&folder);
        let inside = |(name, stretch): (String, Stretch)| {
            let name = name.strip_prefix(prefix.as_str())?.to_owned();
            Some((name, stretch))
        };
        let lie: BTreeMap<_, _> = listed.into_iter().filter_map(inside).collect();
        let files = lie.iter().map(|(n, s)| (n.clone(), s.bytes)).collect();
        let package = Self::of(Root::Tar(absolute(path), lie), files);
        Ok((package, last(&folder)))
    }

    /// Unpacks an archive and lists its one folder: for libraries that read files only.
    pub fn unpacked(path: &Path, is_root: impl Fn(&str) -> bool) -> Result<(Self, String), Fault> {
        let unpacked = Unpacked::all(path)?;
        let all = Self::folder(unpacked.path())?;
        let folder = root_of(path, all.names(), is_root)?;
        let mut package = Self::folder(&unpacked.path().join(&folder))?;
        package.unpacked = Some(Arc::new(unpacked));
        Ok((package, last(&folder)))
    }

    /// Returns what keeps the files in being, if they were unpacked.
    pub fn kept(&self) -> Option<Arc<Unpacked>> {
        self.unpacked.clone()
    }

    /// Returns the names of all files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Tells whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Returns the path under which GDAL opens a file.
    pub fn gdal_path(&self, name: &str) -> PathBuf {
        match &self.root {
            Root::Folder(path) => path.join(name),
            Root::Zip(path, prefix) => {
                let inside = format!("/vsizip/{{{}}}/{prefix}{name}", path.display());
                PathBuf::from(inside)
            }
            Root::Tar(path, lie) => {
                let Stretch { offset, bytes } = lie.get(name).copied().unwrap_or_default();
                PathBuf::from(format!("/vsisubfile/{offset}_{bytes},{}", path.display()))
            }
        }
    }

    /// Reads a metadata file.
    pub fn text(&self, name: &str) -> Result<String, Fault> {
        let size = self.files.get(name).copied().unwrap_or(0);
        if size > TEXT_BYTES_MAX {
            let long = format!("it has {size} bytes; at most {TEXT_BYTES_MAX} are read");
            return Err(
                Fault::new(FaultKind::Data, format!("'{name}' is no metadata")).because(long),
            );
        }
        let mut bytes = Vec::new();
        self.read(name, &mut |piece| bytes.extend_from_slice(piece))?;
        String::from_utf8(bytes).map_err(|_| {
            Fault::new(FaultKind::Data, format!("'{name}' is no UTF-8 text"))
                .try_("download the product again")
        })
    }

    /// Hashes every file; also the check that an archive's entries are whole.
    pub fn delivered(&self) -> Result<Delivered, Fault> {
        Ok(self.summed()?.done())
    }

    fn summed(&self) -> Result<Sum, Fault> {
        let mut sum = Sum::default();
        let mut archive = self.opened()?;
        for name in self.files.keys() {
            sum.add(name, self.digest(&mut archive, name)?);
        }
        Ok(sum)
    }

    /// Hashes every file, then some that lie beside the package.
    pub fn delivered_with(&self, beside: &[&Path]) -> Result<Delivered, Fault> {
        let mut sum = self.summed()?;
        add_files(&mut sum, beside)?;
        Ok(sum.done())
    }

    fn opened(&self) -> Result<Option<Archive>, Fault> {
        match &self.root {
            Root::Folder(_) | Root::Tar(..) => Ok(None),
            Root::Zip(path, _) => Archive::open(path).map(Some),
        }
    }

    fn digest(&self, archive: &mut Option<Archive>, name: &str) -> Result<Digest, Fault> {
        let Root::Folder(folder) = &self.root else {
            let mut file = Digest::default();
            self.read_in(archive, name, &mut |piece| file.update(piece))?;
            return Ok(file);
        };
        Digest::of_file(&folder.join(name))
    }

    fn read(&self, name: &str, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.read_in(&mut self.opened()?, name, each)
    }

    fn read_in(
        &self,
        archive: &mut Option<Archive>,
        name: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        match (&self.root, archive) {
            (Root::Zip(_, prefix), Some(archive)) => archive.read(&format!("{prefix}{name}"), each),
            (Root::Tar(path, lie), _) => {
                read_stretch(path, lie.get(name).copied().unwrap_or_default(), each)
            }
            (Root::Folder(path) | Root::Zip(path, _), _) => read_file(&path.join(name), each),
        }
    }
}

/// Hashes single files as a package of their names would be.
pub fn delivered_files(files: &[&Path]) -> Result<Delivered, Fault> {
    let mut sum = Sum::default();
    add_files(&mut sum, files)?;
    Ok(sum.done())
}

/// Hashes a text under a name, then single files.
pub fn delivered_with_text(
    (name, text): (&str, &str),
    files: &[&Path],
) -> Result<Delivered, Fault> {
    let mut sum = Sum::default();
    let mut digest = Digest::default();
    digest.update(text.as_bytes());
    sum.add(name, digest);
    add_files(&mut sum, files)?;
    Ok(sum.done())
}

fn add_files(sum: &mut Sum, files: &[&Path]) -> Result<(), Fault> {
    for path in files {
        let file = Digest::of_file(path)?;
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy())
            .unwrap_or_default();
        sum.add(&name, file);
    }
    Ok(())
}

fn read_file(path: &Path, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    read_all(file, each).map_err(|e| unreadable(path, &e))
}

/// Reads a file of a tar archive.
fn read_stretch(path: &Path, stretch: Stretch, each: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let moved = file.seek(SeekFrom::Start(stretch.offset));
    moved.map_err(|e| unreadable(path, &e))?;
    read_all(file.take(stretch.bytes), each).map_err(|e| unreadable(path, &e))
}

fn read_all(mut from: impl Read, each: &mut dyn FnMut(&[u8])) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => each(&buffer[..n]),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Data, format!("{} cannot be read", show(path))).because(error.to_string())
}

/// GDAL finds an archive from wherever it is asked.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns what stands before the names of all files in a folder.
fn prefix(folder: &str) -> String {
    if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    }
}

fn last(folder: &str) -> String {
    folder.rsplit('/').next().unwrap_or("").to_owned()
}

/// Lists the files below a folder; links to folders are not followed.
fn list(
    root: &Path,
    below: &str,
    depth: usize,
    files: &mut BTreeMap<String, u64>,
) -> Result<(), Fault> {
    let failed = |e: std::io::Error| {
        Fault::new(FaultKind::Data, format!("{} cannot be listed", show(root)))
            .because(e.to_string())
    };
    for entry in std::fs::read_dir(root.join(below)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let name = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth > 0 {
            list(root, &name, depth - 1, files)?;
            continue;
        }
        let meta = std::fs::metadata(entry.path()).map_err(failed)?;
        if meta.is_file() {
            files.insert(name, meta.len());
        }
        if files.len() > ENTRIES_MAX {
            let many = format!("it holds over {ENTRIES_MAX} files");
            return Err(
                Fault::new(FaultKind::Data, format!("{} is no product", show(root))).because(many),
            );
        }
    }
    Ok(())
}

/// Finds the one folder that directly holds a file accepted by `is_root`.
fn root_of<'a>(
    path: &Path,
    names: impl Iterator<Item = &'a str>,
    is_root: impl Fn(&str) -> bool,
) -> Result<String, Fault> {
    let mut roots: Vec<String> = Vec::new();
    for name in names {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        if is_root(file) && !roots.iter().any(|r| r == folder) {
            roots.push(folder.to_owned());
        }
    }
    one_root(path, roots)
}

/// Returns the only root, or says why there is none.
fn one_root(path: &Path, mut roots: Vec<String>) -> Result<String, Fault> {
    match (roots.pop(), roots.is_empty()) {
        (Some(root), true) => Ok(root),
        (Some(_), false) => Err(Fault::new(
            FaultKind::Data,
            format!("{} holds more than one product", show(path)),
        )
        .because("which of them is meant cannot be known")
        .try_("unpack it and ingest the folder")),
        (None, _) => Err(Fault::new(
            FaultKind::Data,
            format!("{} holds no product that is known", show(path)),
        )
        .because("none of the files that its name promises is in it")
        .try_("unpack it; GeoTIFFs are ingested with --dataset and --datetime")),
    }
}
