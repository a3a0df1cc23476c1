//! A disk in memory that loses, tears and reorders what was not synced.
//!
//! Everything is done twice: to what programs see at once (`live`), and to what survives (`safe`)
//! when it is synced, or by chance when the power fails.
//!
//! *Invariants*: what was synced survives; of the rest each operation may survive or not, in any
//! combination, a write by single sectors; a rename survives whole or not at all.
//!
//! *Not here*: what is written to it, and what must survive (`crash`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::super::disk::{Disk, Entry};

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A file or folder, by number.
type Inode = usize;

/// A name in a folder.
type Place = (Inode, String);

#[derive(Debug, Clone)]
enum Node {
    Folder(BTreeMap<String, Inode>),
    File(Vec<u8>),
}

/// What is done to nodes.
#[derive(Debug, Clone)]
enum Op {
    Link(Place, Inode),
    Unlink(Place),
    Rename(Place, Place, Inode),
    Exchange((Place, Inode), (Place, Inode)),
    Write(Inode, usize, Vec<u8>),
    SetLen(Inode, usize),
}

/// What a program did to the disk, in order.
#[derive(Debug, Clone)]
enum Event {
    Make(Node),
    Do(Op),
    SyncFile(Inode),
    SyncFolder(Inode),
}

/// The state of a disk.
#[derive(Debug, Clone)]
pub(super) struct State {
    live: Vec<Node>,
    safe: Vec<Node>,
    pending: Vec<Op>,
}

/// The disk: its state, and all that was ever done to it.
#[derive(Debug, Clone)]
pub(super) struct ModelDisk {
    state: Arc<Mutex<(State, Vec<Event>)>>,
}

/// Random numbers (splitmix64), so that every crash can be repeated.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

impl Op {
    fn places(&self) -> Vec<&Place> {
        match self {
            Self::Link(place, _) | Self::Unlink(place) => vec![place],
            Self::Rename(from, to, _) => vec![from, to],
            Self::Exchange((one, _), (other, _)) => vec![one, other],
            Self::Write(..) | Self::SetLen(..) => Vec::new(),
        }
    }

    fn file(&self) -> Option<Inode> {
        match self {
            Self::Write(file, ..) | Self::SetLen(file, _) => Some(*file),
            _ => None,
        }
    }
}

fn set(nodes: &mut [Node], (folder, name): &Place, to: Option<Inode>) {
    if let Node::Folder(names) = &mut nodes[*folder] {
        match to {
            Some(inode) => names.insert(name.clone(), inode),
            None => names.remove(name),
        };
    }
}

fn apply(nodes: &mut [Node], op: &Op) {
    match op {
        Op::Link(place, inode) => set(nodes, place, Some(*inode)),
        Op::Unlink(place) => set(nodes, place, None),
        Op::Rename(from, to, inode) => {
            set(nodes, from, None);
            set(nodes, to, Some(*inode));
        }
        Op::Exchange((one, first), (other, second)) => {
            set(nodes, one, Some(*second));
            set(nodes, other, Some(*first));
        }
        Op::Write(file, offset, bytes) => {
            if let Node::File(content) = &mut nodes[*file] {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
        Op::SetLen(file, length) => {
            if let Node::File(content) = &mut nodes[*file] {
                content.resize(*length, 0);
            }
        }
    }
}

impl State {
    fn new() -> Self {
        let root = vec![Node::Folder(BTreeMap::new())];
        Self {
            live: root.clone(),
            safe: root,
            pending: Vec::new(),
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Make(node) => {
                self.live.push(node.clone());
                self.safe.push(node.clone());
            }
            Event::Do(op) => {
                apply(&mut self.live, op);
                self.pending.push(op.clone());
            }
            Event::SyncFile(file) => self.settle(|op| op.file() == Some(*file)),
            Event::SyncFolder(folder) => {
                self.settle(|op| op.places().iter().any(|(f, _)| f == folder));
            }
        }
    }

    /// Makes some operations survive. What was done before to a name that they touch has happened.
    fn settle(&mut self, synced: impl Fn(&Op) -> bool) {
        let mut rest: Vec<Op> = Vec::new();
        for op in std::mem::take(&mut self.pending) {
            if synced(&op) {
                apply(&mut self.safe, &op);
                let places = op.places();
                rest.retain(|earlier| !earlier.places().iter().any(|p| places.contains(p)));
            } else {
                rest.push(op);
            }
        }
        self.pending = rest;
    }

    /// Returns what a power cut leaves now.
    pub(super) fn cut(&self, dice: &mut Dice) -> ModelDisk {
        let mut nodes = self.safe.clone();
        // Of ten cuts, one keeps nothing that was not synced, one all of it, the others some.
        let keep = dice.roll(10);
        for op in &self.pending {
            if keep != 9 && (keep == 0 || dice.roll(9) >= keep) {
                continue;
            }
            match op {
                Op::Write(file, offset, bytes) if keep != 9 => {
                    tear(&mut nodes, (*file, *offset, bytes), dice);
                }
                op => apply(&mut nodes, op),
            }
        }
        let state = Self {
            live: nodes.clone(),
            safe: nodes,
            pending: Vec::new(),
        };
        ModelDisk {
            state: Arc::new(Mutex::new((state, Vec::new()))),
        }
    }
}

/// Writes each sector or not.
fn tear(nodes: &mut [Node], (file, offset, bytes): (Inode, usize, &[u8]), dice: &mut Dice) {
    let whole = dice.roll(2) == 0;
    for (i, sector) in bytes.chunks(SECTOR).enumerate() {
        if whole || dice.roll(2) == 0 {
            let write = Op::Write(file, offset + i * SECTOR, sector.to_vec());
            apply(nodes, &write);
        }
    }
}

/// Goes through the states that a disk was in.
#[derive(Debug)]
pub(super) struct Replay {
    state: State,
    events: std::vec::IntoIter<Event>,
}

impl Replay {
    /// Does the next thing that was done; `None` when all was.
    pub(super) fn step(&mut self) -> Option<&State> {
        let event = self.events.next()?;
        self.state.take(&event);
        Some(&self.state)
    }
}

impl ModelDisk {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new((State::new(), Vec::new()))),
        }
    }

    /// Returns how much was done so far.
    pub(super) fn events(&self) -> usize {
        self.state().1.len()
    }

    /// Goes through all that was done, from an empty disk.
    pub(super) fn replay(&self) -> Replay {
        Replay {
            state: State::new(),
            events: self.state().1.clone().into_iter(),
        }
    }

    /// Returns what a power cut leaves now.
    pub(super) fn cut(&self, dice: &mut Dice) -> Self {
        self.state().0.cut(dice)
    }

    fn state(&self) -> MutexGuard<'_, (State, Vec<Event>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: Event) {
        let (state, events) = &mut *self.state();
        state.take(&event);
        events.push(event);
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        let state = self.state();
        let mut at = 0;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let Node::Folder(names) = &state.0.live[at] else {
                    return Err(io::ErrorKind::NotADirectory.into());
                };
                let name = name.to_str().unwrap_or_default();
                at = *names.get(name).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(at)
    }

    fn place(&self, path: &Path) -> io::Result<Place> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find(parent)?, name.to_owned()))
    }

    fn make(&self, path: &Path, node: Node) -> io::Result<Inode> {
        let place = self.place(path)?;
        let inode = self.state().0.live.len();
        self.note(Event::Make(node));
        self.note(Event::Do(Op::Link(place, inode)));
        Ok(inode)
    }

    fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(path, Node::File(Vec::new()))
            }
            found => found,
        }
    }
}

impl Disk for ModelDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.find(path)?;
        match &self.state().0.live[file] {
            Node::File(bytes) => Ok(bytes.clone()),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(path)?;
        self.note(Event::Do(Op::SetLen(file, 0)));
        self.note(Event::Do(Op::Write(file, 0, bytes.to_vec())));
        Ok(())
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.is_there(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.write(path, bytes)?;
        let file = self.find(path)?;
        self.note(Event::SyncFile(file));
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            self.make_folder(parent)?;
        }
        if !self.is_there(path) {
            self.make(path, Node::Folder(BTreeMap::new()))?;
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let folder = self.find(path)?;
        self.note(Event::SyncFolder(folder));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        let op = Op::Rename(self.place(from)?, self.place(to)?, inode);
        self.note(Event::Do(op));
        Ok(())
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let of = |path| Ok::<_, io::Error>((self.place(path)?, self.find(path)?));
        self.note(Event::Do(Op::Exchange(of(one)?, of(other)?)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.is_there(path) {
            let place = self.place(path)?;
            self.note(Event::Do(Op::Unlink(place)));
        }
        Ok(())
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.find(folder)?;
        let state = self.state();
        let Node::Folder(names) = &state.0.live[folder] else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entry = |(name, inode): (&String, &Inode)| Entry {
            name: name.clone(),
            is_folder: matches!(state.0.live[*inode], Node::Folder(_)),
        };
        Ok(names.iter().map(entry).collect())
    }

    fn length(&self, path: &Path) -> Option<u64> {
        let inode = self.find(path).ok()?;
        match &self.state().0.live[inode] {
            Node::File(bytes) => Some(bytes.len() as u64),
            Node::Folder(_) => Some(0),
        }
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError> {
        let file = self.file(path)?;
        builder.create_with_backend(ModelFile {
            disk: self.clone(),
            file,
        })
    }
}

/// redb's file on the disk.
#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    file: Inode,
}

impl StorageBackend for ModelFile {
    fn len(&self) -> io::Result<u64> {
        match &self.disk.state().0.live[self.file] {
            Node::File(bytes) => Ok(bytes.len() as u64),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let Node::File(bytes) = &state.0.live[self.file] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let part = bytes.get(offset..offset + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.note(Event::Do(Op::SetLen(self.file, length)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.note(Event::SyncFile(self.file));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.disk
            .note(Event::Do(Op::Write(self.file, offset, data.to_vec())));
        Ok(())
    }
}
