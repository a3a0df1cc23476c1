//! The dates of a cell as one cube: each, or in steps.
//!
//! *Invariants*: an empty step is there and all fill; no more than the splits of one step are in
//! memory beside the cube.
//!
//! *Not here*: single slices (`kitchen`), making several dates one (`earth::cube::regular`).

use std::collections::BTreeSet;

use earth::cube::regular::{Reduce, Step, reduce};
use earth::cube::{Cube, CubeTime, Slice, stack};
use jiff::Timestamp;
use query::TimeRange;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::kitchen::{Cell, Kitchen, Taken};
use super::plane::physical;
use super::recipe::Dates;
use crate::args::StepRule;

/// Makes the cube of a cell.
pub(super) async fn cube(
    kitchen: &mut Kitchen<'_>,
    cell: &Cell<'_>,
    (dates, time): (Dates, TimeRange),
) -> Result<(Cube, Vec<Taken>), Fault> {
    let mut taken = Vec::new();
    let mut slices = Vec::new();
    let Dates::Regular(_, rule) = dates else {
        for hit in &cell.hits {
            let (slice, from) = kitchen.slice(cell, hit).await?;
            slices.push(slice);
            taken.push(from);
        }
        return Ok((join(slices)?, taken));
    };
    for step in steps(cell, dates, time)? {
        let inside: Vec<&Hit> = { cell.hits.iter() }
            .copied()
            .filter(|hit| step.holds(hit.acquired))
            .collect();
        let mut order = inside;
        order.sort_by(|a, b| rank(rule, a, &step).total_cmp(&rank(rule, b, &step)));
        let mut found = Vec::new();
        for hit in order {
            let (slice, from) = kitchen.slice(cell, hit).await?;
            let complete = rule != StepRule::Median && is_complete(&slice);
            found.push(slice);
            taken.push(from);
            if complete {
                break;
            }
        }
        slices.push(one(found, cell, (&step, rule))?);
    }
    Ok((join(slices)?, taken))
}

/// Returns the steps of a cube: over the time asked for where it is bounded, else the splits'.
pub(super) fn steps(cell: &Cell<'_>, dates: Dates, time: TimeRange) -> Result<Vec<Step>, Fault> {
    let Dates::Regular(every, _) = dates else {
        return Ok(Vec::new());
    };
    let times = || cell.hits.iter().map(|hit| hit.acquired);
    let first = time.start.or_else(|| times().min());
    let last = time.end.or_else(|| times().max());
    let (first, last) = first
        .zip(last)
        .unwrap_or((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
    every.steps(first, last).map_err(|e| {
        Fault::new(FaultKind::Usage, "--every makes too many steps")
            .because(e.to_string())
            .try_("--every 1mo, or a shorter --datetime")
    })
}

/// Returns what a step's dates are ordered by, least first.
fn rank(rule: StepRule, hit: &Hit, step: &Step) -> f64 {
    match rule {
        StepRule::LeastCloud => hit.cloud_cover.unwrap_or(f64::INFINITY),
        StepRule::Nearest | StepRule::Median => step.from_middle(hit.acquired),
    }
}

fn is_complete(slice: &Slice) -> bool {
    let valid = |(band, raster): &(earth::cube::CubeBand, earth::raster::Raster)| {
        raster.validity(band.fill).iter().all(|v| *v)
    };
    slice.bands.iter().all(valid)
}

/// Makes the dates of a step one.
fn one(
    slices: Vec<Slice>,
    cell: &Cell<'_>,
    (step, rule): (&Step, StepRule),
) -> Result<Slice, Fault> {
    let time = |scene: String| CubeTime {
        acquired: step.start,
        scene,
    };
    let georef = cell.target.clone();
    let scenes: Vec<String> = slices.iter().map(|s| s.time.scene.clone()).collect();
    if slices.is_empty() {
        return Ok(Slice {
            time: time(String::new()),
            georef,
            bands: Vec::new(),
        });
    }
    // Stacking sorts by time; the order of preference is kept as places among the sorted.
    let wanted: Vec<CubeTime> = slices.iter().map(|s| s.time.clone()).collect();
    let cube = join(slices)?;
    let place = |wanted: &CubeTime| cube.times().iter().position(|t| t == wanted);
    let how = if rule == StepRule::Median {
        Reduce::Median
    } else {
        Reduce::First(wanted.iter().filter_map(place).collect())
    };
    let bands = tokio::task::block_in_place(|| reduce(&cube, &how));
    Ok(Slice {
        time: time(scenes.join("+")),
        georef,
        bands,
    })
}

/// Stacks slices; bands without a fill that some slice lacks become physical before.
fn join(mut slices: Vec<Slice>) -> Result<Cube, Fault> {
    let names: BTreeSet<String> = { slices.iter() }
        .flat_map(|s| s.bands.iter().map(|(band, _)| band.name.clone()))
        .collect();
    if names.is_empty() {
        return Err(Fault::new(FaultKind::Nothing, "no date has a band"));
    }
    let lacking: BTreeSet<&String> = { names.iter() }
        .filter(|name| {
            slices
                .iter()
                .any(|s| s.bands.iter().all(|(b, _)| b.name != **name))
        })
        .collect();
    for slice in &mut slices {
        let bands = std::mem::take(&mut slice.bands);
        let known = |(band, raster): (earth::cube::CubeBand, earth::raster::Raster)| {
            let void = band.fill.is_none() && band.sample.is_integer();
            if void && lacking.contains(&band.name) {
                physical(band, &raster)
            } else {
                (band, raster)
            }
        };
        slice.bands = bands.into_iter().map(known).collect();
    }
    stack(slices).map_err(|e| {
        Fault::new(FaultKind::Data, "the dates make no cube")
            .because(e.to_string())
            .try_("--bands or --datetime, to take fewer")
    })
}
