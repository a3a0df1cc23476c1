//! Which slots go where: drawn from changes, alike at every node and in every version.
//!
//! *Invariants*: an example is never written anew; a later format adds its own.
//!
//! *Not here*: how many slots go, and how few move (`node::layout`'s own tests).

use earth::split::placement::{SLOTS, Slot};
use node::identity::NodeId;
use node::layout::{ChangeSet, FOLD, Layout, Member, Place, What};

/// What changes are folded to since `FOLD` is 2: `NAME BLAKE3` a line, of
/// all owners (u16, big-endian, indexes into the members). A fold that gives others splits a
/// cluster whose nodes were not all updated: it takes another `FOLD`.
const DEALT: &str = include_str!("../golden/layouts-2.txt");

fn node(i: usize) -> NodeId {
    NodeId::parse(&format!("n{i:04}")).unwrap()
}

fn join(set: &ChangeSet, i: usize, place: Place) -> ChangeSet {
    set.with(node(i), What::Join(place)).unwrap()
}

/// Nodes of those numbers that joined one after another.
fn grown(replicas: u8, numbers: std::ops::Range<usize>) -> ChangeSet {
    let first = Member {
        node: node(numbers.start),
        place: Place::default(),
        draining: false,
    };
    let first = ChangeSet::found(replicas, &first).unwrap();
    let others = numbers.skip(1);
    others.fold(first, |set, i| join(&set, i, Place::default()))
}

/// Owners by how many members come before them.
fn owners_by_place(layout: &Layout) -> Vec<u16> {
    Slot::all()
        .flat_map(|slot| layout.owner_indexes(slot).to_vec())
        .collect()
}

/// Slots that two layouts give to members of the same place.
fn alike(one: &ChangeSet, other: &ChangeSet) -> usize {
    let owners = [one, other].map(|set| owners_by_place(&set.layout()));
    let both = owners[0].iter().zip(&owners[1]);
    both.filter(|(a, b)| a == b).count()
}

#[test]
fn what_a_newcomer_gets_follows_from_who_comes() {
    let even = usize::from(SLOTS) / 10;
    let check = |one: &ChangeSet, other: &ChangeSet| {
        let alike = alike(one, other);
        assert!(alike < even * 6 / 5, "{alike} of {even} by chance");
    };
    check(&grown(1, 0..10), &grown(1, 100..110));
    // Of the same members, too: in which order they came back makes the difference.
    let back = |set: ChangeSet, i: usize| {
        let left = set.with(node(i), What::Leave).unwrap();
        join(&left, i, Place::default())
    };
    let forth = (0..10).fold(grown(1, 0..10), back);
    let aback = (0..10).rev().fold(grown(1, 0..10), back);
    check(&forth, &aback);
}

#[test]
fn changes_fold_to_what_they_folded_to_before() {
    let weighed = grown(2, 0..5).with(node(3), What::Weight(4)).unwrap();
    let drained = weighed.with(node(1), What::Drain(true)).unwrap();
    let zoned = |set: ChangeSet, i: usize| {
        let place = Place {
            host: Some(["a", "b", "c"][i % 3].to_owned()),
            zone: Some(["east", "west"][i % 2].to_owned()),
            ..Place::default()
        };
        join(&set, i, place)
    };
    let left = grown(3, 0..9).with(node(4), What::Leave).unwrap();
    let sets = [
        ("grown", grown(3, 0..50)),
        ("left", left),
        ("weighed", weighed),
        ("drained", drained),
        ("zoned", (1..9).fold(grown(3, 0..1), zoned)),
    ];
    let line = |(name, set): &(&str, ChangeSet)| {
        let owners = owners_by_place(&set.layout()).into_iter();
        let bytes: Vec<u8> = owners.flat_map(u16::to_be_bytes).collect();
        format!("{name} {}\n", blake3::hash(&bytes))
    };
    let dealt: String = sets.iter().map(line).collect();
    assert_eq!((dealt.as_str(), FOLD), (DEALT, 2));
}
