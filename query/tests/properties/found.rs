//! Indexes find what looking at each row finds.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::RangeInclusive;

use earth::geocode::{Geocode, Scheme};
use earth::split::meta::SplitId;
use earth::split::placement::Slot;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use query::Query;
use query::index::bplus::{Key, OrderedScan, RowNumber, Scans};
use query::index::{Aggregate, Catalog, IndexSet};
use query::predicate::Predicate;
use query::slots::SlotSet;

use crate::oracle::answers;
use crate::questions::cases;
use crate::world::{Datum, catalog, data};

fn ids<S: OrderedScan<Error = Infallible>>(
    indexes: &IndexSet<S>,
    predicate: &Predicate,
    slots: &SlotSet,
) -> BTreeSet<String> {
    let found = indexes.find(predicate, slots).expect("memory never fails");
    let rows = found.rows.iter().filter_map(|n| indexes.row(n)?.id());
    rows.map(|id| id.to_string()).collect()
}

fn expected(data: &[Datum], query: &Query) -> BTreeSet<String> {
    data.iter()
        .filter(|d| answers(query, d))
        .map(Datum::id)
        .collect()
}

fn check_aggregates(catalog: &Catalog, left: &[&Datum], cell: &Geocode) -> Result<(), String> {
    let inside = |cell: &Geocode| {
        let rows = left.iter().filter(|d| cell.contains(&d.geocode));
        Aggregate::of(rows.map(|d| d.row()))
    };
    if catalog.aggregate(cell) != inside(cell) {
        return Err(format!("aggregate of {cell}"));
    }
    let below: Vec<_> = cell
        .children()
        .into_iter()
        .map(|child| (child, inside(&child)))
        .filter(|(_, aggregate)| aggregate.count > 0)
        .collect();
    if catalog.drill_down(cell) != below {
        return Err(format!("cells below {cell}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_query_finds_what_looking_at_each_row_finds((data, query) in cases(60)) {
        let catalog = catalog(&data);
        let predicate = Predicate::compile(&query).unwrap();
        let found = catalog.matches(&predicate, &SlotSet::all());
        prop_assert_eq!(ids(&catalog, &predicate, &SlotSet::all()), expected(&data, &query));
        prop_assert!(found.explain.rows_read <= found.explain.rows_estimated);
    }

    #[test]
    fn only_rows_in_the_slots_asked_are_found(
        (data, query) in cases(40),
        step in 1..5_usize,
    ) {
        let slots: SlotSet = Slot::all().step_by(step).collect();
        let here: Vec<Datum> = data.iter().filter(|d| slots.contains(d.slot)).cloned().collect();
        let predicate = Predicate::compile(&query).unwrap();
        prop_assert_eq!(ids(&catalog(&data), &predicate, &slots), expected(&here, &query));
    }

    #[test]
    fn what_was_removed_leaves_no_trace(
        (data, query) in cases(60),
        gone in proptest::collection::vec(any::<bool>(), 60),
        again in any::<bool>(),
    ) {
        let mut catalog = catalog(&data);
        for (datum, gone) in data.iter().zip(&gone) {
            if *gone {
                prop_assert!(catalog.remove(&SplitId::parse(&datum.id()).unwrap()));
                prop_assert!(!catalog.remove(&SplitId::parse(&datum.id()).unwrap()));
            } else if again {
                prop_assert!(!catalog.insert(&datum.row()));
            }
        }
        let left: Vec<&Datum> =
            data.iter().zip(&gone).filter(|(_, gone)| !**gone).map(|(d, _)| d).collect();
        let owned: Vec<Datum> = left.iter().copied().cloned().collect();
        let predicate = Predicate::compile(&query).unwrap();
        prop_assert_eq!(ids(&catalog, &predicate, &SlotSet::all()), expected(&owned, &query));
        prop_assert_eq!(catalog.len(), left.len() as u64);
        for datum in &data {
            for length in 1..=datum.geocode.precision() {
                let checked = check_aggregates(&catalog, &left, &datum.geocode.prefix(length));
                prop_assert_eq!(checked, Ok(()));
            }
        }
    }

    #[test]
    fn each_row_is_found_by_its_id(data in data(60)) {
        let catalog = catalog(&data);
        for datum in &data {
            let id = SplitId::parse(&datum.id()).unwrap();
            prop_assert_eq!(catalog.get(&id), Some(datum.row()));
        }
    }

    #[test]
    fn scans_kept_elsewhere_give_the_same((data, query) in cases(60)) {
        let mut indexes = IndexSet::over(Scans::<Listed>::default());
        let mut listed = Scans::<Listed>::default();
        for datum in &data {
            let (number, keys) = indexes.admit(&datum.row());
            listed.time.0.push((keys.time, number));
            listed.coverage.0.push((keys.coverage, number));
            listed.cloud.0.extend(keys.cloud.map(|key| (key, number)));
        }
        *indexes.scans_mut() = listed;
        let predicate = Predicate::compile(&query).unwrap();
        prop_assert_eq!(ids(&indexes, &predicate, &SlotSet::all()), expected(&data, &query));
    }
}

/// Entries as a table elsewhere might list them.
#[derive(Debug, Default)]
struct Listed(Vec<(Key, RowNumber)>);

impl OrderedScan for Listed {
    type Error = Infallible;

    fn scan(
        &self,
        range: RangeInclusive<Key>,
        take: &mut dyn FnMut(RowNumber),
    ) -> Result<(), Infallible> {
        let inside = self.0.iter().filter(|(key, _)| range.contains(key));
        inside.for_each(|(_, row)| take(*row));
        Ok(())
    }
}

/// Rows in a grid of cells below one geohash, a few dates each.
pub(crate) fn field(side: u32, dates: u8) -> Vec<Datum> {
    let first = Geocode::parse(Scheme::Geohash, "9xj00")
        .expect("a geohash")
        .index();
    let mut data = Vec::new();
    for step in 0..side * side {
        let mut index = first;
        index.column += step % side;
        index.row -= step / side;
        let cell = Geocode::at(Scheme::Geohash, 5, index).expect("far from the edges");
        for date in 0..dates {
            let acquired = 1_500_000_000 + 86_400 * i64::from(date) + i64::from(step % 7);
            data.push(Datum {
                collection: "a",
                scene: format!("d{date}"),
                dataset: "naip",
                geocode: cell,
                slot: earth::split::placement::PlacementRule::Whole
                    .key(&cell)
                    .slot(),
                acquired: jiff::Timestamp::new(acquired, 0).expect("a time"),
                cloud: (step % 11 > 0).then(|| f64::from(step % 101) / 100.0),
                coverage: f64::from(step % 97) / 96.0,
                bytes: 1,
            });
        }
    }
    data
}

#[test]
fn a_prefix_reads_its_own_rows_however_many_others_there_are() {
    let prefix = Query {
        geocodes: vec!["9xj00".to_owned()],
        ..Query::default()
    };
    let predicate = Predicate::compile(&prefix).unwrap();
    for side in [10, 150] {
        let explain = catalog(&field(side, 4))
            .matches(&predicate, &SlotSet::all())
            .explain;
        assert_eq!(explain.index, "geocode");
        assert_eq!((explain.rows_estimated, explain.rows_read), (4, 4));
    }
}

#[test]
fn the_narrowest_index_is_read() {
    let catalog = catalog(&field(60, 10));
    let index = |change: &dyn Fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        let predicate = Predicate::compile(&query).unwrap();
        catalog.matches(&predicate, &SlotSet::all()).explain.index
    };
    assert_eq!(index(&|_| {}), "rows");
    assert_eq!(index(&|q| q.cloud.max = Some(3.0)), "cloud");
    assert_eq!(index(&|q| q.coverage.min = Some(99.0)), "coverage");
    assert_eq!(index(&|q| q.scenes = vec!["d3".to_owned()]), "names");
    let day = query::text::time_range("2017-07-14").unwrap();
    assert_eq!(index(&|q| q.time = day), "time");
    assert_eq!(
        index(&|q| {
            q.time = day;
            q.geocodes = vec!["9xj00".to_owned()];
        }),
        "geocode"
    );
    assert_eq!(index(&|q| q.ids = vec!["a/d1~9xj00".to_owned()]), "ids");
}

#[test]
fn range_scans_over_a_hundred_thousand_rows_equal_looking_at_each() {
    let data = field(100, 10);
    assert_eq!(data.len(), 100_000);
    let catalog = catalog(&data);
    for percent in [0, 1, 10, 50, 99, 100_u8] {
        let (mut low, mut high) = (Query::default(), Query::default());
        low.cloud.max = Some(f64::from(percent));
        high.coverage.min = Some(f64::from(percent));
        for query in [low, high] {
            let predicate = Predicate::compile(&query).unwrap();
            let found = ids(&catalog, &predicate, &SlotSet::all());
            assert_eq!(found, expected(&data, &query), "{percent}");
        }
    }
}
