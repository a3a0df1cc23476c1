//! The samples that a target row is made of: found once, taken from every band.
//!
//! Most pixels lie well inside the window in memory and see only valid samples. For them the
//! place of the first sample and the weights are all there is to know; a pixel that meets the
//! window's edge or a fill value is left to `kernel`, one by one.
//!
//! *Invariants*: what is written equals what `kernel` gives for each pixel, to the rounding of
//! 64-bit sums.
//!
//! *Not here*: positions (`position`), edges and fill (`kernel`).

use crate::raster::georef::PixelWindow;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::chunk::FOUR_SAMPLES;
use crate::raster::reproject::kernel::{Row, View, inside, triangle_weight};

/// Stands for a pixel that is found one by one.
const APART: u32 = u32::MAX;

/// Samples along an axis that a widened kernel may take here: enough for half the resolution.
const WIDE_MAX: usize = 4;

/// The place of the first sample of each pixel of a row, and the weights along both axes.
#[derive(Debug, Default)]
pub(super) struct Taps {
    firsts: Vec<u32>,
    weights: Vec<[[f64; WIDE_MAX]; 2]>,
    side: u32,
}

impl Taps {
    /// Finds the taps of the pixels at the given positions; returns how many lie in the raster.
    pub(super) fn find(
        &mut self,
        (xs, ys): (&[f64], &[f64]),
        (window, full): (PixelWindow, PixelWindow),
        scale: (f64, f64),
    ) -> u64 {
        self.side = side(scale);
        self.firsts.clear();
        self.weights.clear();
        let ends = (f64::from(window.column), f64::from(window.row));
        let mut count = 0;
        for (x, y) in xs.iter().zip(ys) {
            count += u64::from(inside(&full, *x, *y));
            let across = Tap::of(x - 0.5 - ends.0, scale.0, self.side);
            let down = Tap::of(y - 0.5 - ends.1, scale.1, self.side);
            let first = self.place(&across, &down, window);
            self.firsts.push(first);
            self.weights.push([across.weights, down.weights]);
        }
        count
    }

    /// Returns the index of the first sample; `APART` unless all samples are in the window.
    fn place(&self, across: &Tap, down: &Tap, window: PixelWindow) -> u32 {
        let fits = |tap: &Tap, length: u32| {
            tap.first >= 0 && tap.first + i64::from(self.side) <= i64::from(length)
        };
        if self.side == 0 || !fits(across, window.width) || !fits(down, window.height) {
            return APART;
        }
        u32::try_from(down.first * i64::from(window.width) + across.first).unwrap_or(APART)
    }

    /// Writes a row of one band.
    pub(super) fn write<T: Pixel>(
        &self,
        view: &View<'_, T>,
        row: &mut Row<'_, T>,
        scale: (f64, f64),
    ) {
        match (self.side, view.fill) {
            (2, None) => self.blend::<T, 2>(view, row, scale, Pixel::is_nan),
            (2, Some(fill)) => self.blend::<T, 2>(view, row, scale, |s| s.is_nan() || s == fill),
            (3, None) => self.blend::<T, 3>(view, row, scale, Pixel::is_nan),
            (3, Some(fill)) => self.blend::<T, 3>(view, row, scale, |s| s.is_nan() || s == fill),
            (_, None) => self.blend::<T, WIDE_MAX>(view, row, scale, Pixel::is_nan),
            (_, Some(fill)) => {
                self.blend::<T, WIDE_MAX>(view, row, scale, |s| s.is_nan() || s == fill);
            }
        }
    }

    #[inline]
    fn blend<T: Pixel, const N: usize>(
        &self,
        view: &View<'_, T>,
        row: &mut Row<'_, T>,
        scale: (f64, f64),
        void: impl Fn(T) -> bool + Copy,
    ) {
        let mut spare = Vec::new();
        let pixels = row
            .out
            .iter_mut()
            .zip(row.valid.iter_mut())
            .zip(row.xs.iter().zip(row.ys));
        let taps = self.firsts.iter().zip(&self.weights);
        for (((out, valid), (x, y)), (first, weights)) in pixels.zip(taps) {
            let sum = (*first != APART)
                .then(|| sum::<T, N>(view, *first as usize, weights, void))
                .flatten();
            let value = match sum {
                Some(value) => Some(view.store(value)),
                None => view.bilinear_at((*x, *y), scale, &mut spare),
            };
            if let Some(value) = value {
                *out = value;
                *valid = true;
            }
        }
    }
}

/// Weighs N × N samples; `None` if one of them is void.
#[inline]
fn sum<T: Pixel, const N: usize>(
    view: &View<'_, T>,
    first: usize,
    [across, down]: &[[f64; WIDE_MAX]; 2],
    void: impl Fn(T) -> bool,
) -> Option<f64> {
    let width = view.window.width as usize;
    let mut total = 0.0;
    let mut missing = false;
    for (row, weight) in down.iter().enumerate().take(N) {
        let start = first + row * width;
        let line: &[T; N] = view.values.get(start..start + N)?.try_into().ok()?;
        let mut part = 0.0;
        for (sample, weight) in line.iter().zip(across) {
            missing |= void(*sample);
            part += sample.to_f64() * weight;
        }
        total += part * weight;
    }
    (!missing).then_some(total)
}

/// Returns how many samples along an axis a kernel takes; 0 where it takes too many.
fn side(scale: (f64, f64)) -> u32 {
    if scale.0 >= FOUR_SAMPLES && scale.1 >= FOUR_SAMPLES {
        return 2;
    }
    let reach = 1.0 / scale.0.min(scale.1).min(1.0);
    match reach {
        r if r <= 1.5 => 3,
        r if r <= 2.0 => 4,
        _ => 0,
    }
}

/// The samples along one axis, weights summing to one.
struct Tap {
    first: i64,
    weights: [f64; WIDE_MAX],
}

impl Tap {
    /// Takes a position among the centres of the window's pixels.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast that saturates or gives 0 for NaN; NaN is turned away first"
    )]
    fn of(centre: f64, scale: f64, side: u32) -> Self {
        if centre.is_nan() || centre < 0.0 {
            return Self {
                first: -1,
                weights: [0.0; WIDE_MAX],
            };
        }
        if side == 2 {
            let first = centre as i64;
            let right = centre - first as f64;
            return Self {
                first,
                weights: [1.0 - right, right, 0.0, 0.0],
            };
        }
        let scale = scale.min(1.0);
        let first = (centre - 1.0 / scale + 1.0).floor() as i64;
        let mut weights = [0.0; WIDE_MAX];
        let mut total = 0.0;
        for (weight, place) in weights.iter_mut().zip(0..side) {
            *weight = triangle_weight(first as f64 + f64::from(place) - centre, scale);
            total += *weight;
        }
        for weight in &mut weights {
            *weight /= total;
        }
        Self { first, weights }
    }
}
