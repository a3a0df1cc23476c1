//! A disk in memory that loses, tears and reorders what was not synced.
//!
//! Everything is done twice: to what programs see at once (`live`), and to what survives (`safe`)
//! when it is synced, or by chance when the power fails.
//!
//! Simulated nodes run on it, and power cuts are tried on it.
//!
//! *Invariants*: what was synced survives, but for bits that are told to turn; of the rest each
//! operation may survive or not, in any combination, a write by single sectors; a rename survives
//! whole or not at all; once the power has failed nothing is read or written any more.
//!
//! *Not here*: what is written to it, and what must survive (`crash`, `simulate`).

mod rot;
mod state;
mod step;

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use self::state::{Event, Inode, Node, Op, Place, State};
pub(crate) use self::step::{STEPS, Step, When};
use super::disk::{Disk, Entry};
use super::{Store, StoreError};
use crate::simulate::dice::Dice;

/// Bytes that it says are free: nobody fills a terabyte of memory.
const FREE_BYTES: u64 = 1 << 40;
/// Events of a thousand that are done just before the power fails; the others are not begun.
const DONE: u64 = 500;

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct ModelDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// All that was ever done to it, if that is wanted.
    events: Option<Vec<Event>>,
    power: Power,
}

#[derive(Debug)]
enum Power {
    On,
    /// It fails some day.
    Fails(Failing, Dice),
    /// It has failed, perhaps at a step that has a name; this is left.
    Failed(ModelDisk, Option<&'static Step>),
}

/// When the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// After so many more events.
    After(u64),
    /// When that step is taken next.
    At(&'static Step),
}

/// Goes through the states that a disk was in.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Replay {
    state: State,
    events: std::vec::IntoIter<Event>,
}

#[cfg(test)]
impl Replay {
    /// Does the next thing that was done; `None` when all was.
    pub(super) fn step(&mut self) -> Option<&State> {
        let event = self.events.next()?;
        self.state.take(&event);
        Some(&self.state)
    }
}

impl ModelDisk {
    /// Returns an empty disk.
    pub(crate) fn new() -> Self {
        Self::of(State::new(), None)
    }

    /// Returns an empty disk that remembers all that is done to it.
    #[cfg(test)]
    pub(super) fn recording() -> Self {
        Self::of(State::new(), Some(Vec::new()))
    }

    /// Opens the store below a folder of this disk.
    pub(crate) fn open(&self, dir: &Path) -> Result<Store, StoreError> {
        Store::open_on(Arc::new(self.clone()), dir, 0)
    }

    fn of(state: State, events: Option<Vec<Event>>) -> Self {
        let power = Power::On;
        let inner = Inner {
            state,
            events,
            power,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Lets the power fail; what is under way then is done or not, and nobody is told.
    pub(crate) fn fail(&self, failing: Failing, dice: Dice) {
        let power = &mut self.lock().power;
        if matches!(power, Power::On) {
            *power = Power::Fails(failing, dice);
        }
    }

    /// Lets the power not fail, if it has not yet.
    pub(crate) fn spare(&self) {
        let power = &mut self.lock().power;
        if matches!(power, Power::Fails(..)) {
            *power = Power::On;
        }
    }

    /// Tells whether the power has failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.lock().power, Power::Failed(..))
    }

    /// Returns the step at which the power failed, if it has and that has a name.
    pub(crate) fn failed_at(&self) -> Option<&'static Step> {
        match self.lock().power {
            Power::Failed(_, step) => step,
            _ => None,
        }
    }

    /// Returns what a power failure has left, if there was one.
    pub(crate) fn left(&self) -> Option<Self> {
        match &self.lock().power {
            Power::Failed(left, _) => Some(left.clone()),
            _ => None,
        }
    }

    /// Returns how much was done so far.
    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.lock().events.as_ref().map_or(0, Vec::len)
    }

    /// Goes through all that was done, from an empty disk.
    #[cfg(test)]
    pub(super) fn replay(&self) -> Replay {
        let events = self.lock().events.clone();
        Replay {
            state: State::new(),
            events: events.unwrap_or_default().into_iter(),
        }
    }

    /// Returns what a power cut leaves of a state.
    #[cfg(test)]
    pub(super) fn after(state: &State, dice: &mut Dice) -> Self {
        Self::of(state.cut(dice), None)
    }

    /// Returns what a power cut leaves now.
    #[cfg(test)]
    pub(super) fn cut(&self, dice: &mut Dice) -> Self {
        Self::of(self.lock().state.cut(dice), None)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the disk, unless the power has failed.
    fn powered(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.lock();
        match inner.power {
            Power::Failed(..) => Err(io::Error::other("the power has failed")),
            _ => Ok(inner),
        }
    }

    fn note(&self, event: Event) -> io::Result<()> {
        let inner = &mut *self.powered()?;
        if let Power::Fails(failing, dice) = &mut inner.power
            && failing.is_now(&inner.state, &event)
        {
            let step = inner.state.step(&event);
            if dice.chance(DONE) {
                inner.state.take(&event);
            }
            let left = Self::of(inner.state.cut(dice), None);
            inner.power = Power::Failed(left, step);
            return Err(io::Error::other("the power fails"));
        }
        inner.state.take(&event);
        if let Some(events) = &mut inner.events {
            events.push(event);
        }
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        let inner = self.powered()?;
        let mut at = 0;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let Node::Folder(names) = &inner.state.live[at] else {
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
        let inode = self.lock().state.live.len();
        self.note(Event::Make(node))?;
        self.note(Event::Do(Op::Link(place, inode)))?;
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

impl Failing {
    /// Tells whether it is time, at an event; counts that.
    fn is_now(&mut self, state: &State, event: &Event) -> bool {
        match self {
            Self::After(0) => true,
            Self::After(events) => {
                *events -= 1;
                false
            }
            Self::At(step) => state.is_step(event, step),
        }
    }
}

impl Disk for ModelDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.find(path)?;
        match &self.powered()?.state.live[file] {
            Node::File(bytes) => Ok(bytes.clone()),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read_part(&self, path: &Path, (offset, length): (u64, usize)) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let behind = bytes
            .into_iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(behind.take(length).collect())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(path)?;
        self.note(Event::Do(Op::SetLen(file, 0)))?;
        self.note(Event::Do(Op::Write(file, 0, bytes.to_vec())))
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.is_there(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.write(path, bytes)?;
        let file = self.find(path)?;
        self.note(Event::SyncFile(file))
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
        self.note(Event::SyncFolder(folder))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        let op = Op::Rename(self.place(from)?, self.place(to)?, inode);
        self.note(Event::Do(op))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let of = |path| Ok::<_, io::Error>((self.place(path)?, self.find(path)?));
        self.note(Event::Do(Op::Exchange(of(one)?, of(other)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.is_there(path) {
            let place = self.place(path)?;
            self.note(Event::Do(Op::Unlink(place)))?;
        }
        Ok(())
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.find(folder)?;
        let inner = self.powered()?;
        let Node::Folder(names) = &inner.state.live[folder] else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entry = |(name, inode): (&String, &Inode)| Entry {
            name: name.clone(),
            is_folder: matches!(inner.state.live[*inode], Node::Folder(_)),
        };
        Ok(names.iter().map(entry).collect())
    }

    fn length(&self, path: &Path) -> Option<u64> {
        let inode = self.find(path).ok()?;
        match &self.lock().state.live[inode] {
            Node::File(bytes) => Some(bytes.len() as u64),
            Node::Folder(_) => Some(0),
        }
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(FREE_BYTES)
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
        match &self.disk.powered()?.state.live[self.file] {
            Node::File(bytes) => Ok(bytes.len() as u64),
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.powered()?;
        let Node::File(bytes) = &inner.state.live[self.file] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let part = bytes.get(offset..offset + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.note(Event::Do(Op::SetLen(self.file, length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.note(Event::SyncFile(self.file))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let write = Op::Write(self.file, offset, data.to_vec());
        self.disk.note(Event::Do(write))
    }
}
