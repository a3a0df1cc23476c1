//! Splits brought together before they are written: one resolution, formulas, other sensors,
//! neighbours, dates.
//!
//! *Invariants*: every cube is estimated before its first pixel is fetched, and refused past
//! `CUBE_BYTES_MAX`; what fails is said, and the rest goes on.
//!
//! *Not here*: files of formats (`export`), splits as they are (`files`, `convert`).

mod around;
mod dates;
mod files;
mod formulas;
mod kitchen;
mod offers;
mod plane;
mod recipe;

use std::collections::BTreeMap;
use std::path::PathBuf;

use earth::cube::Cube;
use query::TimeRange;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use self::kitchen::{Cell, Kitchen, Taken};
use self::recipe::{Dates, Recipe};
use crate::args::Get;
use crate::export::{self, Existing, Format};
use crate::get::report::{Made, Report};
use crate::get::stem;
use crate::print::{Screen, bytes};

/// Most bytes of one cube in memory: what a laptop holds beside everything else.
const CUBE_BYTES_MAX: u64 = 4 << 30;

/// Distances to other sensors told on stderr; the files hold all of them.
const TIMES_SAID_MAX: usize = 12;

/// Checks the words that need no node.
pub(super) fn check(args: &Get) -> Result<(), Fault> {
    Recipe::new(args).map(drop)
}

/// Writes splits brought together.
pub(super) async fn get(
    client: &Client,
    hits: &[Hit],
    (args, time): (&Get, TimeRange),
    (report, screen): (&mut Report<'_>, &Screen),
) -> Result<(), Fault> {
    let recipe = Recipe::new(args)?;
    let recipe = recipe
        .with_partners(client, (&args.wrangle.with, hits))
        .await?;
    let mut oven = Oven {
        kitchen: Kitchen::new(client, &recipe),
        recipe: &recipe,
        args,
        format: format(args),
        time,
        times: Vec::new(),
        screen,
    };
    let groups = groups(hits, recipe.dates);
    check_target(args, groups.len())?;
    for (name, members) in groups {
        let ids = members.iter().map(|h| h.id.to_string()).collect();
        match oven.bake(&name, members).await {
            Ok(made) => {
                let files = made.files.clone();
                report.made(made, &files);
            }
            // What was asked wrongly of one is asked wrongly of all.
            Err(fault) if fault.kind == FaultKind::Usage => return Err(fault),
            Err(fault) => report.failed(ids, fault)?,
        }
    }
    oven.say();
    Ok(())
}

/// Makes the cubes of single splits, for whoever lays them out.
#[derive(Debug)]
pub(super) struct Single<'a> {
    kitchen: Kitchen<'a>,
}

/// What is asked for of single splits.
#[derive(Debug)]
pub(super) struct Asked(Recipe);

impl Asked {
    pub(super) fn new(args: &Get) -> Result<Self, Fault> {
        Recipe::new(args).map(Self)
    }
}

impl<'a> Single<'a> {
    pub(super) fn new(client: &'a Client, asked: &'a Asked) -> Self {
        Self {
            kitchen: Kitchen::new(client, &asked.0),
        }
    }

    /// Makes the cube of one split.
    pub(super) async fn cube(&mut self, hit: &Hit) -> Result<Cube, Fault> {
        let cell = self.kitchen.cell(vec![hit]).await?;
        let dates = (Dates::Irregular, TimeRange::default());
        Ok(dates::cube(&mut self.kitchen, &cell, dates).await?.0)
    }
}

/// Returns which splits go together under which name: each by itself, or those of a cell.
fn groups(hits: &[Hit], dates: Dates) -> BTreeMap<String, Vec<&Hit>> {
    let mut groups: BTreeMap<String, Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        let name = match dates {
            Dates::Single => stem(hit),
            _ => format!("{}~{}", hit.collection, hit.geocode),
        };
        groups.entry(name).or_default().push(hit);
    }
    groups
}

/// Returns the format: the one named, the one of the target's extension, else the usual one.
fn format(args: &Get) -> Format {
    let usual = if args.wrangle.cube {
        Format::Npz
    } else {
        Format::Cog
    };
    { args.format.export() }
        .or_else(|| Format::of(&args.out))
        .unwrap_or(usual)
}

/// Refuses one file for several cubes.
fn check_target(args: &Get, cubes: usize) -> Result<(), Fault> {
    if cubes <= 1 || Format::of(&args.out).is_none() {
        return Ok(());
    }
    let what = format!("{} cannot hold {cubes} cubes", args.out.display());
    Err(Fault::new(FaultKind::Usage, what)
        .because("there is one for each cell, and for each split without --cube")
        .try_("-O with a folder, or --geocode CELL --exact --cube"))
}

/// Makes and writes the cubes of all groups.
struct Oven<'a> {
    kitchen: Kitchen<'a>,
    recipe: &'a Recipe,
    args: &'a Get,
    format: Format,
    time: TimeRange,
    times: Vec<String>,
    screen: &'a Screen,
}

impl Oven<'_> {
    async fn bake(&mut self, name: &str, hits: Vec<&Hit>) -> Result<Made, Fault> {
        let mut ids: Vec<String> = hits.iter().map(|h| h.id.to_string()).collect();
        let cell = self.kitchen.cell(hits).await?;
        self.estimate(name, &cell)?;
        let target = self.target(name, cell.resolution_m);
        let dates = (self.recipe.dates, self.time);
        let (cube, taken) = dates::cube(&mut self.kitchen, &cell, dates).await?;
        for from in &taken {
            ids.extend(from.partners.iter().cloned());
            let when = |time: &String| format!("{name}: {time}");
            self.times.extend(from.times.iter().map(when));
        }
        let cube = self.noted(cube, &taken);
        let cube = if self.args.physical {
            cube.to_physical()
        } else {
            cube
        };
        let existing = if self.args.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        };
        let write = || export::write(&cube, &target, self.format, existing);
        let written = tokio::task::block_in_place(write)?;
        Ok(Made {
            splits: ids,
            format: format!("{:?}", self.format).to_lowercase(),
            files: written.files,
            bytes: written.bytes,
        })
    }

    /// Refuses cubes that would not fit, and says how large the others are.
    fn estimate(&self, name: &str, cell: &Cell<'_>) -> Result<(), Fault> {
        let steps = dates::steps(cell, self.recipe.dates, self.time)?;
        let times = if steps.is_empty() {
            cell.hits.len()
        } else {
            steps.len()
        };
        let per_pixel = cell
            .hits
            .first()
            .map_or(0, |hit| self.recipe.bytes_a_pixel(hit));
        let (width, height) = (u64::from(cell.target.width), u64::from(cell.target.height));
        let total = (times as u64)
            .saturating_mul(width * height)
            .saturating_mul(per_pixel);
        let said = format!(
            "{name}: {times} times of {width} x {height} pixels, {per_pixel} bytes each: {}",
            bytes(total)
        );
        if total > CUBE_BYTES_MAX {
            return Err(Fault::new(
                FaultKind::Usage,
                format!("{name} is too large for one cube"),
            )
            .because(said)
            .because(format!("a cube may have {}", bytes(CUBE_BYTES_MAX)))
            .try_("a coarser --resolution, fewer --bands, a longer --every, or --datetime"));
        }
        if self.recipe.dates == Dates::Single {
            self.screen.detail(said);
        } else {
            self.screen.note(said);
        }
        Ok(())
    }

    /// Returns where a cube goes: into the folder, or onto the one file named.
    fn target(&self, name: &str, resolution_m: f64) -> PathBuf {
        if Format::of(&self.args.out).is_some() {
            return self.args.out.clone();
        }
        let extension = self.format.extension();
        let name = format!("{name}_r{resolution_m}.{extension}");
        self.args.out.join(name)
    }

    /// Adds what the cube was made of.
    fn noted(&self, cube: Cube, taken: &[Taken]) -> Cube {
        let mut cube = cube;
        for formula in &self.recipe.formulas {
            cube = cube.with_note(format!("formula_{}", formula.name), &formula.text);
        }
        if self.recipe.halo > 0 {
            cube = cube.with_note("halo", self.recipe.halo.to_string());
        }
        let times: Vec<_> = taken.iter().flat_map(|t| t.times.clone()).collect();
        if times.is_empty() {
            cube
        } else {
            cube.with_note("other_sensors", times.join("; "))
        }
    }

    /// Says what was fetched of others, how far their times are, and what was resampled.
    fn say(&self) {
        for time in self.times.iter().take(TIMES_SAID_MAX) {
            self.screen.note(time);
        }
        if self.times.len() > TIMES_SAID_MAX {
            let more = self.times.len() - TIMES_SAID_MAX;
            self.screen
                .note(format!("and {more} more; the files hold all times"));
        }
        let (looked_for, found) = self.kitchen.neighbours;
        let others = self.kitchen.files.others;
        if looked_for > 0 {
            self.screen.note(format!(
                "halo: {found} of {looked_for} neighbouring cells have a split of that date; \
                 {} files, {} fetched beside the splits",
                others.files,
                bytes(others.bytes)
            ));
        } else if others.files > 0 {
            let (files, bytes) = (others.files, bytes(others.bytes));
            self.screen
                .note(format!("other sensors: {files} files, {bytes} fetched"));
        }
        if self.kitchen.resampled > 0 {
            self.screen.note(format!(
                "{} neighbouring bands lie on another lattice of pixels and were resampled",
                self.kitchen.resampled
            ));
        }
    }
}
