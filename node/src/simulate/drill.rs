//! One run of a simulated cluster: what it is made of, and what came of it.
//!
//! *Invariants*: everything a drill does follows from its fields; its disks are folders that are
//! gone when it ends.
//!
//! *Not here*: the run itself (`scene`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dice::Dice;
use super::faults::Fault;
use super::imagery::imagery;
use super::log::Detail;
use super::scene::Scene;
use super::truth::Tally;
use crate::hands;
use crate::layout::{REPLICAS_MAX, folded};

/// Greatest number of nodes of a drill: what the one-hop table is meant for.
pub const DRILL_NODES_MAX: u16 = 1_000;
/// Where simulated disks lie, if it is there: memory, for which an fsync costs nothing.
const MEMORY: &str = "/dev/shm";
/// Virtual seconds of faults unless told otherwise.
const SECONDS: u64 = 30;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// Decides everything else.
    pub seed: u64,
    /// Nodes at the start, 1 to `DRILL_NODES_MAX`.
    pub nodes: u16,
    /// Replicas of every split, 1 to as many as there are nodes, `REPLICAS_MAX` at most.
    pub replicas: u8,
    /// Virtual time in which things go wrong.
    pub lasts: Duration,
    /// What may go wrong.
    pub faults: Vec<Fault>,
    /// Which lines of its log are kept.
    pub detail: Detail,
}

/// What came of a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Digest of the whole log: two runs of one drill have the same.
    pub digest: String,
    /// The lines kept.
    pub lines: Vec<String>,
    /// Promises that were broken; empty if all is well.
    pub violations: Vec<String>,
    /// What its users saw.
    pub tally: Tally,
    /// How often what went wrong.
    pub faults: Vec<(Fault, u64)>,
    /// How often the power failed at which step of what a store does to its disk; all steps that
    /// have a name are here.
    pub cuts: BTreeMap<&'static str, u64>,
    /// Virtual time after the last fault until all was where it belongs.
    pub healed_after: Option<Duration>,
    /// Frames between nodes, and their bytes.
    pub frames: (u64, u64),
}

/// Why nothing was simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The simulated disks cannot be made.
    #[error("cannot make a folder for simulated disks below {path}")]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cluster cannot be built as asked.
    #[error("{0}")]
    Senseless(String),
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Drill {
    /// Returns the drill of a seed: three to five nodes, two or three replicas, everything goes
    /// wrong.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = 3 + dice.below(3);
        let replicas = 2 + dice.below(2);
        Self {
            seed,
            nodes: u16::try_from(nodes).unwrap_or(3),
            replicas: u8::try_from(replicas).unwrap_or(2),
            lasts: Duration::from_secs(SECONDS),
            faults: Fault::ALL.to_vec(),
            detail: Detail::Digest,
        }
    }

    /// Runs the drill on this thread, which must not be one of a tokio runtime.
    pub fn run(&self) -> Result<Outcome, SimulationError> {
        self.stage(async |scene| scene.play().await)
    }

    /// Lets the cluster come up and do nothing; returns the bytes that each node sends in a second
    /// on average, and the one that sends most.
    pub fn idle(&self) -> Result<(f64, f64), SimulationError> {
        self.stage(async |scene| scene.idle().await)
    }

    fn stage<T>(&self, play: impl AsyncFnOnce(&mut Scene<'_>) -> T) -> Result<T, SimulationError> {
        let senseless = |what: &str| SimulationError::Senseless(what.to_owned());
        self.check()?;
        let imagery = imagery().ok_or_else(|| senseless("no split can be encoded"))?;
        let mut dice = Dice::new(self.seed);
        let disk = |source| SimulationError::Disk {
            path: place(),
            source,
        };
        let folder = Folder::new(self.seed).map_err(disk)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(disk)?;
        hands::simulate(Some(dice.fork()));
        folded::remember(true);
        let outcome = runtime.block_on(async {
            let mut scene = Scene::new(self, (dice, imagery), &folder.0).map_err(disk)?;
            Ok(play(&mut scene).await)
        });
        folded::remember(false);
        hands::simulate(None);
        outcome
    }

    fn check(&self) -> Result<(), SimulationError> {
        let senseless = |what: String| Err(SimulationError::Senseless(what));
        let (nodes, replicas) = (self.nodes, self.replicas);
        if !(1..=DRILL_NODES_MAX).contains(&nodes) {
            return senseless(format!(
                "a drill has 1 to {DRILL_NODES_MAX} nodes, not {nodes}"
            ));
        }
        if !(1..=REPLICAS_MAX).contains(&replicas) || u16::from(replicas) > nodes {
            let most = nodes.min(REPLICAS_MAX.into());
            return senseless(format!(
                "{nodes} nodes keep 1 to {most} replicas, each on a node of its own, not {replicas}"
            ));
        }
        Ok(())
    }

    /// Returns the command that runs this drill again and tells what happens.
    pub fn command(&self) -> String {
        let mut command = format!("glebe simulate drill --seed {}", self.seed);
        let usual = Self::of_seed(self.seed);
        if self.nodes != usual.nodes {
            command += &format!(" --nodes {}", self.nodes);
        }
        if self.replicas != usual.replicas {
            command += &format!(" --replicas {}", self.replicas);
        }
        if self.lasts != usual.lasts {
            command += &format!(" --seconds {}", self.lasts.as_secs());
        }
        if self.faults != usual.faults {
            let words: Vec<&str> = self.faults.iter().map(|f| f.word()).collect();
            command += &format!(" --faults {}", words.join(","));
        }
        command
    }
}

impl Folder {
    fn new(seed: u64) -> std::io::Result<Self> {
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let name = format!("glebe-simulate-{}-{number}-{seed}", std::process::id());
        let path = place().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "a simulated disk stays behind");
        }
    }
}

fn place() -> PathBuf {
    let memory = Path::new(MEMORY);
    if memory.is_dir() {
        return memory.to_owned();
    }
    std::env::temp_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_cannot_be_is_refused_with_its_reason() {
        let refused = |nodes: u16, replicas: u8| {
            let mut drill = Drill::of_seed(1);
            (drill.nodes, drill.replicas) = (nodes, replicas);
            drill.check().map_err(|error| error.to_string())
        };
        for (nodes, replicas) in [(1, 1), (3, 3), (7, 7), (1_000, 7)] {
            assert_eq!(refused(nodes, replicas), Ok(()), "{nodes} {replicas}");
        }
        for nodes in [0, 1_001, u16::MAX] {
            let why = refused(nodes, 1).unwrap_err();
            assert!(why.contains("1 to 1000 nodes, not"), "{why}");
        }
        for (nodes, replicas, most) in [(2, 3, 2), (1_000, 8, 7), (5, 0, 5)] {
            let why = refused(nodes, replicas).unwrap_err();
            let range = format!("1 to {most} replicas");
            assert!(why.contains(&range), "{why}");
        }
    }
}
