//! Keeps the table of members and the layouts alike on all nodes.
//!
//! Every pace this node counts up its beat and compares notes with one other in turn, and with one
//! that is not up, in case it is back. What others wait for (a layout known, synced or read from;
//! slots to be asked for) is told to all at once.
//!
//! *Invariants*: a round never waits for a slow node: exchanges are tasks with deadlines; members
//! are let in, and the file written, before anybody acts on a layout that names them.
//!
//! *Not here*: what the table concludes (`membership`), moving data (`sync`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use wire::cluster::NodeState;

use super::core::{AskError, Core, View};
use super::file::PeerRecord;
use super::vouch;
use crate::access::{Fixed, GrantNews};
use crate::identity::NodeId;
use crate::layout::{ChangeSet, Stamp, What};
use crate::membership::{Age, Beat};
use crate::peer::{Gossip, News, Request, Response};
use crate::refusals::Refused;
use crate::slots::SlotSet;
use crate::swarm::LinkError;

/// Longest that comparing notes may take: loopback takes one millisecond, a bad line a hundred.
const EXCHANGE_LIMIT: Duration = Duration::from_millis(1_500);
/// Longest that a probe may take; a probe through another takes up to twice that.
const PROBE_LIMIT: Duration = Duration::from_millis(500);
/// Others asked to reach a suspect: SWIM's three.
const HELPERS_MAX: usize = 3;

/// What others wait to hear.
type Waited = (Stamp, Stamp, Stamp, SlotSet);

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, pace: Duration) {
    let mut rounds = tokio::time::interval(pace);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let probing = Arc::new(Mutex::new(HashSet::new()));
    for round in 0_usize.. {
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let now = core.now();
        let (suspects, lost) = core.quietly(|view| {
            view.beat();
            let before = view.table.peers_in(NodeState::Down).count();
            let suspects = view.table.tick(now);
            (
                suspects,
                view.table.peers_in(NodeState::Down).count() > before,
            )
        });
        if lost {
            core.wake();
        }
        for node in partners(&core, round) {
            let core = Arc::clone(&core);
            let stop = core.stop.clone();
            core.tasks
                .clone()
                .spawn(stop.run_until_cancelled_owned(async move {
                    drop(exchange(&core, &node).await);
                }));
        }
        for node in suspects {
            probe_once(&core, &probing, node);
        }
    }
}

/// Tells all others at once whatever they wait for, as soon as it changes.
pub(crate) async fn keep(core: Arc<Core>) {
    let mut changes = core.changes();
    let mut told = None;
    loop {
        settle(&core).await;
        let now = core.look(waited);
        if told.as_ref() != Some(&now) {
            told = Some(now);
            announce(&core).await;
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = changes.changed() => {}
        }
    }
}

fn waited(view: &View) -> Waited {
    let me = view.table.me();
    (me.known, me.synced, me.reading, me.unconfirmed.clone())
}

/// Moves the ring on, lets new members in and writes the file.
pub(crate) async fn settle(core: &Core) {
    let moved = core.quietly(|view| {
        let moved = view.advance();
        let me = view.table.me();
        if me.reading != view.ring.read().stamp() || me.known != view.ring.newest().stamp() {
            view.beat();
        }
        moved
    });
    if moved {
        core.wake();
    }
    if let Some(link) = &core.link {
        link.admit(core.look(View::others)).await;
    }
    if let Err(error) = persist(core).await {
        tracing::error!(%error, "the cluster's file could not be written");
    }
}

/// Writes `cluster.json` if something in it has changed.
pub(crate) async fn persist(core: &Core) -> Result<(), super::file::ClusterFileError> {
    let Some(file) = core.file.clone() else {
        return Ok(());
    };
    let (changes, standing, peers) = core.look(|view| {
        let peer = |beat: &Beat| PeerRecord {
            node: beat.node.clone(),
            p2p: beat.p2p.clone(),
        };
        let others = view.table.beats().skip(1).map(peer).collect();
        (view.ring.changes().clone(), view.ring.standpoint(), others)
    });
    let others = (peers, vouch::vouchers(core, &changes));
    let written = tokio::task::spawn_blocking(move || file.update(&changes, &standing, others));
    written.await.unwrap_or(Ok(()))
}

/// Tells all others that may listen what this node says of itself; returns when all have heard or
/// failed to.
pub(crate) async fn announce(core: &Arc<Core>) {
    core.quietly(View::beat);
    let others = core.look(View::others_up);
    let told = others.iter().map(|node| exchange(core, node));
    for failed in join_all(told).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%failed, "could not tell a node what changed");
    }
}

/// Compares notes with everybody known, alive or not: what a node does before it serves.
pub(crate) async fn greet(core: &Arc<Core>) {
    let others = core.look(View::others);
    join_all(others.iter().map(|node| exchange(core, node))).await;
    settle(core).await;
}

/// Compares notes with one node.
pub(crate) async fn exchange(core: &Arc<Core>, node: &NodeId) -> Result<(), AskError> {
    sign(core);
    let gossip = core.look(|view| Gossip {
        ages: view.table.ages(),
        known: view.ring.newest().stamp(),
        beat: view.table.me().clone(),
        grants: core.keyring.digest(),
    });
    let answer = core
        .ask(node, Request::Gossip(gossip), EXCHANGE_LIMIT)
        .await?;
    let Response::News(news) = answer else {
        return Err(AskError::senseless(node));
    };
    let theirs = news.changes.as_ref().map(ChangeSet::stamp);
    let (wanted, granted) = (news.wanted.clone(), news.granted);
    absorb(core, news);
    sign(core);
    let reply = core.look(|view| {
        let lacking = theirs.is_some_and(|stamp| stamp != view.ring.newest().stamp());
        News {
            beats: wanted_beats(view, &wanted),
            changes: lacking.then(|| view.ring.changes().clone()),
            grants: grants_unlike(core, granted),
            ..News::default()
        }
    });
    let reply = vouched(core, reply);
    if reply != News::default() {
        core.ask(node, Request::Tell(reply), EXCHANGE_LIMIT).await?;
    }
    Ok(())
}

fn wanted_beats(view: &View, wanted: &[(NodeId, Age)]) -> Vec<Beat> {
    let newer =
        |(node, age): &(NodeId, Age)| view.table.of(node).filter(|beat| beat.age > *age).cloned();
    wanted.iter().filter_map(newer).filter(is_said).collect()
}

/// Adds the vouchers that go with changes.
fn vouched(core: &Core, mut news: News) -> News {
    if let Some(changes) = &news.changes {
        news.vouchers = vouch::vouchers(core, changes);
    }
    news
}

/// Signs the own beat before it is told.
fn sign(core: &Core) {
    if let Some(signer) = &core.signer {
        core.quietly(|view| view.table.sign(|bytes| signer.sign(bytes)));
    }
}

/// Tells whether a beat came from its node, not from a memory of where that was.
fn is_said(beat: &Beat) -> bool {
    beat.signature != Fixed::default()
}

/// Returns all tokens, if another node said that it knows others.
fn grants_unlike(core: &Core, theirs: Option<u64>) -> GrantNews {
    if theirs.is_some_and(|digest| digest != core.keyring.digest()) {
        core.keyring.news()
    } else {
        GrantNews::default()
    }
}

/// Answers a node that compares notes.
pub(crate) fn answer(core: &Core, gossip: Gossip) -> News {
    let known = gossip.known;
    let now = core.now();
    let beats = genuine(core, vec![gossip.beat]);
    let matters = core.quietly(|view| hear(view, beats, now));
    sign(core);
    let news = core.look(|view| {
        let lacking = |(node, age): &(NodeId, Age)| {
            let mine = view.table.of(node).map(|beat| beat.age);
            match mine {
                Some(mine) if mine >= *age => None,
                mine => Some((node.clone(), mine.unwrap_or_default())),
            }
        };
        let newer = view.table.newer_than(&gossip.ages);
        News {
            beats: newer.into_iter().filter(is_said).collect(),
            changes: (view.ring.newest().stamp() != known).then(|| view.ring.changes().clone()),
            wanted: gossip.ages.iter().filter_map(lacking).collect(),
            grants: grants_unlike(core, Some(gossip.grants)),
            granted: Some(core.keyring.digest()),
            vouchers: Vec::new(),
        }
    });
    let news = vouched(core, news);
    if matters {
        core.wake();
    }
    news
}

/// Takes in what another node told.
pub(crate) fn absorb(core: &Core, news: News) {
    let now = core.now();
    let changes = news.changes;
    let changes = changes.filter(|changes| vouch::accept(core, changes, &news.vouchers));
    let grown = core.quietly(|view| changes.is_some_and(|changes| view.merge(&changes)));
    let beats = genuine(core, news.beats);
    let matters = core.quietly(|view| hear(view, beats, now)) || grown;
    take_grants(core, news.grants);
    if matters {
        core.wake();
    }
}

/// Returns the beats that are news and that their nodes signed; says which were not.
fn genuine(core: &Core, beats: Vec<Beat>) -> Vec<Beat> {
    let (news, strange): (Vec<Beat>, Vec<Beat>) = core.look(|view| {
        let news = beats.into_iter().filter(|b| view.table.is_news(b));
        news.partition(|b| view.ring.is_member(&b.node))
    });
    if let Some(beat) = strange.first() {
        // A layout that names the node may not have arrived yet: that is no lie.
        tracing::debug!(node = %beat.node, "a beat of no member");
    }
    let (signed, forged): (Vec<Beat>, Vec<Beat>) = news.into_iter().partition(Beat::is_signed);
    for beat in forged {
        let why = "a beat that its node did not sign";
        core.refusals.note(Refused::Beat, &beat.node, &why);
    }
    signed
}

/// Takes in tokens that members made; who made one may have left since.
fn take_grants(core: &Core, news: GrantNews) {
    if news.is_empty() {
        return;
    }
    let makers: HashSet<NodeId> = core.look(|view| {
        let changes = view.ring.changes().iter();
        let joined = changes.filter(|c| matches!(c.what, What::Join { .. }));
        joined.map(|c| c.node.clone()).collect()
    });
    match core.keyring.absorb(news, |node| makers.contains(node)) {
        Ok(merged) if merged.refused > 0 => {
            let why = format!("{} tokens that no member made", merged.refused);
            core.refusals.note(Refused::Grant, &"gossip", &why);
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the tokens could not be written"),
    }
}

/// Takes in where others were, as somebody else told; whether they live is found out.
pub(crate) fn recall(core: &Core, beats: Vec<Beat>) {
    core.quietly(|view| {
        for beat in beats.into_iter().filter(|b| view.ring.is_member(&b.node)) {
            if beat.node != core.me {
                view.table.recall(beat);
            }
        }
    });
}

/// Hears the beats of members; tells whether one says what others wait for.
fn hear(view: &mut View, beats: Vec<Beat>, now: Duration) -> bool {
    let said = |b: &Beat| (b.known, b.synced, b.reading, b.unconfirmed.clone());
    let mut matters = false;
    for beat in beats.into_iter().filter(|b| view.ring.is_member(&b.node)) {
        let before = view.table.of(&beat.node).map(said);
        let new = said(&beat);
        matters |= view.table.hear(beat, now) && before != Some(new);
    }
    matters
}

/// Chooses whom to compare notes with: one that is up, in turn, and one that is not.
fn partners(core: &Core, round: usize) -> Vec<NodeId> {
    core.look(|view| {
        let (up, away): (Vec<NodeId>, Vec<NodeId>) = view
            .others()
            .into_iter()
            .partition(|node| view.table.state(node) == NodeState::Up);
        let turn = |nodes: Vec<NodeId>| {
            let place = round.checked_rem(nodes.len());
            place.and_then(|i| nodes.into_iter().nth(i))
        };
        turn(up).into_iter().chain(turn(away)).collect()
    })
}

/// Probes a suspect unless that is being done.
fn probe_once(core: &Arc<Core>, probing: &Arc<Mutex<HashSet<NodeId>>>, node: NodeId) {
    let lock = |p: &Mutex<HashSet<NodeId>>| match p.lock() {
        Ok(mut set) => set.insert(node.clone()),
        Err(poisoned) => PoisonError::into_inner(poisoned).insert(node.clone()),
    };
    if !lock(probing) {
        return;
    }
    let (core, probing) = (Arc::clone(core), Arc::clone(probing));
    let stop = core.stop.clone();
    core.tasks
        .clone()
        .spawn(stop.run_until_cancelled_owned(async move {
            probe(&core, &node).await;
            let mut set = probing.lock().unwrap_or_else(PoisonError::into_inner);
            set.remove(&node);
        }));
}

/// Asks a suspect directly, then through others, whether it lives.
async fn probe(core: &Arc<Core>, node: &NodeId) {
    let direct = core.ask(node, Request::Probe(None), PROBE_LIMIT).await;
    let refused = match direct {
        Ok(_) => return,
        Err(AskError::Link { error, .. }) => error == LinkError::Unreachable,
        Err(_) => false,
    };
    let helpers = core.look(View::others_up);
    let ask = |helper: NodeId| async move {
        let request = Request::Probe(Some(node.clone()));
        let answer = core.ask(&helper, request, 2 * PROBE_LIMIT).await;
        matches!(answer, Ok(Response::Alive(true)))
    };
    let asked = helpers.into_iter().take(HELPERS_MAX).map(ask);
    let reached = join_all(asked).await.into_iter().any(|alive| alive);
    core.change(|view, now| match (reached, refused) {
        (true, _) => view.table.answered(node, now),
        (false, true) => view.table.gone(node),
        (false, false) => {}
    });
}

/// Answers whether a node lives: this one does.
pub(crate) async fn reaches(core: &Arc<Core>, node: Option<NodeId>) -> bool {
    match node {
        None => true,
        Some(node) if node == core.me => true,
        Some(node) => core
            .ask(&node, Request::Probe(None), PROBE_LIMIT)
            .await
            .is_ok(),
    }
}
