//! The steps of what a store does to its disk, by name, so that the power can fail at each.
//!
//! *Invariants*: what is done to what decides the step, so that no name is noted by whoever does
//! it; each is in one row of `STEPS`.
//!
//! *Not here*: what a cut at one leaves (`state`), when there is one (`model_disk`).

use super::state::{Event, Inode, Op, Place, State};

/// A step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What it is called.
    pub word: &'static str,
    of: (Deed, Site),
    when: &'static [When],
}

/// When a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// A node starts on an empty disk, or remakes its index.
    First,
    /// It starts.
    Start,
    /// It works.
    Work,
    /// It puts what is whole in the place of what is not.
    Heal,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Make,
    Write,
    SyncFile,
    SyncFolder,
    /// Renamed to there.
    Move,
    Exchange,
    Remove,
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The folder above the store's own.
    Above,
    Store,
    Objects,
    KindFolder,
    SlotFolder,
    Object,
    Tmp,
    Staged,
    StagedFile,
    Note,
    Intent,
    Aside,
    Index,
    NewIndex,
}

/// All of them. What is done once in a disk's life, or only after several cuts, has no name.
pub(crate) static STEPS: [Step; 27] = {
    use Deed::{Exchange, Make, Move, Remove, SyncFile, SyncFolder, Write};
    use Site::{Above, Aside, Index, Intent, KindFolder, NewIndex, Note, Object, Objects};
    use Site::{SlotFolder, Staged, StagedFile, Store, Tmp};
    use When::{First, Heal, Start, Work};
    [
        step("make a kind's folder", (Make, KindFolder), &[First]),
        step(
            "sync the folder of all objects",
            (SyncFolder, Objects),
            &[First, Start],
        ),
        step(
            "sync the store's folder",
            (SyncFolder, Store),
            &[First, Start],
        ),
        step(
            "sync the folder above",
            (SyncFolder, Above),
            &[First, Start],
        ),
        step("write a new index", (Write, NewIndex), &[First]),
        step("sync a new index", (SyncFile, NewIndex), &[First]),
        step("put a new index in place", (Move, Index), &[First]),
        step("write the index", (Write, Index), &[Start, Work]),
        step("sync the index", (SyncFile, Index), &[Start, Work]),
        step("make a staged folder", (Make, Staged), &[Work]),
        step("write an object's file", (Write, StagedFile), &[Work]),
        step("sync an object's file", (SyncFile, StagedFile), &[Work]),
        step("write a note", (Write, Note), &[Work]),
        step("sync a note", (SyncFile, Note), &[Work]),
        step("sync a staged folder", (SyncFolder, Staged), &[Work]),
        step("make a slot's folder", (Make, SlotFolder), &[Work]),
        step("sync a kind's folder", (SyncFolder, KindFolder), &[Work]),
        step("write an intent", (Write, Intent), &[Work]),
        step("sync an intent", (SyncFile, Intent), &[Work, Heal]),
        step(
            "sync the folder of intents",
            (SyncFolder, Tmp),
            &[Work, Heal],
        ),
        step("put an object in place", (Move, Object), &[Work]),
        step("exchange two objects", (Exchange, Object), &[Work, Heal]),
        step(
            "sync a slot's folder",
            (SyncFolder, SlotFolder),
            &[Start, Work],
        ),
        step("keep a harmed object aside", (Move, Aside), &[Heal]),
        step("take an object away", (Move, Staged), &[Start, Work]),
        step("remove a staged folder", (Remove, Staged), &[Start, Work]),
        step("remove an intent", (Remove, Intent), &[Start, Work]),
    ]
};

const fn step(word: &'static str, of: (Deed, Site), when: &'static [When]) -> Step {
    Step { word, of, when }
}

impl Step {
    /// Returns the steps that are taken then.
    pub(crate) fn taken(when: When) -> Vec<&'static Self> {
        let taken = |step: &&Self| step.when.contains(&when);
        STEPS.iter().filter(taken).collect()
    }
}

impl State {
    /// Returns the step that an event is, if it has a name.
    pub(super) fn step(&self, event: &Event) -> Option<&'static Step> {
        let of = self.deed(event)?;
        STEPS.iter().find(|step| step.of == of)
    }

    /// Tells whether an event is that step.
    pub(super) fn is_step(&self, event: &Event, step: &Step) -> bool {
        self.deed(event) == Some(step.of)
    }

    fn deed(&self, event: &Event) -> Option<(Deed, Site)> {
        let at = |place: &Place| self.site_of(place);
        Some(match event {
            Event::Make(_) => return None,
            Event::SyncFile(file) => (Deed::SyncFile, self.site(*file)?),
            Event::SyncFolder(folder) => (Deed::SyncFolder, self.site(*folder)?),
            Event::Do(Op::Link(place, inode)) if self.is_folder(*inode) => (Deed::Make, at(place)?),
            Event::Do(Op::Link(place, _)) => (Deed::Write, at(place)?),
            Event::Do(Op::Unlink(place)) => (Deed::Remove, at(place)?),
            Event::Do(Op::Rename(_, to, _)) => (Deed::Move, at(to)?),
            Event::Do(Op::Exchange(_, (place, _))) => (Deed::Exchange, at(place)?),
            Event::Do(Op::Write(file, ..) | Op::SetLen(file, _)) => {
                (Deed::Write, self.site(*file)?)
            }
        })
    }

    fn site(&self, inode: Inode) -> Option<Site> {
        site(&self.path(inode)?)
    }

    fn site_of(&self, (folder, name): &Place) -> Option<Site> {
        let mut path = self.path(*folder)?;
        path.push(name);
        site(&path)
    }
}

/// Returns what lies at a path, of which the first part is the store's folder.
fn site(path: &[&str]) -> Option<Site> {
    Some(match path {
        [] => Site::Above,
        [_] => Site::Store,
        [_, "tmp"] => Site::Tmp,
        [_, "tmp", name] if name.strip_suffix(".intent").is_some() => Site::Intent,
        [_, "tmp", _] => Site::Staged,
        [_, "tmp", _, "object.json"] => Site::Note,
        [_, "tmp", _, _] => Site::StagedFile,
        [_, "objects"] => Site::Objects,
        [_, "objects", _] => Site::KindFolder,
        [_, "objects", _, _] => Site::SlotFolder,
        [_, "objects", _, _, _] => Site::Object,
        [_, "quarantine", _] => Site::Aside,
        [_, "index.redb"] => Site::Index,
        [_, "index.redb.new"] => Site::NewIndex,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_name_and_a_deed_of_its_own() {
        for (i, one) in STEPS.iter().enumerate() {
            for other in &STEPS[..i] {
                assert!(
                    one.word != other.word && one.of != other.of,
                    "{one:?} {other:?}"
                );
            }
            assert!(!one.when.is_empty(), "{one:?}");
        }
    }
}
