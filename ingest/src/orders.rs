//! What a supervisor tells a scene's process to do, and what that answers.
//!
//! A line of JSON each way: orders on the process's standard input, answers on its standard output.
//! A scene is opened, planned along a collection's cells, then estimated, or cut: the process
//! decodes, the supervisor asks nodes and puts.
//!
//! *Invariants*: a path goes there and back byte by byte, whether it is UTF-8 or not; no answer
//! holds pixels: those wait in the spool.
//!
//! *Not here*: obeying (`obey`), giving orders (`supervise`).

use std::ffi::OsString;
use std::path::PathBuf;

use earth::split::collection::Collection;
use earth::split::meta::PixelCounts;
use serde::{Deserialize, Serialize};
use wire::fault::Fault;
use wire::ledger::Ledger;

use crate::cutting::{CutSums, Known, Step};
use crate::facts::Facts;
use crate::spool::Parcel;

/// What a scene's process is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Find the scenes of all paths; answered by [`Listed`] lines.
    List,
    /// Tell where the reason is kept if this scene fails; answered by a `failure::Spot`.
    Name(OsString),
    /// Open a scene: [`Told::Opened`].
    Open(OsString),
    /// Lay the cells of a collection over the scene: [`Told::Planned`].
    Plan(Collection),
    /// Tell what cutting would give: [`Told::Estimated`].
    Estimate,
    /// These splits of it are stored already; no answer, as often as there are more.
    Known(Known),
    /// Cut the cells that are not: [`Told::Kept`], steps and splits, [`Told::Cut`].
    Cut,
}

/// What a scene's process tells of its scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It was opened.
    Opened(Facts),
    /// It touches so many cells.
    Planned(u64),
    /// What its ledger would say.
    Estimated(Box<Ledger>),
    /// What is stored already of the cells that it touches.
    Kept(Kept),
    /// A strip was cut.
    Step(Step),
    /// A split may be put: all of the scene was read.
    Split(Box<Parcel>),
    /// All was cut.
    Cut(CutSums),
    /// What was ordered failed.
    Failed(Fault),
}

/// Sums over splits that need not be cut again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Splits.
    pub splits: u64,
    /// Their bytes, one replica.
    pub bytes: u64,
    /// Their pixels.
    pub counts: PixelCounts,
}

/// What is told of the scenes that were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// A path that is a scene.
    Scene(OsString),
    /// A path that is none, and why.
    Broken {
        /// The path.
        path: OsString,
        /// Why it is no scene.
        fault: Fault,
    },
    /// There are no more.
    End,
}

impl From<crate::source::find::Found> for Listed {
    fn from(found: Result<PathBuf, (PathBuf, Fault)>) -> Self {
        match found {
            Ok(path) => Self::Scene(path.into_os_string()),
            Err((path, fault)) => Self::Broken {
                path: path.into_os_string(),
                fault,
            },
        }
    }
}
