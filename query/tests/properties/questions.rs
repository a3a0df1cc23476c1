//! Random queries about random rows: most bounds are taken from the rows themselves.

use earth::extent::LonLatBox;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::Index;
use query::{Query, Range, SortKey, SortOrder, TimeRange};
use serde_json::json;

use crate::world::{Datum, points, times};

type Picks = Vec<Index>;

fn picks(most: usize) -> impl Strategy<Value = Picks> {
    proptest::collection::vec(any::<Index>(), 0..most)
}

/// Returns that value now and then, and else nothing.
fn now_and_then<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.25, strategy)
}

fn pick<T>(data: &[Datum], picks: Option<Picks>, value: impl Fn(&Datum) -> T) -> Vec<T> {
    let picked = picks.into_iter().flatten();
    picked
        .filter(|_| !data.is_empty())
        .map(|pick| value(pick.get(data)))
        .collect()
}

fn boxes() -> impl Strategy<Value = LonLatBox> {
    (points(), 0.0..8.0_f64, 0.0..8.0_f64).prop_map(|(corner, width, height)| {
        let east = corner.lon + width;
        let east = if east > 180.0 { east - 360.0 } else { east };
        let north = (corner.lat + height).min(90.0);
        LonLatBox::new(corner.lon, corner.lat, east, north).expect("a box on the Earth")
    })
}

fn triangles() -> impl Strategy<Value = serde_json::Value> {
    (points(), 0.1..9.0_f64, -4.0..4.0_f64).prop_map(|(p, width, tilt)| {
        let lat = p.lat.clamp(-80.0, 80.0);
        let corners = [
            [p.lon, lat],
            [p.lon + width, lat + tilt],
            [p.lon + width / 3.0, lat + 4.5],
            [p.lon, lat],
        ];
        json!({"type": "Polygon", "coordinates": [corners]})
    })
}

fn ranges() -> impl Strategy<Value = Range> {
    (0..=100_u8, 0..=100_u8, any::<(bool, bool)>()).prop_map(|(a, b, (lower, upper))| Range {
        min: lower.then_some(f64::from(a.min(b))),
        max: upper.then_some(f64::from(a.max(b))),
    })
}

fn time_ranges() -> impl Strategy<Value = TimeRange> {
    (times(), times(), any::<(bool, bool)>()).prop_map(|(a, b, (lower, upper))| TimeRange {
        start: lower.then_some(a.min(b)),
        end: upper.then_some(a.max(b)),
    })
}

pub(crate) fn sorts() -> impl Strategy<Value = Vec<SortOrder>> {
    let keys = [
        SortKey::Id,
        SortKey::Time,
        SortKey::Cloud,
        SortKey::Coverage,
        SortKey::Geocode,
    ];
    let order = (proptest::sample::select(keys.to_vec()), any::<bool>())
        .prop_map(|(key, descending)| SortOrder { key, descending });
    proptest::collection::vec(order, 0..3)
}

/// Queries in which each predicate stands now and then.
pub(crate) fn queries(data: Vec<Datum>) -> impl Strategy<Value = Query> {
    let names = (
        now_and_then(picks(3)),
        now_and_then(picks(3)),
        now_and_then(picks(3)),
    );
    let codes = (
        now_and_then(picks(4)),
        1..9_usize,
        any::<bool>(),
        now_and_then(picks(5)),
    );
    let space = (now_and_then(boxes()), now_and_then(triangles()));
    let bounds = (
        now_and_then(time_ranges()),
        now_and_then(ranges()),
        now_and_then(ranges()),
    );
    (names, codes, space, bounds, Just(data)).prop_map(|(names, codes, space, bounds, data)| {
        let (geocodes, length, exact, ids) = codes;
        let code = |datum: &Datum| {
            let text = datum.geocode.to_string();
            text[..if exact {
                text.len()
            } else {
                length.min(text.len())
            }]
                .to_owned()
        };
        Query {
            collections: pick(&data, names.0, |d| d.collection.to_owned()),
            datasets: pick(&data, names.1, |d| d.dataset.to_owned()),
            scenes: pick(&data, names.2, |d| d.scene.clone()),
            ids: pick(&data, ids, Datum::id),
            geocodes: pick(&data, geocodes, code),
            exact,
            bbox: space.0,
            intersects: space.1,
            time: bounds.0.unwrap_or_default(),
            cloud: bounds.1.unwrap_or_default(),
            coverage: bounds.2.unwrap_or_default(),
            ..Query::default()
        }
    })
}

/// Rows with a query about them.
pub(crate) fn cases(most: usize) -> impl Strategy<Value = (Vec<Datum>, Query)> {
    crate::world::data(most).prop_flat_map(|data| (Just(data.clone()), queries(data)))
}
