//! A GeoTIFF written from the top down, for rasters that do not fit in memory.
//!
//! Tiles wait in a file without a name until all are there, since the head that stands before them
//! tells their lengths.
//!
//! *Invariants*: memory holds some rows; the file is staged whole or not at all, and whatever ends
//! this process leaves nothing of the tiles behind; the bytes are those of `cog` for the same
//! image.
//!
//! *Not here*: the format (`earth::geotiff`), where rows come from (`compose::map`).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use earth::geotiff::{FILE_BYTES_MAX, Scroll, Sheet, WriteError};
use earth::raster::pixel::Pixel;
use wire::fault::{Fault, FaultKind};

use super::whole::stage_written;
use super::{Existing, Staged, unwritable};
use crate::print::bytes;

/// Where a tile's bytes wait: start and length.
type Waiting = (u64, usize);

/// A file on its way to disk.
#[derive(Debug)]
pub(crate) struct Scrolled<T> {
    target: PathBuf,
    scroll: Scroll<T>,
    spool: File,
    /// Bytes in the spool.
    end: u64,
    /// The tiles, by resolution and place.
    tiles: Vec<Vec<Waiting>>,
}

impl<T: Pixel> Scrolled<T> {
    /// Opens a file of no rows.
    ///
    /// # Errors
    /// A folder that cannot be written, a shape that no file holds.
    pub(crate) fn new(target: &Path, sheet: Sheet) -> Result<Self, Fault> {
        let scroll = Scroll::new(sheet).map_err(|e| unlike(&e))?;
        let tiles = scroll.tiles().into_iter().map(|n| vec![(0, 0); n]);
        Ok(Self {
            tiles: tiles.collect(),
            spool: nameless(target)?,
            target: target.to_owned(),
            scroll,
            end: 0,
        })
    }

    /// Takes whole rows, a slice a band.
    ///
    /// # Errors
    /// Rows past the end, more than a file holds, a full disk.
    pub(crate) fn push(&mut self, bands: &[&[T]]) -> Result<(), Fault> {
        for piece in self.scroll.push(bands).map_err(|e| unlike(&e))? {
            let written = self.spool.write_all_at(&piece.bytes, self.end);
            written.map_err(|e| unwritable(&self.target, &e))?;
            self.tiles[piece.level][piece.place] = (self.end, piece.bytes.len());
            self.end += piece.bytes.len() as u64;
        }
        if self.end > FILE_BYTES_MAX {
            return Err(unlike(&WriteError::TooLarge(self.end)));
        }
        Ok(())
    }

    /// Puts head and tiles together beside their place.
    ///
    /// # Errors
    /// More than a file holds, a full disk, a file of another content that may not be replaced.
    pub(crate) fn stage(self, existing: Existing) -> Result<Staged, Fault> {
        let lengths = |tiles: &Vec<Waiting>| tiles.iter().map(|(_, n)| *n).collect();
        let head = self.scroll.head(self.tiles.iter().map(lengths).collect());
        let head = head.map_err(|e| unlike(&e))?;
        stage_written(&self.target, existing, |file| {
            let mut out = BufWriter::new(file);
            out.write_all(&head)?;
            let mut bytes = Vec::new();
            for (start, length) in self.tiles.iter().rev().flatten() {
                bytes.resize(*length, 0);
                self.spool.read_exact_at(&mut bytes, *start)?;
                out.write_all(&bytes)?;
            }
            out.flush()
        })
    }
}

/// Opens an empty file beside a target that has no name, so that it goes with this process.
pub(crate) fn nameless(target: &Path) -> Result<File, Fault> {
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
    tempfile::tempfile_in(folder).map_err(|e| unwritable(target, &e))
}

/// Says why pixels make no file.
fn unlike(error: &WriteError) -> Fault {
    if let WriteError::TooLarge(size) = error {
        let limit = bytes(FILE_BYTES_MAX);
        return Fault::new(FaultKind::Refused, "the map is too large for a GeoTIFF")
            .because(format!(
                "its tiles take {} or more; {limit} at most",
                bytes(*size)
            ))
            .try_("several maps, each with a --bbox of its own");
    }
    Fault::new(FaultKind::Data, "the pixels fit no GeoTIFF").because(error.to_string())
}
