//! Pixels of a map that wait on disk for their turn to be written.
//!
//! Cells come in any order, a map is written from the top down: what belongs to a cell is cut into
//! strips of the map, each strip's parts are compressed and kept in a file without a name.
//!
//! *Invariants*: memory holds where parts are, and the strip at hand; what is read is what was
//! kept, bit for bit; whatever ends this process leaves no file behind.
//!
//! *Not here*: which pixels (earth's `raster::region`), the map's file (`export::scrolled`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use earth::raster::georef::PixelWindow;
use earth::raster::pixel::Pixel;

/// Rows of a strip: few enough that a strip of the widest map is a fraction of the rows that its
/// tiles wait for, enough that a part of it is worth compressing.
pub(super) const STRIP_ROWS: usize = 128;
/// ZSTD level: parts are read once, soon.
const LEVEL: i32 = 1;

/// A band's pixels in one strip, of one cell.
#[derive(Debug)]
struct Part {
    band: usize,
    /// Rows from the top of the strip.
    first: usize,
    rows: usize,
    column: usize,
    columns: usize,
    /// Where its bytes are.
    start: u64,
    length: usize,
}

/// The file, and where parts are in it.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    end: u64,
    /// The parts of each strip, in the order in which they came.
    strips: Vec<Vec<Part>>,
}

impl Spool {
    /// Opens a spool in an empty file, for a map of so many rows.
    pub(super) fn new(file: File, rows: u32) -> Self {
        let strips = (rows as usize).div_ceil(STRIP_ROWS);
        Self {
            file,
            end: 0,
            strips: std::iter::repeat_with(Vec::new).take(strips).collect(),
        }
    }

    /// Keeps a band's pixels of a window.
    ///
    /// # Errors
    /// A full disk, a window past the map's end.
    pub(super) fn keep<T: Pixel>(
        &mut self,
        (band, window): (usize, PixelWindow),
        values: &[T],
    ) -> io::Result<()> {
        let (columns, mut row) = (window.width as usize, window.row as usize);
        let mut left = values;
        while !left.is_empty() && columns > 0 {
            let (strip, first) = (row / STRIP_ROWS, row % STRIP_ROWS);
            let rows = (STRIP_ROWS - first).min(left.len() / columns);
            let (part, rest) = left.split_at(rows * columns);
            let mut bytes = vec![0; size_of_val(part)];
            for (value, out) in part.iter().zip(bytes.chunks_exact_mut(size_of::<T>())) {
                value.put_bytes(out);
            }
            let packed = zstd::bulk::compress(&bytes, LEVEL)?;
            self.file.write_all_at(&packed, self.end)?;
            let beyond = || io::Error::other("pixels past the end of the map");
            self.strips.get_mut(strip).ok_or_else(beyond)?.push(Part {
                band,
                first,
                rows,
                column: window.column as usize,
                columns,
                start: self.end,
                length: packed.len(),
            });
            self.end += packed.len() as u64;
            (left, row) = (rest, row + rows);
        }
        Ok(())
    }

    /// Returns the number of strips.
    pub(super) fn strips(&self) -> usize {
        self.strips.len()
    }

    /// Puts the pixels of some bands into a strip's planes, which are as wide as the map.
    ///
    /// # Errors
    /// A file that cannot be read, planes of another width.
    pub(super) fn paste<T: Pixel>(
        &self,
        strip: usize,
        (bands, planes, width): (&[usize], &mut [Vec<T>], usize),
    ) -> io::Result<()> {
        let mut packed = Vec::new();
        for part in self.strips.get(strip).into_iter().flatten() {
            let Some(place) = bands.iter().position(|band| *band == part.band) else {
                continue;
            };
            packed.resize(part.length, 0);
            self.file.read_exact_at(&mut packed, part.start)?;
            let line = part.columns * size_of::<T>();
            let bytes = zstd::bulk::decompress(&packed, part.rows * line)?;
            for (row, line) in (part.first..).zip(bytes.chunks_exact(line)) {
                let start = row * width + part.column;
                let out = planes[place].get_mut(start..start + part.columns);
                let out = out.ok_or_else(|| io::Error::other("planes of another width"))?;
                for (out, sample) in out.iter_mut().zip(line.chunks_exact(size_of::<T>())) {
                    *out = T::get_bytes(sample);
                }
            }
        }
        Ok(())
    }
}
