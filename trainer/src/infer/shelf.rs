//! The models of a prediction: all known by their configs, in memory only while they answer.
//!
//! *Invariants*: models that take other bands or other chips, or answer another question, are never
//! mixed, nor are those of several resolutions once the scene is known; a model that is not needed
//! near the rows at hand is let go.
//!
//! *Not here*: which model answers where (`regions`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use earth::geocode::Geocode;
use tch::Device;
use wire::fault::{Fault, FaultKind};

use crate::config::ModelConfig;
use crate::infer::mind::Mind;
use crate::infer::regions::{GLOBAL, Known};
use crate::log::{chain, parted};
use crate::model::{self, ModelError};
use crate::recipe::Task;

/// Models of one recipe.
#[derive(Debug)]
pub struct Shelf {
    device: Device,
    task: &'static dyn Task,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    folder: PathBuf,
    config: ModelConfig,
    cell: Known,
    mind: Option<Mind>,
}

impl Shelf {
    /// Reads the configs of all models.
    ///
    /// # Errors
    /// A folder without a usable config, or models that cannot answer together.
    pub fn new(folders: &[PathBuf], device: Device) -> Result<Self, Fault> {
        let mut slots: Vec<Slot> = Vec::with_capacity(folders.len());
        for folder in folders {
            let config = model::config(folder).map_err(|e| unusable(folder, &e))?;
            if let Some(first) = slots.first() {
                alike(&first.config, &config)?;
            }
            let cell = match config.geocode.as_str() {
                GLOBAL => None,
                code => Some(Geocode::parse(config.scheme, code).map_err(|e| {
                    let what = format!("{} holds no usable model", folder.display());
                    Fault::new(FaultKind::Data, what).because(e.to_string())
                })?),
            };
            slots.push(Slot {
                folder: folder.clone(),
                config,
                cell,
                mind: None,
            });
        }
        let first = slots.first().ok_or_else(|| {
            let fault = Fault::new(FaultKind::Usage, "no model was given");
            fault.try_("glebe predict RUN SCENE, or FOLDER SCENE with a folder of glebe model pull")
        })?;
        let task = model::task(&first.config).map_err(|e| unusable(&first.folder, &e))?;
        Ok(Self {
            device,
            task,
            slots,
        })
    }

    /// Returns the cells of all models, in order.
    pub fn known(&self) -> Vec<Known> {
        self.slots.iter().map(|slot| slot.cell).collect()
    }

    /// Returns what is known of a model.
    pub fn config(&self, model: usize) -> &ModelConfig {
        &self.slots[model].config
    }

    /// Returns what all of them answer.
    pub fn task(&self) -> &'static dyn Task {
        self.task
    }

    /// Returns the resolutions that its models take, in metres, each once.
    pub fn resolutions_m(&self) -> Vec<f64> {
        let mut all: Vec<f64> = { self.slots.iter() }
            .map(|slot| slot.config.network.resolution_m)
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }

    /// Takes away the models that do not take pixels as `fits` wants them in metres, unless all
    /// would go; returns the resolution and the name of each that went, in order of names.
    pub fn retain(&mut self, fits: impl Fn(f64) -> bool) -> Vec<(f64, String)> {
        let resolution_m = |slot: &Slot| slot.config.network.resolution_m;
        if !self.slots.iter().any(|slot| fits(resolution_m(slot))) {
            return Vec::new();
        }
        let gone = { 0..self.slots.len() }.filter(|at| !fits(resolution_m(&self.slots[*at])));
        let mut gone: Vec<(f64, String)> = gone
            .map(|at| (resolution_m(&self.slots[at]), self.name(at)))
            .collect();
        gone.sort_by(|one, other| one.1.cmp(&other.1));
        self.slots.retain(|slot| fits(resolution_m(slot)));
        gone
    }

    /// Returns a model's name, `RUN/GEOCODE`.
    pub fn name(&self, model: usize) -> String {
        let config = self.config(model);
        format!("{}/{}", config.run, config.geocode)
    }

    /// Returns a model, reading it if it is not in memory.
    ///
    /// # Errors
    /// A model folder that cannot be used.
    pub fn mind(&mut self, model: usize) -> Result<&Mind, Fault> {
        let slot = &mut self.slots[model];
        let open = if let Some(open) = slot.mind.take() {
            open
        } else {
            let open = Mind::open(&slot.folder, slot.config.clone(), self.device);
            open.map_err(|e| unusable(&slot.folder, &e))?
        };
        Ok(slot.mind.insert(open))
    }

    /// Lets go of all models but these.
    pub fn keep(&mut self, wanted: &BTreeSet<usize>) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if !wanted.contains(&number) {
                slot.mind = None;
            }
        }
    }
}

fn unusable(folder: &std::path::Path, error: &ModelError) -> Fault {
    let what = format!("{} holds no usable model", folder.display());
    let (reason, next) = parted(chain(error));
    let of_program = match error {
        ModelError::Program(error) => error.next(),
        _ => None,
    };
    let next =
        { next.or(of_program) }.unwrap_or_else(|| "glebe model pull RUN/GEOCODE -O DIR".to_owned());
    Fault::new(FaultKind::Data, what).because(reason).try_(next)
}

/// Refuses models whose answers cannot stand in one map.
fn alike(one: &ModelConfig, other: &ModelConfig) -> Result<(), Fault> {
    let unlike = if one.recipe != other.recipe {
        format!("of recipes {} and {}", one.recipe, other.recipe)
    } else if one.network.chip_px != other.network.chip_px {
        let (a, b) = (one.network.chip_px, other.network.chip_px);
        format!("that take chips of {a} and {b} pixels")
    } else if one.scheme != other.scheme {
        format!("of cells by {} and by {}", one.scheme, other.scheme)
    } else {
        return Ok(());
    };
    let what = format!("models {unlike} do not answer in one map");
    Err(Fault::new(FaultKind::Usage, what).try_("predict with models of one run at a time"))
}
