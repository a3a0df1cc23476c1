//! Changes told by members, by traitors and by strangers.

use super::*;
use crate::layout::{Member, Place, Shift};

fn founded(by: &Identity) -> ChangeSet {
    let first = Member {
        node: by.node(),
        place: Place::default(),
        draining: false,
    };
    ChangeSet::found(2, &first).unwrap()
}

fn join(set: &ChangeSet, node: NodeId) -> ChangeSet {
    set.with(node, What::Join(Place::default())).unwrap()
}

#[test]
fn a_chain_of_members_that_let_each_other_in_is_taken() {
    let cluster = ClusterId::draw();
    let [a, b, c] = [(); 3].map(|()| Identity::generate());
    let known = founded(&a);
    let one = join(&known, b.node());
    let two = join(&one, c.node());
    let (by_a, by_b) = (Vouchers::default(), Vouchers::default());
    by_b.trust(by_a.of(&one, cluster, &a));
    let told = by_b.of(&two, cluster, &b);
    assert_eq!(
        told.last().unwrap().by,
        b.node(),
        "b vouches for its own change alone"
    );
    assert_eq!(told[2].by, a.node());
    assert_eq!(judge(&known, &two, &told, cluster).unwrap().len(), 2);
    assert_eq!(
        judge(&two, &one, &[], cluster),
        Ok(Vec::new()),
        "nothing is new"
    );
}

#[test]
fn a_layout_made_up_by_nobody_or_by_a_stranger_is_not() {
    let cluster = ClusterId::draw();
    let [a, stranger] = [(); 2].map(|()| Identity::generate());
    let known = founded(&a);
    let made_up = join(&known, stranger.node());
    let judged = |vouchers: &[Voucher]| judge(&known, &made_up, vouchers, cluster);
    assert_eq!(judged(&[]), Err(Distrust::Unsigned));
    let own = Vouchers::default().of(&made_up, cluster, &stranger);
    assert_eq!(
        judged(&own),
        Err(Distrust::NoMember),
        "it vouches for itself"
    );
    let posing: Vec<Voucher> = own
        .into_iter()
        .map(|v| Voucher { by: a.node(), ..v })
        .collect();
    assert_eq!(
        judged(&posing),
        Err(Distrust::NoMember),
        "in another's name"
    );
    let elsewhere = Vouchers::default().of(&made_up, ClusterId::draw(), &a);
    assert_eq!(
        judged(&elsewhere),
        Err(Distrust::NoMember),
        "of another cluster"
    );
    let good = Vouchers::default().of(&made_up, cluster, &a);
    assert!(judged(&good).is_ok());
}

#[test]
fn a_counter_far_ahead_is_refused_whoever_signed_it() {
    let cluster = ClusterId::draw();
    let a = Identity::generate();
    let known = founded(&a);
    for counter in [4, 1 << 40, u64::MAX] {
        let change = Change {
            counter,
            node: a.node(),
            what: What::Weight(3),
        };
        let all = known.iter().cloned().chain([change]);
        let told = ChangeSet::try_from(all.collect::<Vec<_>>()).unwrap();
        let vouchers = Vouchers::default().of(&told, cluster, &a);
        let judged = judge(&known, &told, &vouchers, cluster);
        assert_eq!(judged, Err(Distrust::Ahead), "{counter}");
    }
}

#[test]
fn drains_removals_and_rebalances_are_taken_from_members_and_in_nobody_elses_name() {
    let cluster = ClusterId::draw();
    let [a, b, stranger] = [(); 3].map(|()| Identity::generate());
    let known = join(&founded(&a), b.node());
    let shift = Shift {
        from: a.node(),
        to: b.node(),
        slots: vec![7],
    };
    let rebalance = What::Rebalance(vec![shift]);
    let changes = [
        (a.node(), What::Drain(true)),
        (a.node(), What::Leave),
        (a.node(), What::Forsake),
        (a.node(), What::Weight(3)),
        (b.node(), rebalance.clone()),
    ];
    for (node, what) in changes {
        let told = known.with(node, what.clone()).unwrap();
        let judged = |by: &Identity| {
            let vouchers = Vouchers::default().of(&told, cluster, by);
            judge(&known, &told, &vouchers, cluster).map(|fresh| fresh.len())
        };
        assert_eq!(judged(&b), Ok(1), "{what:?}");
        assert_eq!(judged(&stranger), Err(Distrust::NoMember), "{what:?}");
        assert_eq!(judge(&known, &told, &[], cluster), Err(Distrust::Unsigned));
    }
    for what in [What::Replicas(5), rebalance] {
        let told = known.with(a.node(), what).unwrap();
        let vouchers = Vouchers::default().of(&told, cluster, &b);
        let judged = judge(&known, &told, &vouchers, cluster);
        assert_eq!(judged, Err(Distrust::Borrowed));
    }
}
