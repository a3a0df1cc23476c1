//! The worker's loop: lease, learn, publish, again; until nothing is left.
//!
//! *Invariants*: what was learned under a lease that is no longer ours is dropped, never published;
//! one failing job stops no other.
//!
//! *Not here*: learning (`job`), keeping a lease meanwhile (`hold`), which jobs there are (node).

pub mod gauge;
mod gift;
mod hold;
mod outcome;
pub mod pack;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::Device;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};
use wire::object::PutParams;
use wire::run::{Failure, Lease, LeaseAnswer, LeaseRequest, Packing};

use crate::chips::pins::Pins;
use crate::job::{Learned, Setting, learn_from};
use crate::log::{joined, say};
use crate::publish;
use crate::resident;
use crate::work::gauge::Gauge;
use crate::work::hold::Hold;
use crate::work::outcome::{Outcome, failed};
use crate::work::pack::{Budget, Pack};

/// How long an unreachable node is asked again, unless told otherwise: a restart takes seconds.
pub const UNREACHABLE_S: u64 = 30;
/// Pause between attempts at an unreachable node.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long a model that is refused for the time being is kept: somebody frees space meanwhile.
const PUBLISH_FOR: Duration = Duration::from_hours(1);
/// Longest pause when the node has nothing now, whatever it says.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Shortest time between renewals: a node that lends for less asks too much.
const RENEW_MIN: Duration = Duration::from_millis(50);

/// What a worker is told.
#[derive(Debug, Clone)]
pub struct WorkOptions {
    /// Address of its node.
    pub node: String,
    /// Run to work for, or any.
    pub run: Option<String>,
    /// Its own name, for the node's logs.
    pub name: String,
    /// Where it computes.
    pub device: Device,
    /// How long an unreachable node is asked again before the worker leaves.
    pub unreachable: Duration,
    /// Least time between two checkpoints of a job.
    pub checkpoint_every: Duration,
    /// What jobs may take together.
    pub budget: Budget,
    /// Where chips stay for the next job, if anywhere.
    pub pins: Option<Pins>,
}

/// Works until the node has no job left, or until `stopping` turns true.
pub async fn work(options: WorkOptions, stopping: watch::Receiver<bool>) -> Result<u64, Fault> {
    let pins = options.pins.filter(|pins| match pins.trim() {
        Ok(()) => pins.bytes_max > 0,
        Err(error) => {
            let folder = pins.folder.display();
            say(&format!("chips do not stay in {folder}: {error}"));
            false
        }
    });
    let client = Client::new(&options.node, ClientOptions::from_env()?)?;
    let mut desk = Desk {
        request: LeaseRequest {
            worker: options.name.clone(),
            run: options.run.clone(),
        },
        worker: Worker {
            client,
            device: options.device,
            unreachable: options.unreachable,
            checkpoint_every: options.checkpoint_every,
            pins,
            bytes_max: options
                .budget
                .bytes
                .zip(resident::bytes())
                .map(|(a, b)| a + b),
            modules: Arc::default(),
            stopping,
        },
        pack: Pack::new(options.budget),
        under_way: JoinSet::new(),
        gauge: None,
        jobs: 0,
    };
    let mut left = desk.serve().await;
    loop {
        // What is under way is ended first: it may still be published.
        match desk.one_ends().await {
            Ok(true) => {}
            Ok(false) => return left.map(|()| desk.jobs),
            Err(fault) => left = left.and(Err(fault)),
        }
    }
}

/// A worker with the jobs that it has under way.
struct Desk {
    request: LeaseRequest,
    worker: Worker,
    pack: Pack,
    under_way: JoinSet<Result<End, Fault>>,
    /// Measures the first job of a packed run.
    gauge: Option<Gauge>,
    jobs: u64,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its model is published.
    Published,
    /// Memory ran out, with or without a model.
    Short,
    /// In any other way.
    Without,
}

impl Desk {
    /// Takes jobs until none is left.
    async fn serve(&mut self) -> Result<(), Fault> {
        loop {
            if self.under_way.len() >= self.pack.at_once() {
                self.one_ends().await?;
                continue;
            }
            let mut request = self.request.clone();
            if !self.under_way.is_empty() {
                request.run = self.pack.run();
            }
            let Some(answer) = self.worker.lease(&request).await? else {
                return Ok(());
            };
            match answer {
                LeaseAnswer::Job(lease) => self.begin(*lease),
                LeaseAnswer::Wait { millis } => {
                    let pause = Duration::from_millis(millis).clamp(RENEW_MIN, WAIT_MAX);
                    let mut worker = self.worker.clone();
                    tokio::select! {
                        ended = self.one_ends(), if !self.under_way.is_empty() => {
                            ended?;
                        }
                        () = worker.pause(pause) => {}
                    }
                }
                LeaseAnswer::Finished if self.under_way.is_empty() => return Ok(()),
                LeaseAnswer::Finished => {
                    self.one_ends().await?;
                }
            }
        }
    }

    fn begin(&mut self, lease: Lease) {
        if self.under_way.is_empty() {
            self.pack.begins(&lease.run);
            self.gauge = self.pack.is_first().then(Gauge::start);
        }
        let packed = match lease.run.packing {
            Packing::Packed => self.pack.told(),
            Packing::Sequential => None,
        };
        let mut worker = self.worker.clone();
        self.under_way
            .spawn(async move { worker.serve(lease, packed).await });
        self.jobs += 1;
    }

    /// Waits for the end of a job; tells whether one was under way.
    async fn one_ends(&mut self) -> Result<bool, Fault> {
        let under_way = self.under_way.len();
        let Some(ended) = self.under_way.join_next().await else {
            return Ok(false);
        };
        let crash = |e: tokio::task::JoinError| {
            Fault::new(FaultKind::Internal, "a job was lost").because(e.to_string())
        };
        let gauge = self.gauge.take();
        match ended.map_err(crash)?? {
            End::Published => {
                if let Some(need) = gauge.and_then(|gauge| gauge.read()) {
                    self.pack.measured(need);
                }
            }
            End::Short => self.pack.short(under_way),
            End::Without => {}
        }
        Ok(true)
    }
}

/// A worker with its node.
#[derive(Clone)]
struct Worker {
    client: Client,
    device: Device,
    unreachable: Duration,
    checkpoint_every: Duration,
    pins: Option<Pins>,
    /// Bytes that the process may hold: what it does now, and what jobs may take.
    bytes_max: Option<u64>,
    /// The module of the last run that had one, by its hash.
    modules: Arc<Mutex<Option<gift::Kept>>>,
    stopping: watch::Receiver<bool>,
}

impl Worker {
    /// Asks for a job; `None` once the worker is to stop.
    async fn lease(&mut self, request: &LeaseRequest) -> Result<Option<LeaseAnswer>, Fault> {
        let client = self.client.clone();
        self.insist(|| client.lease(request)).await
    }

    /// Does one job from lease to publication or failure; `packed` says beside how many others.
    async fn serve(&mut self, lease: Lease, packed: Option<String>) -> Result<End, Fault> {
        let mut hold = Hold::of(self, &lease);
        let said = format!("of {} splits", lease.splits.len());
        [Some(said), packed]
            .iter()
            .flatten()
            .for_each(|said| hold.diary.say(said));
        let placement = lease.placement_key.clone();
        let mut fetcher = self.clone();
        let brought = hold.during(fetcher.brought(&lease)).await;
        let outcome = match brought {
            _ if hold.stop.wished() => Outcome::Dropped,
            Ok(brought) => self.compute((lease, brought), &mut hold).await,
            Err((reason, hopeless)) => Outcome::Failed {
                reason,
                hopeless,
                short: false,
            },
        };
        let ours = hold.ours.clone();
        match outcome {
            Outcome::Learned(learned) => match bundle(&learned, placement) {
                Ok(bundle) if self.publish(&bundle, &mut hold).await? => {
                    let short = learned.config.part_chips.is_some();
                    Ok(if short { End::Short } else { End::Published })
                }
                Ok(_) => Ok(End::Without),
                Err(reason) => {
                    self.give_back(failed(ours, reason, true)).await?;
                    Ok(End::Without)
                }
            },
            Outcome::Failed {
                reason,
                hopeless,
                short,
            } => {
                self.give_back(failed(ours, reason, hopeless)).await?;
                Ok(if short { End::Short } else { End::Without })
            }
            Outcome::NoBetter { reason, descent } => {
                let dropped = Failure {
                    dropped: Some(descent),
                    ..failed(ours, reason, true)
                };
                self.give_back(dropped).await?;
                Ok(End::Without)
            }
            Outcome::Dropped => {
                say(&format!("{}: job {} dropped", ours.run, ours.geocode));
                Ok(End::Without)
            }
        }
    }

    /// Learns on a blocking thread while the lease is held.
    async fn compute(
        &mut self,
        (lease, (gift, module)): (Lease, gift::Brought),
        hold: &mut Hold,
    ) -> Outcome {
        let setting = Setting {
            device: self.device,
            stop: hold.stop.clone(),
            diary: hold.diary.clone(),
            checkpoint_every: self.checkpoint_every,
            pins: self.pins.clone(),
            bytes_max: self.bytes_max,
            module,
        };
        let learn = move || learn_from(&lease, gift.as_ref(), &setting);
        let learned = hold.during(tokio::task::spawn_blocking(learn)).await;
        self.tell(hold).await;
        match learned {
            Ok(Ok(learned)) if !hold.stop.wished() => Outcome::Learned(Box::new(learned)),
            Ok(_) if hold.stop.wished() => Outcome::Dropped,
            Ok(Ok(learned)) => Outcome::Learned(Box::new(learned)),
            Ok(Err(error)) => Outcome::without(&error),
            Err(crash) => Outcome::Failed {
                reason: format!("the job crashed: {crash}"),
                hopeless: false,
                short: false,
            },
        }
    }

    /// Tells the node all that was said of a job, before its lease ends with its model.
    async fn tell(&mut self, hold: &mut Hold) {
        let start = now();
        loop {
            hold.report().await;
            let late = start.elapsed() >= self.unreachable;
            if hold.diary.is_empty() || late || *self.stopping.borrow() {
                return;
            }
            hold.during(self.pause(RETRY_PAUSE)).await;
        }
    }

    /// Publishes a model; one whose lease is no longer ours is dropped. What may pass, such as a
    /// full disk or too few live nodes, is waited for. Tells whether it is published.
    async fn publish(&mut self, bundle: &Bundle, hold: &mut Hold) -> Result<bool, Fault> {
        let (start, mut pause) = (now(), RETRY_PAUSE);
        let ours = &hold.ours.clone();
        let mut said = String::new();
        loop {
            let (client, params) = (self.client.clone(), PutParams::publish(ours));
            // Its last byte may leave long after a lease has run out.
            let put = self.insist(|| client.put(bundle, &params));
            let fault = match hold.during(put).await {
                Ok(Some(_)) => {
                    say(&format!("{}: model {} published", ours.run, ours.geocode));
                    return Ok(true);
                }
                Ok(None) => return Ok(false),
                Err(fault) if is_unreachable(&fault) => return Err(fault),
                Err(fault) => fault,
            };
            let reason = format!("the model was refused: {}", told(&fault));
            let renewed = self.client.renew(ours).await;
            if renewed.is_err_and(|fault| fault.kind == FaultKind::Refused) {
                say(&format!(
                    "{}: job {} dropped: {reason}",
                    ours.run, ours.geocode
                ));
                return Ok(false);
            }
            if !may_pass(&fault) || start.elapsed() > PUBLISH_FOR {
                self.give_back(failed(ours.clone(), reason, false)).await?;
                return Ok(false);
            }
            if said != reason {
                let text = format!("{reason}; it is kept and published later");
                hold.diary.say(&text);
                hold.report().await;
                said = reason;
            }
            self.pause(pause).await;
            pause = (pause * 2).min(WAIT_MAX);
        }
    }

    /// Gives a job back with the reason.
    async fn give_back(&mut self, failure: Failure) -> Result<(), Fault> {
        let end = failure.dropped.as_ref().map_or("failed", |_| "dropped");
        let (lease, reason) = (&failure.lease, &failure.reason);
        say(&format!(
            "{}: job {} {end}: {reason}",
            lease.run, lease.geocode
        ));
        let client = self.client.clone();
        match self.insist(|| client.fail(&failure)).await {
            Err(fault) if is_unreachable(&fault) => Err(fault),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Asks again while the node is unreachable, for a named time; `None` once to stop.
    async fn insist<T, F>(&mut self, ask: impl Fn() -> F) -> Result<Option<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let start = now();
        loop {
            if *self.stopping.borrow() {
                return Ok(None);
            }
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(fault) if is_unreachable(&fault) && start.elapsed() < self.unreachable => {
                    self.pause(RETRY_PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Waits, but not once the worker is to stop.
    async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = stopped(&mut self.stopping) => {}
        }
    }
}

/// Returns once the worker is to stop; never, if nobody can tell it to.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Packs a model for publication.
fn bundle(
    learned: &Learned,
    placement: earth::split::placement::PlacementKey,
) -> Result<Bundle, String> {
    let config = &learned.config;
    let files = publish::files(learned)?;
    let id = format!("{}/{}", config.run, config.geocode);
    Bundle::new(Kind::Model, id, placement, files).map_err(|e| e.to_string())
}

/// Tells whether a model that was refused so may be taken later.
fn may_pass(fault: &Fault) -> bool {
    use FaultKind::{Busy, Internal, Refused};
    matches!(fault.kind, Refused | Busy | Internal)
}

/// Tells whether asking again may help.
fn is_unreachable(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Unreachable | FaultKind::Timeout | FaultKind::Partial
    )
}

/// Joins a fault with its reasons.
fn told(fault: &Fault) -> String {
    let because = [std::slice::from_ref(&fault.what), &fault.because].concat();
    let because = because.join(": ");
    match &fault.try_ {
        Some(next) => joined(&because, next),
        None => because,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: bounds how long an unreachable node is asked"
)]
fn now() -> Instant {
    Instant::now()
}
