//! The imagery under a prediction, row by row: of many cells' files one frame's planes.
//!
//! *Invariants*: every file is checked against its checksum before a pixel is used; memory holds
//! the files and decoded rows of those cells alone that the rows at hand touch; NaN is fill.
//!
//! *Not here*: which bands (`chips::choose`), what is answered (`strip`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use earth::raster::georef::PixelWindow;
use earth::split::codec;
use earth::split::meta::{BandMeta, SplitMeta};

use crate::chips::choose::Choice;
use crate::chips::planes::{self, PlanesError};
use crate::files::{ReadError, read_whole};
use crate::infer::frame::Place;

/// Rows of a cell that are decoded at once: a row of tiles of its files.
const BLOCK_ROWS: usize = 512;

/// One cell's imagery.
#[derive(Debug)]
pub struct Plot {
    /// Folder of its files.
    pub folder: PathBuf,
    /// Its metadata.
    pub meta: SplitMeta,
    /// Its bands, those that enter the network.
    pub choice: Choice,
    /// Where it lies in the frame.
    pub place: Place,
    held: Held,
}

/// What is in memory of a cell.
#[derive(Debug, Default)]
struct Held {
    /// Its files, checked.
    files: BTreeMap<String, Vec<u8>>,
    /// Its own rows that are decoded, and their planes.
    rows: Range<usize>,
    planes: Vec<Vec<f32>>,
}

impl Plot {
    /// Returns a cell's imagery, nothing of it in memory.
    pub fn new((folder, meta): (PathBuf, SplitMeta), choice: Choice, place: Place) -> Self {
        Self {
            folder,
            meta,
            choice,
            place,
            held: Held::default(),
        }
    }

    /// Copies its pixels into rows of the frame; `planes` hold those rows, `width` pixels each.
    fn copy(
        &mut self,
        rows: &Range<usize>,
        (planes, width): (&mut [Vec<f32>], usize),
    ) -> Result<(), PlanesError> {
        let first = rows.start.max(self.place.rows.start);
        let last = rows.end.min(self.place.rows.end);
        if first >= last || self.place.columns.is_empty() {
            return Ok(());
        }
        let own = self.place.row(first)..self.place.row(last - 1) + 1;
        self.decode(own)?;
        let (across, columns) = (self.place.size.0, self.place.columns.clone());
        for row in first..last {
            let from = (self.place.row(row) - self.held.rows.start) * across;
            let to = (row - rows.start) * width;
            for (plane, own) in planes.iter_mut().zip(&self.held.planes) {
                let (line, own) = (&mut plane[to..to + width], &own[from..from + across]);
                if self.place.sampled {
                    for column in columns.clone() {
                        line[column] = own[self.place.column(column)];
                    }
                } else {
                    let start = self.place.column(columns.start);
                    line[columns.clone()].copy_from_slice(&own[start..start + columns.len()]);
                }
            }
        }
        Ok(())
    }

    /// Brings rows of its own grid into memory, whole blocks of them.
    fn decode(&mut self, rows: Range<usize>) -> Result<(), PlanesError> {
        let held = &self.held.rows;
        if !held.is_empty() && held.start <= rows.start && rows.end <= held.end {
            return Ok(());
        }
        let grid = self.choice.shape;
        if self.choice.bands.iter().any(|band| band.shape != grid) {
            // Bands of several resolutions are brought onto one grid as a whole.
            let inputs = self.choice.bands.len();
            self.held.planes = planes::read(&self.folder, &self.meta, &self.choice, inputs)?.inputs;
            self.held.rows = 0..grid.height;
            return Ok(());
        }
        let start = rows.start / BLOCK_ROWS * BLOCK_ROWS;
        let end = rows.end.next_multiple_of(BLOCK_ROWS).min(grid.height);
        let pixels = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let window = PixelWindow {
            column: 0,
            row: pixels(start),
            width: pixels(grid.width),
            height: pixels(end - start),
        };
        let mut planes = vec![Vec::new(); self.choice.bands.len()];
        let mut of_file: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, chosen) in self.choice.bands.iter().enumerate() {
            of_file
                .entry(chosen.band.asset.clone())
                .or_default()
                .push(at);
        }
        for (asset, places) in of_file {
            let bands: Vec<&BandMeta> = { places.iter() }
                .map(|at| &self.choice.bands[*at].band)
                .collect();
            let bytes = match self.held.files.remove(&asset) {
                Some(bytes) => bytes,
                None => read_whole(&self.folder, &self.meta, &asset)?,
            };
            let values = codec::decode_physical(&bytes, &bands, Some(window));
            let values = values.map_err(|source| ReadError::Content {
                path: self.folder.join(&asset),
                source,
            })?;
            let area = grid.width * (end - start);
            for (at, plane) in places.into_iter().zip(values.chunks_exact(area)) {
                planes[at] = plane.to_vec();
            }
            if end < grid.height {
                self.held.files.insert(asset, bytes);
            }
        }
        (self.held.rows, self.held.planes) = (start..end, planes);
        Ok(())
    }
}

/// All cells' imagery.
#[derive(Debug)]
pub struct Land {
    /// The cells.
    pub plots: Vec<Plot>,
    /// Columns of the frame.
    pub width: usize,
    /// Bands.
    pub channels: usize,
}

/// Rows of a frame: one plane a band, NaN where there is nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Which rows of the frame.
    pub rows: Range<usize>,
    /// Columns.
    pub width: usize,
    /// Their pixels.
    pub planes: Vec<Vec<f32>>,
}

impl Land {
    /// Reads rows of the frame; what lies above them is let go.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged: the cell's place among the plots, and why.
    pub fn read(&mut self, rows: Range<usize>) -> Result<Rows, (usize, PlanesError)> {
        let mut planes = vec![vec![f32::NAN; rows.len() * self.width]; self.channels];
        for (at, plot) in self.plots.iter_mut().enumerate() {
            if plot.place.rows.end <= rows.start {
                plot.held = Held::default();
                continue;
            }
            let copied = plot.copy(&rows, (&mut planes, self.width));
            copied.map_err(|error| (at, error))?;
        }
        Ok(Rows {
            rows,
            width: self.width,
            planes,
        })
    }
}

impl Rows {
    /// Tells whether a pixel has a value in every band.
    pub fn is_valid(&self, at: usize) -> bool {
        self.planes.iter().all(|plane| !plane[at].is_nan())
    }
}
