//! Which model answers where: regions, their models, and how much each counts near a border.
//!
//! Every cell is a region. Across the border of two regions both models answer, each the less the
//! farther a pixel lies beyond its region: along each axis a half cosine falls from 1, a margin
//! inside, over one half at the border to 0, a margin outside. The margin is as wide as is asked
//! for, but no wider than half of the region. Of neighbours of one size on one lattice these
//! weights sum to 1; others are divided by their sum.
//!
//! *Invariants*: a cell's own model first, then its nearest ancestor's, the donor's of its group,
//! the global one; a model of elsewhere only where the user named that model alone, and then it is
//! told; weights depend on places alone, never on what else is predicted.
//!
//! *Not here*: answering (`strip`), which models there are (`shelf`).

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::FRAC_PI_2;
use std::ops::Range;

use earth::geocode::Geocode;
use serde::{Deserialize, Serialize};

use crate::infer::frame::Place;

pub use wire::model::GLOBAL;

/// How a model relates to the cell it answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kinship {
    /// Trained on the cell.
    Own,
    /// Trained on a cell that contains it.
    Ancestor,
    /// Trained on the donor of its group: a cell of like texture.
    Donor,
    /// Trained on everything.
    Global,
    /// Trained elsewhere; the only one given.
    Foreign,
}

/// What is known of the run that models come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kin {
    /// The donor of each cell that was to be an heir, by geocode.
    pub donors: BTreeMap<String, String>,
}

/// What a model is known by: its cell's geocode; `None` of the global one.
pub type Known = Option<Geocode>;

/// Returns which model answers for a cell; `kin` is `None` where the user named models themselves.
pub fn pick(models: &[Known], cell: &Geocode, kin: Option<&Kin>) -> Option<(usize, Kinship)> {
    let coded = || {
        let with_code = models.iter().enumerate();
        with_code.filter_map(|(i, code)| Some((i, code.as_ref()?)))
    };
    let nearest = coded().filter(|(_, code)| code.contains(cell));
    if let Some((at, code)) = nearest.max_by_key(|(_, code)| code.precision()) {
        let is_own = code == cell;
        return Some((
            at,
            if is_own {
                Kinship::Own
            } else {
                Kinship::Ancestor
            },
        ));
    }
    let donor = kin.and_then(|kin| kin.donors.get(&cell.to_string()));
    let donor = donor.and_then(|donor| coded().find(|(_, code)| code.to_string() == *donor));
    if let Some((at, _)) = donor {
        return Some((at, Kinship::Donor));
    }
    if let Some(at) = models.iter().position(Option::is_none) {
        return Some((at, Kinship::Global));
    }
    (models.len() == 1 && kin.is_none()).then_some((0, Kinship::Foreign))
}

/// Returns the cells beside some cells, with the models that answer for them, be they their own or
/// stand in: across a border these have a say even where what is predicted ends.
pub fn beside(
    models: &[Known],
    cells: &BTreeSet<Geocode>,
    kin: Option<&Kin>,
) -> Vec<(Geocode, usize)> {
    let around: BTreeSet<Geocode> = cells.iter().flat_map(Geocode::neighbours).collect();
    let beyond = around.difference(cells);
    let answered = beyond.filter_map(|cell| Some((*cell, pick(models, cell, kin)?.0)));
    answered.collect()
}

/// A region with the model that answers for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Where it lies.
    pub place: Place,
    /// Its model, where there is one.
    pub model: Option<usize>,
}

/// A window of the frame: its first column and row, and its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Square {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows and columns.
    pub side: usize,
}

/// All regions of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Regions {
    /// The regions.
    pub all: Vec<Region>,
    /// Pixels on either side of a border over which models are blended, where regions are that
    /// large; 0 for a hard border.
    pub margin_px: u32,
}

/// A model that answers a window, with its weight at each pixel; `None` where it is 1 at all.
pub type Voice = (usize, Option<Vec<f32>>);

impl Regions {
    /// Returns the regions that count in some rows of the frame.
    pub fn near(&self, rows: &Range<usize>) -> Vec<&Region> {
        let near = |region: &&Region| {
            let [_, north, _, south] = region.place.edges;
            reaches((north, south), region.margin(self.margin_px), rows.clone())
        };
        self.all.iter().filter(near).collect()
    }

    /// Returns the models that answer a window, by number, with their weights.
    pub fn voices(&self, near: &[&Region], window: Square) -> Vec<Voice> {
        let Square { top, left, side } = window;
        let mut voices: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for region in near {
            let (Some(model), [west, north, east, south]) = (region.model, region.place.edges)
            else {
                continue;
            };
            let margin = region.margin(self.margin_px);
            // Most regions near these rows are far from this window: they cost two comparisons.
            if !reaches((west, east), margin, left..left + side)
                || !reaches((north, south), margin, top..top + side)
            {
                continue;
            }
            let across = weights(left..left + side, (west, east), margin);
            let down = weights(top..top + side, (north, south), margin);
            let sums = voices.entry(model);
            let sums = sums.or_insert_with(|| vec![0.0; side * side]);
            for (line, y) in sums.chunks_exact_mut(side).zip(&down) {
                for (sum, x) in line.iter_mut().zip(&across) {
                    *sum += y * x;
                }
            }
        }
        let weighed = |sums: Vec<f32>| sums.iter().any(|w| *w < 1.0).then_some(sums);
        let voices = voices.into_iter();
        voices.map(|(model, sums)| (model, weighed(sums))).collect()
    }
}

impl Region {
    /// Returns the pixels on either side of its edges over which it is blended with others: by its
    /// own size alone, so that no other region changes what it counts.
    pub fn margin(&self, wanted_px: u32) -> f64 {
        f64::from(self.place.margin_px(wanted_px))
    }

    /// Tells whether it counts anywhere in a frame of so many columns and rows.
    pub fn reaches(&self, (width, height): (usize, usize), wanted_px: u32) -> bool {
        let [west, north, east, south] = self.place.edges;
        let margin = self.margin(wanted_px);
        reaches((west, east), margin, 0..width) && reaches((north, south), margin, 0..height)
    }
}

/// Tells whether a region counts at the centre of any of these pixels along an axis.
fn reaches((from, to): (f64, f64), margin: f64, pixels: Range<usize>) -> bool {
    let (first, last) = (pixels.start as f64 + 0.5, pixels.end as f64 - 0.5);
    // A centre on a hard border counts.
    let margin = margin.max(f64::MIN_POSITIVE);
    last - from > -margin && to - first > -margin
}

/// Returns a region's weights along one axis of a window.
fn weights(pixels: Range<usize>, (from, to): (f64, f64), margin: f64) -> Vec<f32> {
    let weight = |at: usize| {
        let centre = at as f64 + 0.5;
        ramp(centre - from, margin) * ramp(to - centre, margin)
    };
    pixels.map(weight).collect()
}

/// Returns how much a model counts so many pixels inside (above 0) or outside of its region.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a weight of 0..=1 needs no more than 32 bits"
)]
fn ramp(inside: f64, margin: f64) -> f32 {
    if inside >= margin {
        1.0
    } else if inside <= -margin {
        0.0
    } else {
        f64::midpoint(1.0, (inside / margin * FRAC_PI_2).sin()) as f32
    }
}

#[cfg(test)]
mod tests {
    use earth::geocode::{Geocode, Scheme};

    use super::{Kin, Kinship, Known, Place, Region, Regions, Square, beside, pick, ramp};

    fn code(text: &str) -> Geocode {
        Geocode::parse(Scheme::Geohash, text).expect("a geohash")
    }

    fn known(texts: &[&str]) -> Vec<Known> {
        let known = |text: &&str| (*text != super::GLOBAL).then(|| code(text));
        texts.iter().map(known).collect()
    }

    #[test]
    fn the_nearest_kin_answers_and_a_stranger_only_when_it_was_named() {
        let models = known(&["9xj", "9xj5k", "global", "9xjq8", "u33"]);
        let donors = [("dr5ru", "9xjq8"), ("9xj5m", "9xjq8"), ("dr5rv", "9xjzz")];
        let donors = donors.map(|(heir, donor)| (heir.to_owned(), donor.to_owned()));
        let kin = Kin {
            donors: donors.into(),
        };
        let of = |cell: &str| pick(&models, &code(cell), Some(&kin));
        assert_eq!(of("9xj5k"), Some((1, Kinship::Own)));
        assert_eq!(
            of("9xj5m"),
            Some((0, Kinship::Ancestor)),
            "before its donor"
        );
        assert_eq!(of("dr5ru"), Some((3, Kinship::Donor)));
        assert_eq!(
            of("dr5rv"),
            Some((2, Kinship::Global)),
            "its donor left no model"
        );
        let alone = known(&["9xj5k"]);
        assert_eq!(pick(&alone, &code("dr5ru"), Some(&kin)), None, "of a run");
        let foreign = pick(&alone, &code("dr5ru"), None);
        assert_eq!(
            foreign,
            Some((0, Kinship::Foreign)),
            "a model that was named"
        );
        assert_eq!(pick(&known(&["9xj5k", "u33"]), &code("dr5ru"), None), None);
    }

    #[test]
    fn whoever_answers_for_a_neighbour_has_a_say_across_the_border_though_it_stands_in() {
        let models = known(&["9xj5k", "9xj5s", "u33dc"]);
        let kin = Kin {
            donors: [("9xj5m".to_owned(), "u33dc".to_owned())].into(),
        };
        let cells = [code("9xj5k")].into();
        let found = beside(&models, &cells, Some(&kin));
        let texts: Vec<(String, usize)> = found.iter().map(|(c, m)| (c.to_string(), *m)).collect();
        assert_eq!(texts, [("9xj5m".to_owned(), 2), ("9xj5s".to_owned(), 1)]);
        let everywhere = known(&["9xj5k", "global"]);
        assert_eq!(beside(&everywhere, &cells, Some(&kin)).len(), 8);
        assert!(beside(&known(&["9xj5k"]), &cells, Some(&kin)).is_empty());
    }

    /// A region over columns and rows of the frame.
    fn region(
        columns: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
        model: usize,
    ) -> Region {
        let [west, east] = [columns.start as f64, columns.end as f64];
        let [north, south] = [rows.start as f64, rows.end as f64];
        let place = Place {
            edges: [west, north, east, south],
            size: (columns.len(), rows.len()),
            columns,
            rows,
            sampled: false,
        };
        Region {
            place,
            model: Some(model),
        }
    }

    fn four(margin_px: u32) -> Regions {
        let all = vec![
            region(0..100, 0..80, 0),
            region(100..200, 0..80, 1),
            region(0..100, 80..160, 2),
            region(100..200, 80..160, 3),
        ];
        Regions { all, margin_px }
    }

    #[test]
    fn weights_of_neighbours_sum_to_one_at_edges_and_corners_and_halve_at_the_border() {
        let regions = four(16);
        let near = regions.near(&(64..96));
        assert_eq!(near.len(), 4);
        let (top, left, side) = (64, 84, 32);
        let voices = regions.voices(&near, Square { top, left, side });
        assert_eq!(voices.len(), 4);
        let at = |model: usize, i: usize| voices[model].1.as_ref().expect("weights")[i];
        for i in 0..side * side {
            let sum: f32 = (0..4).map(|m| at(m, i)).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum} at {i}");
        }
        // Rows 79 and 80 lie half a pixel from the border, far from the other one.
        let rows = [79 - top, 80 - top].map(|y| at(0, y * side) + at(1, y * side));
        assert!(
            rows[0] > 0.5 && rows[0] < 0.6 && rows[1] < 0.5 && rows[1] > 0.4,
            "{rows:?}"
        );
    }

    #[test]
    fn a_window_far_from_borders_hears_one_model_and_a_hard_border_splits_one_across_it() {
        let regions = four(16);
        let near = regions.near(&(16..48));
        assert_eq!(near.len(), 2);
        let window = |left| Square {
            top: 16,
            left,
            side: 32,
        };
        assert_eq!(regions.voices(&near, window(32)), [(0, None)]);
        let hard = four(0);
        let voices = hard.voices(&hard.near(&(16..48)), window(84));
        let own = voices[0].1.as_ref().expect("weights");
        assert!(own[..16].iter().all(|w| *w >= 1.0) && own[16..32].iter().all(|w| *w <= 0.0));
    }

    #[test]
    fn a_voice_that_is_alone_counts_no_more_than_it_does_beside_others() {
        let window = Square {
            top: 16,
            left: 84,
            side: 32,
        };
        let voices = |regions: &Regions| regions.voices(&regions.near(&(16..48)), window);
        // To the east lies a region that nobody answers for.
        let mut regions = four(16);
        regions.all[1].model = None;
        let alone = voices(&regions);
        assert_eq!(alone.len(), 1);
        assert_eq!(alone[0], voices(&four(16))[0]);
    }

    #[test]
    fn what_a_region_counts_follows_from_its_own_size_and_not_from_that_of_others() {
        let window = Square {
            top: 0,
            left: 84,
            side: 32,
        };
        let voices = |regions: &Regions| regions.voices(&regions.near(&(0..32)), window);
        let mut with_a_small_one = four(30);
        with_a_small_one.all.push(region(900..908, 0..8, 9));
        assert_eq!(voices(&with_a_small_one), voices(&four(30)));
        assert!((with_a_small_one.all[4].margin(30) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn windows_that_no_weight_reaches_are_passed_over_and_no_others() {
        for margin in [0.0, 7.0, 16.0] {
            for start in 0..150 {
                let pixels = start..start + 8;
                let any = super::weights(pixels.clone(), (60.0, 80.0), margin);
                let any = any.iter().any(|w| *w > 0.0);
                let reaches = super::reaches((60.0, 80.0), margin, pixels);
                assert_eq!(reaches, any, "{start} {margin}");
            }
        }
    }

    #[test]
    fn ramps_of_both_sides_of_a_border_sum_to_one() {
        for inside in [-9.0, -7.5, -0.5, 0.0, 3.0, 8.0, 30.0] {
            assert!((ramp(inside, 8.0) + ramp(-inside, 8.0) - 1.0).abs() < 1e-6);
        }
    }
}
