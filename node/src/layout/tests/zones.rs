//! How replicas lie in zones, enough of them or fewer.

use super::*;

#[test]
fn replicas_lie_in_distinct_zones_where_zones_suffice() {
    let zones = ["east", "east", "west", "west", "north", "north", "north"];
    let one = |i: usize| {
        let mut member = member(i, Some(["h1", "h2"][i % 2]));
        member.place.zone = Some(zones[i].to_owned());
        member
    };
    let first = ChangeSet::found(3, &one(0)).unwrap();
    let layout = (1..zones.len())
        .fold(first, |set, i| join(&set, &one(i)))
        .layout();
    for slot in Slot::all() {
        let zone = |i: &u16| layout.members()[usize::from(*i)].place.zone.clone();
        let distinct: BTreeSet<_> = layout.owner_indexes(slot).iter().map(zone).collect();
        assert_eq!(distinct.len(), 3, "slot {slot}");
    }
    // Each zone holds a replica of every slot and shares it among its nodes.
    for (i, share) in [(0, 2), (2, 2), (4, 3)] {
        assert!(owned(&layout, &node(i)).abs_diff(usize::from(SLOTS) / share) <= 2);
    }
}

/// Two rooms and three replicas: zones were not looked at, and whoever lost a room lost slots.
#[test]
fn with_fewer_zones_than_replicas_every_slot_lies_in_all_of_them() {
    for (zones, nodes, replicas) in [(2, 6, 3), (2, 9, 3), (2, 10, 5), (3, 9, 4), (3, 11, 5)] {
        let one = |i: usize| {
            let mut member = member(i, None);
            member.place.zone = Some(format!("z{}", i % zones));
            member
        };
        let first = ChangeSet::found(replicas, &one(0)).unwrap();
        let set = (1..nodes).fold(first, |set, i| join(&set, &one(i)));
        let layout = set.layout();
        let most = usize::from(replicas).div_ceil(zones);
        for slot in Slot::all() {
            let mut held = vec![0; zones];
            for i in layout.owner_indexes(slot) {
                let zone = layout.members()[usize::from(*i)].place.zone.clone();
                held[usize::from(zone.unwrap().as_bytes()[1] - b'0')] += 1;
            }
            assert!(
                held.iter().all(|n| (1..=most).contains(n)),
                "{slot}: {held:?}"
            );
        }
        check_even(
            &layout,
            4 + usize::from(SLOTS) * usize::from(replicas) / nodes / 100,
        );
        let more = join(&set, &one(nodes)).layout();
        let (came, share) = (moved(&layout, &more), owned(&more, &node(nodes)));
        assert!(
            came * 10 <= share * 11,
            "{came} moved for a share of {share}"
        );
        let fewer = set.with(node(0), What::Replicas(replicas - 1)).unwrap();
        let dropped = moved(&layout, &fewer.layout());
        println!(
            "{zones} zones, {nodes} nodes, {replicas} replicas: {dropped} moved for one fewer"
        );
        assert!(dropped <= usize::from(SLOTS) / 20, "{dropped}");
    }
}

#[test]
fn a_thousand_nodes_in_two_zones_fold_to_an_even_layout() {
    let mut first = member(0, None);
    first.place.zone = Some("east".to_owned());
    let mut changes = Vec::from(ChangeSet::found(3, &first).unwrap());
    let join = |i: usize| Change {
        counter: 2 + i as u64,
        node: node(i),
        what: What::Join(Place {
            zone: Some(["east", "west"][i % 2].to_owned()),
            ..Place::default()
        }),
    };
    changes.extend((1..1_000).map(join));
    let set = ChangeSet::try_from(changes).unwrap();
    let before = tokio::time::Instant::now();
    let layout = set.layout();
    println!("1,000 nodes in two zones folded in {:?}", before.elapsed());
    check_even(&layout, 4);
}
