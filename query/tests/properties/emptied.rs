//! An empty answer names a predicate and a value that would not have been empty.

use earth::split::placement::Slot;
use proptest::prelude::{
    ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_assume, proptest,
};
use query::Query;
use query::empty::Emptiness;
use query::predicate::{Clause, Predicate};
use query::slots::SlotSet;

use crate::oracle::answers;
use crate::questions::cases;
use crate::world::{Datum, catalog};

/// Rows with a query that none of them answers.
fn empty_cases() -> impl Strategy<Value = (Vec<Datum>, Query)> {
    cases(30).prop_map(|(mut data, query)| {
        data.retain(|datum| !answers(&query, datum));
        (data, query)
    })
}

/// Returns the query with the value that was proposed for a predicate.
fn with(query: &Query, clause: Clause, value: &str) -> Query {
    let (mut query, names) = (query.clone(), vec![value.to_owned()]);
    let percent = value.parse().ok();
    match clause {
        Clause::Collection => query.collections = names,
        Clause::Dataset => query.datasets = names,
        Clause::Scene => query.scenes = names,
        Clause::Geocode => query.geocodes = names,
        Clause::Bbox => query.bbox = query::text::lon_lat_box(value).ok(),
        Clause::Datetime => query.time = query::text::time_range(value).expect("a time"),
        Clause::MinCloud => query.cloud.min = percent,
        Clause::MaxCloud => query.cloud.max = percent,
        Clause::MinCoverage => query.coverage.min = percent,
        Clause::MaxCoverage => query.coverage.max = percent,
        Clause::Id | Clause::Intersects => {}
    }
    query
}

/// Returns the query without a predicate.
fn without(query: &Query, clause: Clause) -> Query {
    let mut query = query.clone();
    match clause {
        Clause::Collection => query.collections.clear(),
        Clause::Dataset => query.datasets.clear(),
        Clause::Scene => query.scenes.clear(),
        Clause::Id => query.ids.clear(),
        Clause::Geocode => query.geocodes.clear(),
        Clause::Bbox => query.bbox = None,
        Clause::Intersects => query.intersects = None,
        Clause::Datetime => query.time = query::TimeRange::default(),
        Clause::MinCloud => query.cloud.min = None,
        Clause::MaxCloud => query.cloud.max = None,
        Clause::MinCoverage => query.coverage.min = None,
        Clause::MaxCoverage => query.coverage.max = None,
    }
    query
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_nearest_value_would_not_have_been_empty((data, query) in empty_cases()) {
        let predicate = Predicate::compile(&query).unwrap();
        let found = Emptiness::of(&catalog(&data), &predicate, &SlotSet::all());
        prop_assert_eq!(found.rows, data.len() as u64);
        let blame = found.blame();
        prop_assume!(blame.is_some());
        let blame = blame.unwrap();
        prop_assert!(blame.others_match > 0);
        if let Some(nearest) = blame.nearest {
            let other = with(&query, blame.clause, &nearest);
            prop_assert!(data.iter().any(|d| answers(&other, d)), "{:?} {nearest}", blame.clause);
        }
    }

    #[test]
    fn a_predicate_is_blamed_if_and_only_if_leaving_it_out_helps((data, query) in empty_cases()) {
        let predicate = Predicate::compile(&query).unwrap();
        let found = Emptiness::of(&catalog(&data), &predicate, &SlotSet::all());
        for clause in Clause::ALL {
            let other = without(&query, clause);
            // One bound of cloud stands for both where the share is unknown.
            let unknown = |d: &&Datum| d.cloud.is_some()
                || !matches!(clause, Clause::MinCloud | Clause::MaxCloud);
            let helped = data.iter().filter(unknown).filter(|d| answers(&other, d)).count();
            let alone = found.alone.get(&clause).map_or(0, |alone| alone.rows);
            prop_assert!(alone >= helped as u64, "{clause:?}");
            prop_assert!(helped > 0 || alone == 0 || clause.flag().ends_with("cloud"));
        }
    }

    #[test]
    fn findings_of_disjoint_slots_merge_into_those_of_all((data, query) in empty_cases()) {
        let predicate = Predicate::compile(&query).unwrap();
        let catalog = catalog(&data);
        let mut merged = Emptiness::default();
        for part in [2_usize, 0, 1] {
            let slots: SlotSet = Slot::all().skip(part).step_by(3).collect();
            merged.merge(Emptiness::of(&catalog, &predicate, &slots));
        }
        prop_assert_eq!(merged, Emptiness::of(&catalog, &predicate, &SlotSet::all()));
    }
}

#[test]
fn too_strict_a_cloud_bound_is_named_with_the_next_whole_percent() {
    let mut data = crate::found::field(3, 1);
    for (i, datum) in (3_u8..).zip(&mut data) {
        datum.cloud = Some(f64::from(i) / 100.0 + 0.002);
    }
    let mut query = Query::default();
    query.cloud.max = Some(2.0);
    let predicate = Predicate::compile(&query).unwrap();
    let blame = Emptiness::of(&catalog(&data), &predicate, &SlotSet::all())
        .blame()
        .unwrap();
    assert_eq!(
        (blame.clause.flag(), blame.nearest.as_deref()),
        ("--max-cloud", Some("4"))
    );
    assert_eq!(blame.others_match, 9);
}
