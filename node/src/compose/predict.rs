//! Which models answer the cells of a request.
//!
//! *Invariants*: pure but for `Models::of`; a cell gets all models that can have a say in it, those
//! that answer for its neighbours too, be they their own or stand in there, if they take the same
//! image; a cell without kin in the run gets none and is told; of a model that was named alone all
//! cells get that one, and no other.
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
use wire::hit::Hit;
use wire::model::kin;
use wire::run::Run;

use super::plan::{self, CellJob};
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
    /// The one model was named by the user, and answers whatever it is kin to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

/// What `config.json` says of a model's inputs; its other fields are the trainer's.
#[derive(Debug, Deserialize)]
struct Facts {
    network: Network,
}

/// What models take, and what they answer: those that differ in it need images of their own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Network {
    inputs: Vec<String>,
    resolution_m: f64,
    #[serde(default)]
    answer_bands: Vec<String>,
}

/// The models of a run.
#[derive(Debug, Clone)]
pub(super) struct Models {
    asked: Predict,
    /// All that differ: one, unless cells have imagery of several resolutions.
    networks: Vec<Network>,
    /// Geocode of each model → number of its network.
    geocodes: BTreeMap<String, usize>,
    donors: BTreeMap<String, String>,
}

impl Models {
    /// Looks the models of a run up, or the one that is named, and who was whose heir.
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
        let own = gathered.answers.iter().filter_map(|record| {
            let geocode = record.key.id.strip_prefix(&prefix)?.to_owned();
            if asked.geocode.as_ref().is_some_and(|one| *one != geocode) {
                return None;
            }
            let facts = record.read::<Facts>().map_err(|e| e.to_string());
            Some((geocode, facts.map(|facts| facts.network)))
        });
        let name = asked.geocode.as_ref().map(|one| format!("{run}/{one}"));
        let (networks, geocodes) = sorted(name.as_deref().unwrap_or(run), own)?;
        let defined = scatter::record(core, &ObjectKey::new(Kind::Run, run)).await?;
        let defined = defined.and_then(|record| record.read::<Run>().ok());
        let inheritance = defined.and_then(|run| run.inheritance).unwrap_or_default();
        let owned = |(heir, donor): (&str, &str)| (heir.to_owned(), donor.to_owned());
        Ok(Self {
            asked: asked.clone(),
            networks,
            geocodes,
            donors: inheritance.donor_of().into_iter().map(owned).collect(),
        })
    }

    /// Plans the images that the models of each cell take, and who answers them; returns the cells
    /// without any, too. Splits of which no model takes anything may be of any dataset.
    pub(super) fn plan(
        &self,
        hits: Vec<Hit>,
        wish: &Wish,
        window_days: Option<f64>,
    ) -> Result<(Vec<CellJob>, Vec<String>), Fault> {
        let mut by_network: BTreeMap<usize, Vec<Hit>> = BTreeMap::new();
        let mut without = BTreeSet::new();
        for hit in hits {
            match self.network_of(&cell_of(&hit)?) {
                Some(network) => by_network.entry(network).or_default().push(hit),
                None => drop(without.insert(hit.geocode)),
            }
        }
        let mut jobs = Vec::new();
        for (number, hits) in by_network {
            let Some(network) = self.networks.get(number) else {
                continue;
            };
            let wish = network.shaped(wish.clone());
            let jobs_of = plan::cells(&hits, &wish, window_days).map_err(worded)?;
            for mut job in jobs_of {
                job.job.predict = self.of_cell(&job.plan.cell()?);
                job.plan.bands = network.bands();
                jobs.push(job);
            }
        }
        plan::few(jobs.len())?;
        jobs.sort_by(|a, b| a.plan.geocode.cmp(&b.plan.geocode));
        Ok((jobs, without.into_iter().collect()))
    }

    /// Returns the number of the network that answers for a cell: that of its nearest kin, or of
    /// the model that was named.
    fn network_of(&self, cell: &Geocode) -> Option<usize> {
        if let Some(one) = &self.asked.geocode {
            return self.geocodes.get(one).copied();
        }
        let nearest = self.kin(cell).next()?;
        self.geocodes.get(&nearest).copied()
    }

    fn of_cell(&self, cell: &Geocode) -> Option<Answerers> {
        let network = self.network_of(cell)?;
        if let Some(one) = &self.asked.geocode {
            return Some(Answerers {
                run: self.asked.run.clone(),
                models: vec![one.clone()],
                donors: BTreeMap::new(),
                margin_px: self.asked.margin_px,
                alone: true,
            });
        }
        let takes_it = |code: &String| self.geocodes.get(code) == Some(&network);
        let mut models: BTreeSet<String> = self.kin(cell).filter(takes_it).collect();
        let beside = cell.neighbours();
        let besides = beside.iter().filter_map(|cell| self.kin(cell).next());
        models.extend(besides.filter(takes_it));
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
            alone: false,
        })
    }

    /// Returns the geocodes of the run's models that may answer for a cell, the nearest kin first.
    fn kin(&self, cell: &Geocode) -> impl Iterator<Item = String> {
        let donor = self.donors.get(&cell.to_string()).map(String::as_str);
        kin(cell, donor).filter(|code| self.geocodes.contains_key(code))
    }
}

impl Network {
    /// Asks for the bands that it takes, at its resolution.
    fn shaped(&self, mut wish: Wish) -> Wish {
        wish.bands.clone_from(&self.inputs);
        wish.resolution_m = Some(self.resolution_m);
        wish
    }

    /// Returns names and types of the bands of an answer.
    fn bands(&self) -> Vec<(String, SampleType)> {
        let names = self.answer_bands.iter().map(String::as_str);
        let names = names.chain([OUTSIDE]);
        names.map(|n| (n.to_owned(), SampleType::F32)).collect()
    }
}

/// Sorts the models of a run by their networks: all networks that differ, and the number of each
/// model's. One that cannot be understood answers for nothing. `name` is what was asked for.
fn sorted(
    name: &str,
    models: impl Iterator<Item = (String, Result<Network, String>)>,
) -> Result<(Vec<Network>, BTreeMap<String, usize>), Fault> {
    let mut networks: Vec<Network> = Vec::new();
    let mut geocodes = BTreeMap::new();
    let mut garbled = None;
    for (geocode, network) in models {
        let network = match network {
            Ok(network) => network,
            Err(error) => {
                tracing::warn!(
                    of = name,
                    geocode,
                    error,
                    "a model is left out: what it takes is unclear"
                );
                garbled.get_or_insert((geocode, error));
                continue;
            }
        };
        let known = networks.iter().position(|known| *known == network);
        let number = known.unwrap_or(networks.len());
        if known.is_none() {
            networks.push(network);
        }
        geocodes.insert(geocode, number);
    }
    if !geocodes.is_empty() {
        return Ok((networks, geocodes));
    }
    let Some((geocode, error)) = garbled else {
        let what = format!("no model {name}");
        return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list"));
    };
    let what = format!("no model of {name} can be understood");
    Err(Fault::new(FaultKind::Data, what)
        .because(format!("config.json of the model of {geocode}: {error}"))
        .try_("glebe model list"))
}

/// Advises no flags that only a composition has: what a model takes is settled with it.
fn worded(mut fault: Fault) -> Fault {
    let of_compose = ["--bands", "--resolution", "--rule"];
    let advised = fault.try_.as_deref().unwrap_or_default();
    if of_compose.iter().any(|flag| advised.contains(flag)) {
        fault.try_ = Some(match fault.kind {
            FaultKind::Refused => "a shorter --datetime".to_owned(),
            _ => "--collection or --dataset with splits that these models take".to_owned(),
        });
    }
    fault
}

fn cell_of(hit: &Hit) -> Result<Geocode, Fault> {
    Geocode::parse(hit.scheme, &hit.geocode).map_err(|e| {
        let what = format!("{} names no cell", hit.id);
        Fault::new(FaultKind::Data, what).because(e.to_string())
    })
}

#[cfg(test)]
mod tests {
    use earth::geocode::Scheme;
    use earth::raster::splice::Rule;
    use earth::split::compose::{Limits, Resampling};

    use super::*;

    fn network(resolution_m: f64) -> Network {
        Network {
            inputs: vec!["red".to_owned()],
            resolution_m,
            answer_bands: vec!["answer".to_owned()],
        }
    }

    /// One file that somebody put under the run's name kept all models from answering.
    #[test]
    fn a_model_that_cannot_be_understood_is_left_out_and_refused_only_where_none_is_left() {
        let good = |code: &str, m| (code.to_owned(), Ok(network(m)));
        let bad = |code: &str| (code.to_owned(), Err("no inputs".to_owned()));
        let models = [good("9xj5k", 10.0), bad("9xj5m"), good("9xj5s", 10.0)];
        let (networks, geocodes) = sorted("r", models.into_iter()).unwrap();
        assert_eq!(networks, [network(10.0)]);
        let left = [("9xj5k".to_owned(), 0), ("9xj5s".to_owned(), 0)];
        assert_eq!(geocodes, left.into());
        let fault = sorted("r", [bad("9xj5m")].into_iter()).unwrap_err();
        let text = fault.to_string();
        assert_eq!(fault.kind, FaultKind::Data, "{text}");
        assert!(fault.try_.is_some(), "{text}");
        let none = sorted("r", std::iter::empty()).unwrap_err();
        assert_eq!(none.kind, FaultKind::Nothing);
    }

    /// The first model of the run decided for all: cells of another one were refused.
    #[test]
    fn a_cell_is_answered_by_models_that_take_the_image_of_its_nearest_kin_and_no_others() {
        let models = Models {
            asked: Predict {
                run: "r".to_owned(),
                geocode: None,
                margin_px: None,
            },
            networks: vec![network(10.0), network(20.0)],
            geocodes: [("9xj", 1), ("9xj5k", 0), ("9xj5s", 1), ("9xj5m", 0)]
                .map(|(code, number)| (code.to_owned(), number))
                .into(),
            donors: BTreeMap::new(),
        };
        let of = |code: &str| {
            let cell = Geocode::parse(Scheme::Geohash, code).unwrap();
            let answerers = models.of_cell(&cell).map(|answerers| answerers.models);
            (models.network_of(&cell), answerers.unwrap_or_default())
        };
        let owned = |codes: &[&str]| codes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        // 9xj5s and 9xj5m lie beside 9xj5k.
        assert_eq!(of("9xj5k"), (Some(0), owned(&["9xj5k", "9xj5m"])));
        assert_eq!(of("9xj5s"), (Some(1), owned(&["9xj", "9xj5s"])));
        assert_eq!(of("9xj5t").0, Some(1), "the cell around it stands in");
        assert_eq!(of("u33dc"), (None, Vec::new()));
    }

    /// A split of band B04, 10 m, of a cell.
    fn hit(code: &str) -> Hit {
        let line = include_str!("../../../wire/tests/golden/search-line-hit.json");
        let line = line.replace("gc7x3", code);
        match serde_json::from_str(&line).unwrap() {
            wire::search::SearchLine::Hit(hit) => *hit,
            wire::search::SearchLine::End(_) => unreachable!("it is a hit"),
        }
    }

    #[test]
    fn each_cell_is_composed_as_its_own_models_take_it() {
        let of_band = |resolution_m| Network {
            inputs: vec!["B04".to_owned()],
            ..network(resolution_m)
        };
        let models = Models {
            asked: Predict {
                run: "r".to_owned(),
                geocode: None,
                margin_px: None,
            },
            networks: vec![of_band(20.0), of_band(10.0)],
            geocodes: [("gc7x9", 1), ("gc7x3", 0)]
                .map(|(code, number)| (code.to_owned(), number))
                .into(),
            donors: BTreeMap::new(),
        };
        let wish = Wish {
            rule: Rule::LeastCloud,
            bands: Vec::new(),
            resolution_m: None,
            resampling: Resampling::default(),
            limits: Limits {
                coverage_min: 0.0,
                cloud_max: None,
            },
        };
        let hits = ["gc7x9", "gc7x3", "u33dc"].map(hit).to_vec();
        let (jobs, without) = models.plan(hits, &wish, None).unwrap();
        let planned = |job: &CellJob| (job.plan.geocode.clone(), job.plan.resolution_m);
        let planned: Vec<_> = jobs.iter().map(planned).collect();
        let cell = |code: &str, resolution_m| (code.to_owned(), resolution_m);
        assert_eq!(planned, [cell("gc7x3", 20.0), cell("gc7x9", 10.0)]);
        assert_eq!(without, ["u33dc"]);
        let of_no_band = Network {
            inputs: vec!["B99".to_owned()],
            ..network(10.0)
        };
        let other = Models {
            networks: vec![network(20.0), of_no_band],
            ..models.clone()
        };
        let fault = other.plan(vec![hit("gc7x9")], &wish, None).unwrap_err();
        let step = fault.try_.unwrap();
        assert!(step.starts_with("--collection or --dataset"), "{step}");
        let answerers = jobs[0].job.predict.as_ref().unwrap();
        assert_eq!(
            answerers.models,
            ["gc7x3"],
            "what lies beside takes another"
        );
    }

    #[test]
    fn a_model_that_was_named_answers_alone_wherever_it_was_learned() {
        let models = Models {
            asked: Predict {
                run: "r".to_owned(),
                geocode: Some("9xj5k".to_owned()),
                margin_px: None,
            },
            networks: vec![network(10.0)],
            geocodes: [("9xj5k".to_owned(), 0)].into(),
            donors: [("9xj5m".to_owned(), "9xj5k".to_owned())].into(),
        };
        for code in ["9xj5k", "9xj5m", "u33dc"] {
            let cell = Geocode::parse(Scheme::Geohash, code).unwrap();
            let answerers = models.of_cell(&cell).unwrap();
            assert_eq!(
                (answerers.models.len(), answerers.alone),
                (1, true),
                "{code}"
            );
            assert_eq!(answerers.models, ["9xj5k"], "{code}");
            assert!(answerers.donors.is_empty(), "{code}");
        }
    }

    #[test]
    fn a_cell_gets_its_kin_and_its_neighbours_and_one_without_kin_gets_none() {
        let donors = [("9xj5s", "u33dc"), ("gcpvj", "u33dd"), ("u33df", "9xj5z")];
        let models = Models {
            asked: Predict {
                run: "r".to_owned(),
                geocode: None,
                margin_px: Some(9),
            },
            networks: vec![network(10.0)],
            geocodes: ["9xj", "9xj5k", "9xj5z", "u33dc"]
                .map(|code| (code.to_owned(), 0))
                .into(),
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
        assert_eq!(models.networks[0].bands().len(), 2);
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
