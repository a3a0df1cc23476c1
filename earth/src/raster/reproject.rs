//! Reprojection of one band onto another grid, pixel for pixel what
//! `gdalwarp -et 0 -r bilinear|near -srcnodata F -dstnodata F` (GDAL 3.6) gives.
//!
//! A pixel is valid where its centre falls into the delivered raster and onto a valid pixel.
//! Bilinear values weigh the four nearest valid pixels; where the source is finer by more than
//! 1 / 0.95 the kernel widens with the ratio, chunk by chunk, as GDAL's does (`chunk`).
//!
//! *Invariants*: a valid pixel never holds the fill value; coordinates are exact to `ERROR_MAX`
//! source pixels; the result does not depend on the number of threads nor on which window of the
//! source is in memory.
//!
//! *Not here*: which bands and cells (`split::cut`), reading windows (ingest).

mod along;
mod chunk;
mod kernel;
mod position;
mod taps;

pub use position::ERROR_MAX;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::crs::CrsError;
use crate::raster::georef::{Georef, PixelWindow};
use crate::raster::pixel::Pixel;
use crate::raster::reproject::chunk::{Chunk, chunks};
use crate::raster::reproject::kernel::{Row, View, inside};
use crate::raster::reproject::position::{BLOCK, Positions};
use crate::raster::reproject::taps::Taps;
use crate::raster::swath::Place;
use crate::raster::{Raster, each_sample_type};

/// Margin of the source window in pixels: the bilinear kernel reaches one pixel, edges bend less
/// than another between samples.
const MARGIN: f64 = 3.0;

/// How values between pixel centres are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The pixel that the centre falls on: classes and masks.
    Nearest,
    /// The mean of the nearest pixels by distance: reflectance.
    Bilinear,
}

/// A window of a delivered band in memory.
#[derive(Debug, Clone, Copy)]
pub struct SourceBand<'a> {
    /// The pixels of the window.
    pub raster: &'a Raster,
    /// Where the window lies in the whole delivered raster.
    pub window: PixelWindow,
    /// The value that means "nothing", where one is declared; NaN always does.
    pub fill: Option<f64>,
}

/// A band on its target grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Warped {
    /// The pixels; void ones hold the fill value, else NaN or 0.
    pub raster: Raster,
    /// Which pixels are valid, row by row.
    pub valid: Vec<bool>,
    /// Pixels whose centre falls into the delivered raster, valid or not.
    pub in_footprint: u64,
}

/// Why a band could not be reprojected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WarpError {
    /// The pixels given are not those of the window given.
    #[error("a raster of {width} x {height} pixels was given for the window {window:?}")]
    Shape {
        /// Columns given.
        width: u32,
        /// Rows given.
        height: u32,
        /// The window they should fill.
        window: PixelWindow,
    },
    /// The window given does not hold the pixels needed.
    #[error("the window {given:?} does not hold the pixels needed, {needed:?}")]
    Window {
        /// The window given.
        given: PixelWindow,
        /// The window needed.
        needed: PixelWindow,
    },
}

/// A planned reprojection: source, target and the pixels that are needed.
#[derive(Debug)]
pub struct Warp {
    positions: Positions,
    kernel: Kernel,
    window: PixelWindow,
}

impl Warp {
    /// Plans the reprojection from one raster onto another; `None` where they do not touch.
    ///
    /// # Errors
    /// A coordinate system that the projection library cannot use.
    pub fn plan(
        source: &Georef,
        target: &Georef,
        kernel: Kernel,
    ) -> Result<Option<Self>, CrsError> {
        Self::plan_place(&Place::Mapped(source.clone()), target, kernel)
    }

    /// Plans the reprojection from wherever a raster lies; `None` where they do not touch.
    ///
    /// # Errors
    /// A coordinate system that the projection library cannot use.
    pub fn plan_place(
        source: &Place,
        target: &Georef,
        kernel: Kernel,
    ) -> Result<Option<Self>, CrsError> {
        let positions = Positions::new(source, target)?;
        let window = needed_window(&positions);
        Ok(window.map(|window| Self {
            positions,
            kernel,
            window,
        }))
    }

    /// Returns the window of the source that must be in memory.
    pub fn window(&self) -> PixelWindow {
        self.window
    }

    /// Returns the raster reprojected onto.
    pub fn target(&self) -> &Georef {
        self.positions.target()
    }

    /// Reprojects one band.
    ///
    /// # Errors
    /// Pixels that do not fill their window, or a window that lacks needed pixels.
    pub fn run(&self, band: &SourceBand<'_>) -> Result<Warped, WarpError> {
        // One band goes in, one comes out.
        let mut found = self.run_all(&[band.raster], band.window, band.fill)?;
        Ok(found.swap_remove(0))
    }

    /// Reprojects bands that share a window and a fill value: positions and weights are found
    /// once for all that have one sample type.
    ///
    /// # Errors
    /// Pixels that do not fill their window, or a window that lacks needed pixels.
    pub fn run_all(
        &self,
        rasters: &[&Raster],
        window: PixelWindow,
        fill: Option<f64>,
    ) -> Result<Vec<Warped>, WarpError> {
        for raster in rasters {
            self.check(raster, window)?;
        }
        let Some(first) = rasters.first() else {
            return Ok(Vec::new());
        };
        let kind = first.sample_type();
        if rasters.iter().any(|r| r.sample_type() != kind) {
            let alone = |raster: &&Raster| self.run_all(&[raster], window, fill);
            let found = rasters.iter().map(alone).collect::<Result<Vec<_>, _>>()?;
            return Ok(found.into_iter().flatten().collect());
        }
        Ok(each_sample_type!(first.samples(), values => {
            let same = rasters.iter().filter_map(|r| of_like(values, r)).collect::<Vec<_>>();
            self.run_typed(&same, window, fill)
        }))
    }

    fn check(&self, raster: &Raster, window: PixelWindow) -> Result<(), WarpError> {
        let (width, height) = (raster.width(), raster.height());
        if (width, height) != (window.width, window.height) {
            return Err(WarpError::Shape {
                width,
                height,
                window,
            });
        }
        if !holds(window, self.window) {
            return Err(WarpError::Window {
                given: window,
                needed: self.window,
            });
        }
        Ok(())
    }

    fn run_typed<T: Pixel>(
        &self,
        bands: &[&[T]],
        window: PixelWindow,
        fill: Option<f64>,
    ) -> Vec<Warped> {
        let bits = T::KIND.bytes() as u64 * 8 + u64::from(fill.is_some());
        let fill = fill.and_then(T::exactly);
        let full = self.positions.source();
        let views = bands.iter().map(|values| View {
            values,
            window,
            full,
            fill,
        });
        let views: Vec<_> = views.collect();
        let chunks = match self.kernel {
            Kernel::Nearest => Vec::new(),
            Kernel::Bilinear => chunks(&self.positions, bits),
        };
        let target = self.target();
        let (columns, rows) = (target.width as usize, target.height as usize);
        let void = fill.or_else(|| T::exactly(f64::NAN)).unwrap_or_default();
        let blank = || (vec![void; columns * rows], vec![false; columns * rows]);
        let mut found: Vec<_> = bands.iter().map(|_| blank()).collect();
        let in_footprint = strips_of(&mut found, columns * BLOCK)
            .into_par_iter()
            .enumerate()
            .map(|(number, parts)| self.run_strip(&views, &chunks, (number * BLOCK, parts)))
            .sum();
        let warped = |(out, valid): (Vec<T>, Vec<bool>)| Warped {
            raster: Raster::counted(target.width, target.height, T::into_samples(out)),
            valid,
            in_footprint,
        };
        found.into_iter().map(warped).collect()
    }

    /// Reprojects some rows, the first of which is given; returns how many pixels lie inside.
    fn run_strip<T: Pixel>(
        &self,
        views: &[View<'_, T>],
        chunks: &[Chunk],
        (first, mut parts): (usize, Vec<Part<'_, T>>),
    ) -> u64 {
        let columns = self.target().width as usize;
        let strip = self.positions.strip(first);
        let (mut xs, mut ys) = (vec![0.0; columns], vec![0.0; columns]);
        let rows = parts
            .first()
            .map_or(0, |(out, _)| out.len() / columns.max(1));
        let (mut taps, mut count) = (Taps::default(), 0);
        for row in 0..rows {
            strip.row(first + row, &mut xs, &mut ys);
            let own = row * columns..(row + 1) * columns;
            let rows_of = parts.iter_mut().map(|(out, valid)| Row {
                xs: &xs,
                ys: &ys,
                out: &mut out[own.clone()],
                valid: &mut valid[own.clone()],
            });
            let mut lines: Vec<_> = rows_of.collect();
            count += match self.kernel {
                Kernel::Nearest => nearest(views, &mut lines),
                Kernel::Bilinear => chunks
                    .iter()
                    .filter(|c| c.rows.contains(&(first + row)))
                    .map(|c| bilinear(views, &mut lines, (c, &mut taps)))
                    .sum(),
            };
        }
        count
    }
}

/// Some rows of one band: samples and validity.
type Part<'a, T> = (&'a mut [T], &'a mut [bool]);

/// Cuts all bands into strips of that many pixels: by strip, then by band.
fn strips_of<T>(bands: &mut [(Vec<T>, Vec<bool>)], pixels: usize) -> Vec<Vec<Part<'_, T>>> {
    let mut strips: Vec<Vec<Part<'_, T>>> = Vec::new();
    for (out, valid) in bands {
        let parts = out
            .chunks_mut(pixels.max(1))
            .zip(valid.chunks_mut(pixels.max(1)));
        for (number, part) in parts.enumerate() {
            match strips.get_mut(number) {
                Some(strip) => strip.push(part),
                None => strips.push(vec![part]),
            }
        }
    }
    strips
}

/// Takes the pixels under a row of positions from every band; returns how many lie inside.
fn nearest<T: Pixel>(views: &[View<'_, T>], lines: &mut [Row<'_, T>]) -> u64 {
    for (view, line) in views.iter().zip(&mut *lines) {
        view.nearest(line);
    }
    let (Some(view), Some(line)) = (views.first(), lines.first()) else {
        return 0;
    };
    let places = line.xs.iter().zip(line.ys);
    places.filter(|(x, y)| inside(&view.full, **x, **y)).count() as u64
}

/// Interpolates the part of a row that lies in a chunk; returns how many pixels lie inside.
fn bilinear<T: Pixel>(
    views: &[View<'_, T>],
    lines: &mut [Row<'_, T>],
    (chunk, taps): (&Chunk, &mut Taps),
) -> u64 {
    let (Some(view), Some(line)) = (views.first(), lines.first_mut()) else {
        return 0;
    };
    let part = line.part(&chunk.columns);
    let count = taps.find((part.xs, part.ys), (view.window, view.full), chunk.scale);
    for (view, line) in views.iter().zip(lines) {
        taps.write(view, &mut line.part(&chunk.columns), chunk.scale);
    }
    count
}

/// Returns the samples of a raster if they have the type of `like`.
fn of_like<'a, T: Pixel>(_like: &[T], raster: &'a Raster) -> Option<&'a [T]> {
    T::of(raster.samples())
}

/// Tells whether one window lies inside another.
fn holds(outer: PixelWindow, inner: PixelWindow) -> bool {
    let within = |o: u32, o_len: u32, i: u32, i_len: u32| {
        o <= i && u64::from(i) + u64::from(i_len) <= u64::from(o) + u64::from(o_len)
    };
    within(outer.column, outer.width, inner.column, inner.width)
        && within(outer.row, outer.height, inner.row, inner.height)
}

/// Returns the source pixels that the target can touch, with a margin for the kernel.
fn needed_window(positions: &Positions) -> Option<PixelWindow> {
    let bounds = positions.bounds()?;
    let margin = MARGIN + chunk::reach(positions, &bounds);
    let source = positions.source();
    let (column, width) = clamp(bounds.x, margin, source.width)?;
    let (row, height) = clamp(bounds.y, margin, source.height)?;
    Some(PixelWindow {
        column,
        row,
        width,
        height,
    })
}

/// Widens an interval of positions, cuts it at the raster's edges; `None` if nothing is left.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends lie between 0 and the raster's size"
)]
fn clamp((low, high): (f64, f64), margin: f64, size: u32) -> Option<(u32, u32)> {
    if high < 0.0 || low > f64::from(size) {
        return None;
    }
    let first = (low - margin).floor().max(0.0) as u32;
    let end = (high + margin).ceil().min(f64::from(size)) as u32;
    (end > first).then(|| (first, end - first))
}

#[cfg(test)]
mod tests {
    use super::{Kernel, SourceBand, Warp, WarpError, Warped};
    use crate::raster::georef::{Affine, Georef, PixelWindow};
    use crate::raster::{Raster, Samples};

    /// One row of pixels of one degree from a longitude on.
    fn row(west: f64, width: u32) -> Georef {
        let affine = Affine::new([west, 1.0, 0.0, 1.0, 0.0, -1.0]).unwrap();
        Georef {
            crs: crate::crs::Crs::wgs84(),
            affine,
            width,
            height: 1,
        }
    }

    fn warp(source: &Georef, target: &Georef, values: Vec<i16>, kernel: Kernel) -> Warped {
        let raster = Raster::new(source.width, 1, Samples::I16(values)).unwrap();
        let warp = Warp::plan(source, target, kernel).unwrap().unwrap();
        let band = SourceBand {
            raster: &raster,
            window: source.whole(),
            fill: Some(0.0),
        };
        warp.run(&band).unwrap()
    }

    #[test]
    fn pixels_off_the_raster_are_void_and_not_in_its_footprint() {
        for kernel in [Kernel::Nearest, Kernel::Bilinear] {
            let found = warp(&row(10.0, 3), &row(8.0, 4), vec![5, 0, 7], kernel);
            assert_eq!(found.raster.samples(), &Samples::I16(vec![0, 0, 5, 0]));
            assert_eq!(found.valid, [false, false, true, false]);
            assert_eq!(found.in_footprint, 2);
        }
    }

    #[test]
    fn a_value_that_happens_to_be_the_fill_value_moves_beside_it() {
        let found = warp(&row(10.0, 2), &row(10.5, 1), vec![-4, 4], Kernel::Bilinear);
        assert_eq!(found.raster.samples(), &Samples::I16(vec![-1]));
        assert_eq!(found.valid, [true]);
    }

    #[test]
    fn a_target_off_the_raster_has_no_plan() {
        assert!(
            Warp::plan(&row(10.0, 3), &row(40.0, 4), Kernel::Nearest)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_window_without_the_needed_pixels_is_refused() {
        let (source, target) = (row(0.0, 100), row(40.0, 4));
        let warp = Warp::plan(&source, &target, Kernel::Nearest)
            .unwrap()
            .unwrap();
        let raster = Raster::new(2, 1, Samples::U8(vec![1, 2])).unwrap();
        let window = PixelWindow {
            column: 41,
            row: 0,
            width: 2,
            height: 1,
        };
        let run = |window| {
            warp.run(&SourceBand {
                raster: &raster,
                window,
                fill: None,
            })
        };
        assert!(matches!(run(window), Err(WarpError::Window { .. })));
        assert!(matches!(run(source.whole()), Err(WarpError::Shape { .. })));
    }
}
