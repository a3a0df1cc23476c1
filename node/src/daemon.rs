//! A running node: store, cluster, runs, HTTP and workers under one stop.
//!
//! *Invariants*: what is ready serves; a stop ends HTTP and workers first, then the peers; the
//! store's lock is held until all of it has ended.
//!
//! *Not here*: signals and the ready line's printing (cli).

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::fault::{Fault, FaultKind};

use crate::cluster::{Cluster, ClusterConfig, JOIN_ADVICE, Join};
use crate::conduit::Conduit;
use crate::config::{Config, Tokens};
use crate::http::{self, Access, App, Bound, Demand, Listening};
use crate::identity::{Identity, NodeId, check_private};
use crate::lock::Holder;
use crate::runs::Runs;
use crate::runs::workers::{WorkerConfig, supervise};
use crate::store::Store;
use crate::token::Token;

/// The socket below a store's folder.
pub const SOCKET: &str = "node.sock";
/// The file below a store's folder to which training workers write their words.
pub const WORKER_LOG: &str = "workers.log";
/// The folder below a store's folder where training workers leave chips for the next job.
pub const CHIPS: &str = "cache/chips";
/// Longest that a stop waits for tasks that do not end by themselves.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Time between looks whether threads have ended their work on the store.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Training workers of an embedded store: one leaves a core to the person at the machine.
const WORKERS_EMBEDDED: u16 = 1;

/// What a node says once it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyLine {
    /// `HOST:PORT` on which other nodes reach it; empty without a network.
    pub p2p: String,
    /// Its HTTP address.
    pub http: String,
    /// Its id.
    pub node: String,
}

/// A running node.
#[derive(Debug)]
pub struct Running {
    ready: ReadyLine,
    cluster: Cluster,
    /// Ends HTTP and workers.
    stop: CancellationToken,
    tasks: TaskTracker,
    socket: PathBuf,
    store: Weak<Store>,
    runs: Weak<Runs>,
    holder: Holder,
}

/// What a node is made of before it can be reached.
struct Parts {
    dir: PathBuf,
    store: Arc<Store>,
    runs: Arc<Runs>,
    holder: Holder,
}

impl Running {
    /// Returns where the node serves.
    pub fn ready(&self) -> &ReadyLine {
        &self.ready
    }

    /// Tells whether other processes are attached to the store.
    pub(crate) fn is_used(&self) -> bool {
        self.holder.is_used()
    }

    /// Stops serving, ends the workers and lets go of the store.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await;
        if ended.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        self.cluster.stop().await;
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the socket is gone already");
        }
        drop(self.cluster);
        // Threads that nobody waits for any more end what they began: nobody else may open the
        // store before.
        let (store, runs) = (self.store, self.runs);
        let closed = async {
            while store.strong_count() + runs.strong_count() > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(STOP_LIMIT, closed).await.is_err() {
            tracing::warn!("the store is still worked on");
        }
        drop(self.holder);
    }
}

impl Parts {
    /// Opens what lies below a folder.
    async fn open(dir: PathBuf, node: NodeId, holder: Holder) -> Result<Self, Fault> {
        let open = move || -> Result<Self, Fault> {
            let store = Arc::new(Store::open(&dir)?);
            let runs = Runs::open(&dir, node.as_str()).map_err(|e| {
                Fault::new(FaultKind::Internal, "the book of jobs cannot be opened")
                    .because(e.to_string())
            })?;
            Ok(Self {
                dir,
                store,
                runs: Arc::new(runs),
                holder,
            })
        };
        tokio::task::spawn_blocking(open).await.map_err(lost)?
    }

    /// Serves on the store's socket and keeps workers; `worker` is the address that they reach.
    fn serve(self, cluster: Cluster, worker: &WorkerConfig) -> Result<(Running, App), Fault> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (store, runs) = (Arc::downgrade(&self.store), Arc::downgrade(&self.runs));
        let conduit = Conduit::new(cluster.clone(), self.store, Arc::clone(&self.runs));
        let (app, refusals) = (App::new(conduit), cluster.refusals());
        let access = Access::new(Demand::Nothing, Arc::clone(&refusals));
        let router = http::router(app.clone(), access);
        let socket = self.dir.join(SOCKET);
        let listening = Listening::Unix(http::bind_unix(&socket)?);
        tasks.spawn(http::serve(listening, router, refusals, stop.clone()));
        let ready = ReadyLine {
            p2p: cluster.p2p().to_owned(),
            http: worker.address.clone(),
            node: cluster.node_id().to_owned(),
        };
        supervise(&self.runs, worker, &stop, &tasks);
        let running = Running {
            ready,
            cluster,
            stop,
            tasks,
            socket,
            store,
            runs,
            holder: self.holder,
        };
        Ok((running, app))
    }
}

/// Starts a node of a cluster: of a new one, of the one it belongs to, or of the one it joins.
pub async fn start(config: Config) -> Result<Running, Fault> {
    let dir = std::path::absolute(&config.data).map_err(|e| unusable(&config.data, &e))?;
    let Some(holder) = Holder::take(&dir)? else {
        let what = format!("the store {} is held by another process", dir.display());
        return Err(Fault::new(FaultKind::Refused, what)
            .because("one node at a time writes below a folder")
            .try_("--data with another folder, or end the other node"));
    };
    raise_descriptors();
    let tls = config.tls.as_ref().map(http::acceptor).transpose()?;
    let bound = http::bind_tcp(resolve(&config.http).await?).await?;
    let demands = config.tokens == Tokens::Always || !bound.address.ip().is_loopback();
    let address = address(&config, &bound);
    let cluster_config = cluster_config(&config, &dir, &address).await?;
    let identity = Identity::open(&dir).map_err(|e| {
        Fault::new(FaultKind::Refused, "the node has no identity").because(e.to_string())
    })?;
    let parts = Parts::open(dir, identity.node(), holder).await?;
    // Before the first look at what waits: jobs move where nobody works.
    parts.runs.keeps(config.workers);
    let common = (Arc::clone(&parts.store), Arc::clone(&parts.runs));
    let cluster = Cluster::start(common, cluster_config, CancellationToken::new()).await?;
    let (demand, reached) = if demands {
        // Workers come by the socket: their address is on a command line, and a token must not be.
        let socket = format!("unix:{}", parts.dir.join(SOCKET).display());
        (Demand::Token(cluster.keyring()), socket)
    } else {
        (Demand::Here, address.clone())
    };
    if demands && tls.is_none() {
        tracing::warn!("tokens cross the network unencrypted; --tls-cert and --tls-key encrypt");
    }
    let worker = WorkerConfig {
        address: reached,
        count: config.workers,
        log: parts.dir.join(WORKER_LOG),
        chips: parts.dir.join(CHIPS),
        chips_mib: config.chips_mib,
        device: config.device,
        alone: false,
    };
    let refusals = cluster.refusals();
    let (mut running, app) = parts.serve(cluster, &worker)?;
    running.ready.http = address;
    let router = http::router(app, Access::new(demand, Arc::clone(&refusals)));
    let listening = Listening::Tcp(bound.listener, tls);
    let stop = running.stop.clone();
    running
        .tasks
        .spawn(http::serve(listening, router, refusals, stop));
    Ok(running)
}

/// Returns the URL by which users reach the node.
fn address(config: &Config, bound: &Bound) -> String {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let advertised = config.advertise.as_deref().map(http::host);
    let host = http::reachable(bound.address, advertised.as_deref());
    format!("{scheme}://{host}")
}

/// Lets the process open as many files as the system allows it: shells hand down a thousand, and
/// connections take that many.
fn raise_descriptors() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limits.maximum,
        ..limits
    };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        tracing::debug!(%error, "no more files may be opened than before");
    }
}

/// Starts a node without a network, reached by the socket below its folder only.
pub(crate) async fn embed(dir: PathBuf, holder: Holder) -> Result<Running, Fault> {
    let address = format!("unix:{}", dir.join(SOCKET).display());
    let parts = Parts::open(dir, NodeId::embedded(), holder).await?;
    let common = (Arc::clone(&parts.store), Arc::clone(&parts.runs));
    let http = address.clone();
    let embed = move || Cluster::embedded(common.0, common.1, http);
    let cluster = tokio::task::spawn_blocking(embed).await.map_err(lost)??;
    let worker = WorkerConfig {
        address,
        count: WORKERS_EMBEDDED,
        log: parts.dir.join(WORKER_LOG),
        chips: parts.dir.join(CHIPS),
        chips_mib: None,
        device: None,
        alone: true,
    };
    parts.serve(cluster, &worker).map(|(running, _)| running)
}

async fn cluster_config(config: &Config, dir: &Path, http: &str) -> Result<ClusterConfig, Fault> {
    Ok(ClusterConfig {
        data: dir.to_owned(),
        listen: resolve(&config.listen).await?,
        advertise: config.advertise.clone(),
        http: http.to_owned(),
        standing: config.standing.clone(),
        replicas: config.replicas,
        join: join(config)?,
        pace: ClusterConfig::PACE,
        upkeep: config.upkeep,
    })
}

/// Reads the join token.
fn join(config: &Config) -> Result<Option<Join>, Fault> {
    let Some(address) = config.join.clone() else {
        return Ok(None);
    };
    let Some(path) = &config.token_file else {
        return Ok(Some(Join {
            address,
            token: None,
        }));
    };
    let refused = |why: String| {
        let what = format!("{} holds no join token", path.display());
        Fault::new(FaultKind::Refused, what)
            .because(why)
            .try_(JOIN_ADVICE)
    };
    let text = std::fs::read_to_string(path).map_err(|e| refused(e.to_string()))?;
    if let Err(loose) = check_private(path) {
        tracing::warn!(%loose, "the join token lets whoever reads it into the cluster");
    }
    let token = text.parse::<Token>().map_err(|e| refused(e.to_string()))?;
    Ok(Some(Join {
        address,
        token: Some(token),
    }))
}

/// Returns the first address of `HOST:PORT`.
async fn resolve(text: &str) -> Result<SocketAddr, Fault> {
    let none = |why: String| {
        Fault::new(FaultKind::Usage, format!("'{text}' is no HOST:PORT"))
            .because(why)
            .try_("127.0.0.1:0 for a free port")
    };
    let mut found = tokio::net::lookup_host(text)
        .await
        .map_err(|e| none(e.to_string()))?;
    found
        .next()
        .ok_or_else(|| none("it has no address".to_owned()))
}

fn unusable(dir: &Path, error: &io::Error) -> Fault {
    let what = format!("cannot use the folder {}", dir.display());
    Fault::new(FaultKind::Refused, what).because(error.to_string())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands as an argument of map_err"
)]
fn lost(error: tokio::task::JoinError) -> Fault {
    Fault::new(FaultKind::Internal, "a thread was lost at the start").because(error.to_string())
}
