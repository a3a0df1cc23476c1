//! Searches and hits.

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
            empty: Some(empty),
            millis: 1.5,
        }),
    );
}
