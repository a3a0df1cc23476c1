//! The layout changes while scenes are put, one node is cut off and another one is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::burnt::remove;
use crate::harness::{Node, glebe_within, scratch, until, world};
use crate::lab::Lab;
use crate::partitions::{all_is_there, cluster, start};
use crate::users::{at_rest, put_noting};

/// Nodes at the start; a cut and a kill leave a majority of them.
const MEMBERS: usize = 5;
const REPLICAS: u8 = 3;
/// Which node is cut off, which is killed and comes back, which is emptied, which is lost, and on
/// which machine one is new. Node 0 is the one that users ask.
const CUT: usize = 2;
const KILLED: usize = 1;
const EMPTIED: usize = 3;
const LOST: usize = 4;
const NEW: usize = MEMBERS;
/// Clusters that a nightly run goes through all changes with.
const TURNS_NIGHTLY: usize = 10;

/// A change of the layout, with what goes wrong meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// A node joins; one is killed and comes back.
    Join,
    /// A node is emptied; one is killed and comes back.
    Drain,
    /// A node is lost for good and removed.
    Remove,
}

/// What users put, and until when.
#[derive(Default)]
struct Users {
    acked: Mutex<BTreeSet<String>>,
    over: AtomicBool,
}

/// Puts scenes through node 0, each time into a collection of its own; notes what is acknowledged.
fn use_it(lab: &Lab, (folder, http): (&Path, &str), scenes: &Path, users: &Users) {
    for turn in 0_usize.. {
        if users.over.load(Ordering::Relaxed) {
            return;
        }
        let mut command = glebe_within(lab.name(0), folder);
        // It may be refused while too many are away; what it said before that counts.
        let note = |id| {
            users.acked.lock().unwrap().insert(id);
        };
        command.args(["--cluster", http]);
        put_noting(&mut command, scenes, &format!("c{turn}"), note);
    }
}

/// Makes a change while node 2 is cut off, both ways and from all.
fn under_fire(lab: &Lab, folder: &Path, nodes: &mut Vec<Node>, change: Change) {
    let others = || (0..=NEW).filter(|machine| *machine != CUT);
    for other in others() {
        lab.cut(CUT, other);
        lab.cut(other, CUT);
    }
    match change {
        Change::Join => {
            nodes[KILLED].kill();
            let token = folder.join("token");
            let to = nodes[0].p2p.clone();
            let join = ["--join", &to, "--token-file", token.to_str().unwrap()];
            nodes.push(start(lab, folder, NEW, &join));
            nodes[KILLED] = start(lab, folder, KILLED, &[]);
        }
        Change::Drain => {
            let words = ["node", "drain", &nodes[EMPTIED].id, "--no-wait"];
            let told = nodes[0].ask(folder).args(words).output().unwrap();
            // Not every node says what would move.
            let code = told.status.code();
            assert!(matches!(code, Some(0 | 4)), "{told:?}");
            nodes[KILLED].kill();
            nodes[KILLED] = start(lab, folder, KILLED, &[]);
        }
        Change::Remove => {
            let mut lost = nodes.remove(LOST);
            lost.kill();
            std::fs::remove_dir_all(&lost.data).unwrap();
            remove(&nodes[0], folder, &lost.id);
        }
    }
    for other in others() {
        lab.mend(CUT, other);
        lab.mend(other, CUT);
    }
    until("all live and agree on one layout", || {
        nodes.iter().all(|node| {
            let states = node.states(folder);
            let up = states.values().filter(|state| *state == "up").count();
            up == nodes.len() && states.len() == up
        })
    });
}

/// Goes through changes one after the other while scenes are put.
fn through(changes: &[Change]) {
    let Some(lab) = Lab::new(MEMBERS + 1) else {
        return;
    };
    let folder = scratch();
    let folder = folder.path();
    let scenes = world(folder, 1, 1, 500);
    let mut nodes = cluster(&lab, folder, (MEMBERS, REPLICAS));
    let http = nodes[0].http.clone();
    let users = Users::default();
    std::thread::scope(|scope| {
        let using = scope.spawn(|| use_it(&lab, (folder, &http), &scenes, &users));
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("something is put", || {
                !users.acked.lock().unwrap().is_empty()
            });
            for change in changes {
                under_fire(&lab, folder, &mut nodes, *change);
            }
        }));
        users.over.store(true, Ordering::Relaxed);
        using.join().unwrap();
        if let Err(panic) = changed {
            std::panic::resume_unwind(panic);
        }
    });
    let acked = users.acked.into_inner().unwrap();
    eprintln!("{changes:?}: {} splits acknowledged meanwhile", acked.len());
    until("nothing is on its way", || {
        nodes.iter().all(|node| at_rest(folder, node))
    });
    all_is_there(folder, &nodes, &acked);
}

#[test]
fn nothing_is_lost_when_the_layout_changes_while_one_node_is_cut_off_and_one_is_killed() {
    if std::env::var_os("GLEBE_NIGHTLY").is_none() {
        return through(&[Change::Join]);
    }
    for _ in 0..TURNS_NIGHTLY {
        through(&[Change::Join, Change::Drain, Change::Remove]);
    }
}
