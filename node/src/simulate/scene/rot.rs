//! Bytes that turn on a disk, as a disk does that damages what it holds.
//!
//! *Invariants*: bytes turn at an owner alone, and only of what all its owners hold alike, and have
//! recorded, in the one live layout: a start takes back what has no record. A second replica of an
//! object rots after the first is whole again, so never the last; no disk is lost and no node taken
//! out while anything is not healed.
//!
//! *Not here*: which bits turn (`store::model_disk`). One finding is open, and no drill fails by
//! it: pages of `index.redb` that turn are noticed only as they are read, and an answer may lack a
//! record until then. Drills turn none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::split::placement::Slot;

use super::super::faults::WHILE_IT_HEALS;
use super::super::machine::{DISK, Machine};
use super::Scene;
use crate::layout::Layout;
use crate::slots::SlotSet;
use crate::store::{ModelDisk, When};
use crate::sync;

/// A file of which bytes have turned.
#[derive(Debug)]
pub(super) struct Turned {
    machine: usize,
    path: PathBuf,
    /// What it holds since.
    bytes: Vec<u8>,
}

/// Files of an object by name.
type Files = BTreeMap<String, Vec<u8>>;
/// Objects on a disk by their folders: `KIND/SLOT/ID`.
type Objects = BTreeMap<String, Files>;

impl Scene<'_> {
    /// Turns bytes of a file at a node, if it owns something that all owners hold alike.
    pub(super) fn rot(&mut self, i: usize) {
        let Some(layout) = self.one_layout() else {
            return self.log.event(format_args!("nothing rots: slots move"));
        };
        let objects = self.alike(i, &layout);
        let mut dice = self.fate.fork();
        let place = dice.place(objects.len());
        let Some((object, files)) = objects.into_iter().nth(place) else {
            return self.log.event(format_args!("nothing rots: owners differ"));
        };
        let place = dice.place(files.len());
        let Some(file) = files.into_keys().nth(place) else {
            return;
        };
        let path = Path::new(DISK).join("objects").join(&object).join(file);
        let disk = self.machines[i].disk();
        if !disk.rot(&path, &mut dice) {
            return;
        }
        let name = &self.machines[i].name;
        self.log
            .event(format_args!("{name} rots: {}", path.display()));
        let bytes = disk.content(&path).unwrap_or_default();
        let machine = i;
        self.turned.push(Turned {
            machine,
            path,
            bytes,
        });
        self.cut_next(i, (WHILE_IT_HEALS, When::Heal));
    }

    /// Forgets what has been healed, or is gone.
    pub(super) fn see_healed(&mut self) {
        let (still, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.turned)
            .into_iter()
            .partition(|turned| self.is_rotten(turned));
        self.turned = still;
        for turned in over {
            let name = &self.machines[turned.machine].name;
            let path = turned.path.display();
            self.log.event(format_args!("{name} has healed {path}"));
        }
    }

    /// Returns what a node that was not taken out keeps and has not healed yet.
    pub(super) fn rotten(&mut self) -> Option<String> {
        self.see_healed();
        let kept = |t: &&Turned| !self.machines[t.machine].left;
        let turned = self.turned.iter().find(kept)?;
        let name = &self.machines[turned.machine].name;
        Some(format!("{name} keeps rotten {}", turned.path.display()))
    }

    fn is_rotten(&self, turned: &Turned) -> bool {
        let held = self.machines[turned.machine].disk().content(&turned.path);
        held.is_some_and(|bytes| bytes == turned.bytes)
    }

    /// Returns the layout that is the only one for all nodes that are up.
    fn one_layout(&self) -> Option<Arc<Layout>> {
        let mut one: Option<Arc<Layout>> = None;
        for machine in self.machines.iter().filter(|m| !m.left) {
            let Some(cluster) = machine.cluster() else {
                continue;
            };
            let newest = cluster.core.look(|view| {
                let newest = Arc::clone(view.ring.newest());
                view.ring.settled().then_some(newest)
            })?;
            if one.as_ref().is_some_and(|l| l.stamp() != newest.stamp()) {
                return None;
            }
            one = Some(newest);
        }
        one
    }

    /// Returns what a node owns and every other owner holds with the same bytes and a record.
    fn alike(&self, i: usize, layout: &Layout) -> Objects {
        let mut disks: BTreeMap<usize, Objects> = BTreeMap::new();
        let mut mine = objects(&self.machines[i].disk());
        mine.retain(|object, files| {
            let Some(slot) = slot_of(object) else {
                return false;
            };
            let me = &self.machines[i].id;
            if self.machines[i].gone || !layout.owns(me, slot) {
                return false;
            }
            let others: Vec<_> = layout.owners(slot).filter(|o| *o != me).collect();
            let alike = |owner: &&crate::identity::NodeId| {
                let machine = self
                    .machines
                    .iter()
                    .position(|m| m.id == **owner && !m.gone);
                machine.is_some_and(|at| {
                    let disk = disks.entry(at);
                    let held = disk.or_insert_with(|| recorded(&self.machines[at]));
                    held.get(object) == Some(files)
                })
            };
            !others.is_empty() && others.iter().all(alike)
        });
        mine
    }
}

/// Returns what a node that is up holds and its index names.
fn recorded(machine: &Machine) -> Objects {
    let Some(cluster) = machine.cluster() else {
        return Objects::new();
    };
    let list = |kind| cluster.core.store.list(kind, &SlotSet::all());
    let named: BTreeSet<String> = sync::KINDS
        .into_iter()
        .flat_map(|kind| list(kind).unwrap_or_default())
        .map(|held| {
            let (kind, id) = (held.key.kind.word(), held.key.id.replace('/', "+"));
            format!("{kind}/{:04x}/{id}", held.slot.number())
        })
        .collect();
    let mut held = objects(&machine.disk());
    held.retain(|object, _| named.contains(object));
    held
}

/// Returns what lies on a disk below `objects`.
fn objects(disk: &ModelDisk) -> Objects {
    let root = Path::new(DISK).join("objects");
    let mut found = Objects::new();
    for (path, bytes) in disk.files_below(&root) {
        let object = path.parent().and_then(|o| o.strip_prefix(&root).ok());
        let (object, file) = (object.and_then(Path::to_str), path.file_name());
        if let (Some(object), Some(file)) = (object, file.and_then(|f| f.to_str())) {
            let files = found.entry(object.to_owned()).or_default();
            files.insert(file.to_owned(), bytes);
        }
    }
    found
}

/// Returns the slot of `KIND/SLOT/ID`.
fn slot_of(object: &str) -> Option<Slot> {
    let slot = object.split('/').nth(1)?;
    u16::from_str_radix(slot, 16).ok().and_then(Slot::new)
}

#[cfg(test)]
mod tests {
    use super::super::super::drill::{Drill, Outcome};
    use super::super::super::faults::Fault;
    use super::super::super::log::Detail;

    /// Seeds played: some twenty files rot.
    const SEEDS: u64 = 12;

    fn play(seed: u64, faults: &[Fault]) -> Outcome {
        let mut drill = Drill::of_seed(seed);
        drill.faults = faults.to_vec();
        drill.detail = Detail::Events;
        drill.run().unwrap()
    }

    /// Counts lines with a word after the node's name.
    fn lines(outcome: &Outcome, word: &str) -> usize {
        let found = outcome.lines.iter().filter(|line| line.contains(word));
        found.count()
    }

    #[test]
    fn what_rots_is_noticed_and_healed_and_nobody_is_told_anything_wrong() {
        let mut rotten = 0;
        for seed in 0..SEEDS {
            let outcome = play(seed, &[Fault::Rot]);
            assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
            let (rots, healed) = (lines(&outcome, " rots: /"), lines(&outcome, " has healed "));
            assert_eq!(rots, healed, "seed {seed}: {:#?}", outcome.lines);
            rotten += rots;
        }
        assert!(rotten > 20, "{rotten} files rotted in {SEEDS} drills");
    }

    #[test]
    fn the_only_replica_never_rots() {
        let mut drill = Drill::of_seed(1);
        (drill.nodes, drill.replicas) = (3, 1);
        (drill.faults, drill.detail) = (vec![Fault::Rot], Detail::Events);
        let outcome = drill.run().unwrap();
        assert_eq!(outcome.violations, Vec::<String>::new());
        assert_eq!(lines(&outcome, " rots: /"), 0, "{:#?}", outcome.lines);
        assert!(
            outcome
                .faults
                .iter()
                .any(|(f, n)| *f == Fault::Rot && *n > 3)
        );
    }

    #[test]
    fn power_fails_at_named_steps_and_a_drill_tells_which() {
        let mut cuts = 0;
        for seed in 0..SEEDS {
            let outcome = play(seed, &[Fault::PowerCut]);
            assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
            let named = |line: &&String| line.contains("has lost its power: ");
            let named = outcome.lines.iter().filter(named);
            let named = named.filter(|line| !line.ends_with("no step")).count() as u64;
            let counted: u64 = outcome.cuts.values().sum();
            assert_eq!(counted, named, "seed {seed}: {:?}", outcome.cuts);
            cuts += named;
        }
        assert!(cuts > 10, "{cuts} cuts at named steps in {SEEDS} drills");
    }
}
