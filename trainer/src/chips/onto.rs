//! A band brought onto another grid of the same cell.
//!
//! Both grids fill the cell edge to edge, so that pixels map by proportion. Finer bands are
//! averaged over the pixels whose centres lie in the new pixel, coarser ones sampled at its
//! centre; no value is invented between coarse pixels.
//!
//! *Invariants*: fill in any averaged pixel makes fill; equal grids change nothing.
//!
//! *Not here*: reprojection (earth); classes, which must not be averaged, are sampled.

use serde::{Deserialize, Serialize};

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// How a band came onto the grid of the chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Onto {
    /// It was there.
    Same,
    /// Mean of the finer pixels.
    Area,
    /// Value of the coarser pixel.
    Nearest,
}

/// Says how a band of one shape comes onto another.
pub fn method(from: Shape, to: Shape) -> Onto {
    if from == to {
        Onto::Same
    } else if from.width >= to.width && from.height >= to.height {
        Onto::Area
    } else {
        Onto::Nearest
    }
}

/// Brings a plane onto another shape by `method`; NaN is fill.
pub fn onto(plane: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    match method(from, to) {
        Onto::Same => plane.to_vec(),
        Onto::Nearest => sample(plane, from, to),
        Onto::Area => average(plane, from, to),
    }
}

/// Takes the value at each new pixel's centre.
pub fn sample<T: Copy>(plane: &[T], from: Shape, to: Shape) -> Vec<T> {
    let at = |i: usize, from: usize, to: usize| ((2 * i + 1) * from) / (2 * to);
    let row = |y: usize| {
        let line = &plane[at(y, from.height, to.height) * from.width..][..from.width];
        (0..to.width).map(move |x| line[at(x, from.width, to.width)])
    };
    (0..to.height).flat_map(row).collect()
}

/// Tells of each new pixel whether any of the old ones holds whose centres lie in it; the old shape
/// is no smaller than the new one.
pub fn any(plane: &[bool], from: Shape, to: Shape) -> Vec<bool> {
    let mut found = Vec::with_capacity(to.width * to.height);
    for y in 0..to.height {
        let rows = inside(y, from.height, to.height);
        for x in 0..to.width {
            let columns = inside(x, from.width, to.width);
            let line = |row: usize| &plane[row * from.width..][columns.clone()];
            found.push(rows.clone().any(|row| line(row).contains(&true)));
        }
    }
    found
}

/// Averages the pixels whose centres lie in each new pixel.
fn average(plane: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    let mut means = Vec::with_capacity(to.width * to.height);
    for y in 0..to.height {
        let rows = inside(y, from.height, to.height);
        for x in 0..to.width {
            let columns = inside(x, from.width, to.width);
            let mut sum = 0.0_f64;
            for row in rows.clone() {
                let line = &plane[row * from.width..][columns.clone()];
                sum += line.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a mean of 32-bit floats fits one"
            )]
            means.push((sum / (rows.len() * columns.len()) as f64) as f32);
        }
    }
    means
}

/// Returns the old indexes whose centres lie in new index `i`; never empty when `from >= to`.
fn inside(i: usize, from: usize, to: usize) -> std::ops::Range<usize> {
    // Centre (j + 1/2) / from >= i / to  <=>  j >= (2 i from - to) / (2 to), rounded up.
    let first = |i: usize| (2 * i * from).saturating_sub(to).div_ceil(2 * to);
    first(i)..first(i + 1)
}

#[cfg(test)]
mod tests {
    use super::{Onto, Shape, any, inside, method, onto, sample};

    const fn shape(width: usize, height: usize) -> Shape {
        Shape { width, height }
    }

    #[test]
    fn finer_pixels_are_averaged_and_fill_spreads() {
        let fine = [1.0, 3.0, 5.0, f32::NAN, 1.0, 3.0, 7.0, 9.0];
        let coarse = onto(&fine, shape(4, 2), shape(2, 1));
        assert!((coarse[0] - 2.0).abs() < 1e-6);
        assert!(coarse[1].is_nan());
        assert_eq!(method(shape(4, 2), shape(2, 1)), Onto::Area);
    }

    #[test]
    fn one_of_the_finer_pixels_is_enough_for_any() {
        let fine = [false, true, false, false, false, false, false, false];
        assert_eq!(any(&fine, shape(4, 2), shape(2, 1)), [true, false]);
        assert_eq!(any(&fine, shape(4, 2), shape(4, 2)), fine);
    }

    #[test]
    fn coarser_pixels_are_repeated() {
        let coarse = onto(&[1.0, 2.0], shape(2, 1), shape(5, 2));
        assert_eq!(coarse, [1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(sample(&[7_u8], shape(1, 1), shape(2, 1)), [7, 7]);
    }

    #[test]
    fn every_old_pixel_falls_into_exactly_one_new_one() {
        for (from, to) in [(10, 3), (7, 7), (492, 82), (493, 82), (5, 4)] {
            let all: Vec<usize> = (0..to).flat_map(|i| inside(i, from, to)).collect();
            assert_eq!(all, (0..from).collect::<Vec<_>>(), "{from} to {to}");
            assert!(
                (0..to).all(|i| !inside(i, from, to).is_empty()),
                "{from} to {to}"
            );
        }
    }
}
