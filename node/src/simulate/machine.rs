//! One node of a simulated cluster: the real one, over a simulated network, disk and clock.
//!
//! Its objects and their index lie on a disk in memory that tears what was not synced when the
//! power fails; its few other files (identity, `cluster.json`, runs) lie in a folder.
//!
//! *Invariants*: a node that was killed does nothing more: when `kill` returns, all that it was is
//! dropped; its disk stays what it was, or what the power left of it.
//!
//! *Not here*: when it is killed (`faults`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::fault::{Fault, FaultKind};

use super::dice::Dice;
use super::network::Network;
use crate::clock::{Clock, Skew};
use crate::cluster::file::{self, ClusterFile, ClusterRecord};
use crate::cluster::{Cluster, ClusterConfig, Join, Means};
use crate::identity::{Identity, NodeId};
use crate::layout::{ChangeSet, Member, Place, Standing, folded};
use crate::ring::Standpoint;
use crate::runs::Runs;
use crate::store::{Failing, ModelDisk, Store};
use crate::token::{ClusterId, ClusterSecret};
use crate::upkeep::Pace;

/// Second since 1970 at which every simulation begins: 2026-01-01.
const EPOCH_S: i64 = 1_767_225_600;
/// Longest that a killed node may take to be gone, in virtual milliseconds.
const GONE_MS_MAX: u32 = 5_000;

/// Where the store lies on the disk in memory.
pub(super) const DISK: &str = "/store";

/// How replicas are kept: often enough to be seen in half a minute, and tombstones collected while
/// a node is away, if anybody did that; longer than a frame is on its way in a storm, and than a
/// page may take.
const UPKEEP: Pace = Pace {
    first: Duration::from_secs(1),
    every: Duration::from_secs(5),
    scrub_bytes_per_second: 1 << 20,
    rest: Duration::from_secs(7),
    buried_after: Duration::from_secs(4),
    let_go_after: Duration::from_secs(11),
};

/// A node, up or down.
pub(super) struct Machine {
    pub id: NodeId,
    /// Short name, for people.
    pub name: String,
    pub address: SocketAddr,
    pub skew: Arc<Skew>,
    /// Its disk is full.
    pub full: bool,
    /// It was taken out of the cluster.
    pub left: bool,
    /// Its disk is lost: it never starts again.
    pub gone: bool,
    dir: PathBuf,
    disk: ModelDisk,
    /// How its power fails at its next start, if it is told to.
    fails_next: Option<(Failing, Dice)>,
    phase: Phase,
    /// What must be gone after a kill.
    store: Weak<Store>,
}

enum Phase {
    Down,
    Starting(JoinHandle<Result<Cluster, Fault>>, CancellationToken),
    Up(Cluster, CancellationToken),
}

/// Something of a killed node lives on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} was killed, and after {GONE_MS_MAX} ms something of it is still there")]
pub(super) struct Leak {
    name: String,
}

/// What lets nodes into the cluster.
#[derive(Debug)]
pub(super) struct Charter {
    pub cluster: ClusterId,
    pub secret: ClusterSecret,
    pub replicas: u8,
}

impl Machine {
    /// Makes a node with an identity of its own and an empty disk.
    pub(super) fn new(root: &Path, number: usize, key: &[u8; 32]) -> std::io::Result<Self> {
        let name = format!("n{number}");
        let dir = root.join(&name);
        std::fs::create_dir_all(&dir)?;
        Identity::plant(&dir, key)?;
        let identity = Identity::open(&dir).map_err(std::io::Error::other)?;
        Ok(Self {
            id: identity.node(),
            name,
            address: address(number, 0),
            skew: Arc::new(Skew::none(EPOCH_S)),
            full: false,
            left: false,
            gone: false,
            dir,
            disk: ModelDisk::new(),
            fails_next: None,
            phase: Phase::Down,
            store: Weak::new(),
        })
    }

    /// Founds the cluster: writes what its first node finds at its start.
    pub(super) fn found(&self, charter: &Charter) -> Result<(), Fault> {
        let wrong = |e: String| Fault::new(FaultKind::Internal, e);
        let first = Member {
            node: self.id.clone(),
            place: Place::default(),
            draining: false,
        };
        let changes =
            ChangeSet::found(charter.replicas, &first).map_err(|e| wrong(e.to_string()))?;
        let secret = charter.secret.clone();
        let mut record =
            ClusterRecord::new(charter.cluster, secret, changes, Standpoint::default());
        ClusterFile::start(&self.dir, &mut record, &[]).map_err(|e| wrong(e.to_string()))?;
        Ok(())
    }

    /// Starts the node; `settle` says when it is up.
    pub(super) fn start(
        &mut self,
        network: &Arc<Network>,
        join: Option<Join>,
    ) -> Result<(), Fault> {
        if let Some(left) = self.disk.left() {
            self.disk = left;
        }
        let fails_next = self.fails_next.take();
        self.spare();
        if let Some((failing, dice)) = fails_next {
            self.disk.fail(failing, dice);
        }
        let store = Arc::new(self.disk.open(Path::new(DISK))?);
        if self.full {
            store.reserve(u64::MAX);
        }
        self.store = Arc::downgrade(&store);
        let runs = Runs::open(&self.dir, self.id.as_str())
            .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
        let config = ClusterConfig {
            data: self.dir.clone(),
            listen: self.address,
            advertise: None,
            http: format!("http://{}", self.name),
            standing: Standing::default(),
            replicas: None,
            join,
            pace: ClusterConfig::PACE,
            upkeep: UPKEEP,
        };
        let stop = CancellationToken::new();
        let means = Means {
            identity: Identity::open(&self.dir)
                .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?,
            listening: network.attach(&self.id, self.address, &self.disk),
            clock: Clock::simulated(Instant::now(), Arc::clone(&self.skew)),
            stop: stop.clone(),
        };
        let begun = Cluster::begin((store, Arc::new(runs)), config, means);
        self.phase = Phase::Starting(tokio::spawn(begun), stop);
        Ok(())
    }

    /// Notes that a node that was starting is up by now; returns why it could not start.
    pub(super) async fn settle(&mut self, network: &Network) -> Option<Fault> {
        match std::mem::replace(&mut self.phase, Phase::Down) {
            Phase::Starting(task, stop) if task.is_finished() => match task.await {
                Ok(Ok(cluster)) => self.phase = Phase::Up(cluster, stop),
                Ok(Err(fault)) => {
                    network.detach(self.address);
                    return Some(fault);
                }
                Err(lost) => return Some(Fault::new(FaultKind::Internal, lost.to_string())),
            },
            phase => self.phase = phase,
        }
        None
    }

    /// Returns the cluster as this node sees it, once it is up.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        match &self.phase {
            Phase::Up(cluster, _) => Some(cluster),
            _ => None,
        }
    }

    /// Returns the cluster with what ends everything done through it.
    pub(super) fn hold(&self) -> Option<(Cluster, CancellationToken)> {
        match &self.phase {
            Phase::Up(cluster, stop) => Some((cluster.clone(), stop.clone())),
            _ => None,
        }
    }

    /// Returns its disk, which says whether it has power.
    pub(super) fn disk(&self) -> ModelDisk {
        self.disk.clone()
    }

    /// Tells whether it neither runs nor starts.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down)
    }

    /// Tells whether its folder says that it belongs to the cluster.
    pub(super) fn is_member(&self) -> bool {
        matches!(file::read(&self.dir), Ok(Some(_)))
    }

    /// Tells whether its folder says that another node belongs to the cluster, too.
    pub(super) fn knows(&self, other: &NodeId) -> bool {
        let read = file::read(&self.dir);
        matches!(read, Ok(Some(record)) if folded::of(&record.changes).contains(other))
    }

    /// Fills its disk, or makes room on it.
    pub(super) fn fill(&mut self, full: bool) {
        self.full = full;
        if let Some(store) = self.store.upgrade() {
            store.reserve(if full { u64::MAX } else { 0 });
        }
    }

    /// Lets its power fail; of one that is down, from its next start on.
    pub(super) fn lose_power(&mut self, (failing, dice): (Failing, Dice)) {
        if self.is_down() {
            self.fails_next = Some((failing, dice));
        } else {
            self.disk.fail(failing, dice);
        }
    }

    /// Lets its power not fail, if it has not yet.
    pub(super) fn spare(&mut self) {
        self.fails_next = None;
        self.disk.spare();
    }

    /// Tells whether its power has failed, though it seems to run.
    pub(super) fn is_dark(&self) -> bool {
        !self.is_down() && self.disk.has_failed()
    }

    /// Tells whether it has no power since it was last told to start.
    pub(super) fn has_lost_power(&self) -> bool {
        self.disk.has_failed()
    }

    /// Returns the step at which its power has failed since, if it has and that has a name.
    pub(super) fn lost_power_at(&self) -> Option<&'static str> {
        self.disk.failed_at().map(|step| step.word)
    }

    /// Ends the node at once; returns when nothing of it is left.
    pub(super) async fn kill(&mut self, network: &Network) -> Result<(), Leak> {
        network.detach(self.address);
        match std::mem::replace(&mut self.phase, Phase::Down) {
            Phase::Down => {}
            Phase::Starting(task, stop) => {
                stop.cancel();
                task.abort();
                // Err: it was aborted, as asked.
                drop(task.await);
            }
            Phase::Up(cluster, stop) => {
                stop.cancel();
                drop(cluster);
            }
        }
        for _ in 0..GONE_MS_MAX {
            if self.store.strong_count() == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let name = self.name.clone();
        Err(Leak { name })
    }

    /// Moves the node to another address, which it has from its next start on.
    pub(super) fn move_to(&mut self, number: usize, turn: u8) {
        self.address = address(number, turn);
    }
}

/// Returns the address of a node: of its own number, anew with every turn.
fn address(number: usize, turn: u8) -> SocketAddr {
    let low = u16::try_from(number).unwrap_or(0);
    SocketAddr::from(([10, 0, turn, 1], 7_000 + low))
}
