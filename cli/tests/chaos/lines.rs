//! Lines that lose packets, are narrow or far.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Node, cluster_of, scratch, until, world};
use crate::lab::{Lab, has};
use crate::partitions::{all_is_there, cluster};
use crate::proxy::delaying;
use crate::users::{images, put, told, unlike};

/// There and back, a question takes twice this.
const FAR: Duration = Duration::from_millis(100);

/// Pixels of a scene's side: some ten splits, each of them seconds on a far line.
const SIDE: u32 = 200;

/// Questions to each node over lines that lose packets, of which nine of ten are answered
/// completely.
const QUESTIONS: usize = 10;

/// How often an ingest may be begun until all is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// The first goes through.
    Once,
    /// One that is refused is begun again: what it had put is there.
    Again,
}

/// Puts scenes at every node of a cluster in trouble; returns what was acknowledged.
fn put_at_all(
    folder: &Path,
    nodes: &[Node],
    (what, patience): (&str, Patience),
) -> BTreeSet<String> {
    let scenes = world(folder, 1, 1, SIDE);
    let began = Instant::now();
    let (mut acked, mut attempts) = (BTreeSet::new(), 0);
    for (i, node) in nodes.iter().enumerate() {
        let collection = format!("c{i}");
        until("all is put", || {
            let (more, code) = put(&mut node.ask(folder), &scenes, &collection);
            acked.extend(more);
            attempts += 1;
            let done = code == Some(0);
            assert!(
                done || patience == Patience::Again,
                "{what}: node {i} refused"
            );
            done
        });
    }
    let took = began.elapsed();
    let splits = acked.len();
    eprintln!("{what}: {splits} splits put in {took:?}, {attempts} attempts at 3 nodes");
    acked
}

/// Asks every node again and again in trouble: whoever says that it tells all does.
fn ask_all(folder: &Path, nodes: &[Node], acked: &BTreeSet<String>, patience: Patience) {
    for node in nodes {
        let (mut complete, began) = (0, Instant::now());
        for _ in 0..QUESTIONS {
            let (found, all) = told(&mut node.ask(folder)).unwrap();
            assert!(found.is_subset(acked), "{} invents {found:?}", node.id);
            assert!(!all || found == *acked, "{} lacks some", node.id);
            complete += usize::from(all);
        }
        let took = began.elapsed();
        eprintln!("{complete} of {QUESTIONS} answers complete in {took:?}");
        assert!(
            patience == Patience::Again || complete * 10 >= QUESTIONS * 9,
            "{complete} of {QUESTIONS} answers of {} are complete",
            node.id
        );
    }
}

/// Reads all images through the first node and the last, of which each lacks some: bit for bit
/// they are alike.
fn read_alike(folder: &Path, nodes: &[Node]) {
    let read = |at: usize| {
        let node = &nodes[at];
        images(|| node.ask(folder), &folder.join(format!("read{at}")))
    };
    let (first, last) = (read(0), read(nodes.len() - 1));
    assert_eq!(unlike(&first, &last), BTreeSet::new());
}

#[test]
fn puts_and_answers_survive_lines_that_lose_packets() {
    if !has("nft") {
        return;
    }
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let shares: &[u8] = if nightly { &[5, 20] } else { &[5] };
    for percent in shares.iter().copied() {
        let Some(lab) = Lab::new(3) else { return };
        let folder = scratch();
        let nodes = cluster(&lab, folder.path(), (3, 2));
        (0..3).for_each(|machine| lab.lose(machine, percent));
        let patience = if percent > 5 {
            Patience::Again
        } else {
            Patience::Once
        };
        let what = format!("{percent} % lost");
        let acked = put_at_all(folder.path(), &nodes, (&what, patience));
        // While packets are still lost.
        ask_all(folder.path(), &nodes, &acked, patience);
        if patience == Patience::Once {
            read_alike(folder.path(), &nodes);
        }
        (0..3).for_each(|machine| lab.lose_nothing(machine));
        all_is_there(folder.path(), &nodes, &acked);
    }
}

#[test]
fn puts_and_answers_fit_through_100_megabits() {
    if !has("tc") {
        return;
    }
    let Some(lab) = Lab::new(3) else { return };
    let folder = scratch();
    let nodes = cluster(&lab, folder.path(), (3, 2));
    (0..3).for_each(|machine| lab.throttle(machine, "100mbit"));
    let acked = put_at_all(folder.path(), &nodes, ("100 Mbit/s", Patience::Once));
    all_is_there(folder.path(), &nodes, &acked);
}

/// Each node is reached through a proxy, so every question takes 200 ms longer.
#[test]
fn puts_and_answers_bear_200_milliseconds_of_delay() {
    let folder = scratch();
    let nodes = cluster_of(folder.path(), 3, 2, |name, more| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen: SocketAddr = free.local_addr().unwrap();
        drop(free);
        let (listen, through) = (listen.to_string(), delaying(listen, FAR).to_string());
        let here = ["--listen", &listen, "--advertise", &through];
        Node::start(folder.path(), name, &[&here, more].concat())
    });
    let acked = put_at_all(folder.path(), &nodes, ("200 ms", Patience::Once));
    all_is_there(folder.path(), &nodes, &acked);
}
