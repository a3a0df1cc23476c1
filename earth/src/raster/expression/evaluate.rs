//! Values of an expression, block by block over a stack of lanes.
//!
//! *Invariants*: stored numbers become physical ones before anything is computed; blocks do not
//! depend on each other.
//!
//! *Not here*: bringing bands to one shape (`resample`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::raster::expression::{Binary, Bound, Step, Unary};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, Samples, each_sample_type};

/// Pixels in a block: a stack of eight such lanes stays in a core's first cache.
const BLOCK: usize = 1024;

/// A band of stored numbers, and what these mean.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The pixels.
    pub raster: &'a Raster,
    /// The value that means "nothing", where one is declared; NaN always does.
    pub fill: Option<f64>,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
}

/// Why an expression cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// Not one plane a name.
    #[error("{given} bands were given for {wanted} names")]
    Count {
        /// Planes given.
        given: usize,
        /// Names of the expression.
        wanted: usize,
    },
    /// Planes of different shapes.
    #[error("bands of different shapes cannot be combined; bring them to one resolution")]
    Shape,
}

impl Bound<'_> {
    /// Evaluates over a shape; planes stand in the order of `bands`.
    ///
    /// # Errors
    /// Planes that are not one a name, or of another shape.
    pub fn evaluate(
        &self,
        planes: &[Plane<'_>],
        (width, height): (u32, u32),
    ) -> Result<Raster, EvaluateError> {
        let wanted = self.bands().len();
        if planes.len() != wanted {
            let given = planes.len();
            return Err(EvaluateError::Count { given, wanted });
        }
        let shaped = |p: &Plane<'_>| (p.raster.width(), p.raster.height()) == (width, height);
        if !planes.iter().all(shaped) {
            return Err(EvaluateError::Shape);
        }
        let mut out = vec![0.0_f32; width as usize * height as usize];
        out.par_chunks_mut(BLOCK).enumerate().for_each_init(
            || Lanes::new(wanted, self.expression.height),
            |lanes, (number, out)| {
                lanes.load(planes, number * BLOCK, out.len());
                lanes.run(&self.expression.steps, out);
            },
        );
        Ok(Raster::counted(width, height, Samples::F32(out)))
    }
}

/// Values of one block.
struct Lanes {
    /// Physical values of the bands; NaN where fill.
    bands: Vec<[f32; BLOCK]>,
    stack: Vec<[f32; BLOCK]>,
}

impl Lanes {
    fn new(bands: usize, height: usize) -> Self {
        Self {
            bands: vec![[0.0; BLOCK]; bands],
            stack: vec![[0.0; BLOCK]; height],
        }
    }

    fn load(&mut self, planes: &[Plane<'_>], start: usize, length: usize) {
        for (lane, plane) in self.bands.iter_mut().zip(planes) {
            each_sample_type!(plane.raster.samples(), values => {
                physical(&values[start..start + length], plane, lane);
            });
        }
    }

    fn run(&mut self, steps: &[Step], out: &mut [f32]) {
        let length = out.len();
        let mut top = 0;
        for step in steps {
            match *step {
                Step::Number(number) => {
                    self.stack[top][..length].fill(number);
                    top += 1;
                }
                Step::Band(band) => {
                    self.stack[top][..length].copy_from_slice(&self.bands[band][..length]);
                    top += 1;
                }
                Step::Unary(operation) => unary(operation, &mut self.stack[top - 1][..length]),
                Step::Binary(operation) => {
                    top -= 1;
                    let (below, above) = self.stack.split_at_mut(top);
                    binary(
                        operation,
                        &mut below[top - 1][..length],
                        &above[0][..length],
                    );
                }
                Step::Where => {
                    top -= 2;
                    let (below, above) = self.stack.split_at_mut(top);
                    let values = (&above[0][..length], &above[1][..length]);
                    choose(&mut below[top - 1][..length], values);
                }
            }
        }
        out.copy_from_slice(&self.stack[0][..length]);
        for value in out.iter_mut().filter(|v| !v.is_finite()) {
            *value = f32::NAN;
        }
        for band in &self.bands {
            for (value, input) in out.iter_mut().zip(band) {
                *value = if input.is_nan() { f32::NAN } else { *value };
            }
        }
    }
}

fn physical<T: Pixel>(values: &[T], plane: &Plane<'_>, lane: &mut [f32]) {
    let fill = plane.fill.and_then(T::exactly);
    for (out, sample) in lane.iter_mut().zip(values) {
        let value = f32::nearest(sample.to_f64() * plane.scale + plane.offset);
        *out = if is_fill(*sample, fill) {
            f32::NAN
        } else {
            value
        };
    }
}

fn unary(operation: Unary, lane: &mut [f32]) {
    let each = |lane: &mut [f32], f: fn(f32) -> f32| lane.iter_mut().for_each(|v| *v = f(*v));
    match operation {
        Unary::Minus => each(lane, |v| -v),
        Unary::Not => each(lane, |v| truth(v, v.abs() == 0.0)),
        Unary::Abs => each(lane, f32::abs),
        Unary::Sqrt => each(lane, f32::sqrt),
        Unary::Exp => each(lane, f32::exp),
        Unary::Ln => each(lane, |v| if v > 0.0 { v.ln() } else { f32::NAN }),
    }
}

#[expect(
    clippy::float_cmp,
    reason = "== and != are what the expression asks for"
)]
fn binary(operation: Binary, lane: &mut [f32], other: &[f32]) {
    // One loop an operation: each is a lane of vector instructions.
    let each = |lane: &mut [f32], f: fn(f32, f32) -> f32| {
        for (a, b) in lane.iter_mut().zip(other) {
            *a = f(*a, *b);
        }
    };
    match operation {
        Binary::Or => each(lane, |a, b| truth(a + b, a != 0.0 || b != 0.0)),
        Binary::And => each(lane, |a, b| truth(a + b, a != 0.0 && b != 0.0)),
        Binary::Less => each(lane, |a, b| truth(a + b, a < b)),
        Binary::LessEqual => each(lane, |a, b| truth(a + b, a <= b)),
        Binary::Greater => each(lane, |a, b| truth(a + b, a > b)),
        Binary::GreaterEqual => each(lane, |a, b| truth(a + b, a >= b)),
        Binary::Equal => each(lane, |a, b| truth(a + b, a == b)),
        Binary::NotEqual => each(lane, |a, b| truth(a + b, a != b)),
        Binary::Plus => each(lane, |a, b| a + b),
        Binary::Minus => each(lane, |a, b| a - b),
        Binary::Times => each(lane, |a, b| a * b),
        Binary::Over => each(lane, |a, b| if b == 0.0 { f32::NAN } else { a / b }),
        Binary::Power => each(lane, f32::powf),
        Binary::Min => each(lane, |a, b| if a.is_nan() || a < b { a } else { b }),
        Binary::Max => each(lane, |a, b| if a.is_nan() || a > b { a } else { b }),
    }
}

/// Returns 1 or 0, and NaN where an operand was NaN.
fn truth(operands: f32, holds: bool) -> f32 {
    if operands.is_nan() {
        f32::NAN
    } else {
        f32::from(u8::from(holds))
    }
}

/// Replaces conditions by the first value where they hold, else by the second.
fn choose(conditions: &mut [f32], (first, second): (&[f32], &[f32])) {
    for (condition, (yes, no)) in conditions.iter_mut().zip(first.iter().zip(second)) {
        if !condition.is_nan() {
            *condition = if condition.abs() > 0.0 { *yes } else { *no };
        }
    }
}
