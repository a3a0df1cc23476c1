//! Properties of layouts against counting oracles.

use std::collections::BTreeSet;

use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use earth::split::placement::{PlacementRule, SLOTS, Slot};
use proptest::prelude::*;

use super::*;

fn node(i: usize) -> NodeId {
    NodeId::parse(&format!("n{i:04}")).unwrap()
}

fn member(i: usize, host: Option<&str>) -> Member {
    Member {
        node: node(i),
        host: host.map(str::to_owned),
        weight: 1,
    }
}

fn join(set: &ChangeSet, member: &Member) -> ChangeSet {
    let what = What::Join {
        host: member.host.clone(),
        weight: member.weight,
    };
    set.with(member.node.clone(), what).unwrap()
}

fn cluster(nodes: usize, replicas: u8) -> ChangeSet {
    let mut changes = Vec::from(ChangeSet::found(replicas, &member(0, None)).unwrap());
    let join = |i: usize| Change {
        counter: 2 + i as u64,
        node: node(i),
        what: What::Join {
            host: None,
            weight: 1,
        },
    };
    changes.extend((1..nodes).map(join));
    ChangeSet::try_from(changes).unwrap()
}

fn owners(layout: &Layout, slot: Slot) -> BTreeSet<NodeId> {
    layout.owners(slot).cloned().collect()
}

/// Slot replicas that a node of `after` has and had not in `before`.
fn moved(before: &Layout, after: &Layout) -> usize {
    let gained = |slot| {
        owners(after, slot)
            .difference(&owners(before, slot))
            .count()
    };
    Slot::all().map(gained).sum()
}

fn owned(layout: &Layout, node: &NodeId) -> usize {
    Slot::all().filter(|slot| layout.owns(node, *slot)).count()
}

fn primaries(layout: &Layout, node: &NodeId) -> usize {
    Slot::all()
        .filter(|slot| layout.primary(*slot) == node)
        .count()
}

/// Checks what holds for every layout of equal nodes, to `off` slots of the even share.
fn check_even(layout: &Layout, off: usize) {
    let n = layout.members().len();
    let width = n.min(usize::from(layout.replicas()));
    for slot in Slot::all() {
        assert_eq!(
            owners(layout, slot).len(),
            width,
            "distinct owners of slot {slot}"
        );
    }
    let even = |ranks: usize| usize::from(SLOTS) * ranks / n;
    for m in layout.members() {
        let (all, first) = (owned(layout, &m.node), primaries(layout, &m.node));
        assert!(all.abs_diff(even(width)) <= off, "{} owns {all}", m.node);
        assert!(
            first.abs_diff(even(1)) <= off,
            "{} is first {first} times",
            m.node
        );
    }
}

#[test]
fn every_slot_has_distinct_owners_and_every_node_an_equal_share() {
    for (nodes, replicas) in [
        (1, 3),
        (2, 3),
        (3, 2),
        (3, 3),
        (4, 3),
        (5, 1),
        (13, 3),
        (50, 2),
    ] {
        check_even(
            &cluster(nodes, replicas).layout(),
            usize::from(replicas) + 1,
        );
    }
}

#[test]
fn a_node_that_joins_takes_its_share_and_nothing_else_moves() {
    for (nodes, replicas) in [
        (1, 2),
        (2, 2),
        (3, 2),
        (3, 3),
        (4, 3),
        (9, 3),
        (50, 1),
        (50, 3),
    ] {
        let before = cluster(nodes, replicas);
        let after = join(&before, &member(nodes, None));
        let (before, after) = (before.layout(), after.layout());
        let ideal = owned(&after, &node(nodes));
        let moved = moved(&before, &after);
        assert_eq!(moved, ideal, "{nodes} nodes, {replicas} replicas");
    }
}

#[test]
fn a_node_that_leaves_gives_its_share_away_and_nothing_else_moves() {
    for (nodes, replicas) in [(3, 2), (4, 2), (4, 3), (5, 3), (10, 3), (50, 2)] {
        let before = cluster(nodes, replicas);
        let after = before.with(node(1), What::Leave).unwrap();
        let (before, after) = (before.layout(), after.layout());
        let ideal = if nodes > usize::from(replicas) {
            owned(&before, &node(1))
        } else {
            0
        };
        assert_eq!(
            moved(&before, &after),
            ideal,
            "{nodes} nodes, {replicas} replicas"
        );
        check_even(&after, 4);
    }
}

#[test]
fn the_last_member_stays() {
    let set = cluster(1, 3).with(node(0), What::Leave).unwrap();
    assert_eq!(set.layout().members().len(), 1);
}

#[test]
fn weights_share_slots_in_proportion_and_none_holds_a_slot_twice() {
    let heavy = Member {
        weight: 3,
        ..member(9, None)
    };
    let layout = join(&cluster(6, 2), &heavy).layout();
    let (light, heavy) = (owned(&layout, &node(0)), owned(&layout, &node(9)));
    assert!(heavy.abs_diff(3 * light) <= 12, "{heavy} against {light}");
    let giant = Member {
        weight: 1_000,
        ..member(9, None)
    };
    let layout = join(&cluster(3, 2), &giant).layout();
    let giant = owned(&layout, &node(9));
    assert!(giant <= usize::from(SLOTS) && giant > 8_000, "{giant}");
    assert!(Slot::all().all(|slot| owners(&layout, slot).len() == 2));
}

#[test]
fn more_replicas_are_added_in_place_and_fewer_taken_away() {
    let two = cluster(5, 2);
    let three = two.with(node(0), What::Replicas(3)).unwrap();
    let back = three.with(node(0), What::Replicas(2)).unwrap();
    assert_eq!(moved(&two.layout(), &three.layout()), usize::from(SLOTS));
    check_even(&three.layout(), 80);
    assert_eq!(moved(&three.layout(), &back.layout()), 0);
}

#[test]
fn replicas_lie_on_distinct_hosts_where_hosts_suffice() {
    let hosts = ["a", "a", "b", "b", "c", "c", "d", "d"];
    let first = ChangeSet::found(3, &member(0, Some("a"))).unwrap();
    let joined = |set: ChangeSet, i: usize| join(&set, &member(i, Some(hosts[i])));
    let layout = (1..hosts.len()).fold(first, joined).layout();
    check_even(&layout, 4);
    for slot in Slot::all() {
        let index = |i: &u16| layout.members()[usize::from(*i)].host.clone();
        let distinct: BTreeSet<_> = layout.owner_indexes(slot).iter().map(index).collect();
        assert_eq!(distinct.len(), 3, "slot {slot}");
    }
}

/// S001 Table II reports 1.10 % for 50 nodes and the contiguous US at geohash precision 5.
#[test]
fn fifty_nodes_share_the_geohash_5_cells_of_the_contiguous_us_evenly() {
    let layout = cluster(50, 1).layout();
    let mut counts = vec![0_u64; 50];
    // 666 × 667 cell centres, one a geohash-5 cell, over the bounding box of the US states.
    let (west, south, step) = (-124.8, 24.4, 360.0 / f64::from(1 << 13));
    for i in 0..666 {
        for j in 0..667 {
            let point = LonLat {
                lon: west + f64::from(i) * step,
                lat: south + f64::from(j) * step,
            };
            let code = Geocode::encode(Scheme::Geohash, point, 5).unwrap();
            let slot = PlacementRule::Whole.key(&code).slot();
            counts[usize::from(layout.owner_indexes(slot)[0])] += 1;
        }
    }
    let mean = counts.iter().sum::<u64>() as f64 / 50.0;
    let square = |c: &u64| (*c as f64 - mean).powi(2);
    let cv = (counts.iter().map(square).sum::<f64>() / 50.0).sqrt() / mean;
    assert!(cv <= 0.013, "coefficient of variation {cv}");
}

#[test]
fn a_thousand_nodes_fold_to_an_even_layout() {
    let set = cluster(1_000, 3);
    let before = tokio::time::Instant::now();
    let layout = set.layout();
    println!("1,000 nodes folded in {:?}", before.elapsed());
    check_even(&layout, 4);
}

#[test]
fn changes_are_named_by_number_and_content() {
    let set = cluster(4, 2);
    assert_eq!(set.stamp().version, 5);
    assert_eq!(set.prefix(5), Some(set.clone()));
    assert_eq!(set.prefix(4), Some(cluster(3, 2)));
    assert_eq!(set.prefix(6), None);
    assert_ne!(
        join(&set, &member(7, None)).stamp(),
        join(&set, &member(8, None)).stamp()
    );
}

#[test]
fn senseless_changes_are_refused() {
    let set = cluster(2, 2);
    for what in [What::Replicas(0), What::Replicas(8), What::Weight(0)] {
        let refused = set.with(node(0), what);
        assert!(matches!(refused, Err(ChangeSetError::Senseless { .. })));
    }
    assert_eq!(ChangeSet::try_from(Vec::new()), Err(ChangeSetError::Empty));
}

fn any_changes() -> impl Strategy<Value = ChangeSet> {
    let what = prop_oneof![
        4 => (0..3_u8).prop_map(|h| What::Join {
            host: (h > 0).then(|| format!("h{h}")),
            weight: 1 + u32::from(h),
        }),
        2 => Just(What::Leave),
        1 => (1..9_u32).prop_map(What::Weight),
        1 => (1..5_u8).prop_map(What::Replicas),
    ];
    let change = (1..6_u64, 0..8_usize, what).prop_map(|(counter, i, what)| Change {
        counter,
        node: node(i),
        what,
    });
    prop::collection::vec(change, 0..12).prop_map(|mut changes| {
        changes.extend(Vec::from(cluster(1, 2)));
        ChangeSet::try_from(changes).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        a in any_changes(), b in any_changes(), c in any_changes(),
    ) {
        let merge = |a: &ChangeSet, b: &ChangeSet| a.merged(b).unwrap();
        prop_assert_eq!(merge(&a, &b), merge(&b, &a));
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
        prop_assert_eq!(merge(&a, &a), a.clone());
        prop_assert_eq!(merge(&a, &b).layout(), merge(&b, &a).layout());
    }

    #[test]
    fn whatever_happens_every_slot_keeps_distinct_owners(changes in any_changes()) {
        let layout = changes.layout();
        let width = layout.members().len().min(usize::from(layout.replicas()));
        for slot in Slot::all() {
            prop_assert_eq!(owners(&layout, slot).len(), width);
            prop_assert_eq!(layout.standins(slot).count(), layout.members().len() - width);
        }
    }
}
