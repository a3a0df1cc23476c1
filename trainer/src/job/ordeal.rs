//! How many chips a job looks at at a time, noted where the next worker finds it if this one is
//! killed: `RUN+GEOCODE.note` beside the job's checkpoint.
//!
//! ```text
//! GLEBENOTE 1 CHIPS KILLS
//! ```
//! Chips at a time, and how many processes of the worker's control group (or else of the machine)
//! had been killed for want of memory by then. Who ends in any orderly way takes the note away. Who
//! finds one knows that the last worker was killed; and if more were killed for want of memory
//! since, looks at half as many.
//!
//! *Invariants*: a worker that was killed for another reason changes no weight; that chips come in
//! parts is said.
//!
//! *Not here*: parts (`fit`), checkpoints (`checkpoint`), when a note is swept (node).

use std::fs;
use std::path::{Path, PathBuf};

use crate::diary::Diary;
use crate::resident;

/// How the file's name ends.
const NOTE: &str = "note";
/// Its first words.
const HEAD: &str = "GLEBENOTE 1";
/// Greatest file read.
const BYTES_MAX: u64 = 128;

/// A note that lies there.
#[derive(Debug)]
pub struct Ordeal {
    path: PathBuf,
    /// Chips that are looked at at a time at most.
    pub part: usize,
}

impl Ordeal {
    /// Notes what is begun, beside a checkpoint; of a batch of so many chips, or of fewer where the
    /// last worker was killed for want of memory.
    pub fn begin(checkpoint: &Path, batch: usize, diary: &Diary) -> Self {
        let path = checkpoint.with_added_extension(NOTE);
        let (part, died_of) = next(read(&path), resident::kills(), batch);
        if let Some(chips) = died_of {
            diary.say(&format!(
                "the last worker was killed for want of memory while it looked at {chips} chips at \
                 a time: goes on with {part}, in batches of {batch} as before: their gradients are \
                 added up"
            ));
        }
        let ordeal = Self { path, part };
        ordeal.write();
        ordeal
    }

    /// Notes that fewer chips are looked at.
    pub fn lessened(&mut self, part: usize) {
        self.part = part;
        self.write();
    }

    /// Writes the note; without it a worker that is killed is only not helped.
    fn write(&self) {
        let kills = resident::kills().unwrap_or(u64::MAX);
        drop(fs::write(
            &self.path,
            format!("{HEAD} {} {kills}\n", self.part),
        ));
    }
}

impl Drop for Ordeal {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// Returns how many chips are looked at at a time after a worker that left such a note, and how
/// many were too many for it; `kills` are those of the machine by now.
fn next(found: Option<(usize, u64)>, kills: Option<u64>, batch: usize) -> (usize, Option<usize>) {
    let Some((part, before)) = found else {
        return (batch, None);
    };
    let part = part.clamp(1, batch);
    if kills.is_some_and(|now| now > before) {
        (part.div_ceil(2), Some(part))
    } else {
        (part, None)
    }
}

/// Reads chips at a time and kills by then; a note that is none is as good as none.
fn read(path: &Path) -> Option<(usize, u64)> {
    let small = fs::metadata(path).is_ok_and(|about| about.len() <= BYTES_MAX);
    let text = small.then(|| fs::read_to_string(path).ok()).flatten()?;
    let (part, kills) = text.strip_prefix(HEAD)?.trim().split_once(' ')?;
    Some((part.parse().ok()?, kills.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{HEAD, Ordeal, next};
    use crate::diary::Diary;
    use crate::resident;

    #[test]
    fn a_note_lies_while_the_job_is_under_way_and_alone_changes_nothing() {
        let kills = resident::kills().expect("Linux");
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = folder.path().join("r+gcpvj");
        let note = folder.path().join("r+gcpvj.note");
        let begun = |found: Option<String>| {
            if let Some(text) = found {
                fs::write(&note, text).expect("a note");
            }
            let diary = Diary::default();
            let ordeal = Ordeal::begin(&checkpoint, 32, &diary);
            assert!(note.exists());
            let part = ordeal.part;
            drop(ordeal);
            assert!(!note.exists(), "an orderly end");
            (part, diary.take().len())
        };
        assert_eq!(begun(None), (32, 0));
        assert_eq!(
            begun(Some(format!("{HEAD} 32 {kills}\n"))),
            (32, 0),
            "kill -9"
        );
        assert_eq!(
            begun(Some(format!("{HEAD} 8 {kills}\n"))),
            (8, 0),
            "it was in parts"
        );
        for none in ["", "something", "GLEBENOTE 1 8", "GLEBENOTE 1 a b"] {
            assert_eq!(begun(Some(none.to_owned())), (32, 0), "{none}");
        }
    }

    #[test]
    fn chips_are_halved_where_the_machine_has_killed_since() {
        assert_eq!(next(Some((32, 4)), Some(5), 32), (16, Some(32)));
        assert_eq!(next(Some((5, 4)), Some(9), 32), (3, Some(5)));
        assert_eq!(next(Some((1, 4)), Some(5), 32), (1, Some(1)));
        assert_eq!(
            next(Some((64, 4)), Some(5), 32),
            (16, Some(32)),
            "of the batch"
        );
        for (before, now) in [(4, Some(4)), (u64::MAX, Some(5)), (4, None)] {
            assert_eq!(next(Some((32, before)), now, 32), (32, None));
        }
    }
}
