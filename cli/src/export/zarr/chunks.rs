//! Chunks of a Zarr array: cut, padded with fill, compressed, one file each.
//!
//! *Invariants*: every chunk has the full chunk shape; one time a chunk.
//!
//! *Not here*: metadata.

use std::io;
use std::path::Path;

use earth::cube::Cube;
use earth::raster::Raster;

use crate::export::zarr::LEVEL;

/// Greatest side of a chunk: 2 MiB of 16-bit samples, what readers like to fetch at once.
const SIDE_MAX: usize = 1024;

/// Shape of a variable and of its chunks: time, y, x.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid3 {
    pub(super) shape: [usize; 3],
    pub(super) chunk: [usize; 3],
}

impl Grid3 {
    pub(super) fn of(cube: &Cube) -> Self {
        let [height, width] = [cube.georef().height, cube.georef().width].map(|s| s as usize);
        Self {
            shape: [cube.times().len(), height, width],
            chunk: [1, height.min(SIDE_MAX), width.min(SIDE_MAX)],
        }
    }

    /// Writes the chunks of one time.
    pub(super) fn write(
        self,
        folder: &Path,
        (time, fill): (usize, Option<f64>),
        plane: &Raster,
    ) -> io::Result<()> {
        let ([_, height, width], [_, tall, wide]) = (self.shape, self.chunk);
        let valid = plane.validity(fill);
        let mut bytes = Vec::new();
        plane.samples().append_bytes(&mut bytes);
        let size = plane.sample_type().bytes();
        let nothing = nothing(&bytes, &valid, size);
        for (row, top) in (0..height).step_by(tall).enumerate() {
            for (column, left) in (0..width).step_by(wide).enumerate() {
                let mut chunk = nothing.repeat(tall * wide);
                let mut any = false;
                let right = (left + wide).min(width);
                for y in top..(top + tall).min(height) {
                    let (from, to) = (y * width + left, y * width + right);
                    any |= valid[from..to].contains(&true);
                    let at = (y - top) * wide * size;
                    let line = &bytes[from * size..to * size];
                    chunk[at..at + line.len()].copy_from_slice(line);
                }
                if any {
                    let folder = folder.join(format!("c/{time}/{row}"));
                    write(&folder, &column.to_string(), &chunk)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the bytes of one sample of fill as the plane has it; zeros where all is valid, which
/// then only pad.
fn nothing(bytes: &[u8], valid: &[bool], size: usize) -> Vec<u8> {
    let fill = valid.iter().position(|v| !v);
    fill.map_or_else(
        || vec![0; size],
        |at| bytes[at * size..(at + 1) * size].to_vec(),
    )
}

/// Writes the one chunk of a coordinate.
pub(super) fn write_line(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let scalar = folder.ends_with(super::PLACE);
    let (folder, name) = if scalar {
        (folder.to_owned(), "c")
    } else {
        (folder.join("c"), "0")
    };
    write(&folder, name, bytes)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let packed = zstd::bulk::compress(bytes, LEVEL)?;
    std::fs::write(folder.join(name), packed)
}
