//! One split on the target grid: bands resampled, neighbours and partners added, formulas computed.
//!
//! *Invariants*: all slices of a cell lie on one grid; what was taken from where is counted.
//!
//! *Not here*: which splits belong together (`around`), cubes (`dates`).

use earth::cube::{CubeBand, CubeTime, Slice};
use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::raster::Raster;
use earth::raster::expression::Plane as Operand;
use earth::raster::georef::Georef;
use earth::raster::lattice::grown;
use earth::split::collection::Collection;
use earth::split::meta::{BandMeta, SampleType};
use jiff::SignedDuration;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::around::{self, BESIDE_APART_MAX};
use super::files::{Files, Role};
use super::formulas::Formula;
use super::offers::{Choice, Offer, choose, offers};
use super::plane::{Holder, Plane, plane};
use super::recipe::Recipe;
use crate::search;

/// A cell with all splits that have a part in what is made of it.
#[derive(Debug)]
pub(super) struct Cell<'h> {
    /// Those asked for, by time.
    pub(super) hits: Vec<&'h Hit>,
    /// Where everything is brought to.
    pub(super) target: Georef,
    /// The nominal resolution of that.
    pub(super) resolution_m: f64,
    /// Splits of the cells around.
    beside: Vec<Hit>,
    /// Splits of other collections.
    partners: Vec<(Collection, Vec<Hit>)>,
}

/// What a slice was made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    /// Ids of partners.
    pub(super) partners: Vec<String>,
    /// How each sensor's time stands to the split's, in words.
    pub(super) times: Vec<String>,
}

/// Makes slices.
#[derive(Debug)]
pub(super) struct Kitchen<'a> {
    client: &'a Client,
    recipe: &'a Recipe,
    pub(super) files: Files<'a>,
    /// Parts of neighbours that lie on another lattice.
    pub(super) resampled: usize,
    /// Neighbouring cells looked for and found, over all cells.
    pub(super) neighbours: (usize, usize),
}

impl<'a> Kitchen<'a> {
    pub(super) fn new(client: &'a Client, recipe: &'a Recipe) -> Self {
        Self {
            client,
            recipe,
            files: Files::new(client),
            resampled: 0,
            neighbours: (0, 0),
        }
    }

    /// Looks for everything that belongs to a cell.
    pub(super) async fn cell<'h>(&mut self, mut hits: Vec<&'h Hit>) -> Result<Cell<'h>, Fault> {
        hits.sort_by(|a, b| (a.acquired, &a.id).cmp(&(b.acquired, &b.id)));
        let first = hits.first().copied().ok_or_else(nothing)?;
        let wrong = |e: String| Fault::new(FaultKind::Data, first.id.to_string()).because(e);
        let geocode =
            Geocode::parse(first.scheme, &first.geocode).map_err(|e| wrong(e.to_string()))?;
        let resolution_m = { self.recipe.resolution_m }
            .or_else(|| finest(&hits, self.recipe))
            .ok_or_else(nothing)?;
        let grid = Grid::of(&geocode, resolution_m).map_err(|e| wrong(e.to_string()))?;
        let halo = self.recipe.halo;
        if halo > grid.width().min(grid.height()) {
            let (width, height) = (grid.width(), grid.height());
            let what = format!("--halo {halo} is wider than the cell {geocode}");
            return Err(Fault::new(FaultKind::Usage, what)
                .because(format!(
                    "at {resolution_m} m it has {width} x {height} pixels"
                ))
                .try_(format!("--halo {} or less", width.min(height))));
        }
        let beside = self.beside(&hits, &geocode).await?;
        let partners = self.partners(&hits, &geocode).await?;
        Ok(Cell {
            hits,
            target: grown(&Georef::from(&grid), halo),
            resolution_m,
            beside,
            partners,
        })
    }

    /// Returns splits of the cells around, where a halo is wanted.
    async fn beside(&mut self, hits: &[&Hit], cell: &Geocode) -> Result<Vec<Hit>, Fault> {
        let (Some(first), true) = (hits.first(), self.recipe.halo > 0) else {
            return Ok(Vec::new());
        };
        let cells = around::ring(cell);
        self.neighbours.0 += cells.len();
        let times: Vec<_> = hits.iter().map(|h| h.acquired).collect();
        let query = around::query(&first.collection, (cells, true), (&times, BESIDE_APART_MAX));
        let found = whole(search::collect(self.client, query).await?)?;
        let distinct: std::collections::BTreeSet<_> = found.iter().map(|h| &h.geocode).collect();
        self.neighbours.1 += distinct.len();
        Ok(found)
    }

    /// Returns splits of the other collections in the cell.
    async fn partners(
        &self,
        hits: &[&Hit],
        cell: &Geocode,
    ) -> Result<Vec<(Collection, Vec<Hit>)>, Fault> {
        let mut all = Vec::new();
        let times: Vec<_> = hits.iter().map(|h| h.acquired).collect();
        for collection in &self.recipe.partners {
            let cells = around::cells_of(cell, collection.precision, self.recipe.halo > 0);
            let query = around::query(&collection.name, cells, (&times, self.recipe.within));
            let found = whole(search::collect(self.client, query).await?)?;
            all.push((collection.clone(), found));
        }
        Ok(all)
    }

    /// Brings one split of a cell onto the target.
    pub(super) async fn slice(
        &mut self,
        cell: &Cell<'_>,
        hit: &Hit,
    ) -> Result<(Slice, Taken), Fault> {
        let mut sources = vec![around::beside(hit, &cell.beside)];
        sources[0].insert(0, hit);
        let mut taken = Taken {
            partners: Vec::new(),
            times: Vec::new(),
        };
        for (collection, others) in &cell.partners {
            let near = around::nearest(hit, others, self.recipe.within);
            let first = near
                .first()
                .ok_or_else(|| alone(hit, collection, self.recipe.within))?;
            taken.times.push(said(collection, first, hit));
            taken.partners.extend(near.iter().map(|h| h.id.to_string()));
            sources.push(near);
        }
        let firsts: Vec<&Hit> = sources
            .iter()
            .skip(1)
            .filter_map(|s| s.first().copied())
            .collect();
        let offers = offers(hit, &firsts);
        let choice = choose(&offers, &self.recipe.bands, &self.recipe.formulas)?;
        let planes = self.planes(cell, (&offers, &choice), &sources).await?;
        let bands = tokio::task::block_in_place(|| self.compute(planes, &choice))?;
        let slice = Slice {
            time: CubeTime {
                acquired: hit.acquired,
                scene: hit.scene.clone(),
            },
            georef: cell.target.clone(),
            bands,
        };
        Ok((slice, taken))
    }

    /// Brings each needed band onto the target.
    async fn planes(
        &mut self,
        cell: &Cell<'_>,
        (offers, choice): (&[Offer], &Choice),
        sources: &[Vec<&Hit>],
    ) -> Result<Vec<Plane>, Fault> {
        let mut planes = Vec::with_capacity(choice.needed.len());
        for place in &choice.needed {
            let offer = &offers[*place];
            let holders = holders(&sources[offer.source], offer);
            let onto = (&cell.target, self.recipe.method);
            let mut plane = plane(&mut self.files, &holders, onto).await?;
            plane.band.name.clone_from(&offer.name);
            plane.band.common.clone_from(&offer.common);
            self.resampled += plane.resampled;
            planes.push(plane);
        }
        Ok(planes)
    }

    /// Adds what formulas make and leaves out what was needed for them alone.
    fn compute(
        &self,
        planes: Vec<Plane>,
        choice: &Choice,
    ) -> Result<Vec<(CubeBand, Raster)>, Fault> {
        let mut made = Vec::new();
        for (formula, operands) in self.recipe.formulas.iter().zip(&choice.operands) {
            let operands: Vec<&Plane> = operands.iter().map(|place| &planes[*place]).collect();
            made.push(evaluate(formula, &operands)?);
        }
        let kept = planes.into_iter().take(choice.kept);
        let kept = kept.map(|plane| (plane.band, plane.raster));
        Ok(kept.chain(made).collect())
    }
}

/// Evaluates a formula over bands of one grid.
fn evaluate(formula: &Formula, operands: &[&Plane]) -> Result<(CubeBand, Raster), Fault> {
    let inputs: Vec<Operand<'_>> = { operands.iter() }
        .map(|plane| Operand {
            raster: &plane.raster,
            fill: plane.band.fill,
            scale: plane.band.scale,
            offset: plane.band.offset,
        })
        .collect();
    let raster = formula.evaluate(&inputs)?;
    let band = CubeBand {
        name: formula.name.clone(),
        common: None,
        centre_nm: None,
        sample: SampleType::F32,
        fill: None,
        scale: 1.0,
        offset: 0.0,
        categorical: false,
        classes: std::collections::BTreeMap::new(),
    };
    Ok((band, raster))
}

/// Returns the splits of a source that hold a band at the offer's resolution.
fn holders<'h>(hits: &[&'h Hit], offer: &Offer) -> Vec<Holder<'h>> {
    let same = |band: &&BandMeta| {
        let apart = band.resolution_m - offer.band.resolution_m;
        band.name == offer.band.name && apart.abs() <= 0.0
    };
    let role = |place| match (place, offer.source) {
        (0, 0) => Role::Own,
        _ => Role::Other,
    };
    let holder = |(place, hit): (usize, &&'h Hit)| {
        let band = hit.bands.iter().find(same)?;
        let role = role(place);
        Some(Holder { hit, band, role })
    };
    hits.iter().enumerate().filter_map(holder).collect()
}

/// Returns the finest resolution of the bands that are wanted of some splits.
fn finest(hits: &[&Hit], recipe: &Recipe) -> Option<f64> {
    let all = || hits.iter().flat_map(|h| &h.bands);
    let least = |bands: Vec<&BandMeta>| {
        let resolutions = bands.into_iter().map(|b| b.resolution_m);
        resolutions.min_by(f64::total_cmp)
    };
    let wanted = all().filter(|band| recipe.names(band)).collect();
    least(wanted).or_else(|| least(all().collect()))
}

/// Refuses an answer that lacks splits.
fn whole((hits, end): (Vec<Hit>, wire::search::SearchEnd)) -> Result<Vec<Hit>, Fault> {
    if end.complete {
        return Ok(hits);
    }
    Err(
        Fault::new(FaultKind::Partial, "not every split around is in reach")
            .because(search::missing(&end))
            .try_("glebe status"),
    )
}

fn nothing() -> Fault {
    Fault::new(FaultKind::Nothing, "the splits have no bands").try_("glebe search -o json")
}

fn alone(hit: &Hit, collection: &Collection, within: SignedDuration) -> Fault {
    let days = within.as_secs() as f64 / 86_400.0;
    let what = format!(
        "{} has no split of {} near it in time",
        hit.id, collection.name
    );
    Fault::new(FaultKind::Nothing, what)
        .because(format!(
            "none was acquired within {days} days in that place"
        ))
        .try_(format!(
            "a greater --within; glebe search --collection {}",
            collection.name
        ))
}

fn said(collection: &Collection, other: &Hit, hit: &Hit) -> String {
    let seconds = other.acquired.duration_since(hit.acquired).as_secs() as f64;
    let days = (seconds / 86_400.0 * 100.0).round() / 100.0;
    let when = if days < 0.0 { "before" } else { "after" };
    format!(
        "{} {} ({} d {when})",
        collection.name,
        other.acquired,
        days.abs()
    )
}
