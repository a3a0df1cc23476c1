//! How a node comes up: embedded, as the founder of a cluster, as a newcomer, or back again.
//!
//! *Invariants*: a node serves only after it has compared notes with everyone it knows of; what it
//! held when it stopped counts as unconfirmed until its owners say that they have it.
//!
//! *Not here*: HTTP and the lock on the data folder (`daemon`, `embedded`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wire::fault::{Fault, FaultKind};

use super::core::{Core, View};
use super::file::{self, ClusterFile, ClusterFileError, ClusterRecord, PeerRecord};
use super::join::{Newcomer, join};
use super::vouch::Voucher;
use super::{Cluster, catalog, former, gossip, lend, remembered, rivals, seeds, tend};
use crate::access::{Fixed, GrantNews, Keyring, KeyringError};
use crate::answer::{self, jobs};
use crate::clock::Clock;
use crate::http::reachable;
use crate::identity::{Identity, IdentityError, NodeId};
use crate::layout::{ChangeSet, Member, Place, Stamp, Standing, What, folded};
use crate::membership::{Age, Beat, Table};
use crate::peer::Versions;
use crate::ring::{Ring, Standpoint};
use crate::runs::Runs;
use crate::slots::SlotSet;
use crate::store::Store;
use crate::swarm::{self, Link, ListenError, Listening};
use crate::sync;
use crate::token::{ClusterId, ClusterSecret, Token};
use crate::upkeep;

/// Replicas of a cluster that was not told how many (DESIGN §5).
const REPLICAS_DEFAULT: u8 = 3;
/// Longest that a node waits for others to have taken it in before it says that it is ready.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// Longest that it then waits for its folders to be compared with its index, so that it is ready
/// within three seconds whatever it holds; others answer meanwhile.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// What to do to join.
pub(crate) const JOIN_ADVICE: &str =
    "glebe cluster token -O FILE, then glebe up --join HOST:PORT --token-file FILE";

/// How a node takes part in a cluster.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Its data folder.
    pub data: PathBuf,
    /// Where it listens for other nodes; port 0 for any.
    pub listen: SocketAddr,
    /// Name or address by which others reach it, with its port or without, if that is not where it
    /// listens.
    pub advertise: Option<String>,
    /// Its HTTP address, as users reach it.
    pub http: String,
    /// Where it stands, and how much it takes.
    pub standing: Standing,
    /// Replicas of a cluster that it founds; of one that it joins, those it expects.
    pub replicas: Option<u8>,
    /// The cluster to join.
    pub join: Option<Join>,
    /// Time between its beats.
    pub pace: Duration,
    /// How it keeps its replicas whole and alike.
    pub upkeep: upkeep::Pace,
}

/// A cluster to join, or to come back to.
#[derive(Debug, Clone)]
pub struct Join {
    /// `host:port` of a member, or of all of them.
    pub address: String,
    /// What lets in; who is a member already needs none.
    pub token: Option<Token>,
}

/// What a node reaches others with.
pub(crate) struct Means {
    pub identity: Identity,
    pub listening: Listening,
    pub clock: Clock,
    /// Ends all that it does.
    pub stop: CancellationToken,
}

impl ClusterConfig {
    /// Time between beats: a node that dies is noticed within seconds, and fifty nodes whisper.
    pub const PACE: Duration = Duration::from_millis(500);
}

impl Cluster {
    /// Returns the cluster of one node without a network.
    pub fn embedded(store: Arc<Store>, runs: Arc<Runs>, http: String) -> Result<Self, Fault> {
        let me = NodeId::embedded();
        let changes = found(1, &me, Place::default())?;
        let stamp = changes.stamp();
        let mut beat = beat(me, String::new(), http, stamp);
        (beat.known, beat.synced) = (stamp, stamp);
        let view = View::new(Ring::new(changes), Table::new(beat));
        jobs::plan_again(&store, &runs)?;
        let core = Arc::new(Core::new((store, runs), view, None, None));
        tend_runs(&core);
        let p2p = String::new();
        Ok(Self { core, p2p })
    }

    /// Founds or joins a cluster, or comes back to the one the data folder belongs to; returns
    /// once the others have taken it in. Ends when `stop` is cancelled, or by `Cluster::stop`.
    ///
    /// # Errors
    /// Among others: it was removed from the cluster that a token would let it into.
    pub async fn start(
        (store, runs): (Arc<Store>, Arc<Runs>),
        config: ClusterConfig,
        stop: CancellationToken,
    ) -> Result<Self, Fault> {
        let identity = Identity::open(&config.data).map_err(no_identity)?;
        let listening = swarm::listen(&identity, config.listen)
            .await
            .map_err(|e| no_listener(&e))?;
        let means = Means {
            identity,
            listening,
            clock: Clock::start(),
            stop,
        };
        let (comes_again, data) = (former::comes_again(&config), config.data.clone());
        let cluster = Self::begin((store, runs), config, means).await?;
        if comes_again && former::is_removed(&cluster.core).await {
            cluster.stop().await;
            return Err(former::refusal(&data));
        }
        Ok(cluster)
    }

    /// As `start`, over any transport and by any clock.
    pub(crate) async fn begin(
        common: (Arc<Store>, Arc<Runs>),
        config: ClusterConfig,
        means: Means,
    ) -> Result<Self, Fault> {
        let Listening {
            link,
            inbound,
            address,
            refusals,
        } = means.listening;
        let known = file::read(&config.data).map_err(|e| internal(&e))?;
        let p2p = reachable(address, config.advertise.as_deref());
        let (record, told) = match known {
            Some(record) => (back(record, &config)?, Told::default()),
            None => enter(&link, &p2p, &config).await?,
        };
        let keyring = keyring(&config, &record, told.grants)?;
        let vouchers = [record.vouchers.clone(), told.vouchers].concat();
        let (view, file) = prepare(&config, &link, &p2p, record)?;
        jobs::plan_again(&common.0, &common.1)?;
        let mut core = Core::new(common, view, Some(link), Some(Arc::new(file)));
        (core.stop, core.clock) = (means.stop, means.clock);
        core.seeds = config.join.map(|join| join.address);
        core.signer = Some(means.identity);
        core.keyring = Arc::new(keyring);
        core.refusals = refusals;
        core.vouchers.trust(vouchers);
        let core = Arc::new(core);
        gossip::recall(&core, told.beats);
        let (unconfirmed, catalog) = core
            .blocking(|store| Ok((sync::slots_told(store)?, catalog::name(store)?)))
            .await?;
        core.quietly(|view| {
            view.mark(&unconfirmed);
            view.table.beat(|me| me.catalog = catalog);
        });
        gossip::settle(&core).await;
        seeds::find(&core).await;
        core.tasks.spawn(answer::serve(Arc::clone(&core), inbound));
        gossip::greet(&core).await;
        if let Some(stranger) = core.look(unlike) {
            core.stop.cancel();
            return Err(stranger);
        }
        core.tasks
            .spawn(gossip::run(Arc::clone(&core), config.pace));
        core.tasks.spawn(gossip::keep(Arc::clone(&core)));
        let grace = config.upkeep.let_go_after;
        core.tasks.spawn(sync::run(Arc::clone(&core), grace));
        core.tasks
            .spawn(upkeep::run(Arc::clone(&core), config.upkeep));
        tend_runs(&core);
        let cluster = Self { core, p2p };
        if !cluster.settled(SETTLE_LIMIT).await {
            tracing::warn!("serving while slots are still being handed over");
        }
        read_index(&cluster.core).await;
        Ok(cluster)
    }
}

/// Tells whether this node owns slots, by the layout read from, that others own, too.
fn owns_with_others(view: &View) -> bool {
    let read = view.ring.read();
    read.width() > 1 && !read.slots_of(&view.table.me().node).is_empty()
}

/// Waits, but not for long, until folders were compared with the index: before, the node answers
/// for nothing alone.
async fn read_index(core: &Arc<Core>) {
    let mut changes = core.changes();
    let read = async {
        while core.store.is_unread() && core.look(owns_with_others) {
            changes.changed().await;
        }
    };
    if tokio::time::timeout(READ_LIMIT, read).await.is_err() {
        tracing::warn!("serving while folders are still being compared with the index");
    }
}

/// Says which member exchanges versions that this glebe does not know, or no more.
fn unlike(view: &View) -> Option<Fault> {
    let ours = Versions::OURS;
    let mut heard = view.table.beats().filter(|b| b.age > Age::default());
    let beat = heard.find(|beat| !ours.agree(beat.versions))?;
    let what = format!(
        "this node exchanges {ours}; node {} of its cluster {}",
        beat.node, beat.versions
    );
    let fault = Fault::new(FaultKind::Refused, what);
    Some(fault.try_("upgrade the nodes to versions that follow each other, one by one"))
}

/// Looks after runs under way until the node stops.
fn tend_runs(core: &Arc<Core>) {
    rivals::hold(core);
    let stop = || core.stop.clone();
    let tending = tend::run(Arc::clone(core));
    core.tasks.spawn(stop().run_until_cancelled_owned(tending));
    if core.link.is_some() {
        let lending = lend::run(Arc::clone(core));
        core.tasks.spawn(stop().run_until_cancelled_owned(lending));
    }
}

/// Checks that the node comes back to the cluster it is told to join, if any.
fn back(record: ClusterRecord, config: &ClusterConfig) -> Result<ClusterRecord, Fault> {
    match &config.join {
        Some(Join {
            token: Some(token), ..
        }) if token.cluster() != record.cluster => Err(Fault::new(
            FaultKind::Refused,
            "this node belongs to another cluster",
        )
        .because(format!(
            "{} names it",
            config.data.join(file::CLUSTER_FILE).display()
        ))
        .try_("glebe up --data with a folder of its own")),
        _ => Ok(record),
    }
}

/// What a member told of the others when it let this node in.
#[derive(Default)]
struct Told {
    beats: Vec<Beat>,
    grants: GrantNews,
    vouchers: Vec<Voucher>,
}

/// Opens the cluster's tokens and adds those that this node was told of.
fn keyring(
    config: &ClusterConfig,
    record: &ClusterRecord,
    told: GrantNews,
) -> Result<Keyring, Fault> {
    let unusable = |error: KeyringError| {
        let because = std::error::Error::source(&error).map(ToString::to_string);
        let fault = Fault::new(FaultKind::Refused, error.to_string());
        let fault = because.into_iter().fold(fault, Fault::because);
        fault.try_("chmod 600 on that file, if nobody else has changed it")
    };
    let keyring = Keyring::open(&config.data, record.cluster).map_err(unusable)?;
    keyring.absorb(told, |_| true).map_err(unusable)?;
    Ok(keyring)
}

/// Founds a cluster, or joins one.
async fn enter(
    link: &Link,
    p2p: &str,
    config: &ClusterConfig,
) -> Result<(ClusterRecord, Told), Fault> {
    let Some(to) = &config.join else {
        let replicas = config.replicas.unwrap_or(REPLICAS_DEFAULT);
        let changes = found(replicas, link.me(), config.standing.over(&Place::default()))?;
        let (cluster, secret) = (ClusterId::draw(), ClusterSecret::draw());
        return Ok((
            ClusterRecord::new(cluster, secret, changes, Standpoint::default()),
            Told::default(),
        ));
    };
    let newcomer = Newcomer {
        p2p: p2p.to_owned(),
        http: config.http.clone(),
        place: config.standing.over(&Place::default()),
        replicas: config.replicas,
    };
    let token = to.token.as_ref().ok_or_else(|| {
        Fault::new(FaultKind::Usage, "joining takes a token")
            .because("the data folder belongs to no cluster yet")
            .try_(JOIN_ADVICE)
    })?;
    let welcome = join(link, &to.address, token, &newcomer).await?;
    let (cluster, standing) = (welcome.cluster, welcome.standing);
    let mut record = ClusterRecord::new(cluster, welcome.secret, welcome.changes, standing);
    // Written with the rest: who is killed before it has greeted anybody finds them again.
    let others = welcome.beats.iter().filter(|b| b.node != *link.me());
    let peer = |beat: &Beat| PeerRecord {
        node: beat.node.clone(),
        p2p: beat.p2p.clone(),
    };
    record.peers = others.map(peer).collect();
    let told = Told {
        beats: welcome.beats,
        grants: welcome.grants,
        vouchers: welcome.vouchers,
    };
    Ok((record, told))
}

/// Writes the cluster's file and builds what the node knows at its start.
fn prepare(
    config: &ClusterConfig,
    link: &Link,
    p2p: &str,
    mut record: ClusterRecord,
) -> Result<(View, ClusterFile), Fault> {
    let beats = remembered::read(&config.data).map_err(|e| internal(&e))?;
    let file = ClusterFile::start(&config.data, &mut record, &beats);
    let file = file.map_err(|e| internal(&e))?;
    let changes = stand(&record.changes, link.me(), &config.standing)?;
    let mut standing = record.standing;
    let new = changes.beyond(&record.changes);
    if !new.is_empty() {
        // What was the newest layout is one that lacks them, too; they come last in order.
        standing
            .behind
            .iter_mut()
            .for_each(|lacking| lacking.extend(&new));
        standing.behind.push(new);
    }
    let ring = Ring::standing(changes, &standing);
    let reading = ring.read().stamp();
    let mut me = beat(
        link.me().clone(),
        p2p.to_owned(),
        config.http.clone(),
        reading,
    );
    me.age.incarnation = record.incarnation;
    me.known = ring.newest().stamp();
    if ring.read().contains(link.me()) {
        // A layout is read from once all its members are synced.
        me.synced = reading;
    }
    let mut table = Table::new(me);
    // What one said counts more than where it was.
    for beat in beats {
        if beat.node != *link.me() && ring.is_member(&beat.node) {
            table.recall(beat, Duration::ZERO);
        }
    }
    for peer in record.peers {
        let beat = beat(peer.node, peer.p2p, String::new(), Stamp::default());
        table.recall(beat, Duration::ZERO);
    }
    Ok((View::new(ring, table), file))
}

/// Adds a change if the node was told to stand elsewhere than the layout knows.
fn stand(changes: &ChangeSet, me: &NodeId, told: &Standing) -> Result<ChangeSet, Fault> {
    if *told == Standing::default() {
        return Ok(changes.clone());
    }
    let layout = folded::of(changes);
    let known = layout.index(me).map(|i| &layout.members()[i].place);
    match known.map(|place| (place, told.over(place))) {
        Some((before, now)) if *before != now => changes
            .with(me.clone(), What::Join(now))
            .map_err(|e| Fault::new(FaultKind::Usage, e.to_string())),
        _ => Ok(changes.clone()),
    }
}

fn found(replicas: u8, me: &NodeId, place: Place) -> Result<ChangeSet, Fault> {
    let first = Member {
        node: me.clone(),
        place,
        draining: false,
    };
    ChangeSet::found(replicas, &first)
        .map_err(|e| Fault::new(FaultKind::Usage, e.to_string()).try_("glebe up --replicas 3"))
}

/// Returns a first beat that says nothing but where the node is.
pub(super) fn beat(node: NodeId, p2p: String, http: String, reading: Stamp) -> Beat {
    Beat {
        node,
        age: Age::default(),
        p2p,
        http,
        known: Stamp::default(),
        synced: Stamp::default(),
        reading,
        unconfirmed: SlotSet::none(),
        catalog: 0,
        versions: Versions::OURS,
        signature: Fixed::default(),
    }
}

fn no_identity(error: IdentityError) -> Fault {
    let fault = Fault::new(FaultKind::Refused, "the node has no identity");
    let fault = fault.because(error.to_string());
    match error {
        IdentityError::Loose { path, .. } => {
            let step = format!(
                "chmod 600 {}, if nobody has read it; else a fresh folder",
                path.display()
            );
            fault.try_(step)
        }
        _ => fault.try_("glebe up --data with a folder of its own"),
    }
}

fn no_listener(error: &ListenError) -> Fault {
    let fault = Fault::new(FaultKind::Refused, error.to_string());
    match error {
        ListenError::InUse { .. } => fault
            .because("another process listens there")
            .try_("glebe up --listen HOST:0, or another port"),
        _ => fault.try_("glebe up --listen with an address of this machine"),
    }
}

fn internal(error: &ClusterFileError) -> Fault {
    let because = std::error::Error::source(error).map(ToString::to_string);
    let fault = Fault::new(FaultKind::Internal, error.to_string());
    let fault = because.into_iter().fold(fault, Fault::because);
    match error {
        ClusterFileError::Damaged { step, .. } => fault.try_(*step),
        ClusterFileError::Io { .. } => fault,
    }
}
