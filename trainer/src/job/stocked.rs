//! The chips of a job's splits: those that an earlier job left pinned, or else decoded and cut.
//!
//! *Invariants*: what is pinned is named after all that its pixels depend on (the splits with their
//! files' checksums, which of them make pairs, the bands taken, the side of a chip, this version of
//! glebe) and after nothing else: neither seed nor recipe nor run; pinned or not, the chips are the
//! same to the bit; a folder that cannot be used costs the next job time, not this one its model.
//!
//! *Not here*: the files (`chips::pins`), which splits (`survey`).

use std::io;

use jiff::Timestamp;
use wire::run::Hyper;

use crate::chips::ChipSet;
use crate::chips::blocks::{ChipGrid, side_chips};
use crate::chips::cut::{chip_grid, cut};
use crate::chips::pair::paired;
use crate::chips::pins::{Of, Pinning};
use crate::chips::planes;
use crate::chips::stock::{Cutting, Form, Stock};
use crate::fit::FitError;
use crate::job::survey::{Source, Survey};
use crate::job::{JobError, Setting};
use crate::memory::Short;
use crate::recipe::Task;
use crate::resident;

/// Number of the rule by which chips are left out: what an earlier one pinned is cut again.
const CUT: u32 = 3;

/// Chips of all splits or pairs, not yet parted.
#[derive(Debug)]
pub struct Cuts {
    /// The chips.
    pub set: ChipSet,
    /// Splits they came from.
    pub splits: usize,
    /// The cell of each source of chips.
    pub cells: Vec<Cell>,
    /// Chips that were decoded: none where all were pinned.
    pub decoded: u64,
    /// Labels are chances, learned as they are.
    pub of_chances: bool,
}

/// A cell that chips came from, on some date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Geocode text.
    pub geocode: String,
    /// When it was sensed; of a pair its clear split, which several pairs may share.
    pub acquired: Timestamp,
    /// Side of its blocks in chips.
    pub side_chips: u32,
}

impl Cuts {
    /// Returns the cell that a chip lies in.
    pub fn cell(&self, chip: usize) -> &Cell {
        &self.cells[self.set.source(chip)]
    }

    /// Returns when a chip was sensed.
    pub fn acquired(&self, chip: usize) -> Timestamp {
        self.cell(chip).acquired
    }
}

/// What is to be cut.
struct Wish<'a> {
    survey: &'a Survey,
    form: Form,
    setting: &'a Setting,
}

/// Returns the chips of all splits; one split or pair is in memory at a time.
pub fn cuts(
    survey: &Survey,
    task: &dyn Task,
    hyper: &Hyper,
    setting: &Setting,
) -> Result<Cuts, JobError> {
    let wish = Wish::of(survey, (task, hyper), setting);
    let (stock, decoded) = wish.stock()?;
    Ok(Cuts {
        set: ChipSet::labelled(stock, task),
        splits: survey.splits.len(),
        cells: survey.sources.iter().map(|s| wish.cell(*s)).collect(),
        decoded,
        of_chances: task.is_of_chances(),
    })
}

/// Pins the chips of a job that is still to come; returns how many were decoded. `None` where they
/// are pinned, where none stay or there is no room for them, and where decoding might take memory
/// that the job under way was promised: it would be learned in parts.
pub fn pinned(
    survey: &Survey,
    task: &dyn Task,
    hyper: &Hyper,
    setting: &Setting,
) -> Result<Option<u64>, JobError> {
    let wish = Wish::of(survey, (task, hyper), setting);
    let (Some(pins), name) = (&setting.pins, wish.name()) else {
        return Ok(None);
    };
    let may = setting.bytes_max.zip(resident::bytes());
    if !has_room(may, wish.bytes()) || pins.find(&name).is_some() {
        return Ok(None);
    }
    // Of a folder that cannot be written in, that job itself will tell.
    let Ok(Some(file)) = pins.begin(&name, (wish.form, wish.chips())) else {
        return Ok(None);
    };
    let stock = wish.pinned(file)?;
    Ok(stock.ok().map(|stock| stock.len() as u64))
}

/// Tells whether so many bytes more leave a process far below the most that it may hold, where both
/// that and what it holds are known. Jobs look at fewer chips at a time from nine tenths on.
fn has_room(may: Option<(u64, u64)>, wanted: u64) -> bool {
    may.is_none_or(|(most, held)| held.saturating_add(wanted) <= most / 2)
}

impl<'a> Wish<'a> {
    fn of(survey: &'a Survey, (task, hyper): (&dyn Task, &Hyper), setting: &'a Setting) -> Self {
        let form = Form {
            chip_px: usize::try_from(hyper.chip_px).unwrap_or(1),
            inputs: task.inputs().len(),
            others: task.label_bands().len(),
            paired: task.pairs().is_some(),
        };
        Self {
            survey,
            form,
            setting,
        }
    }

    /// Counts the chips of all sources, those that will be left out too.
    fn chips(&self) -> u64 {
        let grids = self.survey.sources.iter().map(|s| self.grid(*s));
        let chips = grids.map(|grid| u64::from(grid.rows) * u64::from(grid.columns));
        chips.sum()
    }

    /// Returns about how many bytes are held to cut one source: its bands and where there is cloud,
    /// as they were read and on the grid of the chips; of a pair those of both splits.
    fn bytes(&self) -> u64 {
        let pixels = |at: usize| {
            let shape = self.survey.splits[at].choice.shape;
            (shape.width as u64).saturating_mul(shape.height as u64)
        };
        let sources = self.survey.sources.iter();
        let largest = sources.map(|s| pixels(s.input).max(pixels(s.label))).max();
        let planes = (self.form.inputs + self.form.others + 1) as u64;
        let splits = 1 + u64::from(self.form.paired);
        let bytes = planes * size_of::<f32>() as u64 * 2 * splits;
        largest.unwrap_or(0).saturating_mul(bytes)
    }

    /// Returns the chips of a source, side by side.
    fn grid(&self, source: Source) -> ChipGrid {
        let shape = self.survey.splits[source.input].choice.shape;
        chip_grid(shape, self.form.chip_px)
    }

    /// Returns the cell of a source.
    fn cell(&self, source: Source) -> Cell {
        let of = |split: usize| &self.survey.splits[split].meta;
        Cell {
            geocode: of(source.input).geocode.to_string(),
            acquired: of(source.label).acquired,
            side_chips: side_chips(self.grid(source)),
        }
    }

    /// Takes the chips that are pinned, or decodes and pins them; returns how many were decoded.
    fn stock(&self) -> Result<(Stock, u64), JobError> {
        let diary = &self.setting.diary;
        let Some(pins) = &self.setting.pins else {
            return self.held();
        };
        let of = self.name();
        let fits = |stock: &Stock| {
            stock.form == self.form && stock.about.ends.len() == self.survey.sources.len()
        };
        if let Some(stock) = pins.find(&of).filter(fits) {
            let chips = stock.len();
            diary.say(&format!(
                "0 chips decoded: {chips} were left pinned by an earlier job"
            ));
            return Ok((stock, 0));
        }
        let chips = self.chips();
        let not_pinned = |why: &dyn std::fmt::Display| {
            diary.say(&format!("its chips are not pinned for the next job: {why}"));
        };
        let file = match pins.begin(&of, (self.form, chips)) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let mebibytes = pins.bytes_max >> 20;
                not_pinned(&format!(
                    "{chips} of them do not fit into {mebibytes} MiB beside what others write"
                ));
                return self.held();
            }
            Err(error) => {
                not_pinned(&error);
                return self.held();
            }
        };
        match self.pinned(file)? {
            Ok(stock) => {
                let decoded = stock.len() as u64;
                diary.say(&format!(
                    "{decoded} chips decoded, and pinned for the next job"
                ));
                Ok((stock, decoded))
            }
            Err(error) => {
                not_pinned(&error);
                self.held()
            }
        }
    }

    /// Cuts into memory.
    fn held(&self) -> Result<(Stock, u64), JobError> {
        let mut stock = Cutting::held(self.form);
        let cut = self.cut(&mut stock)?.and_then(|()| stock.finish());
        let stock = cut.map_err(|e| Short::told(&e.to_string()))?;
        let decoded = stock.len() as u64;
        self.setting.diary.say(&format!("{decoded} chips decoded"));
        Ok((stock, decoded))
    }

    /// Cuts into a file.
    fn pinned(&self, file: Pinning) -> Result<io::Result<Stock>, JobError> {
        let mut stock = Cutting::pinned(self.form, file);
        let cut = self.cut(&mut stock)?;
        Ok(cut.and_then(|()| stock.finish()))
    }

    /// Decodes all splits; the inner error is the stock's.
    fn cut(&self, stock: &mut Cutting) -> Result<io::Result<()>, JobError> {
        let read = |at: usize| {
            let split = &self.survey.splits[at];
            planes::read(&split.folder, &split.meta, &split.choice, self.form.inputs)
        };
        for source in &self.survey.sources {
            if self.setting.stop.wished() {
                return Err(FitError::Stopped.into());
            }
            let mut planes = read(source.input)?;
            if self.form.paired {
                planes = paired(planes, read(source.label)?);
            }
            if let Err(error) = cut(&planes, stock) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Names all that the chips depend on.
    fn name(&self) -> Of {
        let mut hasher = blake3::Hasher::new();
        let version = env!("CARGO_PKG_VERSION");
        hasher.update(format!("{version} {:?} {CUT}\n", self.form).as_bytes());
        for split in &self.survey.splits {
            // Id, checksums of files, scale, offset, fill and cloud bands are all in there.
            let meta = serde_json::to_vec(&split.meta).unwrap_or_default();
            let bands = split.choice.bands.iter();
            let bands: Vec<_> = bands.map(|b| (&b.band.asset, b.band.index)).collect();
            hasher.update(&meta);
            hasher.update(format!(" {bands:?} {:?}\n", split.choice.shape).as_bytes());
        }
        for source in &self.survey.sources {
            hasher.update(format!("{} {}\n", source.input, source.label).as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_are_decoded_ahead_only_far_below_what_a_process_may_hold() {
        assert!(has_room(Some((1_000, 300)), 200));
        assert!(!has_room(Some((1_000, 300)), 201));
        assert!(!has_room(Some((1_000, 300)), u64::MAX));
        assert!(has_room(None, u64::MAX), "nothing bounds it");
    }
}
