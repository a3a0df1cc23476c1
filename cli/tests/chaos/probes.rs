//! One line of three is cut: who is not reached by one is asked for through the third.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::harness::{Node, scratch, until};
use crate::lab::Lab;
use crate::partitions::cluster;
use crate::suspicion::dead;

/// How long nobody may be taken for dead: twice what finding a dead node may take.
const WATCHED: Duration = Duration::from_secs(10);
/// Longest that a node which nobody reaches may pass for one that lives.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn who_is_not_reached_by_one_lives_while_a_third_reaches_it_and_is_dead_when_nobody_does() {
    let Some(lab) = Lab::new(3) else { return };
    let folder = scratch();
    let folder = folder.path();
    let nodes = cluster(&lab, folder, (3, 2));
    let all: Vec<&Node> = nodes.iter().collect();
    let cut = |line: [usize; 2]| {
        lab.cut(line[0], line[1]);
        lab.cut(line[1], line[0]);
    };
    cut([0, 1]);
    let (began, mut looks) = (Instant::now(), 0);
    while began.elapsed() < WATCHED {
        let dead = dead(folder, &all);
        assert_eq!(dead, BTreeSet::new(), "after {:?}", began.elapsed());
        looks += 1;
    }
    // The helper reaches it no longer, either.
    cut([1, 2]);
    let began = Instant::now();
    let state = |at: usize, of: usize| nodes[at].states(folder).remove(&nodes[of].id);
    let down = |at, of| state(at, of).as_deref() == Some("down");
    until("both others take it for dead", || down(0, 1) && down(2, 1));
    let took = began.elapsed();
    until("it takes both others for dead", || down(1, 0) && down(1, 2));
    eprintln!("{looks} looks at a cut line; nobody reached it: dead after {took:?}");
    assert!(took <= SEEN_WITHIN, "{took:?}");
    assert_eq!(
        dead(folder, &[all[0], all[2]]),
        BTreeSet::from([nodes[1].id.clone()])
    );
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        lab.mend(from, to);
    }
    until("all live again", || dead(folder, &all).is_empty());
}
