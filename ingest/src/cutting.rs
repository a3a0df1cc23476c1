//! Cutting a whole scene, strip by strip, into encoded splits.
//!
//! While a strip is cut, the pieces that the next one needs are decoded; when every piece of the
//! scene has been read, the splits that wait are handed on, and those still to be cut as they come.
//!
//! *Invariants*: no split is handed on before all of the scene was read; memory holds the pieces
//! of two strips, or `PIECES_BYTES_MAX` of them; splits come in the order of strips; sums do not
//! depend on what was cut before.
//!
//! *Not here*: where the splits go (`put`, `cut_scene`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use earth::geocode::Geocode;
use earth::split::codec::Encoded;
use earth::split::collection::Collection;
use earth::split::meta::PixelCounts;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use wire::fault::{Fault, FaultKind};

use crate::encode;
use crate::pieces::{Key, PIECES_BYTES_MAX, Pieces};
use crate::plan::{CellPlan, Plan};
use crate::source::Scene;
use crate::spool::{Spool, Waiting};
use crate::strip::{CellCut, Held};

/// Bytes of pixels from which cells are cut one after another, each by all threads while the one
/// before it is encoded: more at once would not fit into memory.
const CELL_BYTES_ALONE: u64 = 32 << 20;

/// A scene that was cut.
#[derive(Debug)]
pub struct CutScene {
    /// The files of its splits.
    pub spool: Spool,
    /// Its splits, in the order of strips.
    pub splits: Vec<Waiting>,
    /// Cells without a valid pixel.
    pub empty: u64,
    /// Sums over all cells cut, empty ones included.
    pub counts: PixelCounts,
}

/// What was counted over all cells of a scene.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutSums {
    /// Cells without a valid pixel.
    pub empty: u64,
    /// Sums over all cells cut, empty ones included.
    pub counts: PixelCounts,
}

/// A strip that was cut: cells and pixels done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Cells done.
    pub cells: u64,
    /// Pixels done, pooled over bands.
    pub pixels: u64,
}

/// What is told while a scene is cut.
#[derive(Debug)]
pub enum Told {
    /// A strip was cut.
    Step(Step),
    /// A split may be put: all of the scene was read.
    Split(Box<Waiting>),
}

/// Hears what is told; ends the cutting by breaking off.
pub type Teller<'a> = &'a mut dyn FnMut(Told) -> ControlFlow<()>;

/// Where splits go.
pub struct Sink<'a> {
    /// Where their files wait.
    pub spool: &'a Spool,
    /// Who hears of them.
    pub tell: Teller<'a>,
    /// Bytes of pieces that are read ahead: `PIECES_BYTES_MAX`, unless a test wants less.
    pub ahead_max: u64,
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// Cuts some cells of a scene and keeps the splits; `each` hears of every strip.
pub fn cut(
    scene: &Scene,
    plan: &Plan,
    target: (&Collection, &[Geocode]),
    each: &mut dyn FnMut(Step),
) -> Result<CutScene, Fault> {
    let (spool, mut splits) = (Spool::new()?, Vec::new());
    let mut tell = |told| {
        match told {
            Told::Step(step) => each(step),
            Told::Split(split) => splits.push(*split),
        }
        ControlFlow::Continue(())
    };
    let sink = Sink {
        spool: &spool,
        tell: &mut tell,
        ahead_max: PIECES_BYTES_MAX,
    };
    let sums = stream(scene, plan, target, sink)?;
    Ok(CutScene {
        spool,
        splits,
        empty: sums.empty,
        counts: sums.counts,
    })
}

/// Cuts some cells of a scene and tells of strips, and of splits once they may be put.
pub fn stream(
    scene: &Scene,
    plan: &Plan,
    (collection, cells): (&Collection, &[Geocode]),
    sink: Sink<'_>,
) -> Result<CutSums, Fault> {
    let Sink {
        spool,
        tell,
        ahead_max,
    } = sink;
    let strips = plan.strips(cells)?;
    let mut pieces = Pieces::new(scene)?;
    let needs = strips.iter().map(|s| plan.needs(scene, &pieces, s));
    let mut ahead = Ahead::new(needs.collect(), ahead_max);
    pieces.hold(pieces.read(&ahead.next(&pieces, None))?);
    let keeper = Keeper {
        scene,
        collection,
        spool,
    };
    let mut line = Line::default();
    let mut waits = None;
    for (number, strip) in strips.iter().enumerate() {
        let next = ahead.next(&pieces, Some(number));
        let held = Held {
            scene,
            plan,
            pieces: &pieces,
        };
        let (read, done) = rayon::join(
            || pieces.read(&next),
            || cut_strip(held, keeper, &strip.cells, waits.take()),
        );
        let (read, done) = (read?, done?);
        ahead.past(&mut pieces, number);
        pieces.hold(read);
        waits = done.waits;
        line.take(done.cells, ahead.all_read(), tell)?;
    }
    if let Some(cut) = waits {
        line.take(vec![keeper.keep(cut)?], true, tell)?;
    }
    Ok(line.sums)
}

/// One cell, encoded and in the spool unless it is empty.
struct CellDone {
    counts: PixelCounts,
    pixels: u64,
    split: Option<Waiting>,
}

/// What became of a strip.
struct StripDone {
    cells: Vec<CellDone>,
    /// A large cell that is still to be encoded, while the next one is cut.
    waits: Option<CellCut>,
}

fn cut_strip(
    held: Held<'_>,
    keeper: Keeper<'_>,
    cells: &[CellPlan],
    mut waits: Option<CellCut>,
) -> Result<StripDone, Fault> {
    let bytes = cells.iter().map(|c| c.bytes).max().unwrap_or(0);
    let mut done = Vec::with_capacity(cells.len() + 1);
    if bytes > CELL_BYTES_ALONE {
        for cell in cells {
            let before = waits.take();
            let (cut, kept) = rayon::join(
                || held.cut(cell),
                || before.map(|cut| keeper.keep(cut)).transpose(),
            );
            done.extend(kept?);
            waits = Some(cut?);
        }
    } else {
        done.extend(waits.take().map(|cut| keeper.keep(cut)).transpose()?);
        let one = |cell: &CellPlan| keeper.keep(held.cut(cell)?);
        let cells = cells.par_iter().with_max_len(1).map(one);
        done.append(&mut cells.collect::<Result<Vec<_>, Fault>>()?);
    }
    Ok(StripDone { cells: done, waits })
}

/// Encodes cells into the spool.
#[derive(Clone, Copy)]
struct Keeper<'a> {
    scene: &'a Scene,
    collection: &'a Collection,
    spool: &'a Spool,
}

impl Keeper<'_> {
    fn keep(self, cell: CellCut) -> Result<CellDone, Fault> {
        let (counts, pixels) = (cell.measured.counts, pixels(&cell));
        let full = cell.cut.has_pixels().then_some(cell);
        let split = full.map(|cell| {
            let Encoded { meta, files } = encode::split(self.scene, self.collection, cell)?;
            self.spool.push(meta, files)
        });
        Ok(CellDone {
            counts,
            pixels,
            split: split.transpose()?,
        })
    }
}

fn pixels(cell: &CellCut) -> u64 {
    let assets = cell.cut.assets.iter();
    assets
        .map(|a| a.grid.pixels() * a.rasters.len() as u64)
        .sum()
}

/// Splits that wait until all of the scene was read.
#[derive(Default)]
struct Line {
    back: Vec<Waiting>,
    sums: CutSums,
}

impl Line {
    /// Takes the cells of a strip; tells of all that wait if the scene was read.
    fn take(&mut self, done: Vec<CellDone>, all_read: bool, tell: Teller<'_>) -> Result<(), Fault> {
        let step = Step {
            cells: done.len() as u64,
            pixels: done.iter().map(|c| c.pixels).sum(),
        };
        for cell in done {
            self.sums.counts = self.sums.counts.plus(cell.counts);
            match cell.split {
                Some(split) => self.back.push(split),
                None => self.sums.empty += 1,
            }
        }
        let ready = if all_read { self.back.len() } else { 0 };
        let splits = self
            .back
            .drain(..ready)
            .map(|split| Told::Split(Box::new(split)));
        for told in std::iter::once(Told::Step(step)).chain(splits) {
            if tell(told).is_break() {
                return Err(Fault::new(
                    FaultKind::Internal,
                    "the cutting was broken off",
                ));
            }
        }
        Ok(())
    }
}

/// Which pieces are read when.
struct Ahead {
    /// What each strip needs.
    needs: Vec<BTreeSet<Key>>,
    /// The last strip that needs a piece.
    last: BTreeMap<Key, usize>,
    unread: BTreeSet<Key>,
    /// Bytes in memory up to which pieces are read before the next strip needs them.
    most: u64,
}

impl Ahead {
    fn new(needs: Vec<BTreeSet<Key>>, most: u64) -> Self {
        let uses = |(number, keys): (usize, &BTreeSet<Key>)| {
            keys.iter().map(move |k| (*k, number)).collect::<Vec<_>>()
        };
        let last: BTreeMap<_, _> = needs.iter().enumerate().flat_map(uses).collect();
        let unread = last.keys().copied().collect();
        Self {
            needs,
            last,
            unread,
            most,
        }
    }

    /// Returns what to read while a strip is cut (`None`: before the first): all that the next
    /// strip needs, and of those after it as much as fits.
    fn next(&mut self, pieces: &Pieces, now: Option<usize>) -> Vec<Key> {
        let next = now.map_or(0, |n| n + 1);
        let mut bytes = pieces.bytes_held();
        let mut found = BTreeSet::new();
        'strips: for (number, keys) in self.needs.iter().enumerate().skip(next) {
            for key in keys.iter().filter(|k| !pieces.holds(k)) {
                let more = bytes + pieces.bytes(key);
                if number > next && more > self.most {
                    break 'strips;
                }
                if found.insert(*key) {
                    bytes = more;
                    self.unread.remove(key);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Drops what no later strip needs; if that is not enough also what the next one does not.
    fn past(&self, pieces: &mut Pieces, now: usize) {
        pieces.keep(|key| self.last.get(key).is_some_and(|last| *last > now));
        if pieces.bytes_held() > self.most {
            let next = self.needs.get(now + 1);
            pieces.keep(|key| next.is_some_and(|keys| keys.contains(key)));
        }
    }

    fn all_read(&self) -> bool {
        self.unread.is_empty()
    }
}

/// Counts and bytes of splits that are stored already, by geocode text.
pub type Known = BTreeMap<String, (PixelCounts, u64)>;
