//! Who is asked, and what silence is worth.

mod by_slot;

use earth::split::placement::Slot;

use super::*;
use crate::layout::{ChangeSet, Member, Place, What};

fn node(i: usize) -> NodeId {
    NodeId::parse(&format!("n{i}")).unwrap()
}

fn holders(nodes: usize, replicas: u8) -> Holders {
    let first = Member {
        node: node(0),
        place: Place::default(),
        draining: false,
    };
    let join = |set: ChangeSet, i| {
        let what = What::Join(Place::default());
        set.with(node(i), what).unwrap()
    };
    let changes = (1..nodes).fold(ChangeSet::found(replicas, &first).unwrap(), join);
    Holders {
        me: node(0),
        layout: Arc::new(changes.layout()),
        states: (0..nodes).map(|i| (node(i), NodeState::Up)).collect(),
        unconfirmed: BTreeMap::new(),
        distances: BTreeMap::new(),
        unheard: BTreeSet::new(),
        forsaken: BTreeSet::new(),
    }
}

fn one_slot() -> (Slot, SlotSet) {
    let slot = Slot::new(77).unwrap();
    (slot, std::iter::once(slot).collect())
}

/// Asks until nobody is left to ask; nodes in `dead` fail.
fn ask(coverage: &mut Coverage, dead: &[NodeId]) -> BTreeSet<NodeId> {
    let mut asked = BTreeSet::new();
    loop {
        let more = coverage.assign();
        if more.is_empty() {
            return asked;
        }
        for node in more.into_keys() {
            if dead.contains(&node) {
                coverage.fail(&node);
            }
            asked.insert(node);
        }
    }
}

#[test]
fn one_slot_is_asked_of_one_owner() {
    let holders = holders(5, 2);
    let (slot, slots) = one_slot();
    let mut coverage = Coverage::new(holders.clone(), slots);
    let asked = ask(&mut coverage, &[]);
    assert_eq!(asked.len(), 1);
    assert!(asked.iter().all(|n| holders.layout.owns(n, slot)));
    assert!(coverage.missing().is_empty());
}

#[test]
fn all_slots_are_shared_among_the_owners() {
    let mut coverage = Coverage::new(holders(4, 2), SlotSet::all());
    let shares = coverage.assign();
    let total: u64 = shares.values().map(SlotSet::len).sum();
    assert_eq!((shares.len(), total), (4, 16_384));
    assert!(shares.values().all(|s| s.len() > 1_000), "{shares:?}");
    assert!(coverage.assign().is_empty());
}

#[test]
fn another_owner_is_asked_for_a_slow_one_and_the_slow_one_again_if_nobody_else_is_left() {
    let (slot, slots) = one_slot();
    let holders = holders(3, 2);
    let owners: Vec<NodeId> = holders.layout.owners(slot).cloned().collect();
    let mut coverage = Coverage::new(holders, slots);
    let first = coverage.assign().into_keys().next().unwrap();
    coverage.slow(&first);
    let second = coverage.assign().into_keys().next().unwrap();
    assert!(first != second && owners.contains(&first) && owners.contains(&second));
    coverage.fail(&second);
    assert_eq!(
        coverage.assign().into_keys().collect::<Vec<_>>(),
        std::slice::from_ref(&first)
    );
    assert_eq!(coverage.patience(&first), None);
    assert!(coverage.missing().is_empty());
}

#[test]
fn another_owner_answers_for_one_that_fails_and_no_slot_is_missing() {
    let mut coverage = Coverage::new(holders(3, 2), SlotSet::all());
    ask(&mut coverage, &[node(1)]);
    assert!(coverage.missing().is_empty());
}

#[test]
fn slots_whose_owners_all_fail_are_missing_and_no_others() {
    let holders = holders(3, 2);
    let dead = [node(1), node(2)];
    let mut coverage = Coverage::new(holders.clone(), SlotSet::all());
    ask(&mut coverage, &dead);
    let lost = |s: &Slot| holders.layout.owners(*s).all(|o| dead.contains(o));
    assert_eq!(coverage.missing(), Slot::all().filter(lost).collect());
    assert!(!coverage.missing().is_empty());
}

#[test]
fn who_holds_what_owners_may_lack_is_asked_too() {
    let mut holders = holders(4, 2);
    let (slot, slots) = one_slot();
    let standin = holders.layout.standins(slot).next().unwrap().clone();
    holders.unconfirmed.insert(standin.clone(), slots.clone());
    let mut coverage = Coverage::new(holders, slots);
    let asked = ask(&mut coverage, &[]);
    assert!(asked.contains(&standin) && asked.len() == 2);
    assert!(coverage.missing().is_empty());
}

#[test]
fn a_lost_standin_makes_all_owners_asked() {
    let mut holders = holders(5, 3);
    let (slot, slots) = one_slot();
    let standin = holders.layout.standins(slot).next().unwrap().clone();
    holders.unconfirmed.insert(standin.clone(), slots.clone());
    holders.states.insert(standin.clone(), NodeState::Down);
    let mut coverage = Coverage::new(holders.clone(), slots.clone());
    let asked = ask(&mut coverage, &[]);
    let owners: BTreeSet<NodeId> = holders.layout.owners(slot).cloned().collect();
    assert_eq!(asked, owners);
    assert!(
        coverage.missing().is_empty(),
        "one silent holder is fewer than W"
    );
    let owner = owners.first().unwrap().clone();
    let mut coverage = Coverage::new(holders, slots);
    ask(&mut coverage, &[owner]);
    assert!(
        !coverage.missing().is_empty(),
        "two silent ones may share a secret"
    );
}

/// What was deleted while a stand-in held it is deleted there, too, whatever marked it since.
#[test]
fn what_a_standin_tells_is_held_to_what_owners_know() {
    let mut holders = holders(5, 2);
    let (slot, slots) = one_slot();
    let owners: Vec<NodeId> = holders.layout.owners(slot).cloned().collect();
    let standin = holders.layout.standins(slot).next().unwrap().clone();
    holders.unconfirmed.insert(standin.clone(), slots.clone());
    let coverage = Coverage::new(holders, slots.clone());
    let rivals = |node| {
        let rivals = coverage.rivals(node, &slots);
        rivals.into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(rivals(&standin), owners.iter().cloned().collect());
    assert_eq!(rivals(&owners[0]), BTreeSet::from([standin.clone()]));
}

#[test]
fn without_a_majority_every_owner_is_asked_and_two_unheard_may_share_a_secret() {
    let mut holders = holders(5, 3);
    let (slot, slots) = one_slot();
    let away: Vec<NodeId> = holders.layout.standins(slot).take(2).cloned().collect();
    holders.unheard.insert(away[0].clone());
    let mut coverage = Coverage::new(holders.clone(), slots.clone());
    assert_eq!(ask(&mut coverage, &[]).len(), 3);
    assert!(coverage.missing().is_empty());
    holders.unheard.insert(away[1].clone());
    let mut coverage = Coverage::new(holders, slots.clone());
    ask(&mut coverage, &[]);
    assert_eq!(coverage.missing(), slots);
}

/// An owner whose disk was full did not take a deletion, and the one that was marked for it did
/// not answer: another owner knows (seed 35).
#[test]
fn where_a_marked_node_is_silent_owners_are_held_to_each_other() {
    let mut holders = holders(3, 3);
    let (_, slots) = one_slot();
    holders.unconfirmed.insert(node(0), slots.clone());
    holders.states.insert(node(0), NodeState::Down);
    let coverage = Coverage::new(holders.clone(), slots.clone());
    assert_eq!(coverage.rivals(&node(1), &slots), [node(2)]);
    holders.states.insert(node(0), NodeState::Up);
    let coverage = Coverage::new(holders, slots.clone());
    assert_eq!(coverage.rivals(&node(1), &slots), [node(0)]);
}

/// What a query is answered with and what is pulled, the others for ever waited for who was lost.
#[test]
fn nothing_is_missing_that_only_forsaken_nodes_may_hold() {
    let mut one = holders(2, 1);
    one.states.insert(node(1), NodeState::Down);
    one.forsaken.insert(node(1));
    let mut coverage = Coverage::new(one, SlotSet::all());
    assert_eq!(ask(&mut coverage, &[]), BTreeSet::from([node(0)]));
    assert!(coverage.missing().is_empty());
    let mut three = holders(3, 3);
    // That one seems to be up still.
    three.forsaken.extend([node(1), node(2)]);
    three.unconfirmed.insert(node(2), SlotSet::all());
    let mut coverage = Coverage::new(three, SlotSet::all());
    assert_eq!(ask(&mut coverage, &[]), BTreeSet::from([node(0)]));
    assert!(coverage.missing().is_empty());
    assert_eq!(coverage.may_hold(one_slot().0), [node(0)]);
}

#[test]
fn what_a_forsaken_node_may_have_shared_with_a_silent_one_is_waited_for() {
    let mut holders = holders(3, 3);
    holders.forsaken.insert(node(1));
    holders.states.insert(node(2), NodeState::Down);
    holders.unheard.insert(node(2));
    let mut coverage = Coverage::new(holders.clone(), SlotSet::all());
    ask(&mut coverage, &[]);
    assert_eq!(coverage.missing(), SlotSet::all());
    // It is marked, and a majority is heard: one owner may lack what that one and another have.
    holders.unheard.clear();
    holders.unconfirmed.insert(node(1), SlotSet::all());
    let mut coverage = Coverage::new(holders.clone(), SlotSet::all());
    ask(&mut coverage, &[]);
    assert_eq!(coverage.missing(), SlotSet::all());
    holders.states.insert(node(2), NodeState::Up);
    let mut coverage = Coverage::new(holders, SlotSet::all());
    let asked = ask(&mut coverage, &[]);
    assert_eq!(asked, BTreeSet::from([node(0), node(2)]));
    assert!(coverage.missing().is_empty());
}

#[test]
fn without_replicas_every_loss_shows() {
    let mut one = holders(3, 1);
    one.states.insert(node(2), NodeState::Down);
    let mut coverage = Coverage::new(one.clone(), SlotSet::all());
    ask(&mut coverage, &[]);
    let lost = |s: &Slot| one.layout.primary(*s) == &node(2);
    assert_eq!(coverage.missing(), Slot::all().filter(lost).collect());
}

/// A site beyond a slow line was asked for as many slots as the room next door.
#[test]
fn a_far_owner_is_asked_for_no_slot_that_a_near_one_has() {
    let mut holders = holders(6, 2);
    let far = [node(4), node(5)];
    for i in 1..6 {
        let took = if i < 4 { 1 + i as u64 } else { 40 };
        holders
            .distances
            .insert(node(i), Duration::from_millis(took));
    }
    let check = |holders: &Holders, avoided: &[NodeId]| {
        let mut coverage = Coverage::new(holders.clone(), SlotSet::all());
        let shares = coverage.assign();
        for (slot, asked) in shares
            .iter()
            .filter(|(n, _)| avoided.contains(n))
            .flat_map(|(node, slots)| slots.iter().map(move |slot| (slot, node)))
        {
            let owners: Vec<&NodeId> = holders.layout.owners(slot).collect();
            let all_far = owners.iter().all(|o| avoided.contains(o));
            assert!(all_far, "{slot} was asked of {asked}, owned by {owners:?}");
        }
        ask(&mut coverage, &[]);
        assert!(coverage.missing().is_empty());
        shares
    };
    let shares = check(&holders, &far);
    // Those next door share what is theirs, though one is four times as near as another.
    let near = [1, 2, 3].map(|i| shares[&node(i)].len());
    assert!(
        near.iter().max() < near.iter().min().map(|n| 2 * n).as_ref(),
        "{near:?}"
    );
    // A far one that is up goes before a near one that is suspected.
    let (slot, slots) = one_slot();
    let owners: Vec<NodeId> = holders.layout.owners(slot).cloned().collect();
    holders.me = NodeId::parse("elsewhere").unwrap();
    holders
        .distances
        .insert(owners[0].clone(), Duration::from_secs(1));
    holders.states.insert(owners[1].clone(), NodeState::Suspect);
    let mut coverage = Coverage::new(holders, slots);
    assert_eq!(
        coverage.assign().into_keys().next(),
        Some(owners[0].clone())
    );
}

#[test]
fn distances_are_told_apart_by_fours() {
    let of = |ms: u64| reach(Duration::from_millis(ms));
    assert_eq!([0, 1, 5].map(of), [0; 3]);
    assert_eq!([6, 20].map(of), [1; 2]);
    assert_eq!([21, 80].map(of), [2; 2]);
    assert_eq!(of(81), 3);
    assert!(reach(Duration::MAX) > of(10_000));
}
