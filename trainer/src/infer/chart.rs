//! The file of a map, written from the top down.
//!
//! Tiles wait in a file without a name until all are there, since the head that stands before them
//! tells their lengths.
//!
//! *Invariants*: the map appears under its name whole or not at all; whatever happens, nothing is
//! left behind but what a killed process was copying (`.part`).
//!
//! *Not here*: the format (`earth::geotiff`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use earth::geotiff::{Scroll, Sheet, SheetBand, WriteError};
use earth::raster::georef::{Affine, AffineError, Georef};

use crate::infer::frame::Frame;

/// Why a map cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The file system says no.
    #[error("{} cannot be written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Position or pixel size is none.
    #[error(transparent)]
    Affine(#[from] AffineError),
    /// The format cannot hold it.
    #[error("the map is no GeoTIFF")]
    Format(#[from] WriteError),
}

/// A map on its way to disk.
#[derive(Debug)]
pub struct Chart {
    out: PathBuf,
    scroll: Scroll<f32>,
    spool: File,
    /// Bytes in the spool.
    end: u64,
    /// Start and length of each tile in the spool, by resolution and place.
    tiles: Vec<Vec<(u64, usize)>>,
}

impl Chart {
    /// Opens a map of no rows, its bands named.
    ///
    /// # Errors
    /// A folder that cannot be written, a frame that no file holds.
    pub fn new(out: &Path, frame: &Frame, bands: Vec<SheetBand>) -> Result<Self, ChartError> {
        let pixels = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let scroll = Scroll::new(Sheet {
            georef: Georef {
                crs: frame.crs.clone(),
                affine: Affine::new(frame.transform.to_gdal())?,
                width: pixels(frame.width),
                height: pixels(frame.height),
            },
            bands,
            fill: None,
            items: Vec::new(),
        })?;
        let tiles = scroll.tiles().into_iter().map(|n| vec![(0, 0); n]);
        Ok(Self {
            spool: nameless(out).map_err(io_at(out))?,
            out: out.to_owned(),
            tiles: tiles.collect(),
            scroll,
            end: 0,
        })
    }

    /// Takes rows, one plane a band.
    ///
    /// # Errors
    /// Rows past the end, a full disk.
    pub fn push(&mut self, planes: &[Vec<f32>]) -> Result<(), ChartError> {
        let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
        for piece in self.scroll.push(&planes)? {
            let written = self.spool.write_all_at(&piece.bytes, self.end);
            written.map_err(io_at(&self.out))?;
            self.tiles[piece.level][piece.place] = (self.end, piece.bytes.len());
            self.end += piece.bytes.len() as u64;
        }
        Ok(())
    }

    /// Puts head and tiles together under the map's name.
    ///
    /// # Errors
    /// A map too large for its format, a full disk.
    pub fn finish(self) -> Result<(), ChartError> {
        let lengths = |tiles: &Vec<(u64, usize)>| tiles.iter().map(|(_, n)| *n).collect();
        let head = self.scroll.head(self.tiles.iter().map(lengths).collect())?;
        let mut name = self.out.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = self.out.with_file_name(name);
        let written = self.copy(&head, &part);
        let written = written.and_then(|()| fs::rename(&part, &self.out));
        written.map_err(|source| {
            // The part may not exist; the error that counts is the first.
            fs::remove_file(&part).unwrap_or_default();
            io_at(&self.out)(source)
        })
    }

    fn copy(&self, head: &[u8], part: &Path) -> io::Result<()> {
        let mut file = io::BufWriter::new(File::create(part)?);
        file.write_all(head)?;
        let mut bytes = Vec::new();
        for (start, length) in self.tiles.iter().rev().flatten() {
            bytes.resize(*length, 0);
            self.spool.read_exact_at(&mut bytes, *start)?;
            file.write_all(&bytes)?;
        }
        file.flush()
    }
}

/// Opens an empty file beside `out` whose name is gone at once.
fn nameless(out: &Path) -> io::Result<File> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tiles", std::process::id()));
    let path = out.with_file_name(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> ChartError {
    let path = path.to_owned();
    move |source| ChartError::Io { path, source }
}
