//! What each cell's image is made of, from metadata alone.
//!
//! *Invariants*: pure; cells come by geocode; a scene that was ingested into two collections
//! counts once.
//!
//! *Not here*: which splits are chosen (`query::recipe`), who composes (`ask`).

use std::collections::{BTreeMap, BTreeSet};

use earth::geocode::{Geocode, Scheme};
use earth::split::compose::{ComposeError, Composition, Wish, is_masked};
use earth::split::meta::{META_VERSION, PixelCounts, SplitMeta};
use earth::split::placement::Slot;
use query::recipe::{Candidate, Recipe};
use wire::compose::{CELLS_MAX, CellPlan, PlannedPart};
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::Job;

/// One cell to compose.
#[derive(Debug, Clone)]
pub(crate) struct CellJob {
    /// What the user is told.
    pub plan: CellPlan,
    /// What the owner is told.
    pub job: Job,
    /// Where the cell is placed.
    pub slot: Slot,
}

/// Plans the images of all cells that splits were found of.
pub(super) fn cells(
    hits: &[Hit],
    wish: &Wish,
    window_days: Option<f64>,
) -> Result<Vec<CellJob>, Fault> {
    one_dataset(hits)?;
    let recipe = Recipe {
        rule: wish.rule,
        limits: wish.limits,
        window_days,
    };
    let mut cells: BTreeMap<(&str, bool), Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        let name = (hit.geocode.as_str(), hit.scheme == Scheme::QuadTile);
        let known = cells.entry(name).or_default();
        if known.iter().all(|h| h.scene != hit.scene) {
            known.push(hit);
        }
    }
    few(cells.len())?;
    let plan = |hits: &Vec<&Hit>| cell(hits, wish, &recipe);
    cells.values().map(plan).collect()
}

/// Refuses more cells than are composed at once.
pub(super) fn few(cells: usize) -> Result<(), Fault> {
    if cells <= CELLS_MAX {
        return Ok(());
    }
    let what = format!("{cells} cells match; {CELLS_MAX} can be composed at once");
    Err(Fault::new(FaultKind::Refused, what).try_("a smaller --bbox or --geocode"))
}

/// Refuses splits of several datasets: their bands are not the same.
fn one_dataset(hits: &[Hit]) -> Result<(), Fault> {
    let names: BTreeSet<&str> = hits.iter().map(|h| h.dataset.as_str()).collect();
    if names.len() < 2 {
        return Ok(());
    }
    let first = names.first().copied().unwrap_or_default();
    let all: Vec<&str> = names.iter().copied().collect();
    Err(
        Fault::new(FaultKind::Usage, "splits of several datasets match")
            .because(format!("they are of {}", all.join(", ")))
            .try_(format!("--dataset {first}")),
    )
}

fn cell(hits: &[&Hit], wish: &Wish, recipe: &Recipe) -> Result<CellJob, Fault> {
    let metas: Vec<SplitMeta> = hits.iter().map(|h| meta(h)).collect::<Result<_, _>>()?;
    let candidates: Vec<Candidate> = metas.iter().map(candidate).collect();
    let selection = recipe.select(&candidates);
    let order: Vec<&Hit> = selection.order.iter().map(|i| hits[*i]).collect();
    let ordered: Vec<SplitMeta> = selection.order.iter().map(|i| metas[*i].clone()).collect();
    let composition = Composition::new(wish.clone(), &ordered).map_err(|e| fault(&e))?;
    let bytes = order.iter().zip(&ordered).take(selection.expected);
    let bytes = bytes.map(|(hit, meta)| {
        let files = composition.reader().files(meta);
        files
            .iter()
            .filter_map(|f| hit.assets.get(f))
            .map(|a| a.bytes)
            .sum::<u64>()
    });
    let first = order.first().ok_or_else(|| fault(&ComposeError::Empty))?;
    let part = |hit: &&Hit| PlannedPart {
        id: hit.id.clone(),
        acquired: hit.acquired,
        pixel_coverage: hit.pixel_coverage,
        cloud_cover: hit.cloud_cover,
    };
    let plan = CellPlan {
        geocode: first.geocode.clone(),
        scheme: first.scheme,
        dataset: first.dataset.clone(),
        resolution_m: composition.resolution_m(),
        width: composition.grid().width(),
        height: composition.grid().height(),
        bands: composition.bands(),
        splits: order.iter().map(part).collect(),
        expected: selection.expected,
        bytes: bytes.sum(),
        owners: first.owners.clone(),
    };
    let splits = order.iter().map(|h| h.id.clone()).collect();
    Ok(CellJob {
        plan,
        job: Job {
            wish: wish.clone(),
            splits,
            predict: None,
        },
        slot: first.placement_key.slot(),
    })
}

fn candidate(meta: &SplitMeta) -> Candidate {
    Candidate {
        id: meta.id.to_string(),
        acquired: meta.acquired,
        coverage: meta.counts.coverage(),
        cloud: meta.counts.cloud(),
        masked: is_masked(meta),
    }
}

/// Returns what a hit tells of its split's metadata; enough to plan.
fn meta(hit: &Hit) -> Result<SplitMeta, Fault> {
    let geocode = Geocode::parse(hit.scheme, &hit.geocode).map_err(|e| {
        Fault::new(FaultKind::Data, format!("{} names no cell", hit.id)).because(e.to_string())
    })?;
    Ok(SplitMeta {
        version: META_VERSION,
        id: hit.id.clone(),
        dataset: hit.dataset.clone(),
        platform: None,
        geocode,
        placement_key: hit.placement_key.clone(),
        acquired: hit.acquired,
        assets: Vec::new(),
        bands: hit.bands.clone(),
        counts: PixelCounts {
            pixels: hit.pixels,
            in_footprint: hit.pixels_in_footprint,
            valid: hit.pixels_valid,
            mask: hit.mask,
        },
        cloud_source: hit.cloud_source.clone(),
        missing_bands: Vec::new(),
        texture: None,
        source_hash: String::new(),
        software: String::new(),
    })
}

/// Puts what stands in the way into words.
pub(super) fn fault(error: &ComposeError) -> Fault {
    let kind = match error {
        ComposeError::Empty => FaultKind::Nothing,
        ComposeError::Stranger { .. }
        | ComposeError::NoBand { .. }
        | ComposeError::Resolution(_)
        | ComposeError::Splice(_) => FaultKind::Usage,
        ComposeError::TooLarge { .. } => FaultKind::Refused,
        ComposeError::File { .. } | ComposeError::NoFile { .. } | ComposeError::Resample { .. } => {
            FaultKind::Data
        }
    };
    let (try_, source) = match error {
        ComposeError::TooLarge { .. } => (
            Some("fewer --bands, a coarser --resolution, a shorter --datetime, or finer cells"),
            None,
        ),
        ComposeError::NoBand { .. } => (Some("--bands with names among these"), None),
        ComposeError::Splice(_) => (Some("another --rule, or a dataset with these bands"), None),
        ComposeError::File { source, .. } => {
            (Some("glebe cluster verify"), Some(source.to_string()))
        }
        _ => (None, None),
    };
    let mut fault = Fault::new(kind, error.to_string());
    fault.because.extend(source);
    fault.try_ = try_.map(str::to_owned);
    fault
}
