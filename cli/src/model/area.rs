//! Which models answer for the cells of an area: each cell's own, or one that stands in.
//!
//! *Invariants*: the cells are those of the area that runs were to learn; one without a model of
//! its own is answered by its nearest kin, in the order in which `predict` asks a run's models; a
//! cell for which nobody answers is named.
//!
//! *Not here*: downloading (`bundle`), who stands in for one place (`stand_in`).

use std::collections::{BTreeMap, BTreeSet};

use earth::geocode::{Geocode, Scheme};
use serde::{Deserialize, Serialize};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{GLOBAL, ModelView};
use wire::run::RunView;

use super::choose::{self, Found};
use super::stand_in::Spot;

/// How a model that stands in relates to the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kinship {
    /// It is that of a cell around it.
    Ancestor,
    /// It is that of its group's donor.
    Donor,
    /// It is that of everywhere.
    Global,
}

/// A cell without a model of its own, and the one that answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StandsIn {
    /// The cell's geocode text.
    pub(crate) geocode: String,
    /// The model, `RUN/GEOCODE`.
    pub(crate) model: String,
    /// Why that one.
    pub(crate) kinship: Kinship,
}

/// The models of an area.
#[derive(Debug, Default)]
pub(super) struct Area {
    /// One of each cell, by geocode, with those that stand in.
    pub(super) models: Vec<ModelView>,
    /// Cells without a model of their own that are answered for.
    pub(super) stand_ins: Vec<StandsIn>,
    /// Cells that no model answers for.
    pub(super) without: Vec<String>,
    /// Runs of which not every node told its cells.
    pub(super) untold: Vec<String>,
}

/// Cells of runs, each with its donors.
type Cells = BTreeMap<String, (Scheme, BTreeSet<String>)>;

impl StandsIn {
    /// Says which model it is and why.
    pub(super) fn told(&self) -> String {
        let (cell, model) = (&self.geocode, &self.model);
        let why = match self.kinship {
            Kinship::Ancestor => "of a cell that contains it",
            Kinship::Donor => "of the donor of its group",
            Kinship::Global => "of everywhere: neither a cell around it nor a donor has one",
        };
        format!("{cell} has no model of its own; {model} answers for it, {why}")
    }

    /// Returns the geocode of the model's cell.
    pub(crate) fn donor(&self) -> Option<&str> {
        let code = self.model.split_once('/').map(|(_, code)| code);
        code.filter(|_| self.kinship == Kinship::Donor)
    }
}

/// Finds the models of an area: those that were found there, and those that stand in where a cell
/// of their runs has none.
pub(super) async fn of(client: &Client, found: Found) -> Result<Area, Fault> {
    let somewhere = !found.place.is_anywhere();
    let spot = somewhere.then(|| Spot::of(&found.place)).transpose()?;
    let (run, tag) = (found.run.clone(), found.place.tag.clone());
    let elsewhere = found.instead.is_some();
    let mut area = Area {
        models: choose::each_cell(found)?,
        ..Area::default()
    };
    let mut lacking = area.cells(client, spot.as_ref()).await?;
    if !elsewhere {
        let own: BTreeSet<&str> = area.models.iter().map(|m| m.geocode.as_str()).collect();
        lacking.retain(|cell, _| !own.contains(cell.as_str()));
    }
    if lacking.is_empty() {
        return Ok(area);
    }
    let mut all = choose::anywhere(client, (run, tag)).await?;
    let question = area.models.first().map(ModelView::question);
    all.retain(|m| Some(m.question()) == question);
    let all = choose::last_of_each_cell(all);
    let there = all.into_iter().map(|m| (m.geocode.clone(), m)).collect();
    area.serve(&lacking, &there)?;
    Ok(area)
}

/// Returns the cells that a run was to learn, each with its donor; parents are no cells of its own.
fn told(view: &RunView) -> BTreeMap<String, Option<String>> {
    let inheritance = view.run.inheritance.as_ref();
    let donors = inheritance.map(|i| i.donor_of()).unwrap_or_default();
    let held = inheritance.into_iter().flat_map(|i| &i.donors);
    let parents: BTreeSet<&str> = { held.filter(|d| d.holder.is_some()) }
        .map(|d| d.geocode.as_str())
        .collect();
    let jobs = view.jobs.iter().map(|job| job.geocode.as_str());
    // Nodes that do not answer tell no jobs, but who inherits was settled with the run.
    let cells = jobs.chain(donors.keys().copied());
    let cells = cells.filter(|cell| !parents.contains(cell));
    let owned = |cell: &str| (cell.to_owned(), donors.get(cell).map(|&d| d.to_owned()));
    cells.map(owned).collect()
}

impl Area {
    /// Returns the cells of the models' runs at a place, or of all; notes which run is not told
    /// whole.
    async fn cells(&mut self, client: &Client, spot: Option<&Spot>) -> Result<Cells, Fault> {
        let runs: BTreeMap<&str, Scheme> = { self.models.iter() }
            .map(|m| (m.run.as_str(), m.scheme))
            .collect();
        let mut cells = Cells::new();
        for (run, scheme) in runs {
            let view = match client.run(run).await {
                Ok(view) => view,
                // Models outlive the run that made them.
                Err(fault) if fault.kind == FaultKind::Nothing => continue,
                Err(fault) => return Err(fault),
            };
            if !view.complete {
                self.untold.push(run.to_owned());
            }
            for (cell, donor) in told(&view) {
                if spot.is_none_or(|spot| spot.lies_in(scheme, &cell)) {
                    let (_, donors) = cells.entry(cell).or_insert((scheme, BTreeSet::new()));
                    donors.extend(donor);
                }
            }
        }
        Ok(cells)
    }

    /// Adds the models that stand in for cells, of all there are.
    fn serve(&mut self, lacking: &Cells, there: &BTreeMap<String, ModelView>) -> Result<(), Fault> {
        let mut models: BTreeMap<String, ModelView> = { self.models.drain(..) }
            .map(|m| (m.geocode.clone(), m))
            .collect();
        for (code, (scheme, donors)) in lacking {
            let cell = Geocode::parse(*scheme, code).map_err(|e| {
                let what = format!("a run has a cell {code} that is none");
                Fault::new(FaultKind::Data, what).because(e.to_string())
            })?;
            let has = |code: &str| there.contains_key(code);
            let donor = donors.iter().map(String::as_str).find(|donor| has(donor));
            let nearest = wire::model::kin(&cell, donor).find(|code| has(code));
            let Some(model) = nearest.and_then(|code| there.get(&code)) else {
                self.without.push(code.clone());
                continue;
            };
            models.insert(model.geocode.clone(), model.clone());
            let kinship = match model.geocode.as_str() {
                own if own == code => continue,
                GLOBAL => Kinship::Global,
                other if code.starts_with(other) => Kinship::Ancestor,
                _ => Kinship::Donor,
            };
            self.stand_ins.push(StandsIn {
                geocode: code.clone(),
                model: format!("{}/{}", model.run, model.geocode),
                kinship,
            });
        }
        self.models = models.into_values().collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn model(geocode: &str) -> ModelView {
        sample::model("july", geocode)
    }

    /// A box in which one cell had a model left all the others without, though donors had some.
    #[test]
    fn each_cell_without_a_model_gets_its_nearest_kin_or_is_named() {
        let there = ["9xj5k", "u33dc", "u33", "dr5ru"].map(|code| (code.to_owned(), model(code)));
        let there: BTreeMap<String, ModelView> = there.into();
        let lacking = [
            ("9xj5m", Some("dr5ru")),
            ("u33dd", Some("dr5ru")),
            ("9xj5s", Some("9xj5t")),
            ("9xj5w", None),
            // Found by no place: as where all that was found stands in.
            ("9xj5k", None),
        ];
        let lacking: Cells = { lacking.into_iter() }
            .map(|(cell, donor)| {
                let donors = donor.into_iter().map(str::to_owned).collect();
                (cell.to_owned(), (Scheme::Geohash, donors))
            })
            .collect();
        let mut area = Area {
            models: vec![model("u33dc")],
            ..Area::default()
        };
        area.serve(&lacking, &there).unwrap();
        let models: Vec<&str> = area.models.iter().map(|m| m.geocode.as_str()).collect();
        assert_eq!(models, ["9xj5k", "dr5ru", "u33", "u33dc"]);
        assert_eq!(area.without, ["9xj5s", "9xj5w"]);
        let told: Vec<String> = area.stand_ins.iter().map(StandsIn::told).collect();
        let expected = [
            "9xj5m has no model of its own; july/dr5ru answers for it, of the donor of its group",
            "u33dd has no model of its own; july/u33 answers for it, of a cell that contains it",
        ];
        assert_eq!(told, expected);
        assert_eq!(area.stand_ins[0].donor(), Some("dr5ru"));
        assert_eq!(area.stand_ins[1].donor(), None);
    }
}
