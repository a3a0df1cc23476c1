//! Where the pixels of one line lie among those of another, and which of them have weight.
//!
//! *Invariants*: no tap lies outside the source; a line of taps is contiguous.
//!
//! *Not here*: samples.

use std::ops::Range;

use crate::raster::resample::Method;
use crate::raster::resample::separable::Real;

/// Positions this near to a whole pixel edge are on it: far below a pixel, far above rounding.
const SNAP: f64 = 1e-6;

/// Slack at the far edges and when a position is cut to a pixel, in pixels (GDAL).
const SLACK: f64 = 1e-10;

/// From this many target pixels per source pixel on a kernel has its own width (GDAL).
const OWN_WIDTH: f64 = 0.95;

/// One axis: target pixel `i` begins at `start + i * step` source pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    source: u32,
    target: u32,
    start: f64,
    step: f64,
}

/// Why two lines of pixels are not aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AxisError {
    /// A side has no pixels, or pixels without size.
    #[error("a raster without pixels has no other shape")]
    Empty,
    /// Different coordinate systems.
    #[error("rasters of different coordinate systems are reprojected, not resampled")]
    System,
    /// Axes that are not parallel.
    #[error("rotated rasters are reprojected, not resampled")]
    Rotated,
}

impl Axis {
    /// Builds the axis of a target that spans the source edge to edge.
    pub(super) fn spanning(source: u32, target: u32) -> Result<Self, AxisError> {
        Self::new(0.0, f64::from(source) / f64::from(target), (source, target))
    }

    /// Builds an axis from the first edge, the pixel's size and both sizes; edges that nearly
    /// coincide with source edges do.
    pub(super) fn new(
        start: f64,
        step: f64,
        (source, target): (u32, u32),
    ) -> Result<Self, AxisError> {
        let sound = start.is_finite() && step.is_finite() && step > 0.0;
        if source == 0 || target == 0 || !sound {
            return Err(AxisError::Empty);
        }
        let end = snap(start + step * f64::from(target));
        let start = snap(start);
        Ok(Self {
            source,
            target,
            start,
            step: (end - start) / f64::from(target),
        })
    }

    /// Returns the number of source pixels.
    pub fn source(&self) -> u32 {
        self.source
    }

    /// Returns the number of target pixels.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Returns where the first target pixel begins, in source pixels.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Returns the size of a target pixel in source pixels.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Returns both edges of a target pixel in source pixels.
    fn edges(&self, pixel: u32) -> (f64, f64) {
        let edge = |i: f64| self.start + i * self.step;
        (edge(f64::from(pixel)), edge(f64::from(pixel) + 1.0))
    }

    /// Returns the source pixel under the centre of a target pixel.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position was found to lie inside the source"
    )]
    pub(super) fn under(&self, pixel: u32) -> Option<usize> {
        let centre = self.start + (f64::from(pixel) + 0.5) * self.step;
        let inside = centre >= 0.0 && centre + SLACK <= f64::from(self.source);
        inside.then(|| ((centre + SLACK) as usize).min(self.source as usize - 1))
    }

    /// Returns the source pixels that share ground with a target pixel.
    pub(super) fn shared(&self, pixel: u32) -> Range<usize> {
        let (low, high) = self.edges(pixel);
        self.cut((low + SLACK).floor(), (high - SLACK).ceil())
    }

    /// Returns how much of a source pixel lies in a target pixel, 0..=1.
    pub(super) fn share(&self, pixel: u32, source: usize) -> f64 {
        let (low, high) = self.edges(pixel);
        let left = source as f64;
        (high.min(left + 1.0) - low.max(left)).max(0.0)
    }

    /// Returns the weight of a source pixel in the mean of a target pixel that shares ground with
    /// it: what they share; a pixel at the border also stands for what lies beyond it (GDAL).
    fn weight(&self, pixel: u32, source: usize) -> f64 {
        let (low, high) = self.edges(pixel);
        let beyond =
            |is_border: bool, overhang: f64| if is_border { overhang.max(0.0) } else { 0.0 };
        let before = beyond(source == 0, -low);
        let behind = beyond(
            source + 1 == self.source as usize,
            high - f64::from(self.source),
        );
        self.share(pixel, source) + before + behind
    }

    /// Cuts first..end to the source.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both ends are cut to 0..=source"
    )]
    fn cut(&self, first: f64, end: f64) -> Range<usize> {
        let within = |edge: f64| edge.clamp(0.0, f64::from(self.source)) as usize;
        within(first)..within(end).max(within(first))
    }

    /// Returns the taps of every target pixel.
    pub(super) fn taps<A: Real>(&self, method: Method) -> Taps<A> {
        let scale = (1.0 / self.step).min(1.0);
        let scale = if scale >= OWN_WIDTH { 1.0 } else { scale };
        let mut taps = Taps {
            lines: Vec::with_capacity(self.target as usize),
            weights: Vec::new(),
        };
        for pixel in 0..self.target {
            let centre = self.start + (f64::from(pixel) + 0.5) * self.step - 0.5;
            let at = taps.weights.len();
            let reach = match method {
                Method::Average => self.shared(pixel),
                _ => self.reached(centre, radius(method) / scale),
            };
            let weight = |source: usize| match method {
                Method::Average => self.weight(pixel, source),
                Method::Cubic => cubic((source as f64 - centre) * scale),
                _ => triangle((source as f64 - centre) * scale),
            };
            taps.weights
                .extend(reach.clone().map(|source| A::of(weight(source))));
            taps.lines.push(Line {
                first: reach.start,
                weights: at..taps.weights.len(),
                under: match method {
                    Method::Average => (!reach.is_empty()).then_some(reach.start),
                    _ => self.under(pixel),
                },
            });
        }
        taps
    }

    /// Returns the source pixels nearer than a radius to a position among pixel centres.
    fn reached(&self, centre: f64, radius: f64) -> Range<usize> {
        // The pixel at exactly the radius has no weight, so either end may leave it out.
        self.cut(
            (centre - radius).floor() + 1.0,
            (centre + radius).floor() + 1.0,
        )
    }

    /// Tells whether the kernel of this method has its own width here, not a widened one.
    pub(super) fn own_width(&self) -> bool {
        1.0 / self.step >= OWN_WIDTH
    }
}

/// The taps of a line of target pixels.
#[derive(Debug)]
pub(super) struct Taps<A> {
    lines: Vec<Line>,
    weights: Vec<A>,
}

/// The taps of one target pixel.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The first source pixel.
    pub(super) first: usize,
    /// Where the weights stand.
    weights: Range<usize>,
    /// The source pixel under the centre; for means by area any that shares ground. Without one
    /// the target pixel is void.
    pub(super) under: Option<usize>,
}

impl<A: Real> Taps<A> {
    /// Returns the taps of each target pixel.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Returns the weights of a pixel's taps.
    pub(super) fn weights(&self, line: &Line) -> &[A] {
        &self.weights[line.weights.clone()]
    }

    /// Returns the source pixels that any target pixel needs.
    pub(super) fn span(&self) -> Range<usize> {
        let used = || self.lines.iter().filter(|l| !l.weights.is_empty());
        let first = used().map(|l| l.first).min().unwrap_or(0);
        let end = used().map(|l| l.first + l.weights.len()).max();
        first..end.unwrap_or(first)
    }
}

/// Returns how far a kernel reaches, in pixels of the coarser raster.
fn radius(method: Method) -> f64 {
    if method == Method::Cubic { 2.0 } else { 1.0 }
}

fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// Cubic convolution with a = -1/2 (Keys 1981; GDAL's `GWKCubic`).
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    if x <= 1.0 {
        x * x * (1.5 * x - 2.5) + 1.0
    } else if x <= 2.0 {
        x * x * (-0.5 * x + 2.5) - 4.0 * x + 2.0
    } else {
        0.0
    }
}

fn snap(position: f64) -> f64 {
    let whole = position.round();
    if (position - whole).abs() < SNAP {
        whole
    } else {
        position
    }
}
