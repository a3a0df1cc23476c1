//! A program's model asked for answers: `glebe predict` with what `exec:PROGRAM` left.
//!
//! *Invariants*: the program runs within the limits that it learned in, without a network where the
//! kernel lets us; it is handed a copy of its model; answers are checked as those of a job are.
//!
//! *Not here*: which windows (`infer`), learning (`handed`).

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::config::ModelConfig;
use crate::program::confine::{self, ConfineError, Limits, confined, io_at};
use crate::program::handed::{ANSWERS, JOB_VERSION, MadeError, answers};
use crate::program::{Program, npy};
use crate::recipe::{Answer, Task as _};
use crate::stop::Stop;

/// The windows that a program is to answer.
const CHIPS: &str = "chips.npy";

/// What is asked of a program.
#[derive(Debug)]
pub struct Applied<'a> {
    /// The program.
    pub program: &'static Program,
    /// What is known of its model.
    pub config: &'a ModelConfig,
    /// The model that it left.
    pub file: &'a Path,
    /// Normalised windows: window, band, row, column.
    pub windows: &'a [f32],
    /// Numbers of an answer.
    pub answers: usize,
}

/// Returns a program's standardised answers, in order.
///
/// # Errors
/// See [`MadeError`].
pub fn applied(asked: &Applied<'_>) -> Result<Vec<f32>, MadeError> {
    let name = asked.program.name();
    let failed = |source| MadeError::Confine {
        program: name,
        source,
    };
    let folder = confine::scratch("apply").map_err(failed)?;
    let shapes = asked.shapes();
    hand(asked, &shapes, &folder.0).map_err(failed)?;
    let limits = Limits {
        threads: threads(),
        ..Limits::default()
    };
    let run = (&limits, &Stop::default());
    confined(&asked.program.path, &[], &folder.0, run).map_err(failed)?;
    answers(asked.program.name(), &folder.0, &shapes.answers)
}

/// Shapes of the arrays.
struct Shapes {
    chips: [i64; 4],
    answers: Vec<i64>,
}

impl Applied<'_> {
    fn shapes(&self) -> Shapes {
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let side = self.config.network.chip_px as usize;
        let bands = self.program.inputs().len();
        let count = self.windows.len() / (bands * side * side).max(1);
        let label = match self.program.answer() {
            Answer::Number => [1, 1, 1],
            Answer::Map { .. } => [1, whole(side), whole(side)],
        };
        Shapes {
            chips: [whole(count), whole(bands), whole(side), whole(side)],
            answers: std::iter::once(whole(count)).chain(label).collect(),
        }
    }
}

/// Writes windows, model and job.
fn hand(asked: &Applied<'_>, shapes: &Shapes, folder: &Path) -> Result<(), ConfineError> {
    let chips = folder.join(CHIPS);
    npy::write(&chips, &shapes.chips, asked.windows).map_err(io_at(&chips))?;
    fs::copy(asked.file, folder.join(asked.program.file)).map_err(io_at(asked.file))?;
    let config = asked.config;
    let job = json!({
        "version": JOB_VERSION,
        "call": "predict",
        "run": config.run,
        "geocode": config.geocode,
        "seed": config.seed,
        "hyper": config.hyper,
        "inputs": config.network.inputs,
        "label_shape": shapes.answers[1..],
        "normalisation": config.normalisation,
        "chips": CHIPS,
        "count": shapes.chips[0],
        "answers": ANSWERS,
        "model": asked.program.file,
        "threads": threads(),
        "network": confine::namespaces().is_none(),
    });
    confine::write_job(folder, &job)
}

/// Returns how many threads a program should answer with.
fn threads() -> u32 {
    let cores = std::thread::available_parallelism();
    cores.map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}
