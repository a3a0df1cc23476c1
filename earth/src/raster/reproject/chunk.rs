//! How GDAL divides a target before it warps, and the scale it takes in each chunk.
//!
//! The scale decides how far the bilinear kernel reaches, so results equal GDAL's only if chunks do
//! (of rasters with a map; a swath is one chunk at its mean scale). The rules are those of
//! `GDALWarpOperation::{CollectChunkList, ComputeSourceWindow}` and `GDALWarpKernel::PerformWarp`
//! of GDAL 3.6, for one band and the default memory limit.
//!
//! *Invariants*: chunks cover the target exactly once; a chunk off the source has no part in it.
//!
//! *Not here*: the kernel itself (`kernel`).

use std::ops::Range;

use crate::raster::georef::Georef;
use crate::raster::reproject::along::Along;
use crate::raster::reproject::position::{Bounds, Mapped, Positions};

/// Points along each edge of a chunk (GDAL's `SAMPLE_STEPS`).
const STEPS: usize = 21;

/// Bytes of source and target that GDAL warps at once (`-wm`, 64 MB).
const MEMORY_MAX: f64 = 64.0 * 1024.0 * 1024.0;

/// Below this share of the wanted window on the source a chunk is halved.
const FILL_RATIO_MIN: f64 = 0.5;

/// Chunks up to this side in pixels are not halved for their fill ratio.
const HALVED_MIN: usize = 100;

/// A window that covers more than this share of the source takes all of it.
const WHOLE: f64 = 0.9;

/// From this scale on the kernel has four samples.
pub(super) const FOUR_SAMPLES: f64 = 0.95;

/// Least scale: a kernel of 64 pixels around; far coarser targets are no nominal resolution.
const SCALE_MIN: f64 = 1.0 / 64.0;

/// Margin GDAL adds where points have no position.
const VOID_MARGIN: f64 = 10.0;

/// A rectangle of the target warped at one scale.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunk {
    /// Columns of the target.
    pub(super) columns: Range<usize>,
    /// Rows of the target.
    pub(super) rows: Range<usize>,
    /// Target pixels per source pixel along each axis.
    pub(super) scale: (f64, f64),
}

/// Returns how far the widest kernel reaches in source pixels, given the bounds of the target.
pub(super) fn reach(positions: &Positions, bounds: &Bounds) -> f64 {
    let target = positions.target();
    let ratio = |(low, high): (f64, f64), size: u32| (high - low) / f64::from(size);
    let widest = ratio(bounds.x, target.width).max(ratio(bounds.y, target.height));
    // Twice: chunks of a bent target can have a scale of their own.
    2.0 * widest.clamp(1.0, 1.0 / SCALE_MIN)
}

/// Returns the chunks of the target for pixels of that many bits, mask included.
pub(super) fn chunks(positions: &Positions, bits: u64) -> Vec<Chunk> {
    match positions {
        Positions::Mapped(mapped) => as_gdal(mapped, bits),
        Positions::Along { along, target, .. } => vec![all(along, target)],
    }
}

/// Returns all of a target that takes its pixels from a swath: its scale is the mean one.
fn all(along: &Along, target: &Georef) -> Chunk {
    let (x, y) = along.scale();
    Chunk {
        columns: 0..target.width as usize,
        rows: 0..target.height as usize,
        scale: (x.max(SCALE_MIN), y.max(SCALE_MIN)),
    }
}

fn as_gdal(positions: &Mapped, bits: u64) -> Vec<Chunk> {
    let target = positions.target();
    let mut found = Vec::new();
    let mut open = vec![(0..target.width as usize, 0..target.height as usize)];
    while let Some((columns, rows)) = open.pop() {
        let Some(window) = SourceWindow::of(positions, &columns, &rows) else {
            continue;
        };
        let pixels = window.x.size * window.y.size + (columns.len() * rows.len()) as f64;
        let heavy = bits as f64 * pixels / 8.0 > MEMORY_MAX;
        let sparse = window.fill_ratio > 0.0
            && window.fill_ratio < FILL_RATIO_MIN
            && columns.len().max(rows.len()) > HALVED_MIN;
        if (heavy && columns.len().max(rows.len()) > 2) || sparse {
            open.extend(halves(columns, rows));
        } else {
            let scale = (window.x.scale(columns.len()), window.y.scale(rows.len()));
            found.push(Chunk {
                columns,
                rows,
                scale,
            });
        }
    }
    found
}

/// Halves a rectangle across its longer side.
fn halves(columns: Range<usize>, rows: Range<usize>) -> [(Range<usize>, Range<usize>); 2] {
    if columns.len() > rows.len() {
        let middle = columns.start + columns.len() / 2;
        [
            (columns.start..middle, rows.clone()),
            (middle..columns.end, rows),
        ]
    } else {
        let middle = rows.start + rows.len() / 2;
        [
            (columns.clone(), rows.start..middle),
            (columns, middle..rows.end),
        ]
    }
}

/// The source window that GDAL reads for a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SourceWindow {
    x: Span,
    y: Span,
    fill_ratio: f64,
}

impl SourceWindow {
    /// Returns the window, or `None` for a chunk off the source.
    fn of(positions: &Mapped, columns: &Range<usize>, rows: &Range<usize>) -> Option<Self> {
        let mut points = edge_points(columns, rows);
        positions.exact(&mut points);
        let mut bounds = Bounds::of(&points).filter(|b| b.void == 0);
        if bounds.is_none() {
            bounds = positions.bounds(columns.clone(), rows.clone());
        }
        let bounds = bounds?;
        let source = positions.source();
        let extra = if bounds.void > 0 { VOID_MARGIN } else { 0.0 };
        let x = Span::of(bounds.x, columns.len(), source.width, extra)?;
        let y = Span::of(bounds.y, rows.len(), source.height, extra)?;
        let fill_ratio = x.size * y.size / (x.wanted * y.wanted).max(1.0);
        Some(Self { x, y, fill_ratio })
    }
}

/// One axis of a source window, in source pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    /// Pixels read.
    size: f64,
    /// Pixels read beyond those that the chunk covers.
    extra: f64,
    /// Pixels wanted, on the source or not.
    wanted: f64,
}

impl Span {
    fn of(bounds: (f64, f64), pixels: usize, size: u32, margin: f64) -> Option<Self> {
        let full = f64::from(size);
        let (low, high) = (round_if_close(bounds.0), round_if_close(bounds.1));
        if low > full || high < 0.0 {
            return None;
        }
        let scale = (pixels as f64 / (high - low)).max(1e-3);
        let radius = margin
            + if scale < FOUR_SAMPLES {
                (1.0 / scale).ceil()
            } else {
                1.0
            };
        let (first, end) = (low.max(0.0).trunc(), high.ceil().min(full));
        let raw = (high - low).min(full - first).max(0.0);
        let read = if end - first > WHOLE * full {
            full
        } else {
            let start = (first - radius).max(0.0).min(full);
            (end - start + radius).min(full - start).max(0.0)
        };
        Some(Self {
            size: read,
            extra: read - raw,
            wanted: high - low + 2.0 * radius,
        })
    }

    /// Returns target pixels per source pixel.
    fn scale(&self, pixels: usize) -> f64 {
        let pixels = pixels as f64;
        let mut scale = pixels / (self.size - self.extra);
        if self.size >= pixels && self.size <= pixels + self.extra {
            scale = 1.0;
        }
        if scale < 1.0 {
            let whole = (1.0 / scale + 0.5).floor();
            if (1.0 / scale - whole).abs() < 0.05 {
                scale = 1.0 / whole;
            }
        }
        scale.max(SCALE_MIN)
    }
}

/// Takes a position within a millionth of a whole pixel as whole.
fn round_if_close(value: f64) -> f64 {
    let whole = value.round();
    if (whole - value).abs() < 1e-6 {
        whole
    } else {
        value
    }
}

/// Returns points along the four edges of a rectangle.
fn edge_points(columns: &Range<usize>, rows: &Range<usize>) -> Vec<(f64, f64)> {
    let (left, right) = (columns.start as f64, columns.end as f64);
    let (top, bottom) = (rows.start as f64, rows.end as f64);
    (0..STEPS)
        .flat_map(|i| {
            let share = i as f64 / (STEPS - 1) as f64;
            let (x, y) = (left + share * (right - left), top + share * (bottom - top));
            [(x, top), (x, bottom), (left, y), (right, y)]
        })
        .collect()
}
