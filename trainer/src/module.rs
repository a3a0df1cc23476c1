//! `torchscript:FILE`: a module that a user made in PyTorch learns in place of a network of ours.
//!
//! Its first weights are those of the file, in every cell. It is handed what our networks are
//! handed: normalised chips, standardised labels (chances and classes as they are).
//!
//! *Invariants*: a module is opened in a worker alone, never in a node; only one that was tried is
//! learned with; what it draws follows from the run's seed and the chips at hand.
//!
//! *Not here*: opening and trying (`open`), answering (`net`), how it travels (`wire::module`).

pub mod net;
pub mod open;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tch::nn;
use wire::fault::{Fault, FaultKind};
use wire::module::{Answer as Answers, Loss, MODULES_ANY, MODULES_VARIABLE, Module as Wish};

use crate::module::net::Foreign;
use crate::module::open::{ModuleError, Opened, open, tried};
use crate::recipe::describe::{Description, Layer, STANDARDISED, bands};
use crate::recipe::{ANSWER, Answer, BandWish, Net, Recipe, Task};
use crate::seed::Dice;

pub use wire::module::PREFIX;

/// How bands are made ready where labels are learned as they are.
const BANDS_STANDARDISED: &str = "each band less its mean, divided by its standard deviation, both \
                                  of the training chips; the label as it is; stored in config.json";

/// A user's module as a recipe.
#[derive(Debug)]
pub struct Module {
    name: &'static str,
    wish: Wish,
    inputs: &'static [BandWish],
    label: &'static [BandWish],
    classes: &'static [&'static str],
    task: &'static str,
    file: Mutex<Option<Arc<Vec<u8>>>>,
}

/// Modules that jobs or models named, by name and wish: their words live as long as this process.
static KNOWN: Mutex<BTreeMap<String, &'static Module>> = Mutex::new(BTreeMap::new());

/// Checks that the owner of this node lets its workers open users' modules.
///
/// # Errors
/// `Refused`, unless the owner has said so.
pub fn permitted() -> Result<(), Fault> {
    if std::env::var(MODULES_VARIABLE).is_ok_and(|value| value == MODULES_ANY) {
        return Ok(());
    }
    let what = "the owner of this node lets its workers open no users' modules";
    Err(Fault::new(FaultKind::Refused, what)
        .because("a TorchScript file is a program: it can read what the worker can")
        .try_(format!(
            "{MODULES_VARIABLE}={MODULES_ANY} glebe up, typed by the owner"
        )))
}

/// Returns the recipe of a module, not yet opened.
pub fn known(name: &str, wish: &Wish) -> &'static Module {
    let key = format!("{name} {wish:?}");
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(key)
        .or_insert_with(|| Box::leak(Box::new(Module::new(name, wish))))
}

/// Returns the recipe of a module once its file was tried on chips of that side.
///
/// # Errors
/// A file that is not the one named, or no module that can learn what is wished.
pub fn ready(
    (name, wish): (&str, &Wish),
    file: Option<&[u8]>,
    chip_px: u32,
) -> Result<&'static Module, ModuleError> {
    wish.check()
        .map_err(|fault| ModuleError::Wish(fault.because.join(", ")))?;
    let file = file.ok_or(ModuleError::Missing)?;
    if blake3::hash(file).to_hex().as_str() != wish.blake3 {
        return Err(ModuleError::Hash);
    }
    let module = known(name, wish);
    tried(module, file, i64::from(chip_px))?;
    let mut kept = module.file.lock().unwrap_or_else(PoisonError::into_inner);
    kept.get_or_insert_with(|| Arc::new(file.to_vec()));
    drop(kept);
    Ok(module)
}

impl Module {
    fn new(name: &str, wish: &Wish) -> Self {
        let kept = |name: &str| -> &'static str { String::leak(name.to_owned()) };
        let band = |name: &String| {
            let name = kept(name);
            BandWish {
                role: name,
                commons: Vec::leak(vec![name]),
            }
        };
        let inputs: Vec<BandWish> = wish.inputs.iter().map(band).collect();
        let class = |n: u32| kept(&format!("class {n}"));
        let classes: Vec<&'static str> = (0..wish.classes.unwrap_or(0)).map(class).collect();
        let what = match (wish.answer, wish.loss) {
            (Answers::Number, Loss::Bce) => "chance",
            (Answers::Number, _) => "mean",
            (Answers::Map, Loss::Bce) => "map of the chance",
            (Answers::Map, Loss::CrossEntropy) => "map of the chances of classes",
            (Answers::Map, _) => "map",
        };
        Self {
            name: kept(name),
            task: kept(&format!(
                "{what} of {} from {}",
                wish.label,
                wish.inputs.join(", ")
            )),
            inputs: Vec::leak(inputs),
            label: Vec::leak(vec![band(&wish.label)]),
            classes: Vec::leak(classes),
            wish: wish.clone(),
            file: Mutex::new(None),
        }
    }

    /// Returns what was wished of it.
    pub fn wish(&self) -> &Wish {
        &self.wish
    }

    /// Returns the shape of its answers for so many chips of that side.
    pub fn shape(&self, chips: i64, chip_px: i64) -> Vec<i64> {
        let side = match self.wish.answer {
            Answers::Number => 1,
            Answers::Map => chip_px,
        };
        let bands = i64::try_from(self.answer().bands().len()).unwrap_or(1);
        vec![chips, bands, side, side]
    }

    /// Builds the network of some file of this module under `root`: the user's, or a model's.
    ///
    /// # Errors
    /// A file that is no module that can learn.
    pub fn network_of(
        &'static self,
        file: &[u8],
        root: &nn::Path<'_>,
        dice: &mut Dice,
    ) -> Result<Box<dyn Net>, ModuleError> {
        let Opened { script, weights } = open(file, root.device())?;
        for (name, tensor, learns) in weights {
            let mut path = root.clone();
            let mut parts: Vec<&str> = name.split('.').collect();
            let last = parts.pop().unwrap_or_default();
            for part in parts {
                path = path / part;
            }
            drop(path.add(last, tensor, learns));
        }
        let seed = (dice.unit() * f64::from(u32::MAX)).to_bits();
        Ok(Box::new(Foreign::new(self, script, seed)))
    }

    fn label_of(&self, band: &[f32]) -> Option<Vec<f32>> {
        match (self.wish.answer, self.classes.len()) {
            (Answers::Map, 0) => Some(band.to_vec()),
            (Answers::Map, count) => {
                let has = |class: usize| {
                    band.iter()
                        .map(move |value| match net::class_of(*value, count) {
                            Some(found) => f32::from(u8::from(found == class)),
                            None => f32::INFINITY,
                        })
                };
                Some((0..count).flat_map(has).collect())
            }
            (Answers::Number, _) => {
                let sum: f64 = band.iter().map(|v| f64::from(*v)).sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a mean of 32-bit floats fits one"
                )]
                (!band.is_empty()).then(|| vec![(sum / band.len() as f64) as f32])
            }
        }
    }
}

impl Task for Module {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> &'static [BandWish] {
        self.inputs
    }

    fn label_bands(&self) -> &'static [BandWish] {
        self.label
    }

    fn answer(&self) -> Answer {
        match self.wish.answer {
            Answers::Number => Answer::Number,
            Answers::Map => Answer::Map {
                bands: if self.classes.is_empty() {
                    &ANSWER
                } else {
                    self.classes
                },
                bounds: [0.0, 1.0],
            },
        }
    }

    fn chip_px_step(&self) -> u32 {
        1
    }

    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>> {
        self.label_of(bands.first()?)
    }

    fn is_of_chances(&self) -> bool {
        self.wish.loss.is_of_chances()
    }
}

impl Recipe for Module {
    #[expect(
        clippy::panic,
        reason = "it was opened before: what is short now is memory; `memory::tried` reads it"
    )]
    fn network(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Box<dyn Net> {
        let known = known(self.name, &self.wish);
        let file = known.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file.clone().unwrap_or_default();
        match known.network_of(&file, root, dice) {
            Ok(net) => net,
            Err(error) => std::panic::panic_any(crate::log::chain(&error)),
        }
    }

    fn describe(&self, chip_px: i64) -> Description {
        let mut out = self.shape(1, chip_px).split_off(1);
        if self.wish.answer == Answers::Number {
            out.truncate(1);
        }
        let mut layer = Layer::bare("module", "what the user's module does", &out);
        layer.held = None;
        let file = known(self.name, &self.wish).file.lock();
        let file = file.unwrap_or_else(PoisonError::into_inner).clone();
        let opened = file.and_then(|file| open(&file, tch::Device::Cpu).ok());
        for (name, tensor, learns) in opened.into_iter().flat_map(|opened| opened.weights) {
            let told = (name, tensor.size());
            if learns {
                layer.tensors.push(told);
            } else {
                layer.kept.push(told);
            }
        }
        Description {
            recipe: self.name,
            task: self.task,
            source: "a module that a user made in PyTorch",
            inputs: bands(self.inputs),
            label_bands: bands(self.label),
            label: match (self.wish.answer, self.wish.loss) {
                (_, Loss::CrossEntropy) => "the band's number of a class, pixel by pixel",
                (Answers::Number, _) => "mean of the band over the pixels of a chip",
                (Answers::Map, _) => "the band, pixel by pixel; none under cloud",
            },
            normalisation: if self.is_of_chances() {
                BANDS_STANDARDISED
            } else {
                STANDARDISED
            },
            loss: match self.wish.loss {
                Loss::Mse => "mean squared error",
                Loss::Mae => "mean absolute error",
                Loss::Bce => "binary cross-entropy of logits",
                Loss::CrossEntropy => "cross-entropy of logits",
            },
            pairs: false,
            chip_px_step: 1,
            hyper: wire::run::Hyper::default(),
            parameters: crate::recipe::describe::parameters(std::slice::from_ref(&layer)),
            layers: vec![layer],
            rival: Vec::new(),
            needs: None,
        }
    }
}
