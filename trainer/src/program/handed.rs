//! The folder that a program is handed, and what it leaves there.
//!
//! *Invariants*: chips and labels are those that a network of ours would get, normalised alike;
//! answers are scored by us, whatever the program says of itself.
//!
//! *Not here*: running the program (`confine`), scores (`job::scores`).

use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use tch::Tensor;
use wire::run::Lease;

use crate::fit::Sample;
use crate::job::lesson::Material;
use crate::network::floats;
use crate::program::Program;
use crate::program::confine::{self, ConfineError, FILE_BYTES_MAX, Limits, confined, io_at};
use crate::program::npy::{self, NpyError};
use crate::recipe::Task as _;
use crate::stop::Stop;

/// The program's answers for the held-out chips.
pub const ANSWERS: &str = "answers.npy";
/// Version of the job.
pub const JOB_VERSION: u32 = 1;
/// Most lines that a program may say.
const LINES_MAX: usize = 10_000;

/// What a program left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Name of its model file.
    pub name: String,
    /// The file.
    pub bytes: Bytes,
    /// Its own words, one JSON object a line.
    pub said: String,
    /// Its standardised answers for the held-out chips, in order.
    pub answers: Vec<f32>,
}

/// Why a program left nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum MadeError {
    /// It did not end well.
    #[error("{program} failed")]
    Confine {
        /// `exec:NAME`.
        program: &'static str,
        /// Why.
        source: ConfineError,
    },
    /// It left no answers.
    #[error("{program} left no usable {ANSWERS}")]
    Answers {
        /// `exec:NAME`.
        program: &'static str,
        /// Why.
        source: NpyError,
    },
    /// Its answers are not numbers.
    #[error("{program} answered {count} held-out labels with no number (NaN or infinite)")]
    NotFinite {
        /// `exec:NAME`.
        program: &'static str,
        /// How many.
        count: usize,
    },
    /// It left no model, or too large a one.
    #[error("{program} left no model file '{file}' of 1 to {FILE_BYTES_MAX} bytes")]
    Model {
        /// `exec:NAME`.
        program: &'static str,
        /// The file that it said it would leave.
        file: &'static str,
    },
    /// It said something else than JSON.
    #[error("line {line} of the standard output of {program} is no JSON object")]
    Said {
        /// `exec:NAME`.
        program: &'static str,
        /// From 1.
        line: usize,
    },
}

impl MadeError {
    /// Tells whether someone wished it to stop.
    pub fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Confine {
                source: ConfineError::Stopped,
                ..
            }
        )
    }

    /// Says what its owner can do; nothing where someone wished it to stop.
    pub fn next(&self) -> Option<String> {
        let next = match self {
            Self::Confine { source, .. } => return source.next(),
            Self::Answers { .. } => format!(
                "{ANSWERS} of little-endian 32-bit floats in the shape that the job says \
                 (docs/ADDING_A_RECIPE.md)"
            ),
            Self::NotFinite { .. } => {
                "a number for each: 0 is the mean of what it learned from".to_owned()
            }
            Self::Model { file, .. } => {
                format!("write '{file}' into the folder that it is started in, before it ends")
            }
            Self::Said { .. } => format!(
                "at most {LINES_MAX} JSON objects, one a line, and all else to standard error"
            ),
        };
        Some(next)
    }
}

/// Hands a program its chips, runs it, and takes what it leaves.
pub fn made(
    program: &'static Program,
    lease: &Lease,
    material: &Material,
    stop: &Stop,
) -> Result<Made, MadeError> {
    let failed = |source| MadeError::Confine {
        program: program.name(),
        source,
    };
    let folder = confine::scratch("program").map_err(failed)?;
    hand(program, lease, material, &folder.0).map_err(failed)?;
    let limits = Limits {
        threads: lease.run.hyper.threads,
        ..Limits::default()
    };
    let said = confined(&program.path, &[], &folder.0, (&limits, stop)).map_err(failed)?;
    take(
        program,
        &material.validation.sample.labels,
        &folder.0,
        &said,
    )
}

/// Writes chips, labels and job.
fn hand(
    program: &Program,
    lease: &Lease,
    material: &Material,
    folder: &Path,
) -> Result<(), ConfineError> {
    let write = |name: &str, tensor: &Tensor| {
        let path = folder.join(name);
        npy::write(&path, &tensor.size(), &floats(tensor)).map_err(io_at(&path))
    };
    for (part, sample) in parts(material) {
        write(&format!("{part}_chips.npy"), &sample.chips)?;
        write(&format!("{part}_labels.npy"), &sample.labels)?;
    }
    confine::write_job(folder, &job(program, lease, material))
}

fn parts(material: &Material) -> [(&'static str, &Sample); 2] {
    [
        ("train", &material.train),
        ("validation", &material.validation.sample),
    ]
}

/// Writes the job: where everything lies, and what it means.
fn job(program: &Program, lease: &Lease, material: &Material) -> Value {
    let roles =
        |bands: &[crate::recipe::BandWish]| -> Vec<&str> { bands.iter().map(|b| b.role).collect() };
    let [train, validation] = parts(material).map(|(part, sample)| {
        json!({
            "chips": format!("{part}_chips.npy"),
            "labels": format!("{part}_labels.npy"),
            "count": sample.chips.size()[0],
        })
    });
    json!({
        "version": JOB_VERSION,
        "call": "learn",
        "run": lease.run.name,
        "geocode": lease.geocode,
        "seed": lease.run.seed,
        "hyper": lease.run.hyper,
        "inputs": roles(program.inputs()),
        "label": roles(program.label_bands()),
        "label_shape": material.train.labels.size()[1..],
        "normalisation": material.normalisation,
        "train": train,
        "validation": validation,
        "answers": ANSWERS,
        "model": program.file,
        "network": confine::namespaces().is_none(),
    })
}

/// Reads a program's answers, every one of which is a number.
pub(super) fn answers(
    program: &'static str,
    folder: &Path,
    shape: &[i64],
) -> Result<Vec<f32>, MadeError> {
    let answers = npy::read(&folder.join(ANSWERS), shape);
    let answers = answers.map_err(|source| MadeError::Answers { program, source })?;
    let count = answers.iter().filter(|a| !a.is_finite()).count();
    if count > 0 {
        return Err(MadeError::NotFinite { program, count });
    }
    Ok(answers)
}

/// Takes answers, model and words, each checked.
fn take(
    program: &'static Program,
    labels: &Tensor,
    folder: &Path,
    said: &str,
) -> Result<Made, MadeError> {
    let (name, file) = (program.name(), program.file);
    let answers = answers(name, folder, &labels.size())?;
    let path = folder.join(file);
    let fits = |meta: fs::Metadata| meta.is_file() && (1..=FILE_BYTES_MAX).contains(&meta.len());
    // Not what a link leads to: a model is a file of the program's own.
    let is_there = path.symlink_metadata().is_ok_and(fits);
    let bytes = is_there.then(|| fs::read(&path).ok()).flatten();
    let bytes = bytes.ok_or(MadeError::Model {
        program: name,
        file,
    })?;
    Ok(Made {
        name: file.to_owned(),
        bytes: bytes.into(),
        said: lines(said).map_err(|line| MadeError::Said {
            program: name,
            line,
        })?,
        answers,
    })
}

/// Returns JSON objects, one a line; or which line is none.
fn lines(said: &str) -> Result<String, usize> {
    let mut text = String::new();
    for (number, line) in (1..).zip(said.lines()) {
        let object: Option<Value> = serde_json::from_str(line).ok().filter(Value::is_object);
        let Some(object) = object.filter(|_| number <= LINES_MAX) else {
            return Err(number);
        };
        text += &format!("{object}\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn words_are_json_objects_one_a_line() {
        assert_eq!(
            lines("{\"epoch\": 1}\n{}\n"),
            Ok("{\"epoch\":1}\n{}\n".to_owned())
        );
        assert_eq!(lines(""), Ok(String::new()));
        assert_eq!(lines("{}\nepoch 1\n"), Err(2));
        assert_eq!(lines("[1]"), Err(1));
    }
}
