//! Weighted means axis by axis: first the rows under a target row, then columns of their sum.
//!
//! *Invariants*: of every target row only one line of sums is in memory; a void pixel adds neither
//! value nor weight.
//!
//! *Not here*: weights (`axis`), values that are chosen, not averaged (`mode`).

use std::ops::{AddAssign, Mul, Range};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::raster::Raster;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::resample::axis::{Line, Taps};
use crate::raster::resample::{Alignment, Method, View};

/// Below this sum of weights a kernel has no value (GDAL); an area has one however small it is.
const WEIGHT_MIN: f64 = 1e-5;

/// Target rows a thread takes at once: enough to outweigh handing them out.
const ROWS_MIN: usize = 8;

/// A sum of samples: f32 for samples of up to 16 bits and f32 itself, f64 for wider ones.
pub(super) trait Real:
    Copy + Default + Send + Sync + AddAssign + Mul<Output = Self>
{
    fn of(value: f64) -> Self;
    fn value(self) -> f64;
}

impl Real for f32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "chosen where 24 bits are enough"
    )]
    fn of(value: f64) -> Self {
        value as Self
    }

    fn value(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn value(self) -> f64 {
        self
    }
}

/// Everything that does not change from row to row.
struct Plan<'a, T, A> {
    view: &'a View<'a, T>,
    width: usize,
    across: Taps<A>,
    down: Taps<A>,
    /// Source columns that are needed.
    columns: Range<usize>,
    /// No source pixel is fill: weights need not be summed.
    all_valid: bool,
    rule: Rule<A>,
}

/// What sums of weights decide.
enum Rule<A> {
    /// A mean of whatever is valid, where the pixel under the centre is.
    Mean,
    /// A mean of whatever is valid below a pixel, wherever its centre lies.
    Area,
    /// A cubic of sixteen valid pixels, else the bilinear mean.
    Sixteen { across: Taps<A>, down: Taps<A> },
}

/// The sums of one target row, by source column.
#[derive(Default)]
struct Sums<A> {
    values: Vec<A>,
    /// Sums of weights of valid pixels; their number under `Rule::Sixteen`.
    weights: Vec<A>,
}

/// Resamples by weighted means.
pub(super) fn run<T: Pixel, A: Real>(
    view: &View<'_, T>,
    alignment: &Alignment,
    method: Method,
) -> Warped {
    let (across, down) = (alignment.across, alignment.down);
    let own = across.own_width() && down.own_width();
    let rule: Rule<A> = if method == Method::Cubic && own {
        Rule::Sixteen {
            across: across.taps(Method::Bilinear),
            down: down.taps(Method::Bilinear),
        }
    } else if method == Method::Average {
        Rule::Area
    } else {
        Rule::Mean
    };
    let taps = across.taps(method);
    let plan = Plan {
        view,
        width: across.source() as usize,
        columns: taps.span(),
        across: taps,
        down: down.taps(method),
        all_valid: !view.values.iter().any(|s| view.is_fill(*s)),
        rule,
    };
    plan.run((across.target(), down.target()))
}

impl<T: Pixel, A: Real> Plan<'_, T, A> {
    fn run(&self, (width, height): (u32, u32)) -> Warped {
        let pixels = width as usize * height as usize;
        let mut out = vec![self.view.void(); pixels];
        let mut valid = vec![false; pixels];
        out.par_chunks_mut(width as usize)
            .zip(valid.par_chunks_mut(width as usize))
            .enumerate()
            .with_min_len(ROWS_MIN)
            .for_each_init(Sums::default, |sums, (row, (out, valid))| {
                self.row(row, sums, (out, valid));
            });
        let inside = |taps: &Taps<A>| {
            let lines = taps.lines().iter();
            lines.filter(|l| l.under.is_some()).count() as u64
        };
        Warped {
            raster: Raster::counted(width, height, T::into_samples(out)),
            valid,
            in_footprint: inside(&self.across) * inside(&self.down),
        }
    }

    fn row(&self, row: usize, sums: &mut Sums<A>, (out, valid): (&mut [T], &mut [bool])) {
        let line = &self.down.lines()[row];
        let Some(under) = line.under else { return };
        self.sum_rows(line, sums);
        let centre = &self.view.values[under * self.width..(under + 1) * self.width];
        let needs_centre = !matches!(self.rule, Rule::Area);
        for (column, across) in self.across.lines().iter().enumerate() {
            let Some(under) = across.under else { continue };
            if !self.all_valid && needs_centre && self.view.is_fill(centre[under]) {
                continue;
            }
            if let Some(value) = self.value((row, line), (column, across), sums) {
                out[column] = self.view.store(value);
                valid[column] = true;
            }
        }
    }

    /// Adds up the rows under a target row.
    fn sum_rows(&self, line: &Line, sums: &mut Sums<A>) {
        let zero = A::default();
        sums.values.clear();
        sums.values.resize(self.columns.len(), zero);
        sums.weights.clear();
        if !self.all_valid {
            sums.weights.resize(self.columns.len(), zero);
        }
        let counts = matches!(self.rule, Rule::Sixteen { .. });
        for (row, weight) in (line.first..).zip(self.down.weights(line)) {
            let start = row * self.width;
            let samples = &self.view.values[start + self.columns.start..start + self.columns.end];
            if self.all_valid {
                for (sum, sample) in sums.values.iter_mut().zip(samples) {
                    *sum += *weight * A::of(sample.to_f64());
                }
                continue;
            }
            let share = if counts { A::of(1.0) } else { *weight };
            let sums = sums.values.iter_mut().zip(&mut sums.weights);
            for ((sum, total), sample) in sums.zip(samples) {
                let void = self.view.is_fill(*sample);
                let value = if void { zero } else { A::of(sample.to_f64()) };
                *sum += *weight * value;
                *total += if void { zero } else { share };
            }
        }
    }

    /// Returns the value of one target pixel.
    fn value(
        &self,
        (row, line): (usize, &Line),
        (column, across): (usize, &Line),
        sums: &Sums<A>,
    ) -> Option<f64> {
        let weights = self.across.weights(across);
        let first = across.first - self.columns.start;
        let taps = first..first + weights.len();
        let sum = dot(&sums.values[taps.clone()], weights);
        match &self.rule {
            Rule::Sixteen { across, down } => {
                let sixteen = weights.len() == 4 && self.down.weights(line).len() == 4;
                let valid = || total(&sums.weights[taps]).value() > 15.5;
                if sixteen && (self.all_valid || valid()) {
                    Some(sum.value())
                } else {
                    let lines = (&across.lines()[column], &down.lines()[row]);
                    self.mean((across.weights(lines.0), down.weights(lines.1)), lines)
                }
            }
            Rule::Mean | Rule::Area => {
                let weight = if self.all_valid {
                    total(weights).value() * total(self.down.weights(line)).value()
                } else {
                    dot(&sums.weights[taps], weights).value()
                };
                let enough = match self.rule {
                    Rule::Area => weight > 0.0,
                    _ => weight >= WEIGHT_MIN,
                };
                enough.then(|| sum.value() / weight)
            }
        }
    }

    /// Returns the mean of the valid pixels under some taps.
    fn mean(&self, (across, down): (&[A], &[A]), (columns, rows): (&Line, &Line)) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (row, down) in (rows.first..).zip(down) {
            let start = row * self.width + columns.first;
            for (sample, across) in self.view.values[start..].iter().zip(across) {
                if !self.view.is_fill(*sample) {
                    let share = across.value() * down.value();
                    sum += sample.to_f64() * share;
                    weight += share;
                }
            }
        }
        (weight >= WEIGHT_MIN).then(|| sum / weight)
    }
}

fn dot<A: Real>(values: &[A], weights: &[A]) -> A {
    let mut sum = A::default();
    for (value, weight) in values.iter().zip(weights) {
        sum += *value * *weight;
    }
    sum
}

fn total<A: Real>(weights: &[A]) -> A {
    let mut sum = A::default();
    for weight in weights {
        sum += *weight;
    }
    sum
}
