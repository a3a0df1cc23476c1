//! What a node does for a user or a worker that asks it, whichever nodes that takes.
//!
//! *Invariants*: the node asked is the only one that its asker speaks to; what blocks runs on
//! blocking threads.
//!
//! *Not here*: HTTP (`http`), how other nodes are reached (`cluster`).

mod deletion;
mod repair;
mod training;

use std::sync::Arc;

use bytes::Bytes;
use earth::split::collection::{Collection, is_name};
use earth::split::meta::SplitMeta;
use earth::split::placement::PlacementKey;
use query::Query;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use wire::access::{TokenMade, TokenRequest, Tokens};
use wire::bundle::Kind;
use wire::cluster::{ClusterView, LayoutChange, LayoutPlan, NodeStatus, Status, VerifyReport};
use wire::collection::Collections;
use wire::compose::ComposeRequest;
use wire::fault::{Fault, FaultKind};
use wire::hit::{Hit, KnownSplits};
use wire::ledger::Ledger;
use wire::model::{Models, Tag};
use wire::object::{PutAck, PutOutcome, PutParams};
use wire::params::{ModelsParams, SceneParams};
use wire::search::{SearchEnd, SearchLine};

use crate::cluster::Cluster;
use crate::compose::Outgoing;
use crate::models;
use crate::refusals::Refusals;
use crate::runs::Runs;
use crate::scatter::{ANSWERS_MEBIBYTES_MAX, Fetched, Room};
use crate::store::{Object, ObjectFile, ObjectKey, PutMode, Store};

/// What a node does for those that ask it.
#[derive(Debug, Clone)]
pub struct Conduit {
    cluster: Cluster,
    store: Arc<Store>,
    runs: Arc<Runs>,
    /// Memory that files being answered with may still use.
    answers: Room,
}

impl Conduit {
    /// Builds the conduit of a node.
    pub fn new(cluster: Cluster, store: Arc<Store>, runs: Arc<Runs>) -> Self {
        Self {
            cluster,
            store,
            runs,
            answers: Room::new(ANSWERS_MEBIBYTES_MAX),
        }
    }

    /// Succeeds once this node answers queries: its store does.
    pub(crate) async fn ready(&self) -> Result<(), Fault> {
        let key = ObjectKey::new(Kind::Collection, "ready");
        let store = Arc::clone(&self.store);
        blocking(move || store.record(&key)).await??;
        Ok(())
    }

    pub(crate) fn tokens(&self) -> Tokens {
        self.cluster.tokens()
    }

    pub(crate) async fn make_token(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        self.cluster.make_token(request).await
    }

    pub(crate) async fn revoke_token(&self, id: &str) -> Result<(), Fault> {
        self.cluster.revoke_token(id).await
    }

    /// Returns the counters of what was refused.
    pub(crate) fn refusals(&self) -> Arc<Refusals> {
        self.cluster.refusals()
    }

    pub(crate) fn cluster(&self) -> ClusterView {
        self.cluster.view()
    }

    /// Returns what a change of the layout would move.
    pub(crate) async fn plan_layout(&self, change: LayoutChange) -> Result<LayoutPlan, Fault> {
        self.cluster.plan_layout(change).await
    }

    /// Changes the layout; returns what that moves.
    pub(crate) async fn change_layout(&self, change: LayoutChange) -> Result<LayoutPlan, Fault> {
        self.cluster.change_layout(change).await
    }

    pub(crate) async fn status(&self) -> Status {
        self.cluster.status().await
    }

    /// Returns this node's row of the status.
    pub(crate) async fn own_status(&self) -> Option<NodeStatus> {
        let rows = self.status().await.nodes;
        rows.into_iter()
            .find(|row| row.id == self.cluster.node_id())
    }

    pub(crate) async fn verify(&self) -> VerifyReport {
        self.cluster.verify().await
    }

    pub(crate) async fn search(&self, query: Query) -> Result<mpsc::Receiver<SearchLine>, Fault> {
        self.cluster.search(query).await
    }

    /// Composes the splits of cells where they lie.
    pub(crate) async fn compose(
        &self,
        request: ComposeRequest,
    ) -> Result<mpsc::Receiver<Outgoing>, Fault> {
        self.cluster.compose(request).await
    }

    /// Returns all hits of a query; for those of which there are few.
    async fn hits(&self, query: Query) -> Result<(Vec<Hit>, SearchEnd), Fault> {
        let mut lines = self.search(query).await?;
        let mut hits = Vec::new();
        while let Some(line) = lines.recv().await {
            match line {
                SearchLine::Hit(hit) => hits.push(*hit),
                SearchLine::End(end) => return Ok((hits, end)),
            }
        }
        Err(Fault::new(FaultKind::Unreachable, "the answer was cut off").try_("ask again"))
    }

    pub(crate) async fn split(&self, id: &str) -> Result<SplitMeta, Fault> {
        let key = ObjectKey::new(Kind::Split, id);
        match self.cluster.record(&key).await? {
            Some(record) => record.split().map_err(|e| wrong(&e)),
            None => Err(missing(&key)),
        }
    }

    /// Returns one file of a split, model or module, verified, as soon as there is room for it.
    pub(crate) async fn file(&self, key: &ObjectKey, name: &str) -> Result<Fetched, Fault> {
        self.cluster.fetch_into(key, name, &self.answers).await
    }

    /// Keeps an object; a model under a lease ends its job.
    pub async fn put(&self, object: Object, params: &PutParams) -> Result<PutAck, Fault> {
        if let Some(lease) = params.lease() {
            return self.publish(object, lease).await;
        }
        let is_fixed = is_fixed(object.key.kind);
        let mode = if params.overwrite && !is_fixed {
            PutMode::Overwrite
        } else {
            PutMode::Keep
        };
        let key = object.key.clone();
        let ack = self.cluster.put(object, mode).await?;
        if params.overwrite && is_fixed && ack.outcome == PutOutcome::Kept {
            return Err(fixed(&key));
        }
        Ok(ack)
    }

    /// Puts an object though whoever asked may go away meanwhile; it has its share of memory as
    /// long.
    pub(crate) async fn put_to_its_end(
        &self,
        object: Object,
        params: PutParams,
        share: OwnedSemaphorePermit,
    ) -> Result<PutAck, Fault> {
        let conduit = self.clone();
        let put = async move {
            let put = conduit.put(object, &params).await;
            drop(share);
            put
        };
        self.cluster.to_its_end(put).await
    }

    /// Returns what is stored of a scene.
    pub(crate) async fn known(&self, scene: &SceneParams) -> Result<KnownSplits, Fault> {
        let query = Query {
            collections: vec![scene.collection.clone()],
            scenes: vec![scene.scene.clone()],
            ..Query::default()
        };
        let (hits, end) = self.hits(query).await?;
        Ok(KnownSplits {
            splits: hits.iter().map(Into::into).collect(),
            complete: end.complete,
        })
    }

    pub(crate) async fn collections(&self) -> Result<Collections, Fault> {
        let listed = self.cluster.records(Kind::Collection).await;
        let mut collections = Vec::new();
        for (record, _) in &listed.records {
            collections.push(record.read::<Collection>().map_err(|e| wrong(&e))?);
        }
        collections.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Collections { collections })
    }

    /// Creates a collection unless it is there; tells whether it is new.
    pub(crate) async fn create_collection(
        &self,
        collection: Collection,
    ) -> Result<(bool, Collection), Fault> {
        check_collection(&collection)?;
        let key = ObjectKey::new(Kind::Collection, &collection.name);
        if let Some(found) = self.collection(&key).await? {
            return same_collection(&collection, found);
        }
        let object = document(&key, "collection.json", &collection)?;
        let ack = self.cluster.put(object, PutMode::Keep).await?;
        match ack.outcome {
            PutOutcome::New => Ok((true, collection)),
            PutOutcome::Same => Ok((false, collection)),
            PutOutcome::Kept => {
                let found = self.collection(&key).await?;
                same_collection(&collection, found.ok_or_else(|| missing(&key))?)
            }
        }
    }

    async fn collection(&self, key: &ObjectKey) -> Result<Option<Collection>, Fault> {
        let record = self.cluster.record(key).await?;
        record.map(|r| r.read().map_err(|e| wrong(&e))).transpose()
    }

    pub(crate) async fn ledger(&self, scene: &SceneParams) -> Result<Ledger, Fault> {
        let id = format!("{}/{}", scene.collection, scene.scene);
        let key = ObjectKey::new(Kind::Ledger, id);
        match self.cluster.record(&key).await? {
            Some(record) => record.read().map_err(|e| wrong(&e)),
            None => Err(missing(&key)),
        }
    }

    /// Returns the ledgers of a collection, or of all, by collection and scene.
    pub(crate) async fn ledgers(&self, collection: Option<&str>) -> Result<Vec<Ledger>, Fault> {
        let listed = self.cluster.records(Kind::Ledger).await;
        let mut ledgers = Vec::new();
        for (record, _) in &listed.records {
            let ledger: Ledger = record.read().map_err(|e| wrong(&e))?;
            if collection.is_none_or(|c| c == ledger.collection) {
                ledgers.push(ledger);
            }
        }
        ledgers.sort_by(|a, b| (&a.collection, &a.scene).cmp(&(&b.collection, &b.scene)));
        Ok(ledgers)
    }

    pub(crate) async fn models(&self, asked: &ModelsParams) -> Result<Models, Fault> {
        let listed = self.cluster.records(Kind::Model).await;
        let mut found = Vec::new();
        for (record, owners) in listed.records {
            found.push(models::view(&record, owners).map_err(|e| wrong(&e))?);
        }
        let tags = self.tags().await?;
        Ok(Models {
            models: models::select(found, &tags.0, asked)?,
            complete: listed.complete && tags.1,
        })
    }

    /// Returns all tags that users gave, and whether every node answered.
    async fn tags(&self) -> Result<(Vec<Tag>, bool), Fault> {
        let listed = self.cluster.records(Kind::Tag).await;
        let tags = listed.records.iter().map(|(record, _)| record.read());
        let tags = tags.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
        Ok((tags, listed.complete))
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let lost = |_| Fault::new(FaultKind::Internal, "a storage thread was lost");
    tokio::task::spawn_blocking(work).await.map_err(lost)
}

/// Builds the object of a small document, placed under `KIND:ID`.
fn document<T: serde::Serialize>(key: &ObjectKey, name: &str, value: &T) -> Result<Object, Fault> {
    let text = serde_json::to_vec_pretty(value).map_err(|e| wrong(&e))?;
    Ok(Object {
        key: key.clone(),
        placement_key: PlacementKey::named(key.kind.word(), &key.id),
        files: vec![ObjectFile {
            name: name.to_owned(),
            bytes: Bytes::from(text),
        }],
    })
}

fn check_collection(collection: &Collection) -> Result<(), Fault> {
    let max = collection.scheme.precision_max();
    if !is_name(&collection.name) {
        let what = format!("'{}' cannot name a collection", collection.name);
        return Err(Fault::new(FaultKind::Usage, what)
            .because("a name has 1 to 120 letters, digits, '-', '_' and '.'"));
    }
    if (1..=max).contains(&collection.precision) {
        return Ok(());
    }
    let what = format!(
        "precision {} is none of {}",
        collection.precision, collection.scheme
    );
    Err(Fault::new(FaultKind::Usage, what).because(format!("it has 1 to {max} characters")))
}

fn same_collection(asked: &Collection, found: Collection) -> Result<(bool, Collection), Fault> {
    if *asked == found {
        return Ok((false, found));
    }
    let (name, scheme, precision) = (&found.name, found.scheme, found.precision);
    let what = format!("there is another collection {name}");
    Err(Fault::new(FaultKind::Refused, what)
        .because(format!(
            "it holds {} cut at {scheme} {precision}",
            found.dataset
        ))
        .try_("another name, or the same scheme, precision and placement"))
}

/// Tells whether nobody replaces what is there, whatever role he has: what was published or settled
/// once is told by its name. A model is replaced by its own job alone.
fn is_fixed(kind: Kind) -> bool {
    matches!(kind, Kind::Model | Kind::Run)
}

fn fixed(key: &ObjectKey) -> Fault {
    let (why, step) = match key.kind {
        Kind::Model => (
            "a model is replaced by the job that publishes it, and by nobody else",
            "glebe model delete, or another run",
        ),
        _ => ("a run is settled once", "another name"),
    };
    let what = format!("there is another {key}");
    Fault::new(FaultKind::Refused, what).because(why).try_(step)
}

fn missing(key: &ObjectKey) -> Fault {
    Fault::new(FaultKind::Nothing, format!("there is no {key}"))
}

fn wrong(error: &dyn std::error::Error) -> Fault {
    Fault::new(FaultKind::Data, "what is stored cannot be understood").because(error.to_string())
}
