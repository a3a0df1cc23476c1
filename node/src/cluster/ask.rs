//! Why a node did not answer a question.
//!
//! *Invariants*: every reason names the node.
//!
//! *Not here*: asking (`core`).

use wire::fault::{Fault, FaultKind};

use crate::identity::NodeId;
use crate::swarm::LinkError;

/// Why a node did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// It could not be asked, or did not answer.
    #[error("node {node}: {error}")]
    Link {
        /// Which node.
        node: NodeId,
        /// Why.
        error: LinkError,
    },
    /// It answered that it cannot.
    #[error("node {node}: {fault}")]
    Fault {
        /// Which node.
        node: NodeId,
        /// What it said.
        fault: Box<Fault>,
    },
    /// It answered something else than was asked.
    #[error("node {node} gave an answer that makes no sense")]
    Senseless {
        /// Which node.
        node: NodeId,
    },
}

impl AskError {
    /// Returns the node that did not answer.
    pub(crate) fn node(&self) -> &NodeId {
        match self {
            Self::Link { node, .. } | Self::Fault { node, .. } | Self::Senseless { node } => node,
        }
    }

    /// Builds the error of an answer that does not fit the question.
    pub(crate) fn senseless(node: &NodeId) -> Self {
        Self::Senseless { node: node.clone() }
    }
}

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Fault { fault, .. } => *fault,
            error => Self::new(FaultKind::Unreachable, error.to_string()).try_("glebe status"),
        }
    }
}
