//! Quick-looks of splits: all pictures of one dataset with one stretch, so that they compare.
//!
//! *Invariants*: two passes, one to find the stretch and one to draw; only the bands shown are
//! fetched.
//!
//! *Not here*: drawing (`export::png`).

use std::collections::BTreeMap;

use earth::cube::{Cube, stack};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::args::Get;
use crate::export::{self, Stretch};
use crate::get::convert::existing;
use crate::get::report::{Made, Report};
use crate::get::slices::{Wanted, fetch};
use crate::get::stem;

/// Draws each split.
pub(super) async fn get(
    client: &Client,
    hits: &[Hit],
    args: &Get,
    report: &mut Report<'_>,
) -> Result<(), Fault> {
    let wanted = Wanted(args.bands.clone());
    wanted.check(hits)?;
    let mut stretches: BTreeMap<&str, Stretch> = BTreeMap::new();
    let mut failures: BTreeMap<&str, Fault> = BTreeMap::new();
    for hit in hits {
        match shown(client, hit, &wanted).await {
            Ok(cube) => {
                let stretch = stretches.entry(&hit.dataset).or_insert_with(Stretch::new);
                tokio::task::block_in_place(|| stretch.see(&cube));
            }
            Err(fault) => {
                failures.insert(hit.id.as_str(), fault);
            }
        }
    }
    let settle = |(dataset, stretch): (_, Stretch)| (dataset, stretch.settled());
    let stretches: BTreeMap<&str, Stretch> = stretches.into_iter().map(settle).collect();
    for hit in hits {
        let known = match (
            failures.remove(hit.id.as_str()),
            stretches.get(&*hit.dataset),
        ) {
            (Some(fault), _) => Err(fault),
            (None, Some(stretch)) => Ok(stretch),
            (None, None) => Err(bare(hit)),
        };
        let drawn = match known {
            Ok(stretch) => draw(client, hit, (args, &wanted, stretch)).await,
            Err(fault) => Err(fault),
        };
        match drawn {
            Ok(made) => {
                let files = made.files.clone();
                report.made(made, &files);
            }
            Err(fault) => report.failed(vec![hit.id.to_string()], fault)?,
        }
    }
    Ok(())
}

async fn draw(
    client: &Client,
    hit: &Hit,
    (args, wanted, stretch): (&Get, &Wanted, &Stretch),
) -> Result<Made, Fault> {
    let cube = shown(client, hit, wanted).await?;
    let target = args.out.join(format!("{}.png", stem(hit)));
    let how = (stretch, existing(args));
    let written = tokio::task::block_in_place(|| export::pictures(&cube, &target, how))?;
    Ok(Made {
        splits: vec![hit.id.to_string()],
        format: "png".to_owned(),
        files: written.files,
        bytes: written.bytes,
    })
}

/// Fetches what a picture of a split shows: the best that one grid has, the finest of equals.
async fn shown(client: &Client, hit: &Hit, wanted: &Wanted) -> Result<Cube, Fault> {
    let wanted = if wanted.0.is_empty() {
        usual(hit)
    } else {
        wanted.clone()
    };
    let mut best: Option<(u8, Cube)> = None;
    for grid in fetch(client, hit, &wanted).await? {
        let cube = stack(vec![grid.slice]).map_err(|e| bare(hit).because(e.to_string()))?;
        let rank = export::rank(cube.bands());
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, cube));
        }
    }
    best.map(|(_, cube)| cube).ok_or_else(|| bare(hit))
}

/// Returns red, green and blue where they lie on one grid; else the first band of measurements,
/// else of classes.
fn usual(hit: &Hit) -> Wanted {
    let common = |name: &str| hit.bands.iter().find(|b| b.common.as_deref() == Some(name));
    if let (Some(red), Some(green), Some(blue)) = (common("red"), common("green"), common("blue"))
        && red.asset == green.asset
        && green.asset == blue.asset
    {
        return Wanted([red, green, blue].map(|b| b.name.clone()).to_vec());
    }
    let measured = hit.bands.iter().find(|b| !b.categorical);
    let first = measured.or(hit.bands.first());
    Wanted(first.iter().map(|b| b.name.clone()).collect())
}

fn bare(hit: &Hit) -> Fault {
    let what = format!("{} has no band to draw", hit.id);
    Fault::new(FaultKind::Nothing, what).try_("other --bands")
}
