//! Pages, put together, are the whole answer in order; so are the merged pages of several nodes.

use std::cmp::Ordering;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use query::index::{Catalog, Turn};
use query::merge::{Merge, Step};
use query::page::{Order, Position};
use query::predicate::Predicate;
use query::slots::SlotSet;
use query::{SortKey, SortOrder};

use crate::questions::{cases, sorts};
use crate::world::{Datum, catalog};

/// Compares two rows as the documentation of sort keys says.
fn compare(sort: &[SortOrder], a: &Datum, b: &Datum) -> Ordering {
    for order in sort {
        let turn = |o: Ordering| if order.descending { o.reverse() } else { o };
        let by_key = match order.key {
            SortKey::Id => turn(a.id().cmp(&b.id())),
            SortKey::Time => turn(a.acquired.cmp(&b.acquired)),
            SortKey::Coverage => turn(a.coverage.total_cmp(&b.coverage)),
            SortKey::Geocode => turn(a.geocode.to_string().cmp(&b.geocode.to_string())),
            SortKey::Cloud => match (a.cloud, b.cloud) {
                (Some(a), Some(b)) => turn(a.total_cmp(&b)),
                (a, b) => a.is_none().cmp(&b.is_none()),
            },
        };
        if by_key.is_ne() {
            return by_key;
        }
    }
    a.id().cmp(&b.id())
}

fn in_order(data: &[Datum], query: &query::Query, sort: &[SortOrder]) -> Vec<String> {
    let mut data: Vec<&Datum> = data
        .iter()
        .filter(|d| crate::oracle::answers(query, d))
        .collect();
    data.sort_by(|a, b| compare(sort, a, b));
    data.into_iter().map(Datum::id).collect()
}

/// One node: its rows and where its next page starts.
struct Node {
    catalog: Catalog,
    after: Option<Position>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pages_put_together_are_the_whole_answer_in_order(
        (data, query) in cases(40),
        sort in sorts(),
        rows_max in 1..9_usize,
    ) {
        let (catalog, order, slots) = (catalog(&data), Order::new(&sort), SlotSet::all());
        let predicate = Predicate::compile(&query).unwrap();
        let mut after = None;
        let mut ids = Vec::new();
        loop {
            let turn = Turn { slots: &slots, order: &order, after: after.as_ref(), rows_max };
            let page = catalog.answer(&predicate, &turn);
            prop_assert!(page.rows.len() <= rows_max);
            ids.extend(page.rows.iter().filter_map(query::row::Row::id).map(|id| id.to_string()));
            after = page.next;
            prop_assert!(ids.len() <= data.len(), "a page was given twice");
            if after.is_none() {
                prop_assert_eq!(page.matched, ids.len() as u64);
                break;
            }
        }
        prop_assert_eq!(ids, in_order(&data, &query, &sort));
    }

    #[test]
    fn a_cursor_holds_while_rows_come_and_go(
        data in crate::world::data(40),
        sort in sorts(),
        rows_max in 1..6_usize,
    ) {
        // A third of the rows is there all along, a third comes and a third goes on the way.
        let moving = |third: usize| data.iter().enumerate().filter(move |(i, _)| i % 3 == third);
        let (order, slots) = (Order::new(&sort), SlotSet::all());
        let kept = data.iter().enumerate().filter(|(i, _)| i % 3 < 2);
        let mut catalog = catalog(kept.map(|(_, d)| d));
        let (mut coming, mut going) = (moving(2), moving(1));
        let mut after = None;
        let mut ids = Vec::new();
        for _ in 0..=data.len() {
            let turn = Turn { slots: &slots, order: &order, after: after.as_ref(), rows_max };
            let page = catalog.answer(&Predicate::default(), &turn);
            ids.extend(page.rows.iter().filter_map(query::row::Row::id).map(|id| id.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
            if let Some((_, datum)) = coming.next() {
                catalog.insert(&datum.row());
            }
            if let Some((_, datum)) = going.next() {
                let id = earth::split::meta::SplitId::parse(&datum.id());
                prop_assert!(catalog.remove(&id.expect("an id")));
            }
        }
        let distinct: std::collections::BTreeSet<_> = ids.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), ids.len());
        for (_, datum) in moving(0) {
            prop_assert!(distinct.contains(&datum.id()));
        }
    }

    #[test]
    fn pages_of_several_nodes_merge_into_one_answer_without_duplicates(
        (data, query) in cases(40),
        sort in sorts(),
        rows_max in 1..9_usize,
    ) {
        let (order, slots) = (Order::new(&sort), SlotSet::all());
        let predicate = Predicate::compile(&query).unwrap();
        // Every row lies on two of three nodes.
        let replica = |node: usize| {
            let here = data.iter().enumerate().filter(|(i, _)| i % 3 != node).map(|(_, d)| d);
            Node { catalog: catalog(here), after: None }
        };
        let mut nodes: Vec<Node> = (0..3).map(replica).collect();
        let mut merge: Merge<String> = Merge::new(order.clone(), nodes.len());
        let mut ids = Vec::new();
        loop {
            match merge.step() {
                Step::Item(position, id) => {
                    prop_assert_eq!(position.id.as_str(), id.as_str());
                    ids.push(id);
                }
                Step::Done => break,
                Step::Needs(node) => {
                    let Node { catalog, after } = &mut nodes[node];
                    let turn =
                        Turn { slots: &slots, order: &order, after: after.as_ref(), rows_max };
                    let page = catalog.answer(&predicate, &turn);
                    let items: Vec<_> = page
                        .rows
                        .iter()
                        .filter_map(|row| order.position(row))
                        .map(|position| (position.clone(), position.id.to_string()))
                        .collect();
                    prop_assert!(!items.is_empty() || page.next.is_none());
                    prop_assert!(items.first().map(|i| &i.0) != after.as_ref() || after.is_none());
                    merge.push(node, items);
                    let next = page.next;
                    if next.is_none() {
                        merge.end(node);
                    }
                    *after = next;
                }
            }
        }
        prop_assert_eq!(ids, in_order(&data, &query, &sort));
    }
}

#[test]
fn a_position_survives_the_wire() {
    let data = crate::found::field(2, 1);
    let sort = query::text::sort("-cloud,time,geocode").unwrap();
    let order = Order::new(&sort);
    for datum in &data {
        let position = order.position(&datum.row()).unwrap();
        let bytes = serde_json::to_vec(&position).unwrap();
        assert_eq!(
            serde_json::from_slice::<Position>(&bytes).unwrap(),
            position
        );
    }
}
