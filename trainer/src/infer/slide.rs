//! A network slid over the planes of one split: a map of its answers.
//!
//! *Invariants*: only windows without fill are answered, as in training; a pixel's value is the
//! mean over the windows that cover it; what no such window covers stays NaN.
//!
//! *Not here*: where the map lies on the ground (`mosaic`).

use crate::chips::cut::{Corner, window};
use crate::chips::onto::Shape;
use crate::chips::planes::Planes;
use crate::job::lesson::tensor;
use crate::model::Model;

/// Windows answered at once: bounds memory to a few MiB for chips of 32 pixels.
const WINDOWS_BATCH: usize = 256;

/// A map of answers on a split's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The grid.
    pub shape: Shape,
    /// Answers; NaN where there is none.
    pub values: Vec<f32>,
    /// Pixels whose bands are all valid.
    pub valid: u64,
}

/// Slides the model's network over a split's planes in steps of `stride` pixels.
pub fn slide(model: &Model, planes: &Planes, stride: usize) -> Map {
    let side = usize::try_from(model.config.network.chip_px).unwrap_or(1);
    let Shape { width, height } = planes.shape;
    let mut sums = Sums {
        shape: planes.shape,
        side,
        totals: vec![0.0; width * height],
        counts: vec![0; width * height],
    };
    let mut batch = Batch::default();
    for top in starts(height, side, stride) {
        for left in starts(width, side, stride) {
            batch.add(model, planes, Corner { top, left });
            if batch.corners.len() == WINDOWS_BATCH {
                batch.answer(model, &mut sums);
            }
        }
    }
    batch.answer(model, &mut sums);
    let pixel = |i: usize| planes.inputs.iter().all(|plane| !plane[i].is_nan());
    Map {
        shape: planes.shape,
        values: sums.means(),
        valid: (0..width * height).filter(|i| pixel(*i)).count() as u64,
    }
}

/// Returns the first pixels of windows that cover a length; the last one ends flush with it.
fn starts(length: usize, side: usize, stride: usize) -> Vec<usize> {
    let Some(last) = length.checked_sub(side) else {
        return Vec::new();
    };
    let mut starts: Vec<usize> = (0..last).step_by(stride.max(1)).collect();
    starts.push(last);
    starts
}

/// Windows that wait for an answer.
#[derive(Debug, Default)]
struct Batch {
    corners: Vec<Corner>,
    pixels: Vec<f32>,
}

impl Batch {
    /// Adds a window, normalised; one with fill is left out.
    fn add(&mut self, model: &Model, planes: &Planes, corner: Corner) {
        let side = usize::try_from(model.config.network.chip_px).unwrap_or(1);
        let start = self.pixels.len();
        for plane in &planes.inputs {
            self.pixels
                .extend(window(plane, planes.shape, corner, side));
        }
        let chip = &mut self.pixels[start..];
        if chip.iter().any(|v| v.is_nan()) {
            self.pixels.truncate(start);
        } else {
            model.config.normalisation.apply(chip);
            self.corners.push(corner);
        }
    }

    /// Answers the windows and adds the answers to the map.
    fn answer(&mut self, model: &Model, sums: &mut Sums) {
        if self.corners.is_empty() {
            return;
        }
        let chips = tensor(&self.pixels, model.recipe.inputs().len(), sums.side);
        let answers = model.network.answer(&chips);
        for (corner, answer) in self.corners.iter().zip(answers) {
            let label = model.config.normalisation.label.undo(answer);
            sums.add(*corner, f64::from(label));
        }
        self.corners.clear();
        self.pixels.clear();
    }
}

/// Sums of answers by pixel.
struct Sums {
    shape: Shape,
    side: usize,
    totals: Vec<f64>,
    counts: Vec<u32>,
}

impl Sums {
    /// Adds an answer to the pixels of its window.
    fn add(&mut self, corner: Corner, answer: f64) {
        for y in corner.top..corner.top + self.side {
            let start = y * self.shape.width + corner.left;
            for i in start..start + self.side {
                self.totals[i] += answer;
                self.counts[i] += 1;
            }
        }
    }

    /// Returns the means; NaN where nothing was added.
    fn means(&self) -> Vec<f32> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "maps are 32-bit floats, like the answers that are averaged"
        )]
        let mean = |(sum, count): (&f64, &u32)| (sum / f64::from(*count)) as f32;
        self.totals.iter().zip(&self.counts).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::starts;

    #[test]
    fn windows_cover_the_whole_length_and_never_leave_it() {
        assert_eq!(starts(32, 32, 16), [0]);
        assert_eq!(starts(31, 32, 16), Vec::<usize>::new());
        assert_eq!(starts(64, 32, 16), [0, 16, 32]);
        assert_eq!(starts(70, 32, 16), [0, 16, 32, 38]);
    }
}
