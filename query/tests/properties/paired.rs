//! Pairs made in one pass are those that comparing every two splits finds.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use earth::geocode::{Geocode, Scheme};
use earth::split::placement::Slot;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use query::pairs::{Dated, Pair, PairError, Pairing, Rule, taking_part};
use query::row::Row;

#[derive(Debug, Clone, PartialEq)]
struct Split {
    geocode: &'static str,
    collection: &'static str,
    hour: i64,
    cloud: Option<f64>,
    /// Stands for the id: unique, and the last key of the order.
    number: usize,
}

impl Dated for Split {
    fn geocode(&self) -> &str {
        self.geocode
    }

    fn collection(&self) -> &str {
        self.collection
    }

    fn acquired(&self) -> Timestamp {
        Timestamp::from_second(self.hour * 3600).unwrap()
    }

    fn cloud_cover(&self) -> Option<f64> {
        self.cloud
    }
}

/// Compares every cloudy split with every clear one.
fn brute_force(splits: &[Split], within: Option<i64>) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for cloudy in splits.iter().filter(|s| s.cloud.is_some_and(|c| c >= 20.0)) {
        let nearest = { splits.iter() }
            .filter(|s| s.cloud.is_some_and(|c| c <= 5.0))
            .filter(|s| (s.geocode, s.collection) == (cloudy.geocode, cloudy.collection))
            .filter(|s| within.is_none_or(|w| (s.hour - cloudy.hour).abs() <= w))
            .min_by_key(|s| ((s.hour - cloudy.hour).abs(), s.hour, s.number));
        pairs.extend(nearest.map(|clear| (cloudy.number, clear.number)));
    }
    pairs.sort_unstable();
    pairs
}

fn in_one_pass(splits: &[Split], within: Option<i64>) -> Vec<(usize, usize)> {
    let rule = Rule::new(5.0, 20.0, within.map(SignedDuration::from_hours)).unwrap();
    let mut pairing = Pairing::new(rule);
    let mut pairs = Vec::new();
    for split in splits {
        pairs.extend(pairing.take(split.clone()).unwrap());
    }
    let (last, tally) = pairing.finish();
    pairs.extend(last);
    assert_eq!(tally.pairs, pairs.len() as u64);
    assert_eq!(tally.splits, splits.len() as u64);
    let numbers = |p: Pair<Split>| (p.cloudy.number, p.clear.number);
    let mut pairs: Vec<_> = pairs.into_iter().map(numbers).collect();
    pairs.sort_unstable();
    pairs
}

fn splits() -> impl Strategy<Value = Vec<Split>> {
    let split = (
        prop_oneof![Just("9xj"), Just("9xk"), Just("u33")],
        prop_oneof![Just("s2"), Just("modis")],
        0_i64..40,
        prop_oneof![
            Just(None),
            Just(Some(0.0)),
            Just(Some(5.0)),
            Just(Some(12.0)),
            Just(Some(20.0)),
            Just(Some(99.0))
        ],
    );
    prop::collection::vec(split, 0..60).prop_map(|list| {
        let make = |(number, (geocode, collection, hour, cloud))| Split {
            geocode,
            collection,
            hour,
            cloud,
            number,
        };
        let mut splits: Vec<_> = list.into_iter().enumerate().map(make).collect();
        splits.sort_by_key(|s| (s.geocode, s.hour, s.number));
        splits
    })
}

proptest! {
    #[test]
    fn one_pass_finds_what_comparing_every_two_finds(
        splits in splits(), bounded in any::<bool>(), hours in 0_i64..12
    ) {
        let within = bounded.then_some(hours);
        prop_assert_eq!(in_one_pass(&splits, within), brute_force(&splits, within));
    }
}

/// The rows of splits, in the order of an index; numbers become scenes.
fn rows<'a>(splits: &'a [Split], scenes: &'a [String]) -> impl Iterator<Item = Row<'a>> {
    splits.iter().zip(scenes).map(|(split, scene)| Row {
        collection: split.collection,
        scene,
        dataset: "d",
        geocode: Geocode::parse(Scheme::Geohash, split.geocode).unwrap(),
        slot: Slot::new(0).unwrap(),
        acquired: split.acquired(),
        cloud: split.cloud.map(|percent| percent / 100.0),
        coverage: 1.0,
        bytes: 0,
    })
}

proptest! {
    /// What owners leave out changes no pair: of the rest every split is in one.
    #[test]
    fn only_splits_of_a_pair_are_left_and_pair_as_before(
        splits in splits(), bounded in any::<bool>(), hours in 0_i64..12
    ) {
        let within = bounded.then_some(hours);
        let rule = Rule::new(5.0, 20.0, within.map(SignedDuration::from_hours)).unwrap();
        let scenes: Vec<String> = splits.iter().map(|s| format!("{:04}", s.number)).collect();
        let (kept, tally) = taking_part(rows(&splits, &scenes), rule);
        let numbers: Vec<usize> = kept.iter().map(|r| r.scene.parse().unwrap()).collect();
        let rest: Vec<Split> = { splits.iter() }
            .filter(|s| numbers.contains(&s.number))
            .cloned()
            .collect();
        let pairs = in_one_pass(&splits, within);
        prop_assert_eq!(in_one_pass(&rest, within), pairs.clone());
        let mut paired: Vec<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        paired.sort_unstable();
        paired.dedup();
        let mut kept = numbers;
        kept.sort_unstable();
        prop_assert_eq!(kept, paired);
        prop_assert_eq!((tally.splits, tally.pairs), (splits.len() as u64, pairs.len() as u64));
    }
}

fn split(hour: i64, cloud: f64, number: usize) -> Split {
    Split {
        geocode: "9xj",
        collection: "s2",
        hour,
        cloud: Some(cloud),
        number,
    }
}

#[test]
fn of_two_clear_dates_equally_far_the_earlier_is_taken() {
    let splits = [split(0, 0.0, 0), split(5, 80.0, 1), split(10, 0.0, 2)];
    assert_eq!(in_one_pass(&splits, None), [(1, 0)]);
}

#[test]
fn splits_out_of_order_and_overlapping_bounds_are_refused() {
    let mut pairing = Pairing::new(Rule::new(5.0, 20.0, None).unwrap());
    pairing.take(split(5, 0.0, 0)).unwrap();
    let wrong = pairing.take(split(4, 0.0, 1));
    assert_eq!(wrong, Err(PairError::Order("9xj".to_owned())));
    assert!(Rule::new(20.0, 20.0, None).is_err());
    assert!(Rule::new(f64::NAN, 20.0, None).is_err());
}

#[test]
fn a_cell_without_any_clear_date_stops_waiting_at_the_limit() {
    let mut pairing = Pairing::new(Rule::new(5.0, 20.0, None).unwrap());
    let mut days =
        (0..=query::pairs::WAITING_MAX).map(|n| split(i64::try_from(n).unwrap(), 50.0, n));
    let stopped = days.find_map(|day| pairing.take(day).err());
    assert_eq!(stopped, Some(PairError::Waiting("9xj".to_owned())));
    let within = Some(SignedDuration::from_hours(5));
    let mut pairing = Pairing::new(Rule::new(5.0, 20.0, within).unwrap());
    let mut days = (0..20_000).map(|hour| split(hour, 50.0, 0));
    assert!(days.all(|day| pairing.take(day).is_ok_and(|pairs| pairs.is_empty())));
}
