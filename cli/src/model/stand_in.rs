//! Who stands in where a place has no model of its own.
//!
//! *Invariants*: the nearest ancestor's first, then the donor's of the place's group, as a run has
//! settled it, then the global one; whoever stands in is said, with the reason, be it a parent in
//! whose tree the place's cell is.
//!
//! *Not here*: which of several models of a cell (`choose`), the cells of an area (`area`).

use std::collections::{BTreeMap, BTreeSet};

use earth::extent::{LonLat, LonLatBox};
use earth::geocode::{Geocode, Scheme};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{GLOBAL, ModelView};
use wire::transfer::{Donor, Inheritance};

use crate::args::{Place, point};

/// Why a model of elsewhere was found for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StandIn {
    /// The place, in the user's words.
    place: String,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// Cells that contain the place.
    Ancestor,
    /// Runs' donors of the place's cells: heir by run and donor.
    Donor(BTreeMap<(String, String), String>),
    /// A model of everywhere.
    Global,
}

impl StandIn {
    /// Says which model it is and why.
    pub(super) fn told(&self, model: &ModelView) -> String {
        let (place, code) = (&self.place, &model.geocode);
        let which = match &self.how {
            How::Ancestor => format!("that of {code}, which contains it"),
            How::Donor(donors) => {
                let heir = donors.get(&(model.run.clone(), code.clone()));
                let heir = heir.map_or("its cell", String::as_str);
                format!(
                    "that of {code}, the donor of the group that {heir} is in (run {})",
                    model.run
                )
            }
            How::Global => {
                "the global one: neither a cell around it nor a donor has one".to_owned()
            }
        };
        format!("{place} has no model of its own; this is {which}")
    }
}

/// Finds, among all models, those that stand in for a place that has none.
pub(super) async fn find(
    client: &Client,
    place: &Place,
    all: Vec<ModelView>,
) -> Result<(Vec<ModelView>, Option<StandIn>), Fault> {
    let spot = Spot::of(place)?;
    let (global, cells): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| m.geocode == GLOBAL);
    let found = |models: Vec<ModelView>, how| {
        let place = spot.words.clone();
        Ok((models, Some(StandIn { place, how })))
    };
    let around = |m: &&ModelView| spot.lies_in(m.scheme, &m.geocode);
    let ancestors: Vec<ModelView> = cells.iter().filter(around).cloned().collect();
    if !ancestors.is_empty() {
        return found(ancestors, How::Ancestor);
    }
    let donors = donors(client, &spot, &cells).await?;
    let is_donor = |m: &ModelView| donors.contains_key(&(m.run.clone(), m.geocode.clone()));
    let of_donors: Vec<ModelView> = cells.into_iter().filter(is_donor).collect();
    if !of_donors.is_empty() {
        return found(of_donors, How::Donor(donors));
    }
    if global.is_empty() {
        return Ok((global, None));
    }
    found(global, How::Global)
}

/// Says that a model is a parent's where it was found at a place whose cell has none of its own.
pub(super) async fn parent(
    client: &Client,
    place: &Place,
    model: &ModelView,
) -> Result<Option<String>, Fault> {
    if place.at.is_none() && place.bbox.is_none() {
        return Ok(None);
    }
    let spot = Spot::of(place)?;
    let inheritance = inheritance(client, &model.run).await?;
    let is_parent = |d: &&Donor| d.holder.is_some() && d.geocode == model.geocode;
    let children = inheritance.donors.iter().filter(is_parent);
    let mut children = children.flat_map(|donor| &donor.heirs);
    let child = children.find(|child| spot.lies_in(model.scheme, child));
    let stand_in = |child: &String| StandIn {
        place: child.clone(),
        how: How::Ancestor,
    };
    Ok(child.map(|child| stand_in(child).told(model)))
}

/// Returns who was whose heir in a run.
async fn inheritance(client: &Client, run: &str) -> Result<Inheritance, Fault> {
    match client.run(run).await {
        Ok(view) => Ok(view.run.inheritance.unwrap_or_default()),
        // Models outlive the run that made them.
        Err(fault) if fault.kind == FaultKind::Nothing => Ok(Inheritance::default()),
        Err(fault) => Err(fault),
    }
}

/// Asks every run that models are of for the donors of a place's cells.
async fn donors(
    client: &Client,
    spot: &Spot,
    models: &[ModelView],
) -> Result<BTreeMap<(String, String), String>, Fault> {
    let runs: BTreeSet<(&str, bool)> = { models.iter() }
        .map(|m| (m.run.as_str(), m.scheme == Scheme::QuadTile))
        .collect();
    let mut donors = BTreeMap::new();
    for (run, by_quadtile) in runs {
        let scheme = if by_quadtile {
            Scheme::QuadTile
        } else {
            Scheme::Geohash
        };
        for (heir, donor) in inheritance(client, run).await?.donor_of() {
            if spot.lies_in(scheme, heir) {
                donors.insert((run.to_owned(), donor.to_owned()), heir.to_owned());
            }
        }
    }
    Ok(donors)
}

/// A place that was asked for.
#[derive(Debug)]
pub(super) struct Spot {
    words: String,
    at: Option<LonLat>,
    area: Option<LonLatBox>,
    code: Option<String>,
}

impl Spot {
    pub(super) fn of(place: &Place) -> Result<Self, Fault> {
        let at = place.at.as_deref().map(point).transpose()?;
        let words = [&place.geocode, &place.at, &place.bbox];
        Ok(Self {
            words: words.into_iter().flatten().cloned().collect(),
            at: at.map(|(lon, lat)| LonLat { lon, lat }),
            area: place.bbox.as_deref().map(crate::args::bbox).transpose()?,
            code: place.geocode.clone(),
        })
    }

    /// Tells whether the place lies in a cell, or touches it in case of a box.
    pub(super) fn lies_in(&self, scheme: Scheme, cell: &str) -> bool {
        if let Some(code) = &self.code {
            return code.starts_with(cell);
        }
        let Ok(cell) = Geocode::parse(scheme, cell) else {
            return false;
        };
        let holds = |point: &LonLat| {
            Geocode::encode(scheme, *point, cell.precision()).is_ok_and(|code| code == cell)
        };
        self.at.as_ref().is_some_and(holds) || { self.area.as_ref() }
            .is_some_and(|area| cell.bounds().overlaps(area))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(place: &Place) -> Spot {
        Spot::of(place).unwrap()
    }

    #[test]
    fn a_place_lies_in_the_cells_around_it_and_a_box_in_those_it_touches() {
        let at = spot(&Place {
            at: Some("-105.08,40.58".to_owned()),
            ..Place::default()
        });
        let code = spot(&Place {
            geocode: Some("9xjq8".to_owned()),
            ..Place::default()
        });
        let area = spot(&Place {
            bbox: Some("-105.1,40.5,-105.0,40.6".to_owned()),
            ..Place::default()
        });
        for (cell, wanted) in [("9xj", [true; 3]), ("9xjq", [true; 3]), ("u2", [false; 3])] {
            let found = [&at, &code, &area].map(|s| s.lies_in(Scheme::Geohash, cell));
            assert_eq!(found, wanted, "{cell}");
        }
        assert!(
            !code.lies_in(Scheme::Geohash, "9xjq8u"),
            "an heir of a smaller cell"
        );
    }
}
