//! Random rows: four collections of both schemes, crowded where edges meet.

use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use earth::split::collection::Collection;
use earth::split::placement::{PlacementRule, Slot};
use jiff::Timestamp;
use proptest::prelude::{Just, Strategy, prop_oneof};
use query::index::Catalog;
use query::row::Row;

/// A row that owns its names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub(crate) collection: &'static str,
    pub(crate) scene: String,
    pub(crate) dataset: &'static str,
    pub(crate) geocode: Geocode,
    pub(crate) slot: Slot,
    pub(crate) acquired: Timestamp,
    pub(crate) cloud: Option<f64>,
    pub(crate) coverage: f64,
    pub(crate) bytes: u64,
}

impl Datum {
    pub(crate) fn row(&self) -> Row<'_> {
        Row {
            collection: self.collection,
            scene: &self.scene,
            dataset: self.dataset,
            geocode: self.geocode,
            slot: self.slot,
            acquired: self.acquired,
            cloud: self.cloud,
            coverage: self.coverage,
            bytes: self.bytes,
        }
    }

    pub(crate) fn id(&self) -> String {
        let Self {
            collection,
            scene,
            geocode,
            ..
        } = self;
        format!("{collection}/{scene}~{geocode}")
    }
}

/// Name, dataset, scheme, precision, placement.
type Kind = (&'static str, &'static str, Scheme, u8, PlacementRule);

const KINDS: [Kind; 4] = [
    ("a", "naip", Scheme::Geohash, 5, PlacementRule::Whole),
    ("a-b", "naip", Scheme::Geohash, 4, PlacementRule::First(2)),
    (
        "q",
        "generic",
        Scheme::QuadTile,
        8,
        PlacementRule::DropLast(3),
    ),
    (
        "z",
        "sentinel-2-l2a",
        Scheme::Geohash,
        3,
        PlacementRule::Whole,
    ),
];

/// The collections that rows belong to.
pub(crate) fn collections() -> Vec<Collection> {
    let collection = |(name, dataset, scheme, precision, placement): &Kind| Collection {
        name: (*name).to_owned(),
        dataset: (*dataset).to_owned(),
        scheme: *scheme,
        precision: *precision,
        placement: *placement,
    };
    KINDS.iter().map(collection).collect()
}

/// Points all over the Earth, most of them around places where cells meet edges.
pub(crate) fn points() -> impl Strategy<Value = LonLat> {
    let near = |lon: f64, lat: f64| {
        (-2.0..2.0_f64, -2.0..2.0_f64).prop_map(move |(x, y)| LonLat {
            lon: (lon + x + 540.0).rem_euclid(360.0) - 180.0,
            lat: (lat + y).clamp(-85.0, 85.0),
        })
    };
    prop_oneof![
        4 => near(0.0, 0.0),
        4 => near(-9.0, 52.0),
        2 => near(180.0, -17.0),
        1 => near(30.0, 85.0),
        1 => (-180.0..180.0_f64, -85.0..85.0_f64).prop_map(|(lon, lat)| LonLat { lon, lat }),
    ]
}

/// Instants of some days around 1970 and of the years we have imagery of.
pub(crate) fn times() -> impl Strategy<Value = Timestamp> {
    let second = prop_oneof![-100_000..100_000_i64, 1_400_000_000..1_600_000_000_i64];
    (second, 0..1_000_000_000_i32)
        .prop_map(|(second, nanos)| Timestamp::new(second, nanos).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Shares, many of them whole percents.
pub(crate) fn shares() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        (0..=100_u8).prop_map(|percent| f64::from(percent) / 100.0),
        0.0..=1.0_f64,
    ]
}

pub(crate) fn datum() -> impl Strategy<Value = Datum> {
    let cloud = proptest::option::weighted(0.8, shares());
    (
        0..KINDS.len(),
        0..6_u8,
        points(),
        times(),
        cloud,
        shares(),
        1..1_000_u64,
    )
        .prop_map(|(kind, scene, point, acquired, cloud, coverage, bytes)| {
            let (collection, dataset, scheme, precision, placement) = KINDS[kind];
            let geocode = Geocode::encode(scheme, point, precision).expect("inside both schemes");
            Datum {
                collection,
                scene: format!("s{}", ["", "-", "0", ".x", "a", "-a"][usize::from(scene)]),
                dataset,
                geocode,
                slot: placement.key(&geocode).slot(),
                acquired,
                cloud,
                coverage,
                bytes,
            }
        })
}

/// Rows of distinct ids.
pub(crate) fn data(most: usize) -> impl Strategy<Value = Vec<Datum>> {
    proptest::collection::vec(datum(), 0..most).prop_map(|mut data| {
        data.sort_by_key(Datum::id);
        data.dedup_by_key(|datum| datum.id());
        data
    })
}

pub(crate) fn catalog<'a>(data: impl IntoIterator<Item = &'a Datum>) -> Catalog {
    let mut catalog = Catalog::new();
    for datum in data {
        catalog.insert(&datum.row());
    }
    catalog
}
