//! The worker's loop: lease, learn, publish, again; until nothing is left.
//!
//! *Invariants*: a lease is renewed at a third of its time, so that two renewals may be lost; what
//! was learned under a lease that is no longer ours is dropped, never published; one failing job
//! stops no other.
//!
//! *Not here*: learning (`job`), which jobs there are (node).

mod gift;

use std::time::{Duration, Instant};

use tch::Device;
use tokio::sync::watch;
use wire::bundle::{Bundle, Kind};
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};
use wire::object::PutParams;
use wire::run::{Failure, Lease, LeaseAnswer, LeaseRequest, Renew};

use crate::job::heir::Gift;
use crate::job::{Learned, Setting, learn_from};
use crate::log::{chain, say};
use crate::publish;
use crate::stop::Stop;

/// How long an unreachable node is asked again, unless told otherwise: a restart takes seconds.
pub const UNREACHABLE_S: u64 = 30;
/// Pause between attempts at an unreachable node.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
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
}

/// Works until the node has no job left, or until `stopping` turns true.
pub async fn work(options: WorkOptions, stopping: watch::Receiver<bool>) -> Result<u64, Fault> {
    let client = Client::new(&options.node, ClientOptions::from_env()?)?;
    let request = LeaseRequest {
        worker: options.name.clone(),
        run: options.run.clone(),
    };
    let mut worker = Worker {
        client,
        device: options.device,
        unreachable: options.unreachable,
        checkpoint_every: options.checkpoint_every,
        stopping,
    };
    let mut jobs = 0;
    while let Some(answer) = worker.lease(&request).await? {
        match answer {
            LeaseAnswer::Job(lease) => {
                worker.serve(*lease).await?;
                jobs += 1;
            }
            LeaseAnswer::Wait { millis } => {
                let pause = Duration::from_millis(millis).clamp(RENEW_MIN, WAIT_MAX);
                worker.pause(pause).await;
            }
            LeaseAnswer::Finished => break,
        }
    }
    Ok(jobs)
}

/// A worker with its node.
struct Worker {
    client: Client,
    device: Device,
    unreachable: Duration,
    checkpoint_every: Duration,
    stopping: watch::Receiver<bool>,
}

/// What became of a job.
#[derive(Debug)]
enum Outcome {
    Learned(Box<Learned>),
    Failed { reason: String, hopeless: bool },
    Dropped,
}

impl Worker {
    /// Asks for a job; `None` once the worker is to stop.
    async fn lease(&mut self, request: &LeaseRequest) -> Result<Option<LeaseAnswer>, Fault> {
        let client = self.client.clone();
        self.insist(|| client.lease(request)).await
    }

    /// Does one job from lease to publication or failure.
    async fn serve(&mut self, lease: Lease) -> Result<(), Fault> {
        let ours = Renew {
            run: lease.run.name.clone(),
            geocode: lease.geocode.clone(),
            token: lease.token,
        };
        let splits = lease.splits.len();
        say(&format!(
            "{}: job {} of {splits} splits",
            ours.run, ours.geocode
        ));
        let placement = lease.placement_key.clone();
        let gift = match self.gift(&lease).await {
            Ok(gift) => gift,
            Err(fault) => {
                let reason = format!("the donor's weights cannot be read: {}", told(&fault));
                return self.fail(ours, reason, false).await;
            }
        };
        match self.compute(lease, gift, &ours).await {
            Outcome::Learned(learned) => match bundle(&learned, placement) {
                Ok(bundle) => self.publish(&bundle, &ours).await,
                Err(reason) => self.fail(ours, reason, true).await,
            },
            Outcome::Failed { reason, hopeless } => self.fail(ours, reason, hopeless).await,
            Outcome::Dropped => {
                say(&format!("{}: job {} dropped", ours.run, ours.geocode));
                Ok(())
            }
        }
    }

    /// Learns on a blocking thread while the lease is renewed.
    async fn compute(&mut self, lease: Lease, gift: Option<Gift>, ours: &Renew) -> Outcome {
        let stop = Stop::default();
        let setting = Setting {
            device: self.device,
            stop: stop.clone(),
            checkpoint_every: self.checkpoint_every,
        };
        let period = (Duration::from_millis(lease.expires_millis) / 3).max(RENEW_MIN);
        let learn = move || learn_from(&lease, gift.as_ref(), &setting);
        let mut learning = tokio::task::spawn_blocking(learn);
        let mut beat = tokio::time::interval(period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.tick().await;
        let learned = loop {
            tokio::select! {
                learned = &mut learning => break learned,
                _ = beat.tick() => {
                    if let Err(fault) = self.client.renew(ours).await {
                        if fault.kind == FaultKind::Refused {
                            stop.wish();
                        }
                        say(&format!("{}: job {} not renewed: {fault}", ours.run, ours.geocode));
                    }
                }
                () = stopped(&mut self.stopping) => {
                    stop.wish();
                    break learning.await;
                }
            }
        };
        match learned {
            Ok(Ok(learned)) if !stop.wished() => Outcome::Learned(Box::new(learned)),
            Ok(_) if stop.wished() => Outcome::Dropped,
            Ok(Ok(learned)) => Outcome::Learned(Box::new(learned)),
            Ok(Err(error)) => Outcome::Failed {
                hopeless: error.hopeless(),
                reason: chain(&error),
            },
            Err(crash) => Outcome::Failed {
                reason: format!("the job crashed: {crash}"),
                hopeless: false,
            },
        }
    }

    /// Publishes a model; one whose lease is no longer ours is dropped.
    async fn publish(&mut self, bundle: &Bundle, ours: &Renew) -> Result<(), Fault> {
        let (client, params) = (self.client.clone(), PutParams::publish(ours));
        match self.insist(|| client.put(bundle, &params)).await {
            Ok(_) => {
                say(&format!("{}: model {} published", ours.run, ours.geocode));
                Ok(())
            }
            Err(fault) if is_unreachable(&fault) => Err(fault),
            Err(fault) => {
                // A stale token is refused here again, and rightly ignored; any other reason
                // (disk full, too few live nodes) is for the node to know.
                self.fail(
                    ours.clone(),
                    format!("the model was refused: {}", told(&fault)),
                    false,
                )
                .await
            }
        }
    }

    /// Gives a job back with the reason.
    async fn fail(&mut self, lease: Renew, reason: String, hopeless: bool) -> Result<(), Fault> {
        say(&format!(
            "{}: job {} failed: {reason}",
            lease.run, lease.geocode
        ));
        let failure = Failure {
            lease,
            reason,
            hopeless,
        };
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

/// Tells whether asking again may help.
fn is_unreachable(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Unreachable | FaultKind::Timeout | FaultKind::Partial
    )
}

/// Joins a fault with its reasons.
fn told(fault: &Fault) -> String {
    [std::slice::from_ref(&fault.what), &fault.because]
        .concat()
        .join(": ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: bounds how long an unreachable node is asked"
)]
fn now() -> Instant {
    Instant::now()
}
