//! Keeps the table of members and the layouts alike on all nodes.
//!
//! Every pace this node compares a digest with one other in turn, and with one that is not up, in
//! case it is back; only where digests differ are ages compared and beats told. What others wait
//! for (a layout known, synced or read from; slots to be asked for) is told to all at once, and so
//! is who does not answer.
//!
//! *Invariants*: a round never waits for a slow node: exchanges are tasks with deadlines; members
//! are let in, and the file written, before anybody acts on a layout that names them; a round costs
//! as much in a large cluster as in a small one.
//!
//! *Not here*: what the table concludes (`membership`), asking suspects (`probe`), moving data
//! (`sync`).

mod probe;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;
use wire::cluster::NodeState;

use super::core::{AskError, Core, View};
use super::{persist, report, seeds, vouch};
use crate::access::{Fixed, GrantNews};
use crate::identity::NodeId;
use crate::layout::{ChangeSet, Stamp, What};
use crate::membership::{Age, Beat};
use crate::peer::{Gossip, News, Request, Response};
use crate::refusals::Refused;
use crate::slots::SlotSet;
use crate::swarm::LinkError;

pub(crate) use probe::reaches;

/// Longest that comparing notes may take: loopback takes one millisecond, a bad line a hundred.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(1);
/// How long one of a majority may take before another is asked, too.
const SLOW_AFTER: Duration = Duration::from_millis(200);
/// Rounds between two looks for members that may have moved.
const ROUNDS_A_LOOK: usize = 10;

/// What to do about a node that was removed.
const REJOIN_ADVICE: &str =
    "to join again: glebe up with another --data folder, --join HOST:PORT and --token-file FILE";

/// What others wait to hear.
type Waited = (Stamp, Stamp, Stamp, SlotSet);

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, pace: Duration) {
    let mut rounds = tokio::time::interval(pace);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let probing = Arc::new(Mutex::new(HashSet::new()));
    let mut is_removed = false;
    for round in 0_usize.. {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let now = core.now();
        let (tick, lost) = core.quietly(|view| {
            view.beat();
            let before = view.table.peers_in(NodeState::Down).count();
            let tick = view.table.tick(now);
            (tick, view.table.peers_in(NodeState::Down).count() > before)
        });
        if lost {
            core.wake();
        }
        is_removed = removed(&core, is_removed);
        for node in partners(&core, round) {
            in_task(&core, |core| async move {
                drop(exchange(&core, &node, Notes::Digest).await);
            });
        }
        for node in tick.probe {
            probe::once(&core, &probing, node);
        }
        if !tick.tell.is_empty() {
            in_task(&core, |core| async move {
                probe::accuse(&core, tick.tell).await;
            });
        }
        let lonely = core.look(|view| view.others_up().len() < view.others().len());
        if lonely && round % ROUNDS_A_LOOK == 0 {
            in_task(&core, |core| async move { seeds::find(&core).await });
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
            biased;
            () = core.stop.cancelled() => return,
            () = changes.changed() => {}
        }
    }
}

fn waited(view: &View) -> Waited {
    waits(view.table.me())
}

/// Moves the ring on, lets new members in and writes the file.
pub(crate) async fn settle(core: &Arc<Core>) {
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
    if let Err(error) = persist::cluster(core).await {
        tracing::error!(%error, "the cluster's file could not be written");
    }
}

/// Tells all others that may listen what this node says of itself; returns when all have heard or
/// failed to.
pub(crate) async fn announce(core: &Arc<Core>) {
    core.quietly(View::beat);
    let (others, count) = core.look(|view| (view.others_up(), view.table.me().age.count));
    let told = others.iter().map(|node| exchange(core, node, Notes::Beat));
    let mut heard = BTreeSet::from([core.me.clone()]);
    for (node, told) in others.iter().zip(join_all(told).await) {
        match told {
            Ok(()) => drop(heard.insert(node.clone())),
            Err(failed) => tracing::debug!(%failed, "could not tell a node what changed"),
        }
    }
    core.quietly(|view| view.note_told(count, &heard));
}

/// Compares notes with a majority, so that whatever a majority was told is known here; returns the
/// members that did not answer, but for forsaken ones, if there is no majority.
pub(crate) async fn confirm(core: &Arc<Core>) -> BTreeSet<NodeId> {
    let mut heard = BTreeSet::from([core.me.clone()]);
    // Who is suspect for another's word may well answer.
    let mut up = core.look(|view| {
        let suspect = |node: &NodeId| view.table.state(node) == NodeState::Suspect;
        let suspects = view.others().into_iter().filter(suspect);
        let up = view.others_up().into_iter().chain(suspects);
        let forsaken = view.ring.newest().forsaken();
        up.filter(|node| !forsaken.contains(node))
            .collect::<Vec<_>>()
    });
    up.reverse();
    let mut asked = FuturesUnordered::new();
    let mut slow = 0;
    while !core.look(|view| view.hears_majority(&heard)) {
        let enough = core.look(|view| view.ring.read().members().len()) / 2 + 1;
        while heard.len() + asked.len() < enough + slow || asked.is_empty() {
            let Some(node) = up.pop() else { break };
            asked.push(async move { (exchange(core, &node, Notes::Digest).await, node) });
        }
        match timeout(SLOW_AFTER, asked.next()).await {
            Err(_) => slow += 1,
            Ok(Some((Ok(()), node))) => drop(heard.insert(node)),
            Ok(Some((Err(error), _))) => tracing::debug!(%error, "a member compares no notes"),
            Ok(None) => {
                return core.look(|view| view.unheard(&heard));
            }
        }
    }
    BTreeSet::new()
}

/// Compares notes with everybody known, alive or not: what a node does before it serves.
pub(crate) async fn greet(core: &Arc<Core>) {
    let others = core.look(View::others);
    join_all(others.iter().map(|node| exchange(core, node, Notes::All))).await;
    settle(core).await;
}

/// How much is said at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notes {
    /// A digest: all is likely known.
    Digest,
    /// The own beat, too: it has changed.
    Beat,
    /// How old everything is, too: much is likely unknown.
    All,
}

/// Compares notes with one node.
pub(crate) async fn exchange(
    core: &Arc<Core>,
    node: &NodeId,
    notes: Notes,
) -> Result<(), AskError> {
    let compared = compare(core, node, notes).await;
    if let Err(AskError::Link { error, .. }) = &compared
        && *error == LinkError::Refused
    {
        core.quietly(|view| view.table.refused(core.now()));
    }
    if compared? && notes != Notes::All {
        compare(core, node, Notes::All).await?;
    }
    Ok(())
}

/// Says once that this node was removed; tells whether it was.
fn removed(core: &Core, known: bool) -> bool {
    let now = core.now();
    let is_removed = core.look(|view| report::is_removed(view, now));
    if is_removed && !known {
        tracing::warn!(
            "this node was removed, most likely: members that are up refuse it; {REJOIN_ADVICE}"
        );
    }
    is_removed
}

/// Asks a node what is new, and tells it what it turns out to lack; returns whether more is.
async fn compare(core: &Arc<Core>, node: &NodeId, notes: Notes) -> Result<bool, AskError> {
    sign(core);
    let gossip = core.look(|view| Gossip {
        digest: view.table.digest(),
        known: view.ring.newest().stamp(),
        beat: (notes != Notes::Digest).then(|| view.table.me().clone()),
        ages: match notes {
            Notes::All => view.table.ages(),
            Notes::Digest | Notes::Beat => Vec::new(),
        },
        grants: core.keyring.digest(),
    });
    let answer = core
        .ask(node, Request::Gossip(gossip), EXCHANGE_LIMIT)
        .await?;
    let Response::News(mut news) = answer else {
        return Err(AskError::senseless(node));
    };
    let theirs = news.changes.as_ref().map(ChangeSet::stamp);
    let (wanted, granted) = (std::mem::take(&mut news.wanted), news.granted);
    let differs = news.differs;
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
    Ok(differs)
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
pub(super) fn sign(core: &Core) {
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
pub(crate) fn answer(core: &Core, from: &NodeId, gossip: Gossip) -> News {
    let Gossip {
        digest,
        known,
        beat,
        ages,
        grants,
    } = gossip;
    let now = core.now();
    let beats = genuine(core, beat.into_iter().collect());
    let matters = core.quietly(|view| {
        view.table.stirred(from);
        hear(view, beats, now)
    });
    sign(core);
    let news = core.look(|view| {
        let mine = core.keyring.digest();
        let news = News {
            changes: (view.ring.newest().stamp() != known).then(|| view.ring.changes().clone()),
            grants: grants_unlike(core, Some(grants)),
            granted: (mine != grants).then_some(mine),
            differs: view.table.digest() != digest,
            ..News::default()
        };
        if ages.is_empty() {
            return news;
        }
        let lacking = |(node, age): &(NodeId, Age)| {
            let mine = view.table.of(node).map(|beat| beat.age);
            match mine {
                Some(mine) if mine >= *age => None,
                mine => Some((node.clone(), mine.unwrap_or_default())),
            }
        };
        let newer = view.table.newer_than(&ages);
        News {
            beats: newer.into_iter().filter(is_said).collect(),
            wanted: ages.iter().filter_map(lacking).collect(),
            ..news
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
    let grown = core.quietly(|view| {
        for (node, age) in &news.suspects {
            view.table.suspected(node, *age, now);
        }
        changes.is_some_and(|changes| view.merge(&changes))
    });
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
    let now = core.now();
    core.quietly(|view| {
        for beat in beats.into_iter().filter(|b| view.ring.is_member(&b.node)) {
            if beat.node != core.me {
                view.table.recall(beat, now);
            }
        }
    });
}

/// Returns what others wait to hear of a beat.
fn waits(beat: &Beat) -> Waited {
    (
        beat.known,
        beat.synced,
        beat.reading,
        beat.unconfirmed.clone(),
    )
}

/// Hears the beats of members; tells whether one says what others wait for.
fn hear(view: &mut View, beats: Vec<Beat>, now: Duration) -> bool {
    let said = |b: &Beat| (b.p2p.clone(), waits(b));
    let mut matters = false;
    for beat in beats.into_iter().filter(|b| view.ring.is_member(&b.node)) {
        let before = view.table.of(&beat.node).map(said);
        let new = said(&beat);
        matters |= view.table.hear(beat, now) && before != Some(new);
    }
    matters
}

/// Chooses whom to compare notes with: one that is up, in turn, and one that is not. Each node
/// begins its turn at another place, so that everybody is asked by somebody in every round.
fn partners(core: &Core, round: usize) -> Vec<NodeId> {
    core.look(|view| {
        let members = view.ring.newest().members();
        let place = members.iter().position(|m| m.node == core.me);
        let round = round + place.unwrap_or(0);
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

/// Does something beside the rounds, until the node stops.
fn in_task<F>(core: &Arc<Core>, work: impl FnOnce(Arc<Core>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = core.stop.clone();
    let work = work(Arc::clone(core));
    core.tasks.spawn(stop.run_until_cancelled_owned(work));
}
