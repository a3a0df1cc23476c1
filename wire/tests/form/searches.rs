//! Searches and hits.

use query::pairs::Tally;
use query::{Paired, Query};
use wire::hit::Hit;
use wire::search::{Asked, EmptyReason, SearchEnd, SearchLine, SearchRequest};

use crate::check::check;
use crate::samples::{counts, hit, query_of_everything};

#[test]
fn a_search_keeps_its_form() {
    check(
        "search-request",
        &SearchRequest {
            query: query_of_everything(),
        },
    );
    check("search-request-empty", &SearchRequest::default());
    check("search-line-hit", &SearchLine::Hit(Box::new(hit())));
    let mask = counts().mask;
    check(
        "search-line-hit-mask",
        &SearchLine::Hit(Box::new(Hit { mask, ..hit() })),
    );
    let asked = Asked {
        node: "12D3KooWa".to_owned(),
        slots: 8_192,
        index: "geocode".to_owned(),
        rows_estimated: 10,
        rows_read: 9,
        hits: 0,
        millis: 0.25,
        error: Some("timed out".to_owned()),
    };
    let empty = EmptyReason {
        splits: 12,
        predicate: Some("--max-cloud".to_owned()),
        others_match: 3,
        nearest: Some("4".to_owned()),
    };
    check(
        "search-line-end",
        &SearchLine::End(SearchEnd {
            hits: 0,
            complete: false,
            missing_slots: vec![1, 16_383],
            layout_version: 2,
            asked: vec![asked],
            slots_asked: 16_384,
            pairs: None,
            empty: Some(empty),
            millis: 1.5,
        }),
    );
}

#[test]
fn a_search_for_pairs_keeps_its_form() {
    let paired = Paired {
        cloudy_min: 20.0,
        clear_max: 5.0,
        within_s: Some(35 * 86_400),
    };
    let query = Query {
        paired: Some(paired),
        ..Query::default()
    };
    check("search-request-pairs", &SearchRequest { query });
    let pairs = Tally {
        splits: 12,
        cloudy: 4,
        clear: 2,
        pairs: 2,
    };
    check(
        "search-line-end-pairs",
        &SearchLine::End(SearchEnd {
            hits: 3,
            complete: true,
            layout_version: 2,
            slots_asked: 1,
            pairs: Some(pairs),
            millis: 1.5,
            ..SearchEnd::default()
        }),
    );
}
