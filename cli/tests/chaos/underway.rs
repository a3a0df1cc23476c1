//! Puts that are under way when a node is cut off, on both sides of the cut.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::harness::{Node, scratch, until, world};
use crate::lab::Lab;
use crate::partitions::{all_is_there, cluster};
use crate::users::{images_alone, images_of, put, put_noting, told, unlike};

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

/// What every node tells, once all of them tell the same and find it whole on its owners.
fn same_everywhere(folder: &Path, nodes: &[Node], acked: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A put is done to its end though who asked for it was refused meanwhile.
    until("all nodes tell the same", || {
        all_is_there(folder, nodes, acked);
        let tell = |node: &Node| told(&mut node.ask(folder));
        let answers: Vec<_> = nodes.iter().map(tell).collect();
        let Some(Some((first, true))) = answers.first() else {
            return false;
        };
        found.clone_from(first);
        answers.windows(2).all(|two| two[0] == two[1])
    });
    found
}

/// Looks for what was refused, before anybody puts it again: a split of it is whole on its owners,
/// so that every node tells and reads it, or nowhere.
fn whole_or_nowhere(
    (folder, nodes): (&Path, &[Node]),
    (before, most, alone): (&BTreeSet<String>, &Puts, &Puts),
    (scenes, names): (&Path, &[String; 2]),
) {
    let acked = &(before | &most.ids()) | &alone.ids();
    let found = same_everywhere(folder, nodes, &acked);
    let stray: BTreeSet<String> = found.difference(&acked).cloned().collect();
    let twin = |id: &String| id.replacen(&names[0], &names[1], 1);
    let refused: BTreeSet<String> = most.ids().iter().map(twin).collect();
    assert!(stray.is_subset(&refused), "{stray:?} was never put");
    eprintln!(
        "{} of {} splits that were refused are there",
        stray.len(),
        refused.len() - alone.count()
    );
    if stray.is_empty() {
        return;
    }
    let out = folder.join(format!("read-{}", names[1]));
    let wanted = images_alone(folder, (scenes, &names[1]), &stray, &out);
    for node in nodes {
        let found = images_of(|| node.ask(folder), &stray, &out.join(&node.id));
        assert_eq!(unlike(&wanted, &found), BTreeSet::new(), "{}", node.id);
    }
}

/// Cuts node 2 off while scenes are put through it and through another; mends that, and returns
/// what there has to be of both, where `before` is there already.
fn cut_once(
    lab: &Lab,
    (folder, nodes): (&Path, &[Node]),
    scenes: &Path,
    (turn, before): (usize, &BTreeSet<String>),
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
    let puts = (before, &most, &alone);
    whole_or_nowhere((folder, nodes), puts, (scenes, &names));
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
        let both = cut_once(&lab, (folder, &nodes), &scenes, (turn, &expected));
        expected.extend(both);
        all_is_there(folder, &nodes, &expected);
        for node in &nodes {
            let (found, _) = told(&mut node.ask(folder)).unwrap();
            let stray: Vec<_> = found.difference(&expected).collect();
            assert!(stray.is_empty(), "{} has {stray:?}", node.id);
        }
    }
}
