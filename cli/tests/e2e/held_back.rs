//! Maps of a day that nothing was learned from, beside what that day was delivered with.
//!
//! *Invariants*: map, mean and line are compared on the same pixels; mean and line are of the days
//! that the network learned from.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{expect, glebe};
use crate::raster::pixels;

/// Numbers that a line has: one for each visible band, and one beside.
const TERMS: usize = 4;

/// What is compared: a run's model of a cell, what it learned from, and a day that it did not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldBack<'a> {
    pub(crate) run: &'a str,
    pub(crate) cell: &'a str,
    pub(crate) dataset: &'a str,
    /// Times that were learned from, and the day that was held back.
    pub(crate) learned: &'a str,
    pub(crate) held: &'a str,
}

/// Root mean squared errors of NDVI, pixel by pixel.
#[derive(Debug)]
pub(crate) struct Errors {
    pub(crate) pixels: usize,
    pub(crate) network: f64,
    pub(crate) mean: f64,
    pub(crate) line: f64,
}

/// A pixel: NDVI, and what a line is given.
type Pixel = (f64, [f64; TERMS]);

impl HeldBack<'_> {
    /// Predicts the held-back day from its stored splits and compares.
    pub(crate) fn errors(&self, folder: &Path) -> Errors {
        let place = folder.join(format!("{}-{}-{}", self.run, self.cell, self.held));
        let map = place.with_extension("tif");
        let mut predict = glebe(folder);
        predict.args(["predict", self.run, "-O"]).arg(&map);
        expect(self.of(&mut predict, self.held), 0);
        let answers = &pixels(&map).bands[0].1;
        let truth = self.read(folder, self.held);
        assert_eq!(answers.len(), truth.len(), "one grid");
        let learned: Vec<Pixel> = self.read(folder, self.learned);
        let learned: Vec<Pixel> = learned.into_iter().filter(is_whole).collect();
        let mean = learned.iter().map(|p| p.0).sum::<f64>() / learned.len() as f64;
        let line = fitted(&learned);
        let (mut sums, mut count) = ([0.0; 3], 0);
        for (answer, pixel) in answers.iter().zip(&truth) {
            if answer.is_nan() || !is_whole(pixel) {
                continue;
            }
            let by_line = line.iter().zip(pixel.1).map(|(a, b)| a * b).sum::<f64>();
            for (sum, told) in sums.iter_mut().zip([*answer, mean, by_line]) {
                *sum += (told - pixel.0).powi(2);
            }
            count += 1;
        }
        let [network, mean, line] = sums.map(|sum| (sum / count as f64).sqrt());
        let errors = Errors {
            pixels: count,
            network,
            mean,
            line,
        };
        eprintln!("{self:?}: {errors:?}");
        errors
    }

    /// Selects the splits of this cell at some time.
    fn of<'c>(
        &self,
        command: &'c mut std::process::Command,
        time: &str,
    ) -> &'c mut std::process::Command {
        let place = ["--geocode", self.cell, "--exact"];
        let words = ["--dataset", self.dataset, "--datetime", time, "-o", "json"];
        command.args(place).args(words)
    }

    /// Returns all pixels of this cell at some time, in the order of the map's.
    fn read(&self, folder: &Path, time: &str) -> Vec<Pixel> {
        let mut get = glebe(folder);
        get.args(["get", "--format", "cog", "--index", "ndvi"]);
        for band in ["red", "green", "blue"] {
            get.args(["--expr", &format!("{band}_={band}")]);
        }
        let out = tempfile::tempdir_in(folder).unwrap();
        get.arg("-O").arg(out.path());
        let said = expect(self.of(&mut get, time), 0);
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        let written = said["written"].as_array().unwrap().iter();
        let files = written.flat_map(|w| w["files"].as_array().unwrap());
        let files = files.map(|file| PathBuf::from(file.as_str().unwrap()));
        files.flat_map(|file| of_file(&folder.join(file))).collect()
    }
}

/// Returns the pixels of a file of NDVI, red, green and blue.
fn of_file(path: &Path) -> Vec<Pixel> {
    let read = pixels(path);
    let [ndvi, red, green, blue] = [0, 1, 2, 3].map(|band: usize| &read.bands[band].1);
    let each = ndvi.iter().enumerate();
    each.map(|(at, ndvi)| (*ndvi, [1.0, red[at], green[at], blue[at]]))
        .collect()
}

fn is_whole((ndvi, bands): &Pixel) -> bool {
    ndvi.is_finite() && bands.iter().all(|band| band.is_finite())
}

/// Returns the line that is nearest to NDVI in the mean of squares: its normal equations, solved by
/// elimination.
#[allow(clippy::needless_range_loop, reason = "rows and columns of a matrix")]
fn fitted(pixels: &[Pixel]) -> [f64; TERMS] {
    let mut rows = [[0.0; TERMS + 1]; TERMS];
    for (ndvi, terms) in pixels {
        for (row, a) in rows.iter_mut().zip(terms) {
            for (sum, b) in row.iter_mut().zip(terms.iter().chain([ndvi])) {
                *sum += a * b;
            }
        }
    }
    for pivot in 0..TERMS {
        let best = (pivot..TERMS).max_by(|a, b| {
            let size = |row: &usize| rows[*row][pivot].abs();
            size(a).total_cmp(&size(b))
        });
        rows.swap(pivot, best.unwrap());
        let row = rows[pivot].map(|number| number / rows[pivot][pivot]);
        rows[pivot] = row;
        for other in (0..TERMS).filter(|other| *other != pivot) {
            let factor = rows[other][pivot];
            for (number, take) in rows[other].iter_mut().zip(row) {
                *number -= factor * take;
            }
        }
    }
    rows.map(|row| row[TERMS])
}

#[test]
fn a_line_is_found_where_there_is_one() {
    let pixel = |at: u32| {
        let at = f64::from(at);
        let terms = [1.0, at.sin(), (at * 0.3).cos(), (at * 1.7).sin()];
        (0.5 - 2.0 * terms[1] + terms[2] + 3.0 * terms[3], terms)
    };
    let pixels: Vec<Pixel> = (0..50).map(pixel).collect();
    let wanted = [0.5, -2.0, 1.0, 3.0];
    for (found, wanted) in fitted(&pixels).into_iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-9, "{found}, not {wanted}");
    }
}
