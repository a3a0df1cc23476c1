//! Asking a node, and why it did not answer.
//!
//! *Invariants*: every reason names the node; nobody is asked what came with a version that it
//! does not speak, and nobody is suspected for not knowing it.
//!
//! *Not here*: what is answered (`answer`), which questions came when (`peer`).

use std::sync::Arc;
use std::time::Duration;

use wire::fault::{Fault, FaultKind};

use super::core::Core;
use super::seeds;
use crate::answer;
use crate::identity::NodeId;
use crate::peer::{Request, Response, decode_response, encode_request};
use crate::swarm::{Lane, LinkError};

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
    /// It was not asked: it is of before the question.
    #[error("node {node} does not know this question, which came with messages of version {since}")]
    Unknown {
        /// Which node.
        node: NodeId,
        /// The least version of messages that has the question.
        since: u16,
    },
}

impl Core {
    /// Asks a node, itself too, and waits for the answer, at most for `limit`.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        node: &NodeId,
        request: Request,
        limit: Duration,
    ) -> Result<Response, AskError> {
        let response = if *node == self.me {
            answer::answer(self, &self.me, request).await
        } else {
            self.ask_peer(node, &request, limit).await?
        };
        match response {
            Response::Fault(fault) => Err(AskError::Fault {
                node: node.clone(),
                fault: Box::new(fault.into()),
            }),
            response => Ok(response),
        }
    }

    async fn ask_peer(
        &self,
        node: &NodeId,
        request: &Request,
        limit: Duration,
    ) -> Result<Response, AskError> {
        let failed = |error| AskError::Link {
            node: node.clone(),
            error,
        };
        let link = self.link.as_ref().ok_or(failed(LinkError::Stopped))?;
        if !self.knows(node, request) {
            let (node, since) = (node.clone(), request.since());
            return Err(AskError::Unknown { node, since });
        }
        let p2p = self.look(|v| v.table.of(node).map(|beat| beat.p2p.clone()));
        let address = seeds::resolve(&p2p.unwrap_or_default()).await;
        let address = address.ok_or(failed(LinkError::Unreachable))?;
        let frame = encode_request(request);
        self.meters.sent(request.purpose(), frame.length());
        let began = self.now();
        let asked = link.ask((node, address), frame, request.lane(), limit);
        let answer = match request.lane() {
            Lane::Beat => asked.await,
            // Once a node is known to be down, nobody waits for its deadline.
            Lane::Work => tokio::select! {
                biased;
                answer = asked => answer,
                () = self.until_down(node) => Err(LinkError::Unreachable),
            },
        };
        match answer {
            Ok(frame) => {
                self.quietly(|view| {
                    view.table.answered(node);
                    if request.lane() == Lane::Beat {
                        view.measured(node, self.now().saturating_sub(began));
                    }
                });
                let node = node.clone();
                decode_response(&frame).map_err(|_| AskError::Senseless { node })
            }
            Err(error) => {
                let now = self.now();
                // Who waits for a change may be who asked: it would ask again at once.
                if self.quietly(|view| view.table.failed(node, now)) {
                    self.wake();
                }
                Err(failed(error))
            }
        }
    }

    /// Waits until a node is down.
    async fn until_down(&self, node: &NodeId) {
        let mut changes = self.changes();
        while self.look(|view| view.table.may_answer(node)) {
            changes.changed().await;
        }
    }

    /// Tells whether a node speaks a version in which there is this question; of one that has not
    /// said what it speaks, that is not known, and it is asked.
    pub(crate) fn knows(&self, node: &NodeId, request: &Request) -> bool {
        let speaks = self.look(|view| view.table.of(node).map(|beat| beat.versions.messages));
        *node == self.me || speaks.is_none_or(|speaks| speaks.reaches(request.since()))
    }
}

impl AskError {
    /// Returns the node that did not answer.
    pub(crate) fn node(&self) -> &NodeId {
        match self {
            Self::Link { node, .. }
            | Self::Fault { node, .. }
            | Self::Senseless { node }
            | Self::Unknown { node, .. } => node,
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
            AskError::Unknown { .. } => Self::new(FaultKind::Refused, error.to_string())
                .try_("the latest glebe on all nodes; glebe node list tells what each speaks"),
            error => Self::new(FaultKind::Unreachable, error.to_string()).try_("glebe status"),
        }
    }
}
