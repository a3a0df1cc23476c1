//! Puts that are under way when a node is cut off, on both sides of the cut.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::harness::{Node, scratch, until, world};
use crate::lab::Lab;
use crate::partitions::{all_is_there, cluster};
use crate::users::{put, put_noting, told};

/// Cuts of a usual run, and of a nightly one.
const CUTS: usize = 2;
const CUTS_NIGHTLY: usize = 20;
/// Longest that a put may stay without an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Puts of a scene that are under way at once (`ingest::put`); they are told in their order.
const UNDER_WAY: usize = 4;
/// Puts that are acknowledged before the cut.
const BEFORE: usize = 3;
/// Both ways between node 2 and the others.
const AROUND: [(usize, usize); 4] = [(0, 2), (2, 0), (1, 2), (2, 1)];

/// What became of the puts of one scene.
#[derive(Default)]
struct Puts {
    acked: Mutex<Vec<(String, Instant)>>,
    /// The command's exit code, and when it ended.
    end: Mutex<Option<(Option<i32>, Instant)>>,
}

impl Puts {
    /// Puts a scene through a node.
    fn run(&self, (node, folder): (&Node, &Path), scenes: &Path, collection: &str) {
        let code = put_noting(&mut node.ask(folder), scenes, collection, |id| {
            self.acked.lock().unwrap().push((id, Instant::now()));
        });
        *self.end.lock().unwrap() = Some((code, Instant::now()));
    }

    fn count(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    fn ids(&self) -> BTreeSet<String> {
        let acked = self.acked.lock().unwrap();
        acked.iter().map(|(id, _)| id.clone()).collect()
    }

    /// How long after the cut those were acknowledged that came next.
    fn next(&self, cut: Instant) -> Vec<Duration> {
        let acked = self.acked.lock().unwrap();
        let after = acked
            .iter()
            .filter_map(|(_, at)| at.checked_duration_since(cut));
        after.take(UNDER_WAY).collect()
    }

    /// The exit code, and how long after the cut.
    fn ended(&self, cut: Instant) -> (Option<i32>, Duration) {
        let (code, at) = self.end.lock().unwrap().unwrap();
        (code, at.saturating_duration_since(cut))
    }
}

/// Cuts node 2 off while scenes are put through it and through another; mends that, and returns
/// what there has to be.
fn cut_once(
    lab: &Lab,
    (folder, nodes): (&Path, &[Node]),
    scenes: &Path,
    turn: usize,
) -> BTreeSet<String> {
    let (most, alone) = (Puts::default(), Puts::default());
    let names = [format!("most{turn}"), format!("alone{turn}")];
    let cut = std::thread::scope(|scope| {
        scope.spawn(|| most.run((&nodes[0], folder), scenes, &names[0]));
        scope.spawn(|| alone.run((&nodes[2], folder), scenes, &names[1]));
        until("both put", || most.count().min(alone.count()) >= BEFORE);
        let cut = Instant::now();
        for (from, to) in AROUND {
            lab.cut(from, to);
        }
        cut
    });
    let (next, (code, _)) = (most.next(cut), most.ended(cut));
    let (refused, took) = alone.ended(cut);
    eprintln!("cut {turn}: acknowledged after {next:?}, refused after {took:?}");
    assert_eq!(code, Some(0), "two of three go on");
    assert!(!next.is_empty(), "all was put before the cut");
    assert!(next.iter().all(|took| *took <= ANSWERED_WITHIN), "{next:?}");
    assert_ne!(refused, Some(0), "one alone acknowledged all");
    assert!(took <= ANSWERED_WITHIN, "refused after {took:?}");
    for (from, to) in AROUND {
        lab.mend(from, to);
    }
    let acked = &most.ids() | &alone.ids();
    all_is_there(folder, nodes, &acked);
    // What was refused is put now: nothing but this and what was acknowledged may be there. What
    // lies there already, below a majority before, is not told again.
    let (_, code) = put(&mut nodes[0].ask(folder), scenes, &names[1]);
    assert_eq!(code, Some(0));
    let whole = most.ids();
    let again = whole.iter().map(|id| id.replacen(&names[0], &names[1], 1));
    again.chain(whole.iter().cloned()).collect()
}

#[test]
fn a_put_under_way_when_a_node_is_cut_off_is_answered_within_ten_seconds_and_nothing_is_lost() {
    let Some(lab) = Lab::new(3) else { return };
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 1000);
    let nodes = cluster(&lab, folder, (3, 2));
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let cuts = if nightly { CUTS_NIGHTLY } else { CUTS };
    let mut expected = BTreeSet::new();
    for turn in 0..cuts {
        expected.extend(cut_once(&lab, (folder, &nodes), &scenes, turn));
        all_is_there(folder, &nodes, &expected);
        for node in &nodes {
            let (found, _) = told(&mut node.ask(folder)).unwrap();
            let stray: Vec<_> = found.difference(&expected).collect();
            assert!(stray.is_empty(), "{} has {stray:?}", node.id);
        }
    }
}
