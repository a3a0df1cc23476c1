//! Which splits of a cell are composed, and in which order.
//!
//! Splits lie within the query's time range; with a window, only those of the stretch of that many
//! days that promises most. What a set of splits promises is known from their counts alone: at
//! most the sum of their coverages, for overlaps are not known before pixels are seen.
//!
//! *Invariants*: pure; the order is total, so that every node finds the same; where order decides
//! (`least-cloud`, `newest`), the first `expected` splits are the fewest, in that order, that can
//! reach the limits.
//!
//! *Not here*: which splits match (`predicate`), their pixels (earth's `split::compose`).

use std::cmp::Ordering;

use earth::raster::splice::{Rule, SCENES_MAX};
use earth::split::compose::Limits;
use jiff::Timestamp;

use crate::share::SHARE_SLACK;

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// What is known of a split before its pixels are seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The id, which breaks ties.
    pub id: String,
    /// Sensing time.
    pub acquired: Timestamp,
    /// Valid / all pixels.
    pub coverage: f64,
    /// Cloudy / judged pixels, where known.
    pub cloud: Option<f64>,
    /// Its classes say, pixel by pixel, what is cloud.
    pub masked: bool,
}

/// How splits are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// How pixels are chosen.
    pub rule: Rule,
    /// When the image is good enough.
    pub limits: Limits,
    /// Greatest time between two splits in days, if bounded.
    pub window_days: Option<f64>,
}

/// Splits to compose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Places among the candidates, in the order in which pixels are taken.
    pub order: Vec<usize>,
    /// How many of them are needed at least, as far as counts tell; all of them where the rule
    /// looks at all, or where even all promise too little.
    pub expected: usize,
    /// Even the sum of coverages stays below the limit.
    pub hopeless: bool,
}

impl Recipe {
    /// Chooses among the splits of one cell.
    pub fn select(&self, candidates: &[Candidate]) -> Selection {
        let mut order = self.usable(candidates);
        if let Some(days) = self.window_days {
            order = self.window(candidates, order, days);
        }
        order.sort_by(|a, b| self.compare(&candidates[*a], &candidates[*b]));
        order.truncate(SCENES_MAX);
        let needed = self.needed(order.iter().map(|i| &candidates[*i]));
        let expected = match needed {
            Some(n) if self.rule.is_ordering() => n,
            _ => order.len(),
        };
        Selection {
            expected,
            hopeless: needed.is_none(),
            order,
        }
    }

    /// Leaves out what rules that look at all splits must not look at: with a limit of clouds,
    /// splits that are too cloudy and cannot tell where.
    fn usable(&self, candidates: &[Candidate]) -> Vec<usize> {
        let usable = |c: &Candidate| match (self.limits.cloud_max, c.cloud) {
            (Some(max), Some(cloud)) => c.masked || cloud <= max + SHARE_SLACK,
            (Some(_), None) => c.masked,
            (None, _) => true,
        };
        let all = 0..candidates.len();
        if self.rule.is_ordering() {
            return all.collect();
        }
        let some: Vec<usize> = all.clone().filter(|i| usable(&candidates[*i])).collect();
        if some.is_empty() { all.collect() } else { some }
    }

    /// Keeps the splits of the stretch of days that promises most; of equal ones the least cloudy,
    /// then the newest. `newest` takes the newest that promises enough.
    fn window(&self, candidates: &[Candidate], mut all: Vec<usize>, days: f64) -> Vec<usize> {
        all.sort_by_key(|i| candidates[*i].acquired);
        let time = |i: &usize| candidates[*i].acquired.as_millisecond() as f64 / 1e3;
        let stretches = (0..all.len()).map(|first| {
            let end = time(&all[first]) + days * DAY_S;
            let length = all[first..].iter().take_while(|i| time(i) <= end).count();
            &all[first..first + length]
        });
        let best = stretches.max_by(|a, b| self.promise(candidates, a, b));
        best.map(<[usize]>::to_vec).unwrap_or_default()
    }

    /// Orders two stretches, the first of which begins earlier, by what they promise.
    fn promise(&self, candidates: &[Candidate], a: &[usize], b: &[usize]) -> Ordering {
        let coverage = |stretch: &[usize]| {
            let sum: f64 = stretch.iter().map(|i| candidates[*i].coverage).sum();
            sum.min(self.limits.coverage_min)
        };
        let cloud = |stretch: &[usize]| {
            let sum: f64 = stretch
                .iter()
                .map(|i| candidates[*i].cloud.unwrap_or(1.0))
                .sum();
            sum / stretch.len().max(1) as f64
        };
        let by_coverage = coverage(a).total_cmp(&coverage(b));
        if self.rule == Rule::Newest {
            return by_coverage;
        }
        by_coverage.then_with(|| cloud(b).total_cmp(&cloud(a)))
    }

    /// Orders two splits: what is taken first is less.
    fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let newest = || b.acquired.cmp(&a.acquired).then_with(|| a.id.cmp(&b.id));
        match self.rule {
            Rule::Newest => newest(),
            Rule::LeastCloud => {
                let alone = |c: &Candidate| !self.is_enough_alone(c);
                let cloud = |c: &Candidate| c.cloud.unwrap_or(f64::INFINITY);
                alone(a)
                    .cmp(&alone(b))
                    .then_with(|| cloud(a).total_cmp(&cloud(b)))
                    .then_with(|| b.coverage.total_cmp(&a.coverage))
                    .then_with(newest)
            }
            Rule::Median | Rule::Medoid | Rule::MaxNdvi => {
                a.acquired.cmp(&b.acquired).then_with(|| a.id.cmp(&b.id))
            }
        }
    }

    /// Tells whether one split reaches the limits by its counts: then nothing is spliced.
    fn is_enough_alone(&self, c: &Candidate) -> bool {
        let clear = |max: f64| c.cloud.is_some_and(|cloud| cloud <= max + SHARE_SLACK);
        c.coverage >= self.limits.coverage_min - SHARE_SLACK
            && self.limits.cloud_max.is_none_or(clear)
    }

    /// Returns how many of the first splits promise to reach the coverage, if any number does.
    fn needed<'a>(&self, ordered: impl Iterator<Item = &'a Candidate>) -> Option<usize> {
        let mut sum = 0.0;
        for (count, candidate) in (1..).zip(ordered) {
            sum += candidate.coverage;
            if sum >= self.limits.coverage_min - SHARE_SLACK {
                return Some(count);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(id: &str, day: u8, coverage: f64, cloud: Option<f64>) -> Candidate {
        Candidate {
            id: id.to_owned(),
            acquired: format!("2020-06-{day:02}T10:00:00Z").parse().unwrap(),
            coverage,
            cloud,
            masked: false,
        }
    }

    fn recipe(rule: Rule, coverage_min: f64, cloud_max: Option<f64>) -> Recipe {
        Recipe {
            rule,
            limits: Limits {
                coverage_min,
                cloud_max,
            },
            window_days: None,
        }
    }

    fn chosen(recipe: &Recipe, candidates: &[Candidate]) -> (String, usize) {
        let found = recipe.select(candidates);
        let names = found.order.iter().map(|i| candidates[*i].id.as_str());
        (names.collect(), found.expected)
    }

    #[test]
    fn the_least_cloudy_come_first_and_the_unknown_last() {
        let all = [
            split("a", 1, 0.5, None),
            split("b", 2, 0.4, Some(0.2)),
            split("c", 3, 0.6, Some(0.0)),
        ];
        let found = chosen(&recipe(Rule::LeastCloud, 0.9, None), &all);
        assert_eq!(found, ("cba".to_owned(), 2));
    }

    #[test]
    fn a_split_that_is_enough_alone_needs_no_splicing() {
        let all = [
            split("a", 1, 0.3, Some(0.0)),
            split("b", 2, 1.0, Some(0.05)),
        ];
        let found = chosen(&recipe(Rule::LeastCloud, 1.0, Some(0.1)), &all);
        assert_eq!(found, ("ba".to_owned(), 1));
        let strict = chosen(&recipe(Rule::LeastCloud, 1.0, Some(0.01)), &all);
        assert_eq!(strict.0, "ab");
        let newest = chosen(&recipe(Rule::Newest, 1.0, None), &all);
        assert_eq!(newest, ("ba".to_owned(), 1));
    }

    #[test]
    fn what_cannot_be_reached_takes_all_and_says_so() {
        let all = [split("a", 1, 0.3, None), split("b", 2, 0.3, None)];
        let found = recipe(Rule::Newest, 0.9, None).select(&all);
        assert!(found.hopeless && found.expected == 2);
    }

    #[test]
    fn a_window_is_the_stretch_that_promises_most() {
        let all = [
            split("a", 1, 0.5, Some(0.3)),
            split("b", 3, 0.5, Some(0.3)),
            split("c", 10, 0.9, Some(0.0)),
            split("d", 20, 0.5, Some(0.1)),
            split("e", 22, 0.5, Some(0.1)),
        ];
        let mut asked = recipe(Rule::LeastCloud, 1.0, None);
        asked.window_days = Some(3.0);
        assert_eq!(chosen(&asked, &all).0, "ed");
        asked.window_days = Some(0.5);
        assert_eq!(chosen(&asked, &all).0, "c");
        asked.rule = Rule::Newest;
        asked.window_days = Some(3.0);
        assert_eq!(chosen(&asked, &all).0, "ed");
    }

    #[test]
    fn a_window_holds_as_many_days_as_it_says() {
        let all = [
            split("a", 1, 0.5, Some(0.0)),
            split("b", 3, 0.5, Some(0.0)),
            split("c", 5, 0.6, Some(0.0)),
        ];
        let mut asked = recipe(Rule::Median, 1.6, None);
        for (days, names) in [(1.9, "c"), (2.0, "bc"), (3.9, "bc"), (4.0, "abc")] {
            asked.window_days = Some(days);
            assert_eq!(chosen(&asked, &all).0, names, "{days} days");
        }
    }

    #[test]
    fn medians_leave_out_clouds_that_nothing_tells_the_place_of() {
        let mut all = vec![
            split("a", 1, 1.0, Some(0.9)),
            split("b", 2, 1.0, Some(0.0)),
            split("c", 3, 1.0, Some(0.9)),
        ];
        all[2].masked = true;
        let found = chosen(&recipe(Rule::Median, 1.0, Some(0.1)), &all);
        assert_eq!(found, ("bc".to_owned(), 2));
        let without = chosen(&recipe(Rule::Median, 1.0, None), &all);
        assert_eq!(without.0, "abc");
    }
}
