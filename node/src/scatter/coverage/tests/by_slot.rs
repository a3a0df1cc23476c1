//! Whom to ask and what is missing, worked out slot by slot: what sets of slots must agree with.

use proptest::prelude::*;

use super::*;

/// Returns the nodes to ask for a slot, of those known to a question.
fn want(c: &Coverage, slot: Slot) -> Vec<usize> {
    let mut wanted = Vec::new();
    let mut all_owners = !c.unheard.is_empty();
    for (i, holder) in c.holders.iter().enumerate() {
        if holder.extra.contains(slot) {
            if holder.can_answer() {
                wanted.push(i);
            } else {
                all_owners = true;
            }
        }
    }
    let mut best: Option<(usize, Cost)> = None;
    for i in c.layout.owner_indexes(slot).iter().map(|i| usize::from(*i)) {
        let owner = &c.holders[i];
        if !owner.can_answer() {
            continue;
        }
        if all_owners {
            wanted.push(i);
        } else if owner.asked.contains(slot) || wanted.contains(&i) {
            return wanted;
        } else if best.is_none_or(|(_, least)| owner.cost() < least) {
            best = Some((i, owner.cost()));
        }
    }
    wanted.extend(best.map(|(i, _)| i));
    wanted
}

/// Asks for every slot in order.
fn assign(c: &mut Coverage) -> Assignment {
    let mut more = Assignment::new();
    for slot in c.slots.clone().iter() {
        for i in want(c, slot) {
            let holder = &mut c.holders[i];
            if !holder.asked.contains(slot) {
                holder.asked.insert(slot);
                holder.load += 1;
                let slots = more.entry(holder.node.clone());
                slots.or_insert_with(SlotSet::none).insert(slot);
            }
        }
    }
    more
}

fn is_answered(c: &Coverage, slot: Slot) -> bool {
    let answered = |i: usize| !c.holders[i].failed && c.holders[i].asked.contains(slot);
    let owners: Vec<usize> = c
        .layout
        .owner_indexes(slot)
        .iter()
        .map(|i| usize::from(*i))
        .collect();
    let extra = |i: &usize| c.holders[*i].extra.contains(slot);
    let extras: Vec<usize> = (0..c.holders.len()).filter(extra).collect();
    let heard = c.unheard.is_empty();
    if heard && owners.iter().any(|i| answered(*i)) && extras.iter().all(|i| answered(*i)) {
        return true;
    }
    let mut may_hold: BTreeSet<usize> = owners.into_iter().chain(extras).collect();
    may_hold.extend(&c.unheard);
    let silent: Vec<usize> = may_hold.into_iter().filter(|i| !answered(*i)).collect();
    let is_lost = |i: &usize| c.forsaken.contains(i);
    // Nobody waits for what forsaken nodes alone may hold.
    silent.iter().all(is_lost)
        || silent.len() < c.layout.write_quorum().min(c.layout.members().len())
}

/// What becomes of a node while others are asked.
fn befall(c: &mut Coverage, what: u8, node: &NodeId) {
    match what {
        0 => c.fail(node),
        1 => c.slow(node),
        _ => c.ask_again(node),
    }
}

fn some_slots() -> impl Strategy<Value = SlotSet> {
    let numbers = proptest::collection::vec(0_u16..200, 0..120);
    numbers.prop_map(|numbers| numbers.into_iter().filter_map(Slot::new).collect())
}

proptest! {
    #[test]
    fn sets_of_slots_say_what_each_slot_by_itself_does(
        (nodes, replicas, me) in (1_usize..6, 1_u8..4, 0_usize..6),
        slots in some_slots(),
        marks in proptest::collection::vec((0_usize..7, some_slots()), 0..4),
        states in proptest::collection::vec(0_usize..3, 6),
        distances in proptest::collection::vec(0_u64..3, 6),
        unheard in proptest::option::weighted(0.2, 0_usize..6),
        forsaken in proptest::collection::btree_set(0_usize..7, 0..3),
        fates in proptest::collection::vec((0_u8..3, 0_usize..7), 0..6),
    ) {
        let mut known = holders(nodes, replicas);
        known.me = node(me);
        let each = [NodeState::Up, NodeState::Suspect, NodeState::Down];
        let states = states.into_iter().map(|s| each[s]);
        known.states = (0..6).map(node).zip(states).collect();
        let distances = distances.into_iter().map(Duration::from_millis);
        known.distances = (0..6).map(node).zip(distances).collect();
        known.unconfirmed = marks.into_iter().map(|(i, slots)| (node(i), slots)).collect();
        known.unheard = unheard.map(node).into_iter().collect();
        known.forsaken = forsaken.into_iter().map(node).collect();
        let lost = known.forsaken.clone();
        let mut by_sets = Coverage::new(known, slots);
        let mut by_slots = by_sets.clone();
        for (what, i) in std::iter::once((3, 0)).chain(fates) {
            if what < 3 {
                befall(&mut by_sets, what, &node(i));
                befall(&mut by_slots, what, &node(i));
            }
            by_sets.assigned = false;
            let asked = by_sets.assign();
            prop_assert!(asked.keys().all(|node| !lost.contains(node)));
            prop_assert_eq!(asked, assign(&mut by_slots));
            let missing = by_slots.slots.iter().filter(|s| !is_answered(&by_slots, *s));
            prop_assert_eq!(by_sets.missing(), missing.collect::<SlotSet>());
        }
    }
}
