//! Which bands are composed, and how their pixels are stored.
//!
//! *Invariants*: the order is that of the first split that has a band; where splits store a band
//! in several ways, the widest sample type is taken, and scale and offset of the first.
//!
//! *Not here*: pixels (`scene`).

use super::{ComposeError, Wish};
use crate::raster::splice::{Band, Role, Rule};
use crate::split::cut::BandLabel;
use crate::split::meta::{BandMeta, SplitMeta};
use crate::split::sky::Judge;

/// A band to compose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WantedBand {
    pub label: BandLabel,
    pub plan: Band,
    /// It is read for the rule alone, and left out of the image.
    pub hidden: bool,
}

/// The bands to compose, the hidden ones last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub bands: Vec<WantedBand>,
}

impl Wanted {
    /// Returns the bands that a wish names, and those that its rule needs.
    pub(super) fn of(wish: &Wish, splits: &[SplitMeta]) -> Result<Self, ComposeError> {
        let mut known: Vec<WantedBand> = Vec::new();
        for band in splits.iter().flat_map(|s| &s.bands) {
            match known.iter_mut().find(|k| k.label.name == band.name) {
                Some(before) => before.plan.sample = before.plan.sample.wider(band.sample),
                None => known.push(wanted(band)),
            }
        }
        give_roles(&mut known);
        let mut bands = if wish.bands.is_empty() {
            known.clone()
        } else {
            named(&wish.bands, &known)?
        };
        if wish.rule == Rule::MaxNdvi {
            let lacking = |b: &&WantedBand| {
                matches!(b.plan.role, Role::Red | Role::Nir)
                    && bands.iter().all(|have| have.label.name != b.label.name)
            };
            let hidden: Vec<_> = known.iter().filter(lacking).cloned().collect();
            bands.extend(hidden.into_iter().map(|b| WantedBand { hidden: true, ..b }));
        }
        Ok(Self { bands })
    }

    /// Returns the bands of the image.
    pub(super) fn visible(&self) -> impl Iterator<Item = &WantedBand> {
        self.bands.iter().filter(|b| !b.hidden)
    }

    /// Returns the finest nominal resolution of the image's bands in metres.
    pub(super) fn finest_m(&self) -> f64 {
        let least = |a: f64, b: &WantedBand| a.min(b.label.resolution_m);
        self.visible().fold(f64::INFINITY, least)
    }

    /// Tells whether red and near infrared are among the bands.
    pub(super) fn has_ndvi(&self) -> bool {
        let has = |role| self.bands.iter().any(|b| b.plan.role == role);
        has(Role::Red) && has(Role::Nir)
    }

    /// Returns the files of a split that hold its bands, or say what its pixels see.
    pub(super) fn files(&self, split: &SplitMeta) -> Vec<String> {
        let judge = Judge::of(split).map(|judge| &judge.band.name);
        let holds = |b: &&BandMeta| {
            let wanted = self.bands.iter().any(|w| w.label.name == b.name);
            wanted || judge == Some(&b.name)
        };
        let mut files: Vec<String> = Vec::new();
        for band in split.bands.iter().filter(holds) {
            if !files.contains(&band.asset) {
                files.push(band.asset.clone());
            }
        }
        files
    }
}

fn wanted(band: &BandMeta) -> WantedBand {
    WantedBand {
        label: BandLabel {
            name: band.name.clone(),
            common: band.common.clone(),
            centre_nm: band.centre_nm,
            resolution_m: band.resolution_m,
            scale: band.scale,
            offset: band.offset,
            categorical: band.categorical,
            class_names: band.class_names.clone(),
        },
        plan: Band {
            sample: band.sample,
            scale: band.scale,
            offset: band.offset,
            role: if band.categorical {
                Role::Class
            } else {
                Role::Measured
            },
        },
        hidden: false,
    }
}

/// Finds red and near infrared by their common names; `nir08`, the narrow one, stands in.
fn give_roles(bands: &mut [WantedBand]) {
    for (names, role) in [(&["red"][..], Role::Red), (&["nir", "nir08"], Role::Nir)] {
        let place = |name: &&str| {
            let is = |b: &WantedBand| b.label.common.as_deref() == Some(name);
            bands.iter().position(is)
        };
        if let Some(place) = names.iter().find_map(place) {
            bands[place].plan.role = role;
        }
    }
}

fn named(asked: &[String], known: &[WantedBand]) -> Result<Vec<WantedBand>, ComposeError> {
    let mut bands: Vec<WantedBand> = Vec::new();
    for name in asked {
        let is = |b: &&WantedBand| {
            b.label.name == *name || b.label.common.as_deref() == Some(name.as_str())
        };
        let found = known.iter().find(is).ok_or_else(|| ComposeError::NoBand {
            asked: name.clone(),
            known: known.iter().map(described).collect(),
        })?;
        if bands.iter().all(|b| b.label.name != found.label.name) {
            bands.push(found.clone());
        }
    }
    Ok(bands)
}

fn described(band: &WantedBand) -> String {
    let name = &band.label.name;
    match &band.label.common {
        Some(common) if common != name => format!("{name} ({common})"),
        _ => name.clone(),
    }
}
