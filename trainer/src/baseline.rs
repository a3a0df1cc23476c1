//! What a network must beat beside the training mean: linear regression on bands.
//!
//! *Invariants*: closed form, no iteration, no randomness; judged on the same held-out chips.
//!
//! *Not here*: the network's own scores (`job`).

/// Added to the normal equations' diagonal per row: keeps constant bands solvable, and moves
/// answers by less than a millionth where bands vary.
const RIDGE: f64 = 1e-9;

/// Linear regression with an intercept.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// The intercept, then one weight a band.
    pub weights: Vec<f64>,
}

/// The normal equations of a regression, row by row.
#[derive(Debug, Clone, Default)]
pub struct Equations {
    lines: Vec<Vec<f64>>,
    rows: u64,
}

impl Equations {
    /// Adds a row (normalised bands) with its label; one without a label adds nothing.
    pub fn add(&mut self, row: &[f64], label: f32) {
        if label.is_nan() {
            return;
        }
        let width = row.len() + 1;
        self.lines.resize(width, vec![0.0; width + 1]);
        self.rows += 1;
        let with_one = |i: usize| if i == 0 { 1.0 } else { row[i - 1] };
        for (i, line) in self.lines.iter_mut().enumerate() {
            for (j, cell) in line.iter_mut().take(width).enumerate() {
                *cell += with_one(i) * with_one(j);
            }
            line[width] += with_one(i) * f64::from(label);
        }
    }

    /// Solves them; `None` without rows or with values that are not finite.
    pub fn solve(mut self) -> Option<Linear> {
        if self.rows == 0 {
            return None;
        }
        for (i, line) in self.lines.iter_mut().enumerate().skip(1) {
            line[i] += RIDGE * self.rows as f64;
        }
        solve(self.lines).map(|weights| Linear { weights })
    }
}

impl Linear {
    /// Answers one row.
    pub fn answer(&self, row: &[f64]) -> f64 {
        let products = row.iter().zip(&self.weights[1..]).map(|(x, w)| x * w);
        self.weights[0] + products.sum::<f64>()
    }
}

/// Solves a system by elimination with partial pivoting; each line ends with its right-hand side.
fn solve(mut lines: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = lines.len();
    for column in 0..size {
        let largest = |a: &usize, b: &usize| {
            let (a, b) = (lines[*a][column].abs(), lines[*b][column].abs());
            a.total_cmp(&b)
        };
        let pivot = (column..size).max_by(largest)?;
        lines.swap(column, pivot);
        let head = lines[column].clone();
        if !head[column].is_normal() {
            return None;
        }
        for line in lines.iter_mut().skip(column + 1) {
            let factor = line[column] / head[column];
            for (cell, above) in line.iter_mut().zip(&head).skip(column) {
                *cell -= factor * above;
            }
        }
    }
    let mut solution = vec![0.0; size];
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|j| lines[i][j] * solution[j]).sum();
        solution[i] = (lines[i][size] - known) / lines[i][i];
    }
    solution.iter().all(|x| x.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use super::{Equations, Linear};
    use crate::seed::Dice;

    fn fit(rows: &[Vec<f64>], labels: &[f32]) -> Option<Linear> {
        let mut equations = Equations::default();
        for (row, label) in rows.iter().zip(labels) {
            equations.add(row, *label);
        }
        equations.solve()
    }

    #[test]
    fn a_linear_law_is_found_exactly() {
        let mut dice = Dice::new(5, &[]);
        let rows: Vec<Vec<f64>> = (0..50)
            .map(|_| (0..3).map(|_| dice.unit() * 4.0 - 2.0).collect())
            .collect();
        #[expect(clippy::cast_possible_truncation, reason = "labels are 32-bit floats")]
        let law = |r: &Vec<f64>| (0.3 - 1.5 * r[0] + 0.25 * r[1] + 2.0 * r[2]) as f32;
        let labels: Vec<f32> = rows.iter().map(law).collect();
        let line = fit(&rows, &labels).expect("50 rows");
        for (found, truth) in line.weights.iter().zip([0.3, -1.5, 0.25, 2.0]) {
            assert!((found - truth).abs() < 1e-5, "{:?}", line.weights);
        }
    }

    #[test]
    fn constant_and_equal_bands_are_no_obstacle() {
        let rows = vec![
            vec![0.0, 1.0, 1.0],
            vec![0.0, 3.0, 3.0],
            vec![0.0, 2.0, 2.0],
        ];
        let line = fit(&rows, &[1.0, 5.0, 3.0]).expect("solvable with a ridge");
        assert!(
            (line.answer(&[0.0, 4.0, 4.0]) - 7.0).abs() < 1e-3,
            "{line:?}"
        );
    }

    #[test]
    fn nothing_and_not_a_number_give_no_line() {
        assert_eq!(fit(&[], &[]), None);
        assert_eq!(fit(&[vec![f64::NAN]], &[1.0]), None);
        let known = fit(&[vec![1.0], vec![7.0], vec![2.0]], &[2.0, f32::NAN, 4.0]);
        let line = known.expect("two rows with a label");
        assert!((line.answer(&[3.0]) - 6.0).abs() < 1e-6, "{line:?}");
    }
}
