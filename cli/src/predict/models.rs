//! The models that a prediction is made with: folders on this machine, or a run's in the ring.
//!
//! *Invariants*: of a run only those models travel that can have a say about the cells at hand;
//! models that were named one by one are all taken.
//!
//! *Not here*: which of them answers where, and which take the scene's pixels (trainer).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use earth::geocode::{Geocode, Scheme};
use serde::{Deserialize, Serialize};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{GLOBAL, ModelView};
use wire::params::ModelsParams;

use crate::model::{self, StandsIn};
use crate::session::Session;

/// Precision of cells that a scene is cut into for a model of everywhere: as `glebe ingest`'s.
const PRECISION_GLOBAL: u8 = 5;

/// What the cut needs to know of a model; the rest of `config.json` is the trainer's.
#[derive(Debug, Deserialize)]
struct Config {
    scheme: Scheme,
    geocode: String,
}

/// What the trainer is told of the run that models are of.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Kin {
    /// The donor of each cell that was to be an heir.
    donors: BTreeMap<String, String>,
}

/// Models that were asked for.
#[derive(Debug)]
pub(super) enum Given {
    /// Folders on this machine, and for which cells without a model of their own they answer.
    Folders(Vec<PathBuf>, Option<Vec<StandsIn>>),
    /// Models in the ring.
    Ring(Ring),
}

/// Models of a run in the ring.
#[derive(Debug)]
pub(super) struct Ring {
    client: Client,
    models: Vec<ModelView>,
    /// What is known of the run; `None` where one model was named.
    kin: Option<Kin>,
}

/// Model folders, and what is known of their run.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) folders: Vec<PathBuf>,
    pub(super) kin: Option<Kin>,
}

impl Given {
    /// Finds the given folder's models, or those in the ring.
    pub(super) async fn of(session: &Session, name: &str) -> Result<Self, Fault> {
        let folder = Path::new(name);
        if folder.join("config.json").is_file() {
            return Ok(Self::Folders(vec![folder.to_path_buf()], None));
        }
        if folder.is_dir() {
            let bundled = bundled(folder)?;
            if !bundled.is_empty() {
                return Ok(Self::Folders(bundled, model::stand_ins(folder)?));
            }
            return Err(
                Fault::new(FaultKind::Data, format!("{name} is no model folder"))
                    .because("it holds no config.json, and no folder in it does")
                    .try_("glebe model pull RUN/GEOCODE -O DIR"),
            );
        }
        let client = session.client().await?;
        Ok(Self::Ring(Ring::of(client, name).await?))
    }

    /// Returns scheme and precision of the cells to cut: those of the smallest model's cell.
    pub(super) fn cells(&self) -> Result<(Scheme, u8), Fault> {
        let named: Vec<(Scheme, String)> = match self {
            Self::Ring(ring) => {
                let models = ring.models.iter();
                models.map(|m| (m.scheme, m.geocode.clone())).collect()
            }
            Self::Folders(folders, stand_ins) => {
                let read = |folder: &PathBuf| {
                    let Config { scheme, geocode } = config(folder)?;
                    Ok((scheme, geocode))
                };
                let mut named = { folders.iter() }
                    .map(read)
                    .collect::<Result<Vec<_>, Fault>>()?;
                // The smallest cell of a tree may have left its parent to answer.
                let scheme = named.first().map_or(Scheme::Geohash, |(scheme, _)| *scheme);
                let others = stand_ins.iter().flatten();
                named.extend(others.map(|other| (scheme, other.geocode.clone())));
                named
            }
        };
        let first = named.first().map_or(Scheme::Geohash, |(scheme, _)| *scheme);
        let cells = named.iter().filter(|(_, code)| code != GLOBAL);
        let longest = cells.map(|(_, code)| code.len()).max();
        let precision = longest.and_then(|n| u8::try_from(n).ok());
        Ok((first, precision.unwrap_or(PRECISION_GLOBAL)))
    }

    /// Brings the models that can have a say about some cells into a folder.
    pub(super) async fn fetch(self, cells: &[Geocode], into: &Path) -> Result<Fetched, Fault> {
        match self {
            Self::Folders(folders, stand_ins) => Ok(Fetched {
                folders,
                kin: stand_ins.as_deref().map(Kin::of_bundle),
            }),
            Self::Ring(ring) => ring.fetch(cells, into).await,
        }
    }
}

impl Kin {
    /// Returns what a bundle tells of its run.
    fn of_bundle(stand_ins: &[StandsIn]) -> Self {
        let donors = stand_ins.iter().filter_map(|stands_in| {
            let donor = stands_in.donor()?.to_owned();
            Some((stands_in.geocode.clone(), donor))
        });
        Self {
            donors: donors.collect(),
        }
    }
}

impl Ring {
    async fn of(client: Client, name: &str) -> Result<Self, Fault> {
        let (run, geocode) = match name.split_once('/') {
            Some((run, geocode)) => (run, Some(geocode.to_ascii_lowercase())),
            None => (name, None),
        };
        let params = ModelsParams {
            run: Some(run.to_owned()),
            geocode: geocode.clone(),
            ..ModelsParams::default()
        };
        let found = client.models(&params).await?;
        if !found.complete {
            let what = format!("not every model of {run} is in reach");
            return Err(Fault::new(FaultKind::Partial, what)
                .because("a node does not answer, so cells would be served by no model")
                .try_("glebe status"));
        }
        if found.models.is_empty() {
            let what = format!("no model {name}");
            return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list"));
        }
        let kin = match geocode {
            Some(_) => None,
            None => Some(kin(&client, run).await?),
        };
        Ok(Self {
            client,
            models: found.models,
            kin,
        })
    }

    async fn fetch(mut self, cells: &[Geocode], into: &Path) -> Result<Fetched, Fault> {
        if let Some(kin) = &mut self.kin {
            let there = self.models.iter().map(|m| m.geocode.as_str()).collect();
            let wanted = wanted(cells, kin, &there);
            self.models.retain(|m| wanted.contains(&m.geocode));
            let near: BTreeSet<String> = { cells.iter() }
                .flat_map(|cell| cell.neighbours().into_iter().chain([*cell]))
                .map(|code| code.to_string())
                .collect();
            kin.donors.retain(|heir, _| near.contains(heir));
        }
        let mut folders = Vec::with_capacity(self.models.len());
        for view in &self.models {
            let folder = into.join(&view.geocode);
            model::download(&self.client, view, &folder).await?;
            folders.push(folder);
        }
        if folders.is_empty() {
            let what = "no model of the run answers for a cell of this scene";
            return Err(Fault::new(FaultKind::Nothing, what)
                .because(format!("{} cells without a model", cells.len()))
                .try_("glebe model list"));
        }
        let kin = self.kin;
        Ok(Fetched { folders, kin })
    }
}

/// Returns the geocodes of those models of a run that can have a say about cells: all of their kin,
/// and whichever answers for a neighbour.
fn wanted(cells: &[Geocode], kin: &Kin, there: &BTreeSet<&str>) -> BTreeSet<String> {
    let of = |cell: &Geocode| {
        let donor = kin.donors.get(&cell.to_string()).map(String::as_str);
        wire::model::kin(cell, donor).filter(move |code| there.contains(code.as_str()))
    };
    let beside = cells.iter().flat_map(Geocode::neighbours);
    let beside = beside.filter_map(|cell| of(&cell).next());
    cells.iter().flat_map(of).chain(beside).collect()
}

/// Asks who was whose heir in a run.
async fn kin(client: &Client, run: &str) -> Result<Kin, Fault> {
    let inheritance = match client.run(run).await {
        Ok(view) => view.run.inheritance,
        // Models outlive the run that made them.
        Err(fault) if fault.kind == FaultKind::Nothing => None,
        Err(fault) => return Err(fault),
    };
    let inheritance = inheritance.unwrap_or_default();
    let owned = |(heir, donor): (&str, &str)| (heir.to_owned(), donor.to_owned());
    let donors = inheritance.donor_of().into_iter().map(owned);
    Ok(Kin {
        donors: donors.collect(),
    })
}

/// Returns the model folders in a folder, as `glebe model pull --bundle` writes them.
fn bundled(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let failed = |e: std::io::Error| {
        let what = format!("{} cannot be listed", folder.display());
        Fault::new(FaultKind::Data, what).because(e.to_string())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join("config.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn config(folder: &Path) -> Result<Config, Fault> {
    let path = folder.join("config.json");
    let fault = |why: String| {
        let what = format!("{} is no model's configuration", path.display());
        let fault = Fault::new(FaultKind::Data, what).because(why);
        fault.try_("glebe model pull RUN/GEOCODE -O DIR")
    };
    let text = std::fs::read(&path).map_err(|e| fault(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| fault(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_can_have_a_say_are_wanted() {
        let cell = Geocode::parse(Scheme::Geohash, "9xj5k").unwrap();
        let donors = [("9xj5k", "u33dc"), ("9xj5m", "dr5ru"), ("9xj5s", "gcpvj")];
        let donors = donors.map(|(heir, donor)| (heir.to_owned(), donor.to_owned()));
        let kin = Kin {
            donors: donors.into(),
        };
        let few = ["9xj5k", "9xj5s", "u33dc", "dr5ru", "gcpvj", "9xj5z"].into();
        // 9xj5s has a model of its own, so that its donor's has no say.
        let expected = ["9xj5k", "9xj5s", "dr5ru", "u33dc"].map(str::to_owned);
        assert_eq!(wanted(&[cell], &kin, &few), expected.into());
        let all = ["9xj5k", "9xj5", "9", "u33dc", "global", "dr5ru"].into();
        let expected = ["9", "9xj5", "9xj5k", "global", "u33dc"].map(str::to_owned);
        assert_eq!(wanted(&[cell], &kin, &all), expected.into());
    }
}
