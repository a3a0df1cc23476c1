//! Everything asked for, checked.
//!
//! *Invariants*: what can be wrong without a node is refused before one is asked.
//!
//! *Not here*: doing it (`kitchen`).

use earth::cube::regular::Every;
use earth::raster::resample::Method;
use earth::split::collection::Collection;
use earth::split::meta::BandMeta;
use jiff::SignedDuration;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::around;
use super::formulas::{Formula, formulas};
use crate::args::{Get, StepRule};

/// Bytes of what a formula makes.
const F32_BYTES: usize = 4;

/// Which dates stand in one cube.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// Each split by itself.
    Single,
    /// All of a cell.
    Irregular,
    /// All of a cell, in steps.
    Regular(Every, StepRule),
}

/// Everything asked for.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) bands: Vec<String>,
    pub(super) formulas: Vec<Formula>,
    pub(super) resolution_m: Option<f64>,
    pub(super) method: Option<Method>,
    pub(super) halo: u32,
    pub(super) dates: Dates,
    pub(super) within: SignedDuration,
    pub(super) partners: Vec<Collection>,
}

impl Recipe {
    /// Checks the words; partners are looked up by `with_partners`.
    pub(super) fn new(args: &Get) -> Result<Self, Fault> {
        let words = &args.wrangle;
        let dates = match (words.cube, words.step()?) {
            (false, _) => Dates::Single,
            (true, None) => Dates::Irregular,
            (true, Some(every)) => Dates::Regular(every, words.step_rule),
        };
        Ok(Self {
            bands: args.bands.clone(),
            formulas: formulas(words)?,
            resolution_m: words.resolution,
            method: words.resampling,
            halo: words.halo,
            dates,
            within: args.pairs.sensors_within(),
            partners: Vec::new(),
        })
    }

    /// Tells whether a band is asked for by name, or by a formula.
    pub(super) fn names(&self, band: &BandMeta) -> bool {
        let called = |name: &str| {
            let common = band.common.as_deref();
            let nir = name.starts_with("nir") && common.is_some_and(|c| c.starts_with("nir"));
            name.eq_ignore_ascii_case(&band.name) || common == Some(name) || nir
        };
        let mut asked = self.bands.iter().map(String::as_str);
        asked.any(called) || self.formulas.iter().flat_map(Formula::names).any(called)
    }

    /// Returns the bytes of a pixel of all bands that a split gives, about.
    pub(super) fn bytes_a_pixel(&self, hit: &Hit) -> u64 {
        let all = self.bands.is_empty() && self.formulas.is_empty();
        let bands = hit.bands.iter().filter(|band| all || self.names(band));
        let own: usize = bands.map(|band| band.sample.bytes()).sum();
        (own + (self.formulas.len() + self.partners.len()) * F32_BYTES) as u64
    }

    /// Looks the other collections up and checks that they go with those of the hits.
    pub(super) async fn with_partners(
        mut self,
        client: &Client,
        (names, hits): (&[String], &[Hit]),
    ) -> Result<Self, Fault> {
        if names.is_empty() {
            return Ok(self);
        }
        let known = client.collections().await?.collections;
        let find = |name: &str| known.iter().find(|c| c.name == name);
        for name in names {
            let partner = find(name).ok_or_else(|| {
                let all: Vec<_> = known.iter().map(|c| c.name.as_str()).collect();
                Fault::new(FaultKind::Usage, format!("--with: no collection '{name}'"))
                    .because(format!("there are {}", all.join(", ")))
                    .try_("glebe collection list")
            })?;
            for own in hits.iter().filter_map(|h| find(&h.collection)) {
                if own.name == partner.name {
                    let what = format!("--with {name}: the splits are of that collection");
                    return Err(Fault::new(FaultKind::Usage, what)
                        .try_("--collection for the splits, another for --with"));
                }
                around::check(own, partner)?;
            }
            self.partners.push(partner.clone());
        }
        Ok(self)
    }
}
