//! What a disk in memory holds: as programs see it, and as it would be without power.
//!
//! *Invariants*: `safe` changes by what is synced alone; what a cut leaves follows from the dice.
//!
//! *Not here*: paths, and whether there is power (`model_disk`).

use std::collections::BTreeMap;

use crate::simulate::dice::Dice;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

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
        }
    }

    pub(super) fn take(&mut self, event: &Event) {
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
            safe: nodes,
            pending: Vec::new(),
        }
    }
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
