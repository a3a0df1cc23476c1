//! How a node becomes a member.
//!
//! ```text
//! joiner ── reach HOST:PORT ──▶ member          now each knows the other's id, by Noise
//! joiner ── JoinRequest{proof of the token} ──▶ member: check, add the change, fsync, let in
//! joiner ◀── Welcome{proof, changes, beats} ──  member
//! ```
//! *Invariants*: a stranger learns nothing unless it holds a token; the change is fsynced here
//! before the newcomer hears of it.
//!
//! *Not here*: moving the newcomer's slots to it (`sync`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::fault::{Fault, FaultKind};

use super::core::Core;
use super::{gossip, persist, seeds, vouch};
use crate::access::Fixed;
use crate::identity::NodeId;
use crate::layout::{Layout, Place, What};
use crate::membership::{Age, Beat};
use crate::meters::Purpose;
use crate::peer::{FORSAKES, JoinAnswer, JoinRequest, Versions, Welcome, decode, encode};
use crate::refusals::Refused;
use crate::slots::SlotSet;
use crate::swarm::{Link, LinkError, Reached};
use crate::token::{Ends, Token, TokenError};

/// Longest that reaching a member, and its answer, may take.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// What to try when a token is not taken.
const TOKEN_ADVICE: &str = "ask a member for a fresh one: glebe cluster token --cluster URL";

/// What a newcomer says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    pub p2p: String,
    pub http: String,
    pub place: Place,
    pub replicas: Option<u8>,
}

/// Asks members to be let in, one after the other, until one lets this node in.
pub(crate) async fn join(
    link: &Link,
    addresses: &str,
    token: &Token,
    newcomer: &Newcomer,
) -> Result<Welcome, Fault> {
    let found = seeds::of_list(addresses).await;
    if found.is_empty() {
        return Err(unknown(addresses));
    }
    let mut last = nobody(addresses, &LinkError::Unreachable);
    for address in found {
        match link.reach(address, JOIN_LIMIT).await {
            // A name that stands for every node stands for this one, too.
            Ok(reached) if reached.node == *link.me() => {}
            Ok(reached) => match ask(link, (address, reached), token, newcomer).await {
                Ok(welcome) => return Ok(welcome),
                Err(fault) => last = fault,
            },
            // What somebody said counts more than that another said nothing.
            Err(error) if last.kind == FaultKind::Unreachable => {
                last = nobody(&address.to_string(), &error);
            }
            Err(_) => {}
        }
    }
    Err(last)
}

fn unknown(addresses: &str) -> Fault {
    let what = format!("{addresses} stands for no address");
    Fault::new(FaultKind::Unreachable, what)
        .because("nothing was found when it was looked up as HOST:PORT")
        .try_("another --join, HOST:PORT, with a name that this machine knows or a number")
}

fn nobody(address: &str, error: &LinkError) -> Fault {
    let what = format!("nobody to join at {address}");
    Fault::new(FaultKind::Unreachable, what)
        .because(error.to_string())
        .try_("check the address, and that the node there is up")
}

/// Asks one member to be let in.
async fn ask(
    link: &Link,
    (address, reached): (SocketAddr, Reached),
    token: &Token,
    newcomer: &Newcomer,
) -> Result<Welcome, Fault> {
    let ends = Ends {
        joiner: link.me(),
        member: &reached.node,
    };
    let request = JoinRequest {
        claim: token.claim(ends),
        p2p: newcomer.p2p.clone(),
        http: newcomer.http.clone(),
        place: newcomer.place.clone(),
        replicas: newcomer.replicas,
        versions: Versions::OURS,
    };
    let answer = link.join(&reached, encode(&request), JOIN_LIMIT).await;
    link.part(&reached).await;
    match decode(&answer.map_err(|error| nobody(&address.to_string(), &error))?) {
        Ok(JoinAnswer::Refused(fault)) => Err(fault.into()),
        Ok(JoinAnswer::Welcome(welcome)) if token.answered_by(welcome.proof, ends) => Ok(*welcome),
        Ok(JoinAnswer::Welcome(_)) => Err(Fault::new(
            FaultKind::Refused,
            format!("the node at {address} is no member of the token's cluster"),
        )
        .try_("check the address")),
        Err(error) => Err(Fault::new(FaultKind::Refused, "the answer cannot be read")
            .because(error.to_string())
            .try_("run the same version of glebe on all nodes")),
    }
}

/// Answers a stranger who asks to be let in.
pub(crate) async fn answer(core: &Arc<Core>, from: &NodeId, frame: &[u8]) -> Vec<u8> {
    let answer = match decode::<JoinRequest>(frame) {
        Ok(request) => admit(core, from, request).await,
        Err(_) => Err(
            Fault::new(FaultKind::Refused, "the join request cannot be read")
                .try_("run the same version of glebe on all nodes"),
        ),
    };
    let answer = match answer {
        Ok(welcome) => JoinAnswer::Welcome(Box::new(welcome)),
        Err(fault) => {
            core.refusals
                .note(Refused::Join, from, &fault.because.join(", "));
            JoinAnswer::Refused(fault.into())
        }
    };
    let frame = encode(&answer);
    core.meters.sent(Purpose::Gossip, frame.len());
    frame
}

async fn admit(core: &Arc<Core>, from: &NodeId, request: JoinRequest) -> Result<Welcome, Fault> {
    let file = core.file.as_ref();
    let file =
        file.ok_or_else(|| Fault::new(FaultKind::Refused, "an embedded node has no peers"))?;
    let ends = Ends {
        joiner: from,
        member: &core.me,
    };
    let admitted = file
        .secret
        .admit(file.cluster, &request.claim, ends, core.day());
    let proof = admitted.map_err(refusal)?;
    check_version(request.versions)?;
    core.look(|view| check_changes(view.ring.newest(), from, request.versions))?;
    if core.keyring.is_revoked(request.claim.id) {
        return Err(refusal(TokenError::Revoked));
    }
    let replicas = core.look(|view| view.ring.newest().replicas());
    if let Some(expected) = request.replicas.filter(|r| *r != replicas) {
        let what = format!("the cluster keeps {replicas} replicas, not {expected}");
        return Err(Fault::new(FaultKind::Refused, what).try_(format!(
            "glebe up --join … --replicas {replicas}, or without --replicas"
        )));
    }
    add(core, from, &request)?;
    gossip::settle(core).await;
    if let Err(error) = persist::cluster(core).await {
        return Err(Fault::new(FaultKind::Internal, error.to_string()));
    }
    tracing::info!(node = %from, "let a node in");
    gossip::sign(core);
    Ok(core.look(|view| Welcome {
        proof,
        cluster: file.cluster,
        secret: file.secret.clone(),
        changes: view.ring.changes().clone(),
        standing: view.ring.standpoint(),
        beats: view.table.beats().cloned().collect(),
        grants: core.keyring.news(),
        vouchers: vouch::vouchers(core, view.ring.changes()),
    }))
}

/// Refuses a newcomer with whom the members could not speak.
fn check_version(theirs: Versions) -> Result<(), Fault> {
    let ours = Versions::OURS;
    if ours.agree(theirs) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Refused,
        format!("the cluster exchanges {ours}; this node {theirs}"),
    )
    .try_("run the same version of glebe on all nodes"))
}

/// Refuses a newcomer that was forsaken, or that could not read that another was.
fn check_changes(newest: &Layout, node: &NodeId, theirs: Versions) -> Result<(), Fault> {
    let forsaken = newest.forsaken();
    if forsaken.contains(node) {
        return Err(Fault::new(
            FaultKind::Refused,
            "this node was removed for good: what only it held was given up",
        )
        .try_("glebe up with another --data folder"));
    }
    if forsaken.is_empty() || theirs.messages.reaches(FORSAKES) {
        return Ok(());
    }
    let messages = theirs.messages;
    Err(Fault::new(
        FaultKind::Refused,
        format!(
            "a node of this cluster was forsaken, which messages of version {FORSAKES} tell; this \
             node exchanges messages of {messages}"
        ),
    )
    .try_("run the same version of glebe on all nodes"))
}

/// Makes the node a member of the newest layout, unless it is one.
fn add(core: &Core, node: &NodeId, request: &JoinRequest) -> Result<(), Fault> {
    let beat = Beat {
        node: node.clone(),
        age: Age::default(),
        p2p: request.p2p.clone(),
        http: request.http.clone(),
        known: crate::layout::Stamp::default(),
        synced: crate::layout::Stamp::default(),
        reading: core.look(|view| view.ring.read().stamp()),
        unconfirmed: SlotSet::none(),
        catalog: 0,
        versions: request.versions,
        signature: Fixed::default(),
    };
    core.change(|view, now| {
        if !view.ring.newest().contains(node) {
            let join = What::Join(request.place.clone());
            let changes = view.ring.changes().with(node.clone(), join);
            let changes = changes.map_err(|e| Fault::new(FaultKind::Refused, e.to_string()))?;
            view.merge(&changes);
        }
        view.table.recall(beat, now);
        Ok(())
    })
}

fn refusal(error: TokenError) -> Fault {
    Fault::new(FaultKind::Refused, "the node was not let in")
        .because(error.to_string())
        .try_(TOKEN_ADVICE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ChangeSet, Member};

    #[test]
    fn a_node_of_another_version_is_told_what_is_spoken_here() {
        assert_eq!(check_version(Versions::OURS), Ok(()));
        for theirs in [[5, 6, 1, 1], [4, 4, 5, 6]] {
            let theirs = postcard::from_bytes(&theirs).unwrap();
            let fault = check_version(theirs).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Refused);
            let ours = "messages of version 4, files of version 1";
            assert!(fault.what.contains(ours), "{fault:?}");
            assert!(fault.what.contains("of versions 5 to 6"), "{fault:?}");
        }
    }

    #[test]
    fn who_was_forsaken_does_not_join_again_nor_who_could_not_read_that_another_was() {
        let [a, b, c] = ["a", "b", "c"].map(|id| NodeId::parse(id).unwrap());
        let first = Member {
            node: a,
            place: Place::default(),
            draining: false,
        };
        let changes = ChangeSet::found(1, &first).unwrap();
        let two = changes.with(b.clone(), What::Join(Place::default()));
        let two = two.unwrap();
        let old = postcard::from_bytes(&[1, 2, 1, 1]).unwrap();
        assert_eq!(check_changes(&two.layout(), &b, old), Ok(()));
        let one = two.with(b.clone(), What::Forsake).unwrap().layout();
        let fault = check_changes(&one, &b, Versions::OURS).unwrap_err();
        assert!(fault.what.contains("for good"), "{fault:?}");
        let fault = check_changes(&one, &c, old).unwrap_err();
        assert!(fault.what.contains("versions 1 to 2"), "{fault:?}");
        assert_eq!(check_changes(&one, &c, Versions::OURS), Ok(()));
    }
}
