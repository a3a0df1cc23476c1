//! Worlds of synthetic scenes with known laws, for demonstrations, tests and load.
//!
//! *Invariants*: written as what it is, synthetic; a seed fixes every byte; red, green and blue
//! tell NDVI by a law of the region's own, listed in `world.json` beside the true cloud masks.
//!
//! *Not here*: reading scenes (`source`).

pub mod cloud;
pub mod jp2;
pub mod landscape;
pub mod mgrs;
pub mod noise;
pub mod paint;
pub mod safe;
pub mod world;

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use self::paint::Painting;
use self::safe::Product;
use self::world::{Request, Shot, World};

/// Greatest side in pixels of 10 m: a full Sentinel-2 tile.
pub const SIZE_MAX: u32 = 10_980;
/// Least side: one pixel of 60 m is six of 10 m, and a region should hold a few features.
pub const SIZE_MIN: u32 = 60;
/// Greatest number of regions: each takes a tile of its own.
pub const REGIONS_MAX: u32 = 200;
/// Greatest number of dates: years of 16-day steps.
pub const DATES_MAX: u32 = 400;

/// One line about a written scene.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// What was planned.
    #[serde(flatten)]
    pub shot: Shot,
    /// Share of valid pixels that are cloudy in truth, 0..=1.
    pub cloud_true: f64,
    /// Share of pixels that are no-data, 0..=1.
    pub nodata: f64,
}

/// `world.json`: the plan with what came of it.
#[derive(Debug, Serialize)]
struct WorldFile<'a> {
    synthetic: bool,
    request: &'a Request,
    law: &'static str,
    regions: &'a [world::Region],
    scenes: &'a [Made],
}

/// Rounds a wanted side up to whole pixels of 60 m.
pub fn whole_size(size: u32) -> u32 {
    size.div_ceil(6) * 6
}

/// Writes the world of a request; `each` hears of every scene once it is written.
pub fn run(request: &Request, out: &Path, each: &mut dyn FnMut(&Made)) -> anyhow::Result<()> {
    let size_ok = (SIZE_MIN..=SIZE_MAX).contains(&request.size) && request.size.is_multiple_of(6);
    ensure!(
        size_ok,
        "size {} is outside {SIZE_MIN}..={SIZE_MAX} or no multiple of 6",
        request.size
    );
    ensure!(
        (1..=REGIONS_MAX).contains(&request.regions),
        "regions must be 1..={REGIONS_MAX}"
    );
    ensure!(
        request
            .kinds
            .is_none_or(|kinds| (1..=request.regions).contains(&kinds)),
        "kinds must be 1..={}, one a region at most",
        request.regions
    );
    ensure!(
        (1..=DATES_MAX).contains(&request.dates),
        "dates must be 1..={DATES_MAX}"
    );
    let world = world::plan(request)?;
    let truth = out.join("TRUTH");
    fs::create_dir_all(&truth).with_context(|| format!("cannot create {}", truth.display()))?;
    let mut scenes = Vec::new();
    for region in &world.regions {
        scenes.extend(write_region(&world, region, out, each)?);
    }
    let file = WorldFile {
        synthetic: true,
        request,
        law: "ndvi = low + (high - low) / (1 + exp(-gain * (x - middle))), \
              x = (2G - R - B) / (R + G + B), of clear ground, up to sensor noise",
        regions: &world.regions,
        scenes: &scenes,
    };
    fs::write(out.join("world.json"), serde_json::to_vec_pretty(&file)?)?;
    Ok(())
}

/// Writes all scenes of one region over one ground.
fn write_region(
    world: &World,
    region: &world::Region,
    out: &Path,
    each: &mut dyn FnMut(&Made),
) -> anyhow::Result<Vec<Made>> {
    let size = usize::try_from(world.request.size)?;
    let ground = landscape::ground(region, size);
    let mut made = Vec::new();
    for shot in world.scenes.iter().filter(|s| s.region == region.index) {
        let painting = Painting::new(region, shot, &ground, size);
        let product = Product {
            region,
            shot,
            painting: &painting,
            baseline: world.request.baseline,
            level: world.request.level,
            size: world.request.size,
        };
        let written = product.write(out)?;
        let line = Made {
            shot: shot.clone(),
            cloud_true: written.cloud,
            nodata: written.nodata,
        };
        each(&line);
        made.push(line);
    }
    Ok(made)
}
