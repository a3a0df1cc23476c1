//! A network slid over the planes of one split: a map of its answers.
//!
//! *Invariants*: only windows without fill are answered, as in training; a pixel's value is the
//! mean over the windows that cover it, of maps weighted by how near it lies to a window's middle;
//! what no such window covers stays NaN.
//!
//! *Not here*: where the map lies on the ground (`mosaic`).

use crate::chips::cut::{Corner, window};
use crate::chips::onto::Shape;
use crate::chips::planes::Planes;
use crate::job::lesson::tensor;
use crate::model::Model;
use crate::recipe::Answer;

/// Windows answered at once: bounds memory to a few MiB for chips of 32 pixels.
const WINDOWS_BATCH: usize = 256;

/// A map of answers on a split's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The grid.
    pub shape: Shape,
    /// Answers, one plane a band; NaN where there is none.
    pub bands: Vec<Vec<f32>>,
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
        kernel: kernel(model.recipe.answer(), side),
        totals: vec![vec![0.0; width * height]; model.recipe.answer().bands().len()],
        weights: vec![0.0; width * height],
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
        bands: sums.means(),
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

/// Returns the weights along one side of a window: even for one number, a raised cosine for a map,
/// whose pixels at the edge were answered without their surroundings.
fn kernel(answer: Answer, side: usize) -> Vec<f64> {
    let raised = |i: usize| {
        let turn = (i as f64 + 0.5) / side as f64 * std::f64::consts::TAU;
        (1.0 - turn.cos()) / 2.0
    };
    match answer {
        Answer::Number => vec![1.0; side],
        Answer::Map { .. } => (0..side).map(raised).collect(),
    }
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
        let mut answers = model.network.answer(&chips);
        for answer in &mut answers {
            *answer = model.config.normalisation.label.undo(*answer);
        }
        let a_window = model.recipe.answer().len(sums.side);
        for (corner, answer) in self.corners.iter().zip(answers.chunks_exact(a_window)) {
            sums.add(*corner, answer);
        }
        self.corners.clear();
        self.pixels.clear();
    }
}

/// Sums of answers by pixel.
struct Sums {
    shape: Shape,
    side: usize,
    /// Weights along one side of a window.
    kernel: Vec<f64>,
    /// One plane a band.
    totals: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Sums {
    /// Adds an answer, one number or one a pixel and band, to the pixels of its window.
    fn add(&mut self, corner: Corner, answer: &[f32]) {
        let plane = answer.len() / self.totals.len();
        let step = usize::from(plane > 1);
        for y in 0..self.side {
            let start = (corner.top + y) * self.shape.width + corner.left;
            for x in 0..self.side {
                let weight = self.kernel[y] * self.kernel[x];
                let at = (y * self.side + x) * step;
                for (totals, answer) in self.totals.iter_mut().zip(answer.chunks_exact(plane)) {
                    totals[start + x] += weight * f64::from(answer[at]);
                }
                self.weights[start + x] += weight;
            }
        }
    }

    /// Returns the means, one plane a band; NaN where nothing was added.
    fn means(&self) -> Vec<Vec<f32>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "maps are 32-bit floats, like the answers that are averaged"
        )]
        let mean = |(sum, weight): (&f64, &f64)| (sum / weight) as f32;
        let plane = |totals: &Vec<f64>| totals.iter().zip(&self.weights).map(mean).collect();
        self.totals.iter().map(plane).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Sums, kernel, starts};
    use crate::chips::cut::Corner;
    use crate::chips::onto::Shape;
    use crate::recipe::Answer;

    #[test]
    fn windows_cover_the_whole_length_and_never_leave_it() {
        assert_eq!(starts(32, 32, 16), [0]);
        assert_eq!(starts(31, 32, 16), Vec::<usize>::new());
        assert_eq!(starts(64, 32, 16), [0, 16, 32]);
        assert_eq!(starts(70, 32, 16), [0, 16, 32, 38]);
    }

    fn map(bands: &'static [&'static str]) -> Answer {
        Answer::Map {
            bands,
            bounds: [-1.0, 1.0],
        }
    }

    /// Sums over a row that two windows of 4 × 4 cover, half over one another.
    fn sums(answer: Answer) -> Sums {
        let shape = Shape {
            width: 6,
            height: 4,
        };
        let (side, pixels) = (4, 24);
        Sums {
            shape,
            side,
            kernel: kernel(answer, side),
            totals: vec![vec![0.0; pixels]; answer.bands().len()],
            weights: vec![0.0; pixels],
        }
    }

    #[test]
    fn maps_that_agree_are_laid_over_one_another_without_a_seam() {
        let mut sums = sums(map(&["east", "west"]));
        for left in [0, 2] {
            let pixel = |i: usize| (i % 4 + left) as f32;
            let east = (0..16).map(pixel);
            let map: Vec<f32> = east.clone().chain(east.map(|v| -v)).collect();
            sums.add(Corner { top: 0, left }, &map);
        }
        let means = sums.means();
        let near = |(i, v): (usize, &f32)| (v - (i % 6) as f32).abs() < 1e-5;
        assert!(means[0].iter().enumerate().all(near), "{means:?}");
        let west = means[1].iter().map(|v| -v).collect::<Vec<f32>>();
        assert_eq!(west, means[0], "each band is laid by itself");
    }

    #[test]
    fn where_maps_differ_the_one_whose_middle_is_nearer_counts_more() {
        let mut sums = sums(map(&["answer"]));
        sums.add(Corner { top: 0, left: 0 }, &[0.0; 16]);
        sums.add(Corner { top: 0, left: 2 }, &[1.0; 16]);
        let row = &sums.means()[0][..6];
        assert!(
            row[2] < 0.5 && row[2] > 0.0 && row[3] > 0.5 && row[3] < 1.0,
            "{row:?}"
        );
    }

    #[test]
    fn one_number_fills_its_window_evenly() {
        let mut sums = sums(Answer::Number);
        sums.add(Corner { top: 0, left: 0 }, &[2.0]);
        sums.add(Corner { top: 0, left: 2 }, &[4.0]);
        assert_eq!(sums.means()[0][..6], [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
    }
}
