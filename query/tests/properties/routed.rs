//! The route never misses a slot that holds an answer, and asks few where it can.

use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use query::Query;
use query::predicate::Predicate;
use query::route::route;
use query::slots::SlotSet;

use crate::oracle::answers;
use crate::questions::cases;
use crate::world::collections;

fn slots(query: &Query) -> SlotSet {
    route(&Predicate::compile(query).expect("a query"), &collections())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_slot_of_every_match_is_asked((data, query) in cases(60)) {
        let slots = slots(&query);
        for datum in data.iter().filter(|d| answers(&query, d)) {
            prop_assert!(slots.contains(datum.slot), "{}", datum.id());
        }
    }

    #[test]
    fn one_cell_of_one_collection_is_one_slot((data, _) in cases(30)) {
        for datum in &data {
            let query = Query {
                collections: vec![datum.collection.to_owned()],
                geocodes: vec![datum.geocode.to_string()],
                exact: true,
                ..Query::default()
            };
            let only: SlotSet = [datum.slot].into_iter().collect();
            prop_assert!(slots(&query) == only);
            let by_id = Query { ids: vec![datum.id()], ..Query::default() };
            prop_assert!(slots(&by_id) == only);
        }
    }
}

#[test]
fn a_query_without_a_place_asks_everyone_who_can_hold_the_collection() {
    assert!(slots(&Query::default()).is_all());
    let unknown = Query {
        collections: vec!["none".to_owned()],
        ..Query::default()
    };
    assert!(slots(&unknown).is_empty());
}

#[test]
fn a_small_box_asks_few_and_the_earth_asks_everyone() {
    let boxed = |text: &str| Query {
        collections: vec!["a".to_owned()],
        bbox: Some(query::text::lon_lat_box(text).expect("a box")),
        ..Query::default()
    };
    let few = slots(&boxed("-9.06,52.01,-9.05,52.02")).len();
    assert!((1..=4).contains(&few), "{few}");
    assert!(slots(&boxed("-180,-90,180,90")).is_all());
}
