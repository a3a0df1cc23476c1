//! Carrying a re-split out: fetch, cut or put together, encode, put.
//!
//! *Invariants*: a unit is read only if some of its cells are not stored yet; a split that is put
//! was measured from its own pixels; a scene has a ledger once all of its units are done, and only
//! if the scene itself was ingested whole.
//!
//! *Not here*: which units there are (`plan`).

use std::collections::BTreeSet;

use bytes::Bytes;
use earth::geocode::Geocode;
use earth::split::codec::{Encoded, encode};
use earth::split::collection::Collection;
use earth::split::meta::{META_VERSION, PixelCounts, SplitId, SplitMeta};
use earth::split::resplit::{Loaded, Resplit, ResplitError};
use futures::StreamExt as _;
use wire::bundle::{Bundle, Kind};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::ledger::{Ledger, Outcome};
use wire::object::{PutOutcome, PutParams};

use crate::print::Screen;
use crate::resplit::Told;
use crate::resplit::plan::{Plan, Unit};

/// What writes splits, as their metadata name it.
const SOFTWARE: &str = concat!("glebe ", env!("CARGO_PKG_VERSION"));

/// How the note in a ledger begins that tells a re-split scene from an ingested one.
const NOTE: &str = "re-split from ";

/// Most bytes of one file that is fetched: those of a bundle, which brought it.
const FILE_BYTES_MAX: usize = wire::bundle::BUNDLE_BYTES_MAX;

/// Does all units, scene by scene.
pub(crate) async fn all(
    client: &Client,
    plan: &Plan,
    (into, screen): (&Collection, &Screen),
    told: &mut Told,
) -> Result<(), Fault> {
    for (scene, units) in &plan.scenes {
        let source = client.ledger(&plan.from, scene).await?;
        let source = source.filter(|ledger| ledger.outcome == Outcome::Done);
        let entered = entered(client, into, (scene, source.as_ref())).await?;
        let known = client.known_splits(&into.name, scene).await?;
        let known: BTreeSet<String> = known.splits.iter().map(|s| s.id.to_string()).collect();
        for unit in units {
            one(client, unit, (into, &known), told).await?;
        }
        let cells: u64 = units.iter().map(|u| u.cells.len() as u64).sum();
        let open = match source {
            Some(source) if !entered => enter(client, source, (into, cells)).await.map(|()| "")?,
            Some(_) => "",
            None => "; it was not ingested whole, so that its ledger is left open",
        };
        screen.note(format!("{scene}: {} units{open}", units.len()));
    }
    Ok(())
}

/// Tells whether a scene was ingested into the target itself; refuses one of that name that was
/// made of other files.
async fn entered(
    client: &Client,
    into: &Collection,
    (scene, source): (&str, Option<&Ledger>),
) -> Result<bool, Fault> {
    let there = client.ledger(&into.name, scene).await?;
    let (Some(there), Some(source)) = (there, source) else {
        return Ok(false);
    };
    if there.source_hash != source.source_hash {
        let what = format!("'{scene}' is in '{}' already", into.name);
        return Err(Fault::new(FaultKind::Data, what)
            .because("it was ingested from files with other content")
            .try_("another --into"));
    }
    let resplit = there.notes.iter().any(|note| note.starts_with(NOTE));
    Ok(there.outcome == Outcome::Done && !resplit)
}

/// Writes the ledger of a scene that is done: the delivered files' as the source's ledger knows
/// them, so that an ingest of these very files finds the scene there.
async fn enter(
    client: &Client,
    source: Ledger,
    (into, cells): (&Collection, u64),
) -> Result<(), Fault> {
    let known = client.known_splits(&into.name, &source.scene).await?.splits;
    let counts = known.iter().map(|split| split.counts);
    let splits = known.len() as u64;
    let mut notes = source.notes;
    notes.retain(|note| !note.starts_with(NOTE));
    notes.push(format!("{NOTE}{}", source.collection));
    let ledger = Ledger {
        collection: into.name.clone(),
        cells,
        splits,
        cells_empty: cells.saturating_sub(splits),
        bytes: known.iter().map(|split| split.bytes).sum(),
        counts: counts.fold(PixelCounts::default(), PixelCounts::plus),
        notes,
        ..source
    };
    let params = PutParams {
        overwrite: true,
        ..PutParams::default()
    };
    client.put(&ledger.bundle()?, &params).await?;
    Ok(())
}

async fn one(
    client: &Client,
    unit: &Unit,
    (into, known): (&Collection, &BTreeSet<String>),
    told: &mut Told,
) -> Result<(), Fault> {
    let scene = unit.splits.first().map_or("", SplitId::scene);
    let id = |cell: &Geocode| SplitId::new(&into.name, scene, cell);
    let there = |cell: &&Geocode| id(cell).is_some_and(|id| known.contains(id.as_str()));
    let (kept, wanted): (Vec<_>, Vec<_>) = unit.cells.iter().partition(there);
    told.kept += kept.len() as u64;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut splits = Vec::new();
    for split in &unit.splits {
        splits.push(fetch(client, split).await?);
    }
    let cells: Vec<Geocode> = wanted.into_iter().copied().collect();
    let into = into.clone();
    let made = tokio::task::spawn_blocking(move || make(splits, &cells, &into));
    let made = made.await.map_err(|e| {
        Fault::new(FaultKind::Internal, "a cell was not made").because(e.to_string())
    })??;
    for split in made {
        let Some(split) = split else {
            told.empty += 1;
            continue;
        };
        let bytes: u64 = split.files.iter().map(|(_, b)| b.len() as u64).sum();
        match put(client, split).await? {
            PutOutcome::New => {
                told.stored += 1;
                told.bytes += bytes;
            }
            PutOutcome::Same | PutOutcome::Kept => told.kept += 1,
        }
    }
    Ok(())
}

/// Fetches the files of a split.
async fn fetch(client: &Client, id: &SplitId) -> Result<Vec<Vec<u8>>, Fault> {
    let meta = client.split(id).await?;
    let mut files = Vec::new();
    for asset in &meta.assets {
        let mut stream = client.asset(id, &asset.name).await?;
        let mut file = Vec::new();
        while let Some(chunk) = stream.next().await {
            file.extend_from_slice(&chunk?);
            if file.len() > FILE_BYTES_MAX {
                let what = format!("{} of {id} is too long", asset.name);
                return Err(Fault::new(FaultKind::Data, what));
            }
        }
        files.push(file);
    }
    Ok(files)
}

/// Makes the splits of cells: cut out of one that is larger, or put together from smaller ones.
fn make(
    splits: Vec<Vec<Vec<u8>>>,
    cells: &[Geocode],
    into: &Collection,
) -> Result<Vec<Option<Encoded>>, Fault> {
    let mut loaded = Vec::new();
    for files in splits {
        loaded.push(Loaded::read(&files).map_err(|e| unreadable(&e))?);
    }
    let Some(first) = loaded.first().map(|l| l.meta().clone()) else {
        return Ok(Vec::new());
    };
    let deeper = first.geocode.precision() < into.precision;
    let mut made = Vec::new();
    for cell in cells {
        let found = match loaded.first() {
            Some(whole) if deeper => whole.deeper(cell),
            _ => Loaded::merged(std::mem::take(&mut loaded), cell),
        };
        let found = found.map_err(|e| unreadable(&e))?;
        made.push(
            found
                .map(|f| encoded(f, (&first, cell), into))
                .transpose()?,
        );
    }
    Ok(made)
}

fn unreadable(error: &ResplitError) -> Fault {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let fault = Fault::new(FaultKind::Data, "a split cannot be re-split")
        .because(error.to_string())
        .try_("glebe cluster verify");
    source.into_iter().fold(fault, Fault::because)
}

fn encoded(
    found: Resplit,
    (from, cell): (&SplitMeta, &Geocode),
    into: &Collection,
) -> Result<Encoded, Fault> {
    let no_id = || Fault::new(FaultKind::Internal, "a split has no name");
    let meta = SplitMeta {
        version: META_VERSION,
        id: SplitId::new(&into.name, from.id.scene(), cell).ok_or_else(no_id)?,
        geocode: *cell,
        placement_key: into.placement.key(cell),
        assets: Vec::new(),
        bands: found.measured.bands,
        counts: found.measured.counts,
        cloud_source: found.measured.cloud_source,
        texture: found.measured.texture,
        software: SOFTWARE.to_owned(),
        ..from.clone()
    };
    encode(meta, &found.cut.assets).map_err(|e| {
        let what = format!("cell {cell} cannot be written");
        Fault::new(FaultKind::Data, what).because(e.to_string())
    })
}

async fn put(client: &Client, split: Encoded) -> Result<PutOutcome, Fault> {
    let files = split.files.into_iter();
    let files = files
        .map(|(name, bytes)| (name, Bytes::from(bytes)))
        .collect();
    let id = split.meta.id.to_string();
    let bundle = Bundle::new(Kind::Split, id, split.meta.placement_key, files);
    let bundle = bundle.map_err(|e| {
        Fault::new(FaultKind::Data, format!("{} cannot be sent", split.meta.id))
            .because(e.to_string())
            .try_("a greater --precision makes smaller splits")
    })?;
    Ok(client.put(&bundle, &PutParams::default()).await?.outcome)
}
