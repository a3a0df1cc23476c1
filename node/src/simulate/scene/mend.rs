//! The end of a drill: everything is mended, then everything must be where it belongs.
//!
//! *Invariants*: nothing goes wrong any more while this runs, so whatever is not right in the end
//! is a bug.
//!
//! *Not here*: what went wrong before (`scene`).

use std::collections::BTreeSet;
use std::time::Duration;

use wire::cluster::NodeState;

use super::super::machine::Machine;
use super::{End, Scene};
use crate::cluster::Cluster;
use crate::identity::NodeId;
use crate::layout::Stamp;
use crate::sync;

/// Longest that a mended cluster may take to bring everything where it belongs.
const HEAL_LIMIT: Duration = Duration::from_mins(3);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);
/// Tasks of a node that has nothing to do: it answers, gossips, tells and syncs, and perhaps it is
/// just comparing notes.
const TASKS_MAX: usize = 12;

impl Scene<'_> {
    /// Mends everything and waits until all is well; returns how long that took.
    pub(super) async fn heal(&mut self) -> Option<Duration> {
        self.log.event(format_args!("all is mended"));
        self.ends.clear();
        self.fate.rest();
        self.undo(End::Cut);
        self.undo(End::Storm);
        self.machines.iter_mut().for_each(Machine::spare);
        for i in 0..self.machines.len() {
            self.undo(End::Full(i));
            self.undo(End::Down(i));
            self.undo(End::Gone(i));
        }
        let began = self.log.elapsed();
        let mut last = String::new();
        while self.log.elapsed() < began + HEAL_LIMIT {
            tokio::time::sleep(LOOK).await;
            self.look_after().await;
            for i in 0..self.machines.len() {
                let machine = &self.machines[i];
                if machine.gone && !machine.left {
                    self.undo(End::Gone(i));
                } else if machine.is_down() && !machine.left {
                    self.undo(End::Down(i));
                }
            }
            match self.unwell().await {
                None => {
                    let took = self.log.elapsed().saturating_sub(began);
                    self.log.event(format_args!(
                        "all is well after {:.1} s",
                        took.as_secs_f64()
                    ));
                    return Some(took);
                }
                Some(why) if why != last => {
                    self.log.event(format_args!("not well yet: {why}"));
                    last = why;
                }
                Some(_) => {}
            }
        }
        self.violate(format!("the cluster does not heal: {last}"));
        None
    }

    /// Returns what is not as it should be.
    async fn unwell(&mut self) -> Option<String> {
        let mut stamps = BTreeSet::new();
        for machine in self.machines.iter().filter(|m| !m.left) {
            let Some(cluster) = machine.cluster() else {
                return Some(format!("{} is not up", machine.name));
            };
            if !cluster.is_settled() {
                let moving = moving(cluster);
                return Some(format!("{} is not settled: {moving}", machine.name));
            }
            if !all_up(cluster) {
                return Some(format!("{} takes a node for dead", machine.name));
            }
            if cluster.core.store.is_doubtful() {
                return Some(format!("{} is not sure of its index", machine.name));
            }
            stamps.insert(stamp(cluster));
        }
        if stamps.len() > 1 {
            return Some(format!("layouts differ: {stamps:?}"));
        }
        for machine in self.machines.iter().filter(|m| !m.left) {
            let foreign = machine.cluster().and_then(foreign);
            if let Some(slots) = foreign {
                let name = &machine.name;
                return Some(format!("{name} keeps what others own in {slots} slots"));
            }
        }
        let member = self.machines.iter().find(|m| !m.left)?;
        let report = member.cluster()?.verify().await;
        match report.problems.first() {
            None if report.complete => self.rotten(),
            first => {
                let complete = report.complete;
                let first = first.map(String::as_str).unwrap_or_default();
                Some(format!("verify, complete {complete}: {first}"))
            }
        }
    }

    /// Holds every node to every promise.
    pub(super) async fn hold_to_all(&mut self) {
        self.ask_all().await;
        for machine in self.machines.iter().filter(|m| !m.left) {
            let Some(cluster) = machine.cluster() else {
                continue;
            };
            let tasks = cluster.core.tasks.len();
            if tasks > TASKS_MAX {
                self.violate(format!(
                    "{} has {tasks} tasks though it is idle",
                    machine.name
                ));
            }
        }
    }

    /// Ends all nodes; nothing of them may stay.
    pub(super) async fn end(&mut self) {
        for i in 0..self.machines.len() {
            if let Err(leak) = self.machines[i].kill(&self.network).await {
                self.violate(leak.to_string());
            }
        }
    }
}

fn stamp(cluster: &Cluster) -> Stamp {
    cluster.core.look(|view| view.ring.newest().stamp())
}

/// Tells whether a node takes all others for alive.
fn all_up(cluster: &Cluster) -> bool {
    cluster.core.look(|view| {
        let members = view.ring.read().members();
        let up = |node: &NodeId| view.table.state(node) == NodeState::Up;
        members.iter().all(|member| up(&member.node))
    })
}

/// Counts the slots of which a node holds something and owns nothing.
fn foreign(cluster: &Cluster) -> Option<u64> {
    let mut held = sync::slots_held(&cluster.core.store).ok()?;
    let own = cluster
        .core
        .look(|view| view.ring.newest().slots_of(&cluster.core.me));
    held.subtract(&own);
    (!held.is_empty()).then(|| held.len())
}

/// Says what each node of a ring on the move says of layouts.
fn moving(cluster: &Cluster) -> String {
    cluster.core.look(|view| {
        let live: Vec<u64> = view.ring.writes().iter().map(|l| l.version()).collect();
        let said = view.reports().into_iter().map(|r| {
            let (known, synced, reading) = (r.known.version, r.synced.version, r.reading.version);
            let node = super::short(&r.node).to_owned();
            format!(
                "{node} knows {known} synced {synced} reads {reading} live {}",
                r.live
            )
        });
        format!("{live:?}; {}", said.collect::<Vec<_>>().join("; "))
    })
}
