//! What a disk in memory holds: as programs see it, and as it would be without power.
//!
//! *Invariants*: `safe` changes by what is synced, and by bits that turn, alone; what a cut leaves
//! follows from the dice.
//!
//! *Not here*: paths, and whether there is power (`model_disk`).

use std::collections::BTreeMap;

use crate::simulate::dice::Dice;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Most neighbouring bytes that turn at a time.
const TURNED_MAX: usize = 8;
/// The folder in which all others are.
const ROOT: Inode = 0;

/// A file or folder, by number.
pub(super) type Inode = usize;

/// A name in a folder.
pub(super) type Place = (Inode, String);

#[derive(Debug, Clone)]
pub(super) enum Node {
    Folder(BTreeMap<String, Inode>),
    File(Vec<u8>),
}

/// What is done to nodes.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Link(Place, Inode),
    Unlink(Place),
    Rename(Place, Place, Inode),
    Exchange((Place, Inode), (Place, Inode)),
    Write(Inode, usize, Vec<u8>),
    SetLen(Inode, usize),
}

/// What a program did to the disk, in order.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Make(Node),
    Do(Op),
    SyncFile(Inode),
    SyncFolder(Inode),
}

/// The state of a disk.
#[derive(Debug, Clone)]
pub(in crate::store) struct State {
    pub(super) live: Vec<Node>,
    safe: Vec<Node>,
    pending: Vec<Op>,
    /// Where each of `live` is now, if it is anywhere.
    homes: Vec<Option<Place>>,
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
    pub(super) fn new() -> Self {
        let root = vec![Node::Folder(BTreeMap::new())];
        Self {
            live: root.clone(),
            safe: root,
            pending: Vec::new(),
            homes: vec![None],
        }
    }

    /// Tells whether that is a folder.
    pub(super) fn is_folder(&self, inode: Inode) -> bool {
        matches!(self.live[inode], Node::Folder(_))
    }

    /// Returns the names that lead to a file or folder; `None` if it is nowhere any more.
    pub(super) fn path(&self, inode: Inode) -> Option<Vec<&str>> {
        let mut names = Vec::new();
        let mut at = inode;
        while at != ROOT {
            let (folder, name) = self.homes[at].as_ref()?;
            names.push(name.as_str());
            at = *folder;
        }
        names.reverse();
        Some(names)
    }

    /// Turns bits of a file that was synced, as a disk does that damages what it holds: some
    /// neighbouring bytes, one bit of each. Tells whether there was anything to turn.
    pub(super) fn turn_bits(&mut self, file: Inode, dice: &mut Dice) -> bool {
        let Node::File(held) = &self.safe[file] else {
            return false;
        };
        let length = held.len();
        if length == 0 {
            return false;
        }
        let first = dice.place(length);
        let behind = first + 1 + dice.place(TURNED_MAX);
        for at in first..behind.min(length) {
            let bit = 1_u8 << dice.below(8);
            for nodes in [&mut self.live, &mut self.safe] {
                if let Node::File(bytes) = &mut nodes[file]
                    && let Some(byte) = bytes.get_mut(at)
                {
                    *byte ^= bit;
                }
            }
        }
        true
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Make(node) => {
                self.live.push(node.clone());
                self.safe.push(node.clone());
                self.homes.push(None);
            }
            Event::Do(op) => {
                self.rehome(op);
                apply(&mut self.live, op);
                self.pending.push(op.clone());
            }
            Event::SyncFile(file) => self.settle(|op| op.file() == Some(*file)),
            Event::SyncFolder(folder) => {
                self.settle(|op| op.places().iter().any(|(f, _)| f == folder));
            }
        }
    }

    /// Notes where things are once that is done.
    fn rehome(&mut self, op: &Op) {
        let there = |(folder, name): &Place| match &self.live[*folder] {
            Node::Folder(names) => names.get(name).copied(),
            Node::File(_) => None,
        };
        let (gone, come) = match op {
            Op::Link(place, inode) => (there(place), vec![(*inode, place)]),
            Op::Unlink(place) => (there(place), Vec::new()),
            Op::Rename(_, to, inode) => (there(to), vec![(*inode, to)]),
            Op::Exchange((one, first), (other, second)) => {
                (None, vec![(*first, other), (*second, one)])
            }
            Op::Write(..) | Op::SetLen(..) => return,
        };
        if let Some(gone) = gone {
            self.homes[gone] = None;
        }
        for (inode, place) in come {
            self.homes[inode] = Some(place.clone());
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
    pub(in crate::store) fn cut(&self, dice: &mut Dice) -> Self {
        let mut nodes = self.safe.clone();
        // Of ten cuts, one keeps nothing that was not synced, one all of it, the others some.
        let keep = dice.below(10);
        for op in &self.pending {
            if keep != 9 && (keep == 0 || dice.below(9) >= keep) {
                continue;
            }
            match op {
                Op::Write(file, offset, bytes) if keep != 9 => {
                    tear(&mut nodes, (*file, *offset, bytes), dice);
                }
                op => apply(&mut nodes, op),
            }
        }
        Self {
            live: nodes.clone(),
            homes: homes(&nodes),
            safe: nodes,
            pending: Vec::new(),
        }
    }
}

/// Returns where each file and folder is.
fn homes(nodes: &[Node]) -> Vec<Option<Place>> {
    let mut homes = vec![None; nodes.len()];
    for (folder, node) in nodes.iter().enumerate() {
        if let Node::Folder(names) = node {
            for (name, inode) in names {
                homes[*inode] = Some((folder, name.clone()));
            }
        }
    }
    homes
}

/// Writes each sector or not.
fn tear(nodes: &mut [Node], (file, offset, bytes): (Inode, usize, &[u8]), dice: &mut Dice) {
    let whole = dice.below(2) == 0;
    for (i, sector) in bytes.chunks(SECTOR).enumerate() {
        if whole || dice.below(2) == 0 {
            let write = Op::Write(file, offset + i * SECTOR, sector.to_vec());
            apply(nodes, &write);
        }
    }
}
