//! Compositions made by this node, and kept until they were fetched.
//!
//! *Invariants*: files are read and pixels combined on blocking threads; the memory of decoded
//! pixels and of images that wait is taken from one budget; at most `UNDER_WAY_MAX` are known at
//! a time, and one that nobody asks after is given up and forgotten, whether its turn has come or
//! not.
//!
//! *Not here*: asking for them (`ask`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use earth::split::codec;
use earth::split::compose::{Composed, Composition, Read, Reader};
use earth::split::cut::AssetRaster;
use earth::split::meta::SplitMeta;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;
use wire::bundle::Kind;
use wire::compose::{CellImage, CellReport, PartReport, Provenance};
use wire::fault::{Fault, FaultKind};

use super::desk::Desk;
use super::plan::fault;
use super::{Job, infer};
use crate::answer::working;
use crate::cluster::core::Core;
use crate::identity::NodeId;
use crate::peer::{ComposeJob, ComposedPiece};
use crate::scatter;
use crate::store::ObjectKey;
use crate::swarm::CHUNK_BYTES_MAX;

/// Compositions known at a time, from all askers.
const UNDER_WAY_MAX: usize = 256;
/// Mebibytes of decoded pixels and of images that wait: one of the greatest (earth's
/// `DECODED_BYTES_MAX`) and its files, or dozens of usual ones.
const MEBIBYTES_MAX: u32 = 2_560;
/// Mebibytes of images on their way through this node to its users.
const TRANSIT_MEBIBYTES_MAX: u32 = 1 << 10;
/// Splits that are read at a time where all are needed: some wait for the disk, some for a core.
const READ_AT_ONCE: usize = 4;
/// Images answered by models at a time: each takes all cores.
const PREDICTIONS_AT_ONCE: usize = 1;
/// Images for models that are in memory at a time: one that is answered, and the next, so that a
/// worker waits for none. All others wait for their turn before a pixel of them is read.
const PREPARED_AT_ONCE: usize = 2;
/// How long a question waits for the end of a composition before it is put again.
const WAIT: Duration = Duration::from_secs(5);
/// How long an image waits for being fetched: longer than an asker waits between two questions.
const STILL_MAX: Duration = Duration::from_mins(2);
/// After how long without a question a composition under way is given up: longer than any answer
/// to its asker may take, who asks again at once.
const ABANDONED_AFTER: Duration = Duration::from_secs(30);
/// Longest that reading and combining one cell's splits may take, once there is memory for it: a
/// hundred dates of the largest cell on a busy machine.
const CELL_LIMIT: Duration = Duration::from_mins(10);

/// A composition that is done, or why it is not.
type Done = Result<Arc<Image>, Fault>;
/// What is awaited of one: nothing until it is done.
type Awaited = watch::Receiver<Option<Done>>;
/// Tells those that wait.
type Teller = watch::Sender<Option<Done>>;

/// An image and its files.
pub(super) type Encoded = (CellImage, Vec<Bytes>);

/// A composed image with the memory that it takes.
#[derive(Debug)]
struct Image {
    /// `CellImage` as JSON.
    head: String,
    files: Vec<Bytes>,
    _memory: Option<OwnedSemaphorePermit>,
}

/// One composition.
#[derive(Debug)]
struct Entry {
    done: Awaited,
    touched: Instant,
}

/// Compositions under way, and images that wait.
#[derive(Debug)]
pub(crate) struct Compositions {
    open: Mutex<HashMap<(NodeId, u64), Entry>>,
    memory: Arc<Semaphore>,
    transit: Arc<Semaphore>,
    prepared: Semaphore,
    predictions: Semaphore,
    /// Where predictions find their files.
    pub(super) desk: Desk,
}

impl Compositions {
    /// Has nothing under way, on a node whose folder is that.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            desk: Desk::new(data),
            open: Mutex::default(),
            memory: Arc::new(Semaphore::new(MEBIBYTES_MAX as usize)),
            transit: Arc::new(Semaphore::new(TRANSIT_MEBIBYTES_MAX as usize)),
            prepared: Semaphore::new(PREPARED_AT_ONCE),
            predictions: Semaphore::new(PREDICTIONS_AT_ONCE),
        }
    }

    /// Takes memory for an image on its way; waits until there is some.
    pub(super) async fn transit(&self, mebibytes: u32) -> Option<OwnedSemaphorePermit> {
        let wanted = mebibytes.min(TRANSIT_MEBIBYTES_MAX);
        Arc::clone(&self.transit)
            .acquire_many_owned(wanted)
            .await
            .ok()
    }

    /// Waits for its turn to have models answer.
    pub(super) async fn prediction(&self) -> Option<SemaphorePermit<'_>> {
        self.predictions.acquire().await.ok()
    }

    /// Waits for its turn to read what models are to answer.
    async fn preparation(&self) -> Option<SemaphorePermit<'_>> {
        self.prepared.acquire().await.ok()
    }

    async fn memory(&self, mebibytes: u32) -> Option<OwnedSemaphorePermit> {
        let wanted = mebibytes.min(MEBIBYTES_MAX);
        Arc::clone(&self.memory)
            .acquire_many_owned(wanted)
            .await
            .ok()
    }

    /// Returns the composition of that name, or notes a new one, whose end is told by the sender.
    fn enter(&self, name: (NodeId, u64)) -> Result<(Awaited, Option<Teller>), Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, entry| entry.touched.elapsed() < STILL_MAX);
        if let Some(entry) = open.get_mut(&name) {
            entry.touched = Instant::now();
            return Ok((entry.done.clone(), None));
        }
        if open.len() >= UNDER_WAY_MAX {
            let what = format!("{UNDER_WAY_MAX} compositions are under way already");
            return Err(Fault::new(FaultKind::Unreachable, what).try_("the same later"));
        }
        let (sender, done) = watch::channel(None);
        let entry = Entry {
            done: done.clone(),
            touched: Instant::now(),
        };
        open.insert(name, entry);
        Ok((done, Some(sender)))
    }

    /// Returns an image that is done.
    fn image(&self, name: &(NodeId, u64)) -> Option<Arc<Image>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.get_mut(name)?;
        entry.touched = Instant::now();
        let done = entry.done.borrow().clone();
        done?.ok()
    }

    /// Returns once nobody has asked after a composition for a while.
    async fn abandoned(&self, name: &(NodeId, u64)) {
        loop {
            let touched = {
                let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.get(name).map(|entry| entry.touched)
            };
            let Some(touched) = touched else { return };
            let given_up = touched + ABANDONED_AFTER;
            if given_up <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(given_up).await;
        }
    }

    fn forget(&self, name: &(NodeId, u64)) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(name);
    }
}

/// Returns the mebibytes that bytes take, at least one.
pub(super) fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20).max(1)).unwrap_or(u32::MAX)
}

/// Composes, unless it is being done; returns the image's description once it is there.
pub(crate) async fn answer(
    core: &Arc<Core>,
    from: &NodeId,
    ask: ComposeJob,
) -> Result<Option<String>, Fault> {
    let name = (from.clone(), ask.number);
    let (mut done, sender) = core.compositions.enter(name.clone())?;
    if let Some(sender) = sender {
        let (composing, here) = (compose(Arc::clone(core), ask.job), Arc::clone(core));
        let (stop, name) = (core.stop.clone(), name.clone());
        core.tasks.spawn(stop.run_until_cancelled_owned(async move {
            tokio::select! {
                biased;
                done = composing => drop(sender.send_replace(Some(done))),
                () = here.compositions.abandoned(&name) => {
                    tracing::info!(asker = %name.0, "nobody waits for a composition any more");
                    here.compositions.forget(&name);
                }
            }
        }));
    }
    let waited = tokio::time::timeout(WAIT, done.wait_for(Option::is_some)).await;
    let outcome = match waited {
        Err(_) => return Ok(None),
        Ok(Ok(outcome)) => outcome.clone(),
        Ok(Err(_)) => None,
    };
    match outcome {
        Some(Ok(image)) => Ok(Some(image.head.clone())),
        Some(Err(fault)) => {
            core.compositions.forget(&name);
            Err(fault)
        }
        None => Err(Fault::new(FaultKind::Internal, "a composition was lost")),
    }
}

/// Returns part of an image; the last part of its last file ends it.
pub(crate) fn piece(core: &Core, from: &NodeId, piece: ComposedPiece) -> Result<Bytes, Fault> {
    let name = (from.clone(), piece.number);
    let gone = || Fault::new(FaultKind::Nothing, "there is no such composition any more");
    let image = core.compositions.image(&name).ok_or_else(gone)?;
    let file = image.files.get(piece.file as usize).ok_or_else(gone)?;
    let length = (piece.length as usize).min(CHUNK_BYTES_MAX);
    let start = usize::try_from(piece.offset)
        .unwrap_or(usize::MAX)
        .min(file.len());
    let end = start.saturating_add(length).min(file.len());
    let bytes = if end - start == file.len() {
        file.clone()
    } else {
        // A slice would keep the whole in memory, and nobody would count it.
        Bytes::copy_from_slice(&file[start..end])
    };
    if end == file.len() && piece.file as usize + 1 == image.files.len() {
        core.compositions.forget(&name);
    }
    Ok(bytes)
}

/// Reads, composes and encodes.
async fn compose(core: Arc<Core>, job: String) -> Done {
    let job: Job = serde_json::from_str(&job).map_err(|e| {
        Fault::new(FaultKind::Usage, "the job cannot be read").because(e.to_string())
    })?;
    let turn = match job.predict {
        Some(_) => core.compositions.preparation().await,
        None => None,
    };
    let splits = metas(&core, &job).await?;
    let composition = Composition::new(job.wish.clone(), &splits).map_err(|e| fault(&e))?;
    let at_once = if composition.takes_all() {
        READ_AT_ONCE
    } else {
        1
    };
    let files = largest(&splits).saturating_mul(at_once as u64);
    let held = composition.held_bytes(splits.len()).saturating_add(files);
    let mut memory = core.compositions.memory(mebibytes(held)).await;
    let combined = combine(&core, composition, (splits, at_once));
    let late = |_| Fault::new(FaultKind::Timeout, "composing the cell took too long");
    let composition = tokio::time::timeout(CELL_LIMIT, combined)
        .await
        .map_err(late)??;
    let rule = job.wish.rule;
    let node = core.me.to_string();
    let composed = working(move || composition.finish().map_err(|e| fault(&e))).await??;
    let report = report(&composed, (rule, node));
    let (image, files) = match job.predict {
        Some(answerers) => infer::answered(&core, (composed, report), &answerers).await?,
        None => working(move || encode(composed, report)).await??,
    };
    drop(turn);
    let head = serde_json::to_string(&image)
        .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    let bytes: u64 = files.iter().map(|f| f.len() as u64).sum();
    let keep = memory.as_mut().and_then(|m| {
        let wanted = (mebibytes(bytes) as usize).min(m.num_permits());
        m.split(wanted)
    });
    Ok(Arc::new(Image {
        head,
        files,
        _memory: keep,
    }))
}

/// Reads splits, so many at a time, and combines them.
async fn combine(
    core: &Arc<Core>,
    mut composition: Composition,
    (splits, at_once): (Vec<SplitMeta>, usize),
) -> Result<Composition, Fault> {
    let reader = composition.reader();
    let reading = splits.into_iter();
    let reading = reading.map(|split| read(core, Arc::clone(&reader), split));
    let mut reading = futures::stream::iter(reading).buffered(at_once);
    while let Some(read) = reading.next().await {
        let (split, read) = read?;
        composition = working(move || composition.add(&split, read).map(|()| composition))
            .await?
            .map_err(|e| fault(&e))?;
        if composition.is_enough() {
            break;
        }
    }
    Ok(composition)
}

/// Returns the metadata of the splits, which this node holds as a rule.
async fn metas(core: &Arc<Core>, job: &Job) -> Result<Vec<SplitMeta>, Fault> {
    let mut splits = Vec::with_capacity(job.splits.len());
    for id in &job.splits {
        let key = ObjectKey::new(Kind::Split, id.as_str());
        let own = key.clone();
        let record = core.blocking(move |store| store.record(&own)).await?;
        let record = match record {
            Some(record) => Some(record),
            None => scatter::record(core, &key).await?,
        };
        let lost = || Fault::new(FaultKind::Nothing, format!("{id} is not there any more"));
        let split = record.ok_or_else(lost)?.split().map_err(|e| {
            Fault::new(FaultKind::Data, format!("{id} cannot be understood")).because(e.to_string())
        })?;
        splits.push(split);
    }
    Ok(splits)
}

/// Returns the bytes of pixels of the largest split, more than its files take.
fn largest(splits: &[SplitMeta]) -> u64 {
    let size = |split: &SplitMeta| {
        let bytes = |b: &earth::split::meta::BandMeta| {
            let asset = split.assets.iter().find(|a| a.name == b.asset);
            let pixels = asset.map_or(0, |a| u64::from(a.width) * u64::from(a.height));
            pixels * b.sample.bytes() as u64
        };
        split.bands.iter().map(bytes).sum::<u64>()
    };
    splits.iter().map(size).max().unwrap_or(0)
}

/// Reads a split: the files that are needed, from here or else from who holds them.
async fn read(
    core: &Arc<Core>,
    reader: Arc<Reader>,
    split: SplitMeta,
) -> Result<(SplitMeta, Read), Fault> {
    let key = ObjectKey::new(Kind::Split, split.id.as_str());
    let mut files: Vec<(String, Bytes)> = Vec::new();
    for name in reader.files(&split) {
        let bytes = scatter::fetch(core, &key, &name).await?;
        files.push((name, bytes));
    }
    working(move || {
        let by_name = files.iter().map(|(n, b)| (n.as_str(), b.as_ref()));
        let read = reader.read(&split, &by_name.collect());
        read.map(|read| (split, read)).map_err(|e| fault(&e))
    })
    .await?
}

/// Writes the image's files and says what was reached.
fn encode(composed: Composed, report: CellReport) -> Result<Encoded, Fault> {
    written(composed.meta, &composed.cut.assets, report)
}

/// Writes files of a split in form, with what was reached.
pub(super) fn written(
    meta: SplitMeta,
    assets: &[AssetRaster],
    report: CellReport,
) -> Result<Encoded, Fault> {
    let encoded = codec::encode(meta, assets).map_err(|e| {
        Fault::new(FaultKind::Data, "the image cannot be written").because(e.to_string())
    })?;
    let files = encoded.files.into_iter();
    let files: Vec<(String, Bytes)> = files.map(|(n, b)| (n, Bytes::from(b))).collect();
    let image = CellImage {
        report,
        split: encoded.meta,
        files: CellImage::entries(&files),
    };
    Ok((image, files.into_iter().map(|(_, bytes)| bytes).collect()))
}

fn report(composed: &Composed, (rule, node): (earth::raster::splice::Rule, String)) -> CellReport {
    let percent = |share: f64| share * 100.0;
    let part = |part: &earth::split::compose::Part| PartReport {
        id: part.id.clone(),
        acquired: part.acquired,
        pixel_coverage: percent(part.coverage),
        cloud_cover: part.cloud.map(percent),
        pixels_used: part.used,
        coverage_before: percent(part.grew.0),
        coverage_after: percent(part.grew.1),
    };
    CellReport {
        geocode: composed.meta.geocode.to_string(),
        dataset: composed.meta.dataset.clone(),
        rule,
        reached: composed.reached,
        pixel_coverage: percent(composed.coverage),
        cloud_cover: composed.cloud.map(percent),
        cloud_by_pixel: composed.sky_known,
        provenance: if rule == earth::raster::splice::Rule::Median {
            Provenance::Count
        } else {
            Provenance::Part
        },
        parts: composed.parts.iter().map(part).collect(),
        node,
        predicted: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_after_is_given_up_and_what_is_asked_after_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let compositions = Compositions::new(dir.path());
        let name = (NodeId::embedded(), 1);
        compositions.enter(name.clone()).unwrap();
        let began = Instant::now();
        let asks = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                compositions.enter(name.clone()).unwrap();
            }
        };
        tokio::join!(asks, compositions.abandoned(&name));
        let expected = Duration::from_secs(100) + ABANDONED_AFTER;
        assert_eq!(began.elapsed().as_secs(), expected.as_secs());
    }
}
