//! What a supervisor tells a scene's process to do, and what that answers before it ingests.
//!
//! A line of JSON each way: orders on the process's standard input, answers on its standard output,
//! then the events of its scene (`wire::event`).
//!
//! *Invariants*: a path goes there and back byte by byte, whether it is UTF-8 or not.
//!
//! *Not here*: obeying (`obey`), giving orders (`supervise`).

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::fault::Fault;

/// What a scene's process is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Find the scenes of all paths; answered by [`Listed`] lines.
    List,
    /// Tell where the reason is kept if this scene fails; answered by a `failure::Spot`.
    Name(OsString),
    /// Ingest one scene, and end.
    Ingest {
        /// Address of the node to put to.
        node: String,
        /// The scene.
        scene: OsString,
    },
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
