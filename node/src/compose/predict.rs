//! Which models answer the cells of a request.
//!
//! *Invariants*: pure but for `Models::of`; a cell gets all models that can have a say in it, those
//! that answer for its neighbours too, be they their own or stand in there; a cell without kin in
//! the run gets none and is told.
//!
//! *Not here*: answering (`infer`), how much each counts where (trainer).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earth::geocode::Geocode;
use earth::split::compose::Wish;
use earth::split::meta::SampleType;
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;
use wire::compose::Predict;
use wire::fault::{Fault, FaultKind};
use wire::model::kin;
use wire::run::Run;

use super::plan::CellJob;
use crate::cluster::core::Core;
use crate::scatter;
use crate::slots::SlotSet;
use crate::store::ObjectKey;

/// Name of the band that marks answers about what no model has seen (trainer).
pub(super) const OUTSIDE: &str = "outside";

/// Who answers for a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answerers {
    /// The run.
    pub run: String,
    /// Geocodes of its models.
    pub models: Vec<String>,
    /// Who was whose heir.
    pub donors: BTreeMap<String, String>,
    /// Pixels over which neighbours are blended.
    pub margin_px: Option<u32>,
}

/// What `config.json` says of a model's inputs; its other fields are the trainer's.
#[derive(Debug, Deserialize)]
struct Facts {
    network: Network,
}

#[derive(Debug, Deserialize)]
struct Network {
    inputs: Vec<String>,
    resolution_m: f64,
    #[serde(default)]
    answer_bands: Vec<String>,
}

/// The models of a run.
#[derive(Debug)]
pub(super) struct Models {
    asked: Predict,
    network: Network,
    geocodes: BTreeSet<String>,
    donors: BTreeMap<String, String>,
}

impl Models {
    /// Looks the models of a run up, and who was whose heir.
    pub(super) async fn of(core: &Arc<Core>, asked: &Predict) -> Result<Self, Fault> {
        let run = &asked.run;
        let gathered = scatter::records(core, Kind::Model, SlotSet::all()).await;
        if !gathered.missing.is_empty() {
            let what = format!("not every model of {run} is in reach");
            return Err(Fault::new(FaultKind::Partial, what)
                .because("a node does not answer, so cells would be served by no model")
                .try_("glebe status"));
        }
        let prefix = format!("{run}/");
        let own = gathered.answers.iter();
        let own = own.filter_map(|r| Some((r, r.key.id.strip_prefix(&prefix)?)));
        let own: Vec<_> = own.collect();
        let (first, _) = own.first().ok_or_else(|| {
            Fault::new(FaultKind::Nothing, format!("no model {run}")).try_("glebe model list")
        })?;
        let facts: Facts = first.read().map_err(|e| {
            let what = format!("{} cannot be understood", first.key);
            Fault::new(FaultKind::Data, what).because(e.to_string())
        })?;
        let defined = scatter::record(core, &ObjectKey::new(Kind::Run, run)).await?;
        let defined = defined.and_then(|record| record.read::<Run>().ok());
        let inheritance = defined.and_then(|run| run.inheritance).unwrap_or_default();
        let owned = |(heir, donor): (&str, &str)| (heir.to_owned(), donor.to_owned());
        Ok(Self {
            asked: asked.clone(),
            network: facts.network,
            geocodes: own.iter().map(|(_, code)| (*code).to_owned()).collect(),
            donors: inheritance.donor_of().into_iter().map(owned).collect(),
        })
    }

    /// Asks for the bands that the models take, at their resolution.
    pub(super) fn shape(&self, wish: &mut Wish) {
        wish.bands.clone_from(&self.network.inputs);
        wish.resolution_m = Some(self.network.resolution_m);
    }

    /// Gives each cell its models; returns the cells without any, whose jobs are dropped.
    pub(super) fn assign(&self, jobs: &mut Vec<CellJob>) -> Result<Vec<String>, Fault> {
        let mut without = Vec::new();
        let mut kept = Vec::with_capacity(jobs.len());
        for mut job in jobs.drain(..) {
            match self.of_cell(&job.plan.cell()?) {
                Some(answerers) => {
                    job.job.predict = Some(answerers);
                    job.plan.bands = self.bands();
                    kept.push(job);
                }
                None => without.push(job.plan.geocode),
            }
        }
        *jobs = kept;
        Ok(without)
    }

    /// Returns names and types of the bands of an answer.
    fn bands(&self) -> Vec<(String, SampleType)> {
        let names = self.network.answer_bands.iter().map(String::as_str);
        let names = names.chain([OUTSIDE]);
        names.map(|n| (n.to_owned(), SampleType::F32)).collect()
    }

    fn of_cell(&self, cell: &Geocode) -> Option<Answerers> {
        let mut models: BTreeSet<String> = self.kin(cell).collect();
        if models.is_empty() {
            return None;
        }
        let beside = cell.neighbours();
        models.extend(beside.iter().filter_map(|cell| self.kin(cell).next()));
        let heirs = beside.iter().chain([cell]).map(ToString::to_string);
        let donors = heirs.filter_map(|heir| {
            let donor = self.donors.get(&heir)?.clone();
            models.contains(&donor).then_some((heir, donor))
        });
        Some(Answerers {
            run: self.asked.run.clone(),
            donors: donors.collect(),
            models: models.into_iter().collect(),
            margin_px: self.asked.margin_px,
        })
    }

    /// Returns the geocodes of the run's models that may answer for a cell, the nearest kin first.
    fn kin(&self, cell: &Geocode) -> impl Iterator<Item = String> {
        let donor = self.donors.get(&cell.to_string()).map(String::as_str);
        kin(cell, donor).filter(|code| self.geocodes.contains(code))
    }
}

#[cfg(test)]
mod tests {
    use earth::geocode::Scheme;

    use super::*;

    #[test]
    fn a_cell_gets_its_kin_and_its_neighbours_and_one_without_kin_gets_none() {
        let owned = |codes: &[&str]| codes.iter().map(|c| (*c).to_owned()).collect();
        let donors = [("9xj5s", "u33dc"), ("gcpvj", "u33dd"), ("u33df", "9xj5z")];
        let models = Models {
            asked: Predict {
                run: "r".to_owned(),
                margin_px: Some(9),
            },
            network: Network {
                inputs: owned(&["red"]),
                resolution_m: 10.0,
                answer_bands: owned(&["answer"]),
            },
            geocodes: ["9xj", "9xj5k", "9xj5z", "u33dc"].map(str::to_owned).into(),
            donors: donors.map(|(h, d)| (h.to_owned(), d.to_owned())).into(),
        };
        let of = |code: &str| {
            let cell = Geocode::parse(Scheme::Geohash, code).unwrap();
            models.of_cell(&cell).map(|answerers| answerers.models)
        };
        assert_eq!(of("9xj5k").unwrap(), ["9xj", "9xj5k"]);
        assert_eq!(of("9xj5s").unwrap(), ["9xj", "9xj5k", "u33dc"]);
        // Beside it lies a cell that the model of 9xj5z stands in for.
        assert_eq!(of("u33dc").unwrap(), ["9xj5z", "u33dc"]);
        assert_eq!(of("gcpvj"), None, "its donor left no model");
        assert_eq!(models.bands().len(), 2);
        let cell = Geocode::parse(Scheme::Geohash, "u33dc").unwrap();
        assert!(
            cell.neighbours()
                .iter()
                .any(|beside| beside.to_string() == "u33df")
        );
        let answerers = models.of_cell(&cell).unwrap();
        let donors = [("u33df".to_owned(), "9xj5z".to_owned())];
        assert_eq!(
            answerers.donors,
            donors.into(),
            "so that the worker knows it"
        );
    }
}
