//! A node's HTTP interface as a Rust type: one method an endpoint.
//!
//! *Invariants*: every failure is a [`Fault`] that says why and what to try; every body read into
//! memory is bounded; connecting and waiting are bounded in time; no proxy is asked.
//!
//! *Not here*: the endpoints themselves (node), printing (cli).

mod address;
mod connect;
mod failure;
mod options;
mod part;
mod send;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use earth::split::collection::Collection;
use earth::split::meta::{SplitId, SplitMeta};
use futures::StreamExt;
use reqwest::Method;

pub use address::Address;
pub use options::{CA_VARIABLE, ClientOptions, TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, read_token};
pub use part::{FilePart, Rest};
pub use stream::{ByteStream, ComposeStream, SearchStream};

use connect::connector;

use crate::access::{TokenMade, TokenRequest, Tokens};
use crate::bundle::Bundle;
use crate::cluster::{ClusterView, LayoutChange, LayoutPlan, RepairReport, Status, VerifyReport};
use crate::collection::{CollectionDeleted, Collections};
use crate::compose::ComposeRequest;
use crate::diary::{LogPage, LogRequest, Report};
use crate::fault::{Fault, FaultKind};
use crate::hit::KnownSplits;
use crate::ledger::Ledger;
use crate::model::{Models, ModelsDeleted, TagsDeleted};
use crate::object::{PutAck, PutParams, Rebuilt};
use crate::params::{
    AssetParams, DeleteModelsParams, DryRun, LedgersParams, ModelFileParams, ModelsParams,
    ModuleParams, RebuildParams, RepairParams, RunParams, SceneParams, SplitParams, TagParams,
};
use crate::region::Textures;
use crate::run::{
    Failure, LeaseAnswer, LeaseRequest, Plan, Renew, Run, RunSteered, RunView, Runs, Wish,
};
use crate::search::SearchRequest;

/// Longest wait for a connection: a node on the same continent answers in a tenth of it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence while an answer is awaited: a put waits for fsync on two slow disks.
pub const SILENCE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long an idle connection is kept: less than a node keeps it, so that none is closed just as
/// it is used again.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    options: ClientOptions,
}

impl Client {
    /// Builds a client of the node at that address: `http://HOST:PORT`, `https://HOST:PORT` or
    /// `unix:PATH`.
    ///
    /// Nothing is sent yet: an unreachable node shows with the first request.
    pub fn new(address: &str, options: ClientOptions) -> Result<Self, Fault> {
        let address = Address::parse(address)?;
        let http = connector(&address, options.ca.as_deref(), Some(SILENCE_TIMEOUT))?;
        Ok(Self {
            http,
            address,
            options,
        })
    }

    /// Returns the address of the node.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Succeeds once the node lives.
    pub async fn healthy(&self) -> Result<(), Fault> {
        self.plain(self.get("/healthz")).await
    }

    /// Succeeds once the node answers queries and takes writes.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.plain(self.get("/readyz")).await
    }

    /// Returns the layout and what is known about the nodes.
    pub async fn cluster(&self) -> Result<ClusterView, Fault> {
        self.json(self.get("/v1/cluster")).await
    }

    /// Returns the state of the whole cluster.
    pub async fn status(&self) -> Result<Status, Fault> {
        self.json(self.get("/v1/status")).await
    }

    /// Returns what a change of the layout would move.
    pub async fn plan_layout(&self, change: &LayoutChange) -> Result<LayoutPlan, Fault> {
        let path = "/v1/cluster/layout/plan";
        let patient = self.patient()?;
        let request = patient.request(Method::POST, path).json(change);
        patient.json(request).await
    }

    /// Changes the layout; returns what that moves, once the change is kept.
    pub async fn change_layout(&self, change: &LayoutChange) -> Result<LayoutPlan, Fault> {
        let patient = self.patient()?;
        let request = patient.request(Method::POST, "/v1/cluster/layout");
        patient.json(request.json(change)).await
    }

    /// Has every replica read and hashed; returns what is wrong.
    pub async fn verify(&self) -> Result<VerifyReport, Fault> {
        let patient = self.patient()?;
        patient.json(patient.get("/v1/verify")).await
    }

    /// Asks for splits; the lines arrive while the nodes still look.
    ///
    /// The last line is always `end`: a stream that stops before it yields a fault.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchStream, Fault> {
        let request = self.request(Method::POST, "/v1/search").json(request);
        let response = self.send(request).await?;
        Ok(stream::search_lines(response, self.address.clone()).boxed())
    }

    /// Returns the mean texture of each cell that matches, from all nodes.
    pub async fn textures(&self, request: &SearchRequest) -> Result<Textures, Fault> {
        self.json(self.request(Method::POST, "/v1/textures").json(request))
            .await
    }

    /// Has splits composed where they lie; images arrive as they are made, the end last.
    ///
    /// The last message is always the end: a stream that stops before it yields a fault.
    pub async fn compose(&self, request: &ComposeRequest) -> Result<ComposeStream, Fault> {
        let patient = self.patient()?;
        let request = patient.request(Method::POST, "/v1/compose").json(request);
        let response = patient.send(request).await?;
        Ok(stream::compositions(response, self.address.clone()).boxed())
    }

    /// Returns all that is known about a split.
    pub async fn split(&self, id: &SplitId) -> Result<SplitMeta, Fault> {
        let params = SplitParams { id: id.to_string() };
        self.json(self.get("/v1/split").query(&params)).await
    }

    /// Returns one file of a split as it arrives.
    pub async fn asset(&self, id: &SplitId, asset: &str) -> Result<ByteStream, Fault> {
        let params = AssetParams {
            id: id.to_string(),
            asset: asset.to_owned(),
        };
        let request = self.get("/v1/split/asset").query(&params);
        let response = self.send(request).await?;
        Ok(stream::body(response, self.address.clone()).boxed())
    }

    /// Returns the stored splits of one scene.
    pub async fn known_splits(&self, collection: &str, scene: &str) -> Result<KnownSplits, Fault> {
        let params = scene_params(collection, scene);
        self.json(self.get("/v1/splits/known").query(&params)).await
    }

    /// Stores an object; returns once it is fsynced on as many nodes as promised.
    pub async fn put(&self, bundle: &Bundle, params: &PutParams) -> Result<PutAck, Fault> {
        let chunks = bundle.chunks().map_err(|e| {
            Fault::new(FaultKind::Data, "the object cannot be sent").because(e.to_string())
        })?;
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let parts = chunks.into_iter().map(Ok::<_, std::io::Error>);
        let request = self
            .request(Method::PUT, "/v1/object")
            .query(params)
            .header(reqwest::header::CONTENT_TYPE, crate::bundle::MEDIA_TYPE)
            .header(reqwest::header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(futures::stream::iter(parts)));
        self.json(request).await
    }

    /// Returns all collections.
    pub async fn collections(&self) -> Result<Collections, Fault> {
        self.json(self.get("/v1/collections")).await
    }

    /// Creates a collection; creating the same one again is no fault, another of its name is.
    pub async fn create_collection(&self, collection: &Collection) -> Result<Collection, Fault> {
        let request = self.request(Method::POST, "/v1/collections");
        self.json(request.json(collection)).await
    }

    /// Deletes a collection with its splits; in a dry run says what that would delete.
    pub async fn delete_collection(
        &self,
        name: &str,
        dry_run: bool,
    ) -> Result<CollectionDeleted, Fault> {
        let request = self.request(Method::DELETE, &named("/v1/collections", name)?);
        self.json(request.query(&DryRun { dry_run })).await
    }

    /// Returns a scene's ledger, or `None` if the scene was never finished.
    pub async fn ledger(&self, collection: &str, scene: &str) -> Result<Option<Ledger>, Fault> {
        let params = scene_params(collection, scene);
        match self.json(self.get("/v1/ledger").query(&params)).await {
            Ok(ledger) => Ok(Some(ledger)),
            Err(fault) if fault.kind == FaultKind::Nothing => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Returns the ledgers of a collection, or of all.
    pub async fn ledgers(&self, collection: Option<&str>) -> Result<Vec<Ledger>, Fault> {
        let collection = collection.map(str::to_owned);
        let params = LedgersParams { collection };
        self.json(self.get("/v1/ledgers").query(&params)).await
    }

    /// Starts a run; in a dry run says what would be done.
    pub async fn start_run(&self, run: &Run, dry_run: bool) -> Result<Plan, Fault> {
        let request = self.request(Method::POST, "/v1/runs");
        self.json(request.query(&DryRun { dry_run }).json(run))
            .await
    }

    /// Returns all runs with their jobs counted.
    pub async fn runs(&self) -> Result<Runs, Fault> {
        self.json(self.get("/v1/runs")).await
    }

    /// Returns a run with its jobs.
    pub async fn run(&self, name: &str) -> Result<RunView, Fault> {
        self.run_view(self.get(&named("/v1/runs", name)?)).await
    }

    /// Returns a run with its jobs counted: an answer of the same few bytes, however many it has.
    /// A node that knows no counts tells the jobs; `RunView::counted` counts either.
    pub async fn run_counted(&self, name: &str) -> Result<RunView, Fault> {
        let request = self.get(&named("/v1/runs", name)?);
        self.run_view(request.query(&RunParams { jobs: false }))
            .await
    }

    /// Cancels or pauses the jobs of a run that are not finished, or has all that are not done
    /// tried again.
    pub async fn steer_run(&self, name: &str, wish: Wish) -> Result<RunSteered, Fault> {
        let verb = match wish {
            Wish::Go => "/resume",
            Wish::Pause => "/pause",
            Wish::Cancel => "/cancel",
        };
        let path = named("/v1/runs", name)? + verb;
        self.json(self.request(Method::POST, &path)).await
    }

    /// Returns what was said of a run's jobs behind a position.
    pub async fn run_logs(&self, name: &str, request: &LogRequest) -> Result<LogPage, Fault> {
        let path = named("/v1/runs", name)? + "/logs";
        self.json(self.request(Method::POST, &path).json(request))
            .await
    }

    /// Tells the node how a job goes; a stale token is refused.
    pub async fn report(&self, report: &Report) -> Result<(), Fault> {
        self.plain(self.request(Method::POST, "/v1/lease/log").json(report))
            .await
    }

    /// Asks the node for its next job.
    pub async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, Fault> {
        self.json(self.request(Method::POST, "/v1/lease").json(request))
            .await
    }

    /// Renews a lease; a stale token is refused.
    pub async fn renew(&self, lease: &Renew) -> Result<(), Fault> {
        self.plain(self.request(Method::POST, "/v1/lease/renew").json(lease))
            .await
    }

    /// Gives a job back that could not be done.
    pub async fn fail(&self, failure: &Failure) -> Result<(), Fault> {
        self.plain(self.request(Method::POST, "/v1/lease/fail").json(failure))
            .await
    }

    /// Returns models: all, of a run, of a geocode, or around a position.
    pub async fn models(&self, params: &ModelsParams) -> Result<Models, Fault> {
        self.json(self.get("/v1/models").query(params)).await
    }

    /// Returns one file of a model as it arrives.
    pub async fn model_file(&self, file: &ModelFileParams) -> Result<ByteStream, Fault> {
        let response = self.send(self.get("/v1/model/file").query(file)).await?;
        Ok(stream::body(response, self.address.clone()).boxed())
    }

    /// Returns a user's module as it arrives.
    pub async fn module(&self, params: &ModuleParams) -> Result<ByteStream, Fault> {
        let response = self.send(self.get("/v1/module").query(params)).await?;
        Ok(stream::body(response, self.address.clone()).boxed())
    }

    /// Deletes one model, or all of a run; in a dry run says what that would delete.
    pub async fn delete_models(&self, params: &DeleteModelsParams) -> Result<ModelsDeleted, Fault> {
        self.json(self.request(Method::DELETE, "/v1/models").query(params))
            .await
    }

    /// Takes a tag from one cell's model, or from all cells'.
    pub async fn delete_tags(&self, params: &TagParams) -> Result<TagsDeleted, Fault> {
        self.json(self.request(Method::DELETE, "/v1/tags").query(params))
            .await
    }

    /// Has a node read all that it holds and heal what is harmed or lacking; in a dry run says what
    /// that would be.
    pub async fn repair(&self, params: &RepairParams) -> Result<RepairReport, Fault> {
        let patient = self.patient()?;
        let request = patient.request(Method::POST, "/v1/repair").query(params);
        patient.json(request).await
    }

    /// Remakes the node's records from its files alone; in a dry run says what that would read.
    pub async fn rebuild_index(&self, params: &RebuildParams) -> Result<Rebuilt, Fault> {
        let patient = self.patient()?;
        let request = patient.request(Method::POST, "/v1/repair/rebuild-index");
        let request = request.query(params);
        patient.json(request).await
    }

    /// Returns all tokens, without what makes them such.
    pub async fn tokens(&self) -> Result<Tokens, Fault> {
        self.json(self.get("/v1/tokens")).await
    }

    /// Has a token made.
    pub async fn make_token(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        self.json(self.request(Method::POST, "/v1/tokens").json(request))
            .await
    }

    /// Takes a token back; every node refuses it within seconds.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Fault> {
        self.plain(self.request(Method::DELETE, &named("/v1/tokens", id)?))
            .await
    }

    /// Returns the same client without a bound on silence, for work that grows with the store:
    /// only `--timeout` bounds it.
    fn patient(&self) -> Result<Self, Fault> {
        Ok(Self {
            http: connector(&self.address, self.options.ca.as_deref(), None)?,
            ..self.clone()
        })
    }

    /// Sends a request whose answer has no content that matters.
    async fn plain(&self, request: reqwest::RequestBuilder) -> Result<(), Fault> {
        let response = self.send(request).await?;
        self.skip(response).await
    }
}

/// Collects a stream of bytes that must not exceed `max` bytes.
pub async fn collect(mut bytes: ByteStream, max: usize) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        if all.len() + chunk.len() > max {
            return Err(Fault::new(FaultKind::Data, "the file is too large")
                .because(format!("it has more than {max} bytes")));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// Returns `PREFIX/NAME`; a name never needs escaping, and what does is no name.
fn named(prefix: &str, name: &str) -> Result<String, Fault> {
    if earth::split::collection::is_name(name) {
        Ok(format!("{prefix}/{name}"))
    } else {
        Err(Fault::new(FaultKind::Usage, format!("'{name}' is no name"))
            .because("names are 1 to 120 letters, digits, '-', '_' and '.'"))
    }
}

fn scene_params(collection: &str, scene: &str) -> SceneParams {
    SceneParams {
        collection: collection.to_owned(),
        scene: scene.to_owned(),
    }
}
