//! The value of one target pixel: nearest, bilinear of four samples, bilinear widened.
//!
//! *Invariants*: only valid source pixels have weight; weights of those are normalised; the
//! pixel that the position falls on must be valid itself (GDAL's unified validity mask).
//!
//! *Not here*: positions (`position`), scales (`chunk`), rows of pixels that meet neither edge nor
//! fill (`taps`).

use std::ops::Range;

use crate::raster::georef::PixelWindow;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::chunk::FOUR_SAMPLES;

/// Slack at the far edges and when a position is cut to a pixel, in pixels (GDAL).
const SLACK: f64 = 1e-10;

/// Below this sum of weights there is no value (GDAL).
const WEIGHT_MIN: f64 = 1e-5;

/// Some pixels of one target row: where they lie in the source, and what they become.
#[derive(Debug)]
pub(super) struct Row<'a, T> {
    /// Source columns of the centres.
    pub(super) xs: &'a [f64],
    /// Source rows of the centres.
    pub(super) ys: &'a [f64],
    /// The samples to write.
    pub(super) out: &'a mut [T],
    /// The validity to write.
    pub(super) valid: &'a mut [bool],
}

impl<T> Row<'_, T> {
    /// Returns some columns of the row.
    pub(super) fn part(&mut self, columns: &Range<usize>) -> Row<'_, T> {
        Row {
            xs: &self.xs[columns.clone()],
            ys: &self.ys[columns.clone()],
            out: &mut self.out[columns.clone()],
            valid: &mut self.valid[columns.clone()],
        }
    }
}

/// What lies at a position.
enum Found<T> {
    Outside,
    Fill,
    Value(T),
}

/// A window of the source in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a, T> {
    /// The samples of the window.
    pub(super) values: &'a [T],
    /// The window, which holds every pixel that a kernel can reach.
    pub(super) window: PixelWindow,
    /// The whole raster.
    pub(super) full: PixelWindow,
    /// The fill value.
    pub(super) fill: Option<T>,
}

impl<T: Pixel> View<'_, T> {
    /// Takes the pixel that each position falls on.
    pub(super) fn nearest(&self, row: &mut Row<'_, T>) {
        for (i, (x, y)) in row.xs.iter().zip(row.ys).enumerate() {
            if let Found::Value(value) = self.under(*x, *y) {
                row.out[i] = value;
                row.valid[i] = true;
            }
        }
    }

    /// Interpolates at one position, at a scale of target pixels per source pixel.
    pub(super) fn bilinear_at(
        &self,
        (x, y): (f64, f64),
        scale: (f64, f64),
        weights: &mut Vec<f64>,
    ) -> Option<T> {
        let Found::Value(_) = self.under(x, y) else {
            return None;
        };
        let value = if scale.0 >= FOUR_SAMPLES && scale.1 >= FOUR_SAMPLES {
            self.four(x, y)
        } else {
            self.wide((x, y), scale, weights)
        };
        value.map(|v| self.store(v))
    }

    /// Returns the pixel that a position falls on.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the position was found to lie inside the raster"
    )]
    fn under(&self, x: f64, y: f64) -> Found<T> {
        if !inside(&self.full, x, y) {
            return Found::Outside;
        }
        let column = ((x + SLACK) as i64).min(i64::from(self.full.width) - 1);
        let row = ((y + SLACK) as i64).min(i64::from(self.full.height) - 1);
        self.valid_at(column, row).map_or(Found::Fill, Found::Value)
    }

    /// Rounds a value to a sample that is not the fill value.
    #[inline]
    pub(super) fn store(&self, value: f64) -> T {
        let sample = T::nearest(value);
        if self.fill == Some(sample) {
            sample.beside()
        } else {
            sample
        }
    }

    /// Returns a pixel of the whole raster, if it is in memory and not fill.
    #[inline]
    fn valid_at(&self, column: i64, row: i64) -> Option<T> {
        let column = usize::try_from(column - i64::from(self.window.column)).ok()?;
        let row = usize::try_from(row - i64::from(self.window.row)).ok()?;
        if column >= self.window.width as usize {
            return None;
        }
        let sample = *self.values.get(row * self.window.width as usize + column)?;
        (!is_fill(sample, self.fill)).then_some(sample)
    }

    /// Weighs the four nearest pixels (`GWKBilinearResample4Sample`).
    fn four(&self, x: f64, y: f64) -> Option<f64> {
        let ((column, left), (row, upper)) = (corner(x), corner(y));
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut add = |c, r, w: f64| {
            if let Some(sample) = self.valid_at(c, r) {
                sum += sample.to_f64() * w;
                weight += w;
            }
        };
        add(column, row, left * upper);
        add(column + 1, row, (1.0 - left) * upper);
        add(column, row + 1, left * (1.0 - upper));
        add(column + 1, row + 1, (1.0 - left) * (1.0 - upper));
        (weight >= WEIGHT_MIN).then(|| sum / weight)
    }

    /// Weighs all pixels under a triangle as wide as a target pixel (`GWKResample`).
    fn wide(&self, (x, y): (f64, f64), scale: (f64, f64), weights: &mut Vec<f64>) -> Option<f64> {
        let across = Triangle::new(x - f64::from(self.window.column), scale.0);
        let down = Triangle::new(y - f64::from(self.window.row), scale.1);
        let width = self.window.width as usize;
        let columns = across.pixels(width);
        weights.clear();
        weights.extend(columns.clone().map(|c| across.weight(c)));
        let (mut sum, mut weight) = (0.0, 0.0);
        for row in down.pixels(self.window.height as usize) {
            let line = self
                .values
                .get(row * width..(row + 1) * width)?
                .get(columns.clone())?;
            let (mut row_sum, mut row_weight) = (0.0, 0.0);
            for (sample, w) in line.iter().zip(&*weights) {
                if !is_fill(*sample, self.fill) {
                    row_sum += sample.to_f64() * w;
                    row_weight += w;
                }
            }
            let w = down.weight(row);
            sum += row_sum * w;
            weight += row_weight * w;
        }
        (weight >= WEIGHT_MIN).then(|| sum / weight)
    }
}

/// Tells whether a position lies in the whole raster.
#[inline]
pub(super) fn inside(full: &PixelWindow, x: f64, y: f64) -> bool {
    let (width, height) = (f64::from(full.width), f64::from(full.height));
    x >= 0.0 && y >= 0.0 && x + SLACK <= width && y + SLACK <= height
}

/// Returns the weight of a pixel by its distance from a triangle's centre.
#[inline]
pub(super) fn triangle_weight(distance: f64, scale: f64) -> f64 {
    (1.0 - (distance * scale).abs()).max(0.0)
}

/// Returns the first of the two pixels around a position and its weight; before the first centre
/// the first pixel alone.
#[expect(
    clippy::cast_possible_truncation,
    reason = "positions lie inside the raster"
)]
fn corner(position: f64) -> (i64, f64) {
    if position < 0.5 {
        return (0, 1.0);
    }
    // A cast is a floor here, and several times as fast on processors without one.
    let first = (position - 0.5) as i64;
    (first, 1.5 - (position - first as f64))
}

/// A triangular kernel along one axis.
#[derive(Debug, Clone, Copy)]
struct Triangle {
    /// Position among pixel centres: 0 is the centre of the first pixel.
    centre: f64,
    /// Kernel units per source pixel, at most 1.
    scale: f64,
}

impl Triangle {
    fn new(position: f64, scale: f64) -> Self {
        Self {
            centre: position - 0.5,
            scale: scale.min(1.0),
        }
    }

    /// Returns the pixels of a line of that length that have weight.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both ends are cut to 0..=length"
    )]
    fn pixels(&self, length: usize) -> Range<usize> {
        let reach = 1.0 / self.scale;
        // The pixel at exactly `reach` has no weight, so either end may leave it out.
        let first = ((self.centre - reach).max(-1.0) + 1.0) as usize;
        let end = (self.centre + reach).max(-1.0) as usize + 1;
        first.min(length)..end.min(length)
    }

    fn weight(&self, pixel: usize) -> f64 {
        triangle_weight(pixel as f64 - self.centre, self.scale)
    }
}
