//! Placement: frozen vectors, computed by `tests/oracles/placement.py` with hashlib alone.

use earth::geocode::{Geocode, Scheme};
use earth::split::placement::{PlacementKey, PlacementRule, SLOTS, Slot};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use sha1::{Digest, Sha1};

use crate::sample;

/// Output of `tests/oracles/placement.py`.
const GEOCODES: [(&str, u16); 13] = [
    ("9", 695),
    ("9x", 6157),
    ("9xj", 9280),
    ("9xjq8zs6", 15688),
    ("dpc5u6", 1110),
    ("030222", 4174),
    ("02310101", 8900),
    ("gcpvj", 779),
    ("00000", 6733),
    ("zzzzzzzzzzzz", 10945),
    ("0", 11670),
    ("3", 7671),
    ("33333333333333333333333", 2),
];

/// Output of `tests/oracles/placement.py`.
const NAMED: [(&str, &str, u16); 2] = [("run", "ndvi", 4473), ("global", "ndvi", 2138)];

/// Output of `tests/oracles/placement.py`: the slots of all geohash-3 in text order.
const ALL_GEOHASH_3: &str = "eb13a8ad4114911e881703a3eaf891f0022f7f81";

const ALPHABET: &str = "0123456789bcdefghjkmnpqrstuvwxyz";

fn geohash(text: &str) -> Geocode {
    Geocode::parse(Scheme::Geohash, text).unwrap()
}

#[test]
fn slots_of_geocodes_and_names_never_change() {
    for (text, slot) in GEOCODES {
        let scheme = if text.starts_with(['0', '3']) && text != "00000" {
            Scheme::QuadTile
        } else {
            Scheme::Geohash
        };
        let key = PlacementRule::Whole.key(&Geocode::parse(scheme, text).unwrap());
        assert_eq!((key.as_str(), key.slot().number()), (text, slot));
    }
    for (kind, name, slot) in NAMED {
        assert_eq!(PlacementKey::named(kind, name).slot().number(), slot);
    }
}

#[test]
fn slots_of_all_geohash_3_agree_with_hashlib() {
    let mut every = Sha1::new();
    for one in ALPHABET.chars() {
        for cell in geohash(&one.to_string())
            .children()
            .iter()
            .flat_map(Geocode::children)
        {
            every.update(
                PlacementRule::Whole
                    .key(&cell)
                    .slot()
                    .number()
                    .to_be_bytes(),
            );
        }
    }
    let digest = every.finalize();
    let frozen = (0..40)
        .step_by(2)
        .map(|i| u8::from_str_radix(&ALL_GEOHASH_3[i..i + 2], 16));
    assert!(digest.iter().copied().eq(frozen.map(Result::unwrap)));
}

#[test]
fn the_scheme_and_the_case_do_not_change_the_slot() {
    let slot = |scheme, text| {
        PlacementRule::Whole
            .key(&Geocode::parse(scheme, text).unwrap())
            .slot()
    };
    assert_eq!(
        slot(Scheme::Geohash, "0123"),
        slot(Scheme::QuadTile, "0123")
    );
    assert_eq!(slot(Scheme::Geohash, "9XJ"), slot(Scheme::Geohash, "9xj"));
}

#[test]
fn rules_hash_the_part_they_name_and_never_nothing() {
    let key = |rule: PlacementRule| rule.key(&geohash("9xjq8")).as_str().to_owned();
    assert_eq!(key(PlacementRule::Whole), "9xjq8");
    assert_eq!(key(PlacementRule::First(2)), "9x");
    assert_eq!(key(PlacementRule::First(0)), "9");
    assert_eq!(key(PlacementRule::First(9)), "9xjq8");
    assert_eq!(key(PlacementRule::DropLast(0)), "9xjq8");
    assert_eq!(key(PlacementRule::DropLast(2)), "9xj");
    assert_eq!(key(PlacementRule::DropLast(5)), "9");
    assert_eq!(key(PlacementRule::DropLast(255)), "9");
}

#[test]
fn a_short_prefix_keeps_all_cells_under_it_together() {
    let rule = PlacementRule::First(2);
    let slot = rule.key(&geohash("9x")).slot();
    let deep = geohash("9x").children();
    assert!(
        deep.iter()
            .flat_map(Geocode::children)
            .all(|cell| rule.key(&cell).slot() == slot)
    );
}

#[test]
fn slots_are_16384_and_numbered_from_zero() {
    assert_eq!(SLOTS, 16_384);
    assert_eq!(Slot::new(16_383).map(Slot::number), Some(16_383));
    assert_eq!(Slot::new(16_384), None);
    assert!(Slot::all().map(Slot::number).eq(0..16_384));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_slot_is_the_first_14_bits_of_sha_1(cell in sample::cell(), n in any::<u8>()) {
        for rule in [PlacementRule::Whole, PlacementRule::First(n), PlacementRule::DropLast(n)] {
            let key = rule.key(&cell);
            prop_assert!(cell.to_string().starts_with(key.as_str()) && !key.as_str().is_empty());
            let digest = Sha1::digest(key.as_str());
            // Bit by bit, from the most significant.
            let bit = |i: usize| u16::from(digest[i / 8] >> (7 - i % 8) & 1);
            let slot = (0..14).fold(0, |slot, i| slot << 1 | bit(i));
            prop_assert_eq!(key.slot().number(), slot);
        }
    }

    #[test]
    fn rules_survive_their_text(n in any::<u8>()) {
        for rule in [PlacementRule::Whole, PlacementRule::First(n), PlacementRule::DropLast(n)] {
            let text = serde_json::to_string(&rule).unwrap();
            prop_assert_eq!(serde_json::from_str::<PlacementRule>(&text).unwrap(), rule);
        }
    }
}
