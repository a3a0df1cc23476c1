//! Liveness as one node sees it, and what is told.

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

pub(crate) fn beat(name: &str, incarnation: u64, count: u64) -> Beat {
    Beat {
        node: node(name),
        age: Age { incarnation, count },
        p2p: String::new(),
        http: String::new(),
        known: Stamp::default(),
        synced: Stamp::default(),
        reading: Stamp::default(),
        unconfirmed: SlotSet::none(),
        catalog: 0,
        versions: Versions::OURS,
        signature: Fixed::default(),
    }
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn table() -> Table {
    let mut table = Table::new(beat("me", 1, 0));
    assert!(table.hear(beat("peer", 1, 5), seconds(0.0)));
    table
}

fn probed(tick: &Tick) -> Vec<&str> {
    tick.probe.iter().map(NodeId::as_str).collect()
}

#[test]
fn who_does_not_answer_is_suspect_then_down_and_up_when_it_answers() {
    let mut table = table();
    let peer = node("peer");
    assert_eq!(
        table.tick(seconds(60.0)),
        Tick::default(),
        "silence is no sign"
    );
    table.failed(&peer, seconds(60.5));
    let tick = table.tick(seconds(60.6));
    assert_eq!(probed(&tick), ["peer"]);
    assert_eq!(tick.tell, [(peer.clone(), table.of(&peer).unwrap().age)]);
    assert!(table.tick(seconds(61.5)).tell.is_empty(), "told once");
    assert_eq!(table.state(&peer), NodeState::Suspect);
    assert!(table.tick(seconds(62.6)).probe.is_empty());
    assert_eq!(table.state(&peer), NodeState::Down);
    table.answered(&peer);
    assert_eq!(table.state(&peer), NodeState::Up);
}

#[test]
fn who_is_down_is_up_after_a_start_and_only_probed_after_a_word() {
    let mut table = table();
    let peer = node("peer");
    table.gone(&peer);
    assert!(table.hear(beat("peer", 1, 6), seconds(1.0)));
    assert_eq!(table.state(&peer), NodeState::Down, "an old word, perhaps");
    assert_eq!(probed(&table.tick(seconds(1.1))), ["peer"]);
    table.stirred(&peer);
    assert_eq!(probed(&table.tick(seconds(1.2))), ["peer"]);
    assert!(table.tick(seconds(1.3)).probe.is_empty());
    assert!(table.hear(beat("peer", 2, 0), seconds(5.0)));
    assert_eq!(
        table.state(&peer),
        NodeState::Up,
        "a restart counts from zero"
    );
}

#[test]
fn a_node_that_was_paused_takes_nobody_for_dead() {
    let mut table = table();
    table.tick(seconds(10.0));
    table.failed(&node("peer"), seconds(10.1));
    assert_eq!(probed(&table.tick(seconds(70.0))), ["peer"]);
    assert_eq!(table.state(&node("peer")), NodeState::Suspect);
    assert_eq!(probed(&table.tick(seconds(71.5))), ["peer"]);
    assert!(table.tick(seconds(72.3)).probe.is_empty());
    assert_eq!(table.state(&node("peer")), NodeState::Down);
}

#[test]
fn what_others_suspect_is_probed_unless_it_has_said_something_since() {
    let mut table = table();
    let peer = node("peer");
    let age = |count| Age {
        incarnation: 1,
        count,
    };
    table.suspected(&peer, age(4), seconds(1.0));
    assert_eq!(table.state(&peer), NodeState::Up);
    table.suspected(&peer, age(5), seconds(1.0));
    let tick = table.tick(seconds(1.1));
    assert_eq!((probed(&tick), tick.tell.len()), (vec!["peer"], 0));
    table.answered(&peer);
    assert!(table.tick(seconds(1.2)).probe.is_empty());
    table.gone(&peer);
    assert!(!table.may_answer(&peer));
}

#[test]
fn only_what_is_new_counts_and_tables_that_know_the_same_have_one_digest() {
    let (mut one, mut other) = (table(), Table::new(beat("peer", 1, 5)));
    let age = one.me().age;
    one.beat(|me| me.catalog = 0);
    assert_eq!(one.me().age, age);
    assert!(other.hear(one.me().clone(), seconds(1.0)));
    assert_eq!(one.digest(), other.digest());
    one.beat(|me| me.catalog = 1);
    assert!(one.me().age > age && one.digest() != other.digest());
}

#[test]
fn nobody_else_counts_up_this_nodes_beat() {
    let mut table = table();
    assert!(!table.hear(beat("me", 7, 3), seconds(1.0)));
    assert_eq!(table.me().age.incarnation, 8);
    assert_eq!(table.state(&node("me")), NodeState::Up);
}

#[test]
fn only_what_is_newer_is_told() {
    let mut table = table();
    table.beat(|me| me.http = "http://x".to_owned());
    let told = table.newer_than(&[(
        node("peer"),
        Age {
            incarnation: 1,
            count: 5,
        },
    )]);
    assert_eq!(
        told.iter().map(|b| b.node.as_str()).collect::<Vec<_>>(),
        ["me"]
    );
    assert!(table.newer_than(&table.ages()).is_empty());
}

#[test]
fn who_is_refused_for_long_and_answered_by_nobody_seems_to_be_removed() {
    let mut table = table();
    assert!(!table.seems_removed(seconds(100.0)), "nobody was reached");
    table.refused(seconds(100.0));
    table.refused(seconds(104.0));
    assert!(table.is_refused(seconds(104.9)));
    // It stops, and refuses meanwhile: silence afterwards says nothing.
    assert!(!table.seems_removed(seconds(120.0)) && !table.is_refused(seconds(120.0)));
    table.refused(seconds(140.0));
    assert!(!table.seems_removed(seconds(140.0)), "long after that");
    table.refused(seconds(145.0));
    assert!(table.seems_removed(seconds(145.0)));
    table.answered(&node("other"));
    assert!(!table.seems_removed(seconds(200.0)));
    table.refused(seconds(200.0));
    assert!(!table.seems_removed(seconds(201.0)), "it counts anew");
    table.refused(seconds(205.0));
    assert!(table.seems_removed(seconds(206.0)) && !table.seems_removed(seconds(240.0)));
}
