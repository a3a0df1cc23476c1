//! `exec:PROGRAM`: a program that the node's owner allows learns instead of a network of ours.
//!
//! The program says what it wants (`PROGRAM --describe`), is handed a folder of chips as npy files
//! and a job on its standard input, and leaves a model file and its answers for the held-out chips;
//! those are scored as any network's are, beside the same baselines. docs/ADDING_A_RECIPE.md draws
//! both exchanges.
//!
//! *Invariants*: nothing that the owner has not allowed by path is ever started, whoever asks; what
//! a program says and leaves is bounded and checked before it is used.
//!
//! *Not here*: predicting (`applied`), which programs are allowed (`allow`), in what they are
//! confined (`confine`), what they are handed to learn from (`handed`), the job around it
//! (`job::outside`).

pub mod allow;
pub mod applied;
pub mod confine;
pub mod handed;
pub mod npy;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::program::allow::{AllowError, allowed};
use crate::program::confine::{ConfineError, Limits, confined};
use crate::recipe::describe::{Description, Layer, STANDARDISED, bands};
use crate::recipe::{ANSWER, Answer, BandWish, Task};
use crate::stop::Stop;

/// How a run names a program.
pub const PREFIX: &str = wire::run::PROGRAM;
/// Longest that a program may take to say what it wants: an interpreter's start with its packages.
const DESCRIBE_TIME: Duration = Duration::from_mins(1);
/// Most bands that a program may ask for, and names that will do for one.
const BANDS_MAX: usize = 32;
/// How the name of a model file begins, and how long the rest may be.
const FILE_HEAD: &str = "model.";
const FILE_MAX: usize = 20;
/// Longest text of a description.
const TEXT_MAX: usize = 200;

/// What a program says of itself, once it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `exec:NAME`.
    name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What it learns, in a few words.
    task: &'static str,
    /// Name of the model file that it leaves.
    pub file: &'static str,
    /// It answers with its models when asked.
    pub predicts: bool,
    inputs: &'static [BandWish],
    label: &'static [BandWish],
    answer: Answers,
    chip_px_step: u32,
}

/// What `PROGRAM --describe` prints.
#[derive(Debug, Deserialize)]
struct Told {
    task: String,
    inputs: Vec<Vec<String>>,
    label: Vec<Vec<String>>,
    answer: Answers,
    #[serde(default = "one")]
    chip_px_step: u32,
    file: String,
    #[serde(default)]
    predicts: bool,
}

/// What a program answers for a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answers {
    /// The mean of the label band.
    Number,
    /// The label band.
    Map,
}

/// Why a program cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The owner has not allowed it.
    #[error(transparent)]
    Allow(#[from] AllowError),
    /// It does not run.
    #[error("{program} --describe failed")]
    Confine {
        /// `exec:NAME`.
        program: String,
        /// Why.
        source: ConfineError,
    },
    /// What it says is not a description.
    #[error("{program} --describe is no description: {reason}")]
    Told {
        /// `exec:NAME`.
        program: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ProgramError {
    /// Says what its owner can do, where the error itself does not.
    pub fn next(&self) -> Option<String> {
        match self {
            Self::Allow(_) => None,
            Self::Confine { source, .. } => source.next(),
            Self::Told { .. } => {
                Some("a description as docs/ADDING_A_RECIPE.md shows one".to_owned())
            }
        }
    }
}

/// Programs that were asked, by path: their words live as long as this process, once each.
static KNOWN: Mutex<BTreeMap<PathBuf, &'static Program>> = Mutex::new(BTreeMap::new());

/// Finds an allowed program by what follows `exec:`, and asks what it wants.
///
/// # Errors
/// See [`ProgramError`].
pub fn find(name: &str) -> Result<&'static Program, ProgramError> {
    let path = allowed(name)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = known.get(&path) {
        return Ok(program);
    }
    let program: &'static Program = Box::leak(Box::new(ask(name, path.clone())?));
    known.insert(path, program);
    Ok(program)
}

/// Asks a program what it wants.
fn ask(name: &str, path: PathBuf) -> Result<Program, ProgramError> {
    let program = format!("{PREFIX}{name}");
    let limits = Limits {
        time: DESCRIBE_TIME,
        ..Limits::default()
    };
    let folder = confine::scratch("describe").map_err(|source| ProgramError::Confine {
        program: program.clone(),
        source,
    })?;
    let said = confined(
        &path,
        &["--describe"],
        &folder.0,
        (&limits, &Stop::default()),
    );
    let said = said.map_err(|source| ProgramError::Confine {
        program: program.clone(),
        source,
    })?;
    let wrong = |reason: String| ProgramError::Told {
        program: program.clone(),
        reason,
    };
    let told: Told = serde_json::from_str(&said).map_err(|e| wrong(e.to_string()))?;
    check(&told).map_err(wrong)?;
    Ok(Program {
        name: String::leak(program.clone()),
        path,
        inputs: wishes(told.inputs),
        label: wishes(told.label),
        task: String::leak(told.task),
        file: String::leak(told.file),
        predicts: told.predicts,
        answer: told.answer,
        chip_px_step: told.chip_px_step,
    })
}

/// Checks what a program says.
fn check(told: &Told) -> Result<(), String> {
    let bands = || told.inputs.iter().chain(&told.label);
    let names = || bands().flatten().chain([&told.task]);
    if told.inputs.is_empty() || told.inputs.len() > BANDS_MAX {
        return Err(format!(
            "inputs must be 1..={BANDS_MAX} lists of common names"
        ));
    }
    if told.label.len() != 1 {
        return Err("label must be one list of common names".to_owned());
    }
    if bands().any(|b| b.is_empty() || b.len() > BANDS_MAX) {
        return Err("a band without a common name".to_owned());
    }
    if names().any(|n| n.is_empty() || n.len() > TEXT_MAX || n.chars().any(char::is_control)) {
        return Err(format!(
            "a text that is empty or longer than {TEXT_MAX} characters"
        ));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    let rest = told.file.strip_prefix(FILE_HEAD);
    if rest
        .is_none_or(|rest| rest.is_empty() || rest.len() > FILE_MAX || !rest.chars().all(is_plain))
    {
        return Err(format!(
            "file must be '{FILE_HEAD}' and letters or digits, as model.npz"
        ));
    }
    if told.chip_px_step == 0 || told.chip_px_step > wire::hyper::CHIP_PX_MAX {
        return Err("chip_px_step is no side of a chip".to_owned());
    }
    Ok(())
}

/// Keeps the names of bands for as long as this process lives.
fn wishes(bands: Vec<Vec<String>>) -> &'static [BandWish] {
    let kept = |name: String| -> &'static str { String::leak(name) };
    let wish = |names: Vec<String>| {
        let commons: Vec<&'static str> = names.into_iter().map(kept).collect();
        BandWish {
            role: commons[0],
            commons: Vec::leak(commons),
        }
    };
    Vec::leak(bands.into_iter().map(wish).collect())
}

const fn one() -> u32 {
    1
}

impl Program {
    /// Describes the task for chips of that side, as recipes are.
    pub fn describe(&self, chip_px: i64) -> Description {
        let out = match self.answer {
            Answers::Number => vec![1],
            Answers::Map => vec![1, chip_px, chip_px],
        };
        Description {
            recipe: self.name,
            task: self.task,
            source: "a program that the owner of the node allows",
            inputs: bands(self.inputs),
            label_bands: bands(self.label),
            label: match self.answer {
                Answers::Number => "mean of the band over the pixels of a chip",
                Answers::Map => "the band, pixel by pixel; none under cloud",
            },
            normalisation: STANDARDISED,
            loss: "the program's own",
            pairs: false,
            chip_px_step: self.chip_px_step,
            hyper: wire::run::Hyper::default(),
            parameters: 0,
            layers: vec![Layer {
                held: None,
                ..Layer::bare("program", "what the program does", &out)
            }],
            rival: Vec::new(),
            needs: None,
        }
    }
}

impl Task for Program {
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
        match self.answer {
            Answers::Number => Answer::Number,
            Answers::Map => Answer::Map {
                bands: &ANSWER,
                bounds: [0.0, 1.0],
            },
        }
    }

    fn chip_px_step(&self) -> u32 {
        self.chip_px_step
    }

    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>> {
        let band = bands.first()?;
        match self.answer {
            Answers::Map => Some(band.clone()),
            Answers::Number => {
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
