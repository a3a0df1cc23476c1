//! Windows over some rows of a frame, answered by the models of their regions and blended.
//!
//! *Invariants*: only windows without fill are answered, as in training; a pixel's value is the
//! mean over the windows that cover it and the models that have a say there, weighted by a raised
//! cosine over the window and by the models' weights (`regions`); what no such window covers is
//! NaN; sums of rows that later windows reach are carried on.
//!
//! Beside the answers stands how unlike what was learned the windows are (`chips::envelope`),
//! averaged by the same weights; NaN where a model that has a say was not told what it learned
//! from.
//!
//! *Not here*: which rows (`infer`), where the answers go (`chart`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wire::fault::{Fault, FaultKind};

use crate::chips::cut::{Corner, window};
use crate::chips::onto::Shape;
use crate::infer::land::Rows;
use crate::infer::mind::Mind;
use crate::infer::plan::Plan;
use crate::infer::regions::{Regions, Square};
use crate::infer::shelf::Shelf;
use crate::log::chain;
use crate::program::handed::MadeError;

/// How windows lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Side in pixels.
    pub side: usize,
    /// Bands of an answer.
    pub bands: usize,
    /// First rows, ascending.
    pub tops: Vec<usize>,
    /// First columns, ascending.
    pub lefts: Vec<usize>,
}

impl Windows {
    /// Lays windows over a frame in steps of `stride`; and others flush with the edges of cells, so
    /// that those are answered to their last pixel where nothing lies beyond.
    pub fn over(plan: &Plan, (side, stride): (usize, usize), bands: usize) -> Self {
        let places = || plan.land.plots.iter().map(|plot| &plot.place);
        let lattice = |length| starts(length, side, stride);
        let rows = places().map(|place| place.rows.clone());
        let columns = places().map(|place| place.columns.clone());
        Self {
            side,
            bands,
            tops: flush(lattice(plan.frame.height), side, rows),
            lefts: flush(lattice(plan.frame.width), side, columns),
        }
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

/// Adds windows that begin or end with a span.
fn flush(starts: Vec<usize>, side: usize, spans: impl Iterator<Item = Range<usize>>) -> Vec<usize> {
    let mut all: BTreeSet<usize> = starts.into_iter().collect();
    for span in spans.filter(|span| span.len() >= side) {
        all.extend([span.start, span.end - side]);
    }
    all.into_iter().collect()
}

/// A window that waits for a model's answer, with the model's weight at each pixel.
#[derive(Debug)]
struct Sight {
    corner: Corner,
    weights: Option<Vec<f32>>,
}

/// Sums of answers over some rows of a frame.
#[derive(Debug)]
pub struct Strip {
    windows: Windows,
    width: usize,
    /// Which rows of the frame.
    rows: Range<usize>,
    /// Weights along one side of a window.
    kernel: Vec<f64>,
    /// One plane a band, and the last of how unlike what was learned a pixel's windows are.
    totals: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Strip {
    /// Opens sums over no rows of a frame of that width.
    pub fn new(windows: Windows, width: usize) -> Self {
        Self {
            width,
            rows: 0..0,
            kernel: kernel(windows.side),
            totals: vec![Vec::new(); windows.bands + 1],
            weights: Vec::new(),
            windows,
        }
    }

    /// Answers the windows that begin in rows `tops`, all of which lie in `land`.
    pub fn answer(
        &mut self,
        (land, tops): (&Rows, &[usize]),
        regions: &Regions,
        shelf: &mut Shelf,
    ) -> Result<(), Fault> {
        self.grow(land.rows.end);
        for (model, sights) in self.sights((land, tops), regions) {
            let mind = shelf.mind(model)?;
            let numbers = self.windows.side.pow(2) * land.planes.len();
            for batch in sights.chunks(mind.batch(numbers)) {
                let answered = self.batch(mind, land, batch);
                answered.map_err(|e| unanswered(mind, &e))?;
            }
        }
        Ok(())
    }

    /// Takes the means of all rows before `end` out: one plane a band, then how unlike what was
    /// learned their windows are (above 1 too much).
    pub fn take(&mut self, end: usize) -> Vec<Vec<f32>> {
        let pixels = (end - self.rows.start) * self.width;
        self.rows.start = end;
        let weights: Vec<f64> = self.weights.drain(..pixels).collect();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "maps are 32-bit floats, like the answers that are averaged"
        )]
        let mean = |(sum, weight): (f64, &f64)| (sum / weight) as f32;
        let plane =
            |totals: &mut Vec<f64>| totals.drain(..pixels).zip(&weights).map(mean).collect();
        self.totals.iter_mut().map(plane).collect()
    }

    /// Makes room for rows up to `end`.
    fn grow(&mut self, end: usize) {
        self.rows.end = self.rows.end.max(end);
        let pixels = self.rows.len() * self.width;
        for plane in self.totals.iter_mut().chain([&mut self.weights]) {
            plane.resize(pixels, 0.0);
        }
    }

    /// Finds the windows without fill, and who is to answer them.
    fn sights(
        &self,
        (land, tops): (&Rows, &[usize]),
        regions: &Regions,
    ) -> BTreeMap<usize, Vec<Sight>> {
        let Windows { side, lefts, .. } = &self.windows;
        let (side, near) = (*side, regions.near(&land.rows));
        let mut sights: BTreeMap<usize, Vec<Sight>> = BTreeMap::new();
        for top in tops {
            let corners = lefts.iter().map(|left| Corner {
                top: top - land.rows.start,
                left: *left,
            });
            for corner in corners.filter(|corner| is_whole(land, *corner, side)) {
                let (top, left) = (*top, corner.left);
                for (model, weights) in regions.voices(&near, Square { top, left, side }) {
                    sights
                        .entry(model)
                        .or_default()
                        .push(Sight { corner, weights });
                }
            }
        }
        sights
    }

    /// Has a model answer windows, and adds its answers.
    fn batch(&mut self, mind: &Mind, land: &Rows, sights: &[Sight]) -> Result<(), MadeError> {
        let (side, bands) = (self.windows.side, land.planes.len());
        let config = mind.config();
        let mut unlike = Vec::with_capacity(sights.len());
        let mut pixels = Vec::with_capacity(sights.len() * side * side * bands);
        for sight in sights {
            let start = pixels.len();
            for plane in &land.planes {
                pixels.extend(window(plane, land.shape(), sight.corner, side));
            }
            config.normalisation.apply(&mut pixels[start..]);
            let envelope = config.envelope.as_ref();
            unlike.push(envelope.map_or(f32::NAN, |e| e.index(&pixels[start..])));
        }
        let mut answers = mind.answer(&pixels, bands, side)?;
        for answer in &mut answers {
            *answer = config.normalisation.label.undo(*answer);
        }
        let answers = answers.chunks_exact((answers.len() / sights.len().max(1)).max(1));
        for ((sight, answer), unlike) in sights.iter().zip(answers).zip(unlike) {
            self.add(land.rows.start, sight, (answer, unlike));
        }
        Ok(())
    }

    /// Adds an answer, one number or one a pixel and band, to the pixels of its window, and how
    /// unlike what was learned the window is.
    fn add(&mut self, first: usize, sight: &Sight, (answer, unlike): (&[f32], f32)) {
        let side = self.windows.side;
        let plane = answer.len() / self.windows.bands;
        let step = usize::from(plane > 1);
        let top = first + sight.corner.top - self.rows.start;
        for y in 0..side {
            let start = (top + y) * self.width + sight.corner.left;
            for x in 0..side {
                let at = y * side + x;
                let share = sight.weights.as_ref().map_or(1.0, |w| f64::from(w[at]));
                let weight = self.kernel[y] * self.kernel[x] * share;
                if weight <= 0.0 {
                    // Who has no say takes none away: nothing times NaN is NaN.
                    continue;
                }
                let values = answer.chunks_exact(plane).map(|band| band[at * step]);
                let values = values.chain([unlike]);
                for (totals, value) in self.totals.iter_mut().zip(values) {
                    totals[start + x] += weight * f64::from(value);
                }
                self.weights[start + x] += weight;
            }
        }
    }
}

impl Rows {
    fn shape(&self) -> Shape {
        Shape {
            width: self.width,
            height: self.rows.len(),
        }
    }
}

/// Says why a program gave no answers.
fn unanswered(mind: &Mind, error: &MadeError) -> Fault {
    let recipe = &mind.config().recipe;
    let what = format!("{recipe} gave no answers");
    let fault = Fault::new(FaultKind::Data, what).because(chain(error));
    let next = error.next();
    fault.try_(next.unwrap_or_else(|| "the same command again".to_owned()))
}

/// Tells whether a window has no fill in any band.
fn is_whole(land: &Rows, corner: Corner, side: usize) -> bool {
    let line = |plane: &Vec<f32>, y: usize| {
        let start = (corner.top + y) * land.width + corner.left;
        plane[start..start + side].iter().all(|v| !v.is_nan())
    };
    (0..side).all(|y| land.planes.iter().all(|plane| line(plane, y)))
}

/// Returns the weights along one side of a window: a raised cosine, since pixels at the edge were
/// answered without their surroundings, and one number says most of the window's middle.
fn kernel(side: usize) -> Vec<f64> {
    let raised = |i: usize| {
        let turn = (i as f64 + 0.5) / side as f64 * std::f64::consts::TAU;
        (1.0 - turn.cos()) / 2.0
    };
    (0..side).map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::{Sight, Strip, Windows, flush, starts};
    use crate::chips::cut::Corner;

    #[test]
    fn windows_cover_the_whole_length_and_never_leave_it() {
        assert_eq!(starts(32, 32, 16), [0]);
        assert_eq!(starts(31, 32, 16), Vec::<usize>::new());
        assert_eq!(starts(64, 32, 16), [0, 16, 32]);
        assert_eq!(starts(70, 32, 16), [0, 16, 32, 38]);
        let cells = [0..40, 40..70, 70..80];
        let all = flush(starts(80, 32, 16), 32, cells.into_iter());
        assert_eq!(all, [0, 8, 16, 32, 48], "of cells that hold a window");
    }

    /// Sums over rows that two windows of 4 × 4 cover, half over one another.
    fn strip(bands: usize) -> Strip {
        let windows = Windows {
            side: 4,
            bands,
            tops: vec![0],
            lefts: vec![0, 2],
        };
        let mut strip = Strip::new(windows, 6);
        strip.grow(4);
        strip
    }

    fn sight(left: usize) -> Sight {
        Sight {
            corner: Corner { top: 0, left },
            weights: None,
        }
    }

    #[test]
    fn maps_that_agree_are_laid_over_one_another_without_a_seam() {
        let mut strip = strip(2);
        for left in [0, 2] {
            let pixel = |i: usize| (i % 4 + left) as f32;
            let east = (0..16).map(pixel);
            let map: Vec<f32> = east.clone().chain(east.map(|v| -v)).collect();
            strip.add(0, &sight(left), (&map, 0.5));
        }
        let means = strip.take(4);
        let near = |(i, v): (usize, &f32)| (v - (i % 6) as f32).abs() < 1e-5;
        assert!(means[0].iter().enumerate().all(near), "{means:?}");
        let west = means[1].iter().map(|v| -v).collect::<Vec<f32>>();
        assert_eq!(west, means[0], "each band is laid by itself");
        assert!(means[2].iter().all(|v| (v - 0.5).abs() < 1e-6), "{means:?}");
    }

    #[test]
    fn where_maps_differ_the_one_whose_middle_is_nearer_counts_more() {
        for answer in [1, 16] {
            let mut strip = strip(1);
            strip.add(0, &sight(0), (&vec![0.0; answer], 0.0));
            strip.add(0, &sight(2), (&vec![1.0; answer], 0.0));
            let row = &strip.take(4)[0][..6];
            assert!(
                row[2] < 0.5 && row[2] > 0.0 && row[3] > 0.5 && row[3] < 1.0,
                "{row:?}"
            );
        }
    }

    #[test]
    fn a_model_that_has_no_say_at_a_pixel_and_was_not_told_what_it_learned_blanks_no_mark() {
        let mut strip = strip(1);
        strip.add(0, &sight(0), (&[1.0], 0.5));
        let mut mute = sight(0);
        mute.weights = Some((0..16_u8).map(|i| f32::from(i % 4) / 4.0).collect());
        strip.add(0, &mute, (&[5.0], f32::NAN));
        let [answers, unlike] = strip.take(4).try_into().expect("two planes");
        assert!(
            (answers[0] - 1.0).abs() < 1e-6 && answers[1] > 1.0,
            "{answers:?}"
        );
        assert!(
            (unlike[0] - 0.5).abs() < 1e-6 && unlike[1].is_nan(),
            "{unlike:?}"
        );
    }

    #[test]
    fn a_model_counts_by_its_weight_and_rows_that_wait_are_carried_on() {
        let mut strip = strip(1);
        for (answer, weight) in [(0.0, 0.75), (4.0, 0.25)] {
            let mut sight = sight(1);
            sight.weights = Some(vec![weight; 16]);
            strip.add(0, &sight, (&[answer], f32::NAN));
        }
        let first = strip.take(1).remove(0);
        assert!(
            (first[1] - 1.0).abs() < 1e-6 && first[0].is_nan(),
            "{first:?}"
        );
        strip.grow(6);
        let mut below = sight(0);
        below.corner.top = 1;
        strip.add(1, &below, (&[9.0], 2.0));
        let [rest, unlike] = strip.take(6).try_into().expect("two planes");
        assert_eq!(rest.len(), 5 * 6);
        // Not told of one window, a pixel is not judged.
        assert!(unlike[6 + 1].is_nan() && unlike[6 * 3] > 1.9, "{unlike:?}");
        assert!((rest[1] - 1.0).abs() < 1e-6 && rest[0].is_nan(), "{rest:?}");
        assert!((rest[6 * 3 + 1] - 9.0).abs() < 1e-6, "{rest:?}");
    }
}
