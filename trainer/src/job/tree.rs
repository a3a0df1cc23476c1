//! Whether a cell needs a model of its own: it is kept if it beats its parent's on held-out places.
//!
//! Both answer the same held-out chips, each by its own normalisation. A place is a chip's on all
//! dates, since dates of one place are no independent witnesses; pairs of errors are judged by
//! Wilcoxon's signed-rank test (docs/adr/0031).
//!
//! *Invariants*: the parent never learned from what its children are judged by: held-out blocks are
//! drawn by cell; the same weights and chips give the same verdict; a child that cannot be judged
//! is kept, and that is said.
//!
//! *Not here*: which cell is whose parent (node), the child's start (`heir`).

use wire::transfer::{Beside, Descent, TransferMode};

use crate::job::heir::Gift;
use crate::job::learnt::Learnt;
use crate::job::lesson::{Exam, Material};
use crate::job::{JobError, Work};
use crate::log::chain;
use crate::metric::wilcoxon::wilcoxon;
use crate::network::{Network, WeightsError};
use crate::publish::NORMALISATION_FACT;
use crate::weights::{self, WeightsFileError};

/// Why a parent's file cannot answer.
#[derive(Debug, thiserror::Error)]
enum MuteParent {
    /// It holds no weights.
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// They are another network's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// It does not say how its chips were normalised.
    #[error("its file does not say how its chips were normalised")]
    Normalisation,
}

/// Judges a child beside its parent, where the job is a child's: notes how it did, or ends the job.
pub(super) fn judged(
    (mut descent, gift): (Descent, Option<&Gift>),
    (work, network, material): (&Work<'_>, &Network, &Material),
) -> Result<Descent, JobError> {
    let (TransferMode::Tree, Some(Ok(file))) = (work.lease.run.transfer.mode, gift) else {
        return Ok(descent);
    };
    let own = Learnt {
        network,
        normalisation: work.normalisation,
    };
    // Those that chose nothing, where there are any.
    let exam = material.test.as_ref().unwrap_or(&material.validation);
    let beside = match parents(work, file, exam) {
        Ok(parents) => compared(parents, own.errors(exam, work.normalisation)),
        Err(error) => {
            let text = format!("kept without having been judged: {}", chain(&error));
            work.setting.diary.say(&text);
            return Ok(descent);
        }
    };
    descent.beside = Some(beside);
    if !beside.is_better() {
        return Err(JobError::NoBetter(Box::new(descent)));
    }
    let told = told(&descent.donor, beside);
    work.setting
        .diary
        .say(&format!("kept beside parent {told}"));
    Ok(descent)
}

/// Has a parent's file answer; returns its error at each held-out place.
fn parents(work: &Work<'_>, file: &[u8], exam: &Exam) -> Result<Vec<f64>, MuteParent> {
    let facts = weights::facts(file)?;
    let normalisation = facts.get(NORMALISATION_FACT);
    let normalisation = normalisation.and_then(|text| serde_json::from_str(text).ok());
    let mut network = work.network();
    network.set_weights(&weights::decode(file)?)?;
    let parent = Learnt {
        network: &network,
        normalisation: &normalisation.ok_or(MuteParent::Normalisation)?,
    };
    Ok(parent.errors(exam, work.normalisation))
}

/// Compares the errors of a parent and of its child, place by place.
fn compared(parents: Vec<f64>, own: Vec<f64>) -> Beside {
    let is_told = |(parent, own): &(f64, f64)| parent.is_finite() && own.is_finite();
    let pairs: Vec<(f64, f64)> = parents.into_iter().zip(own).filter(is_told).collect();
    let differences: Vec<f64> = pairs.iter().map(|(parent, own)| parent - own).collect();
    let mean = |pick: fn(&(f64, f64)) -> f64| {
        pairs.iter().map(pick).sum::<f64>() / pairs.len().max(1) as f64
    };
    Beside {
        parent_mse: mean(|(parent, _)| *parent),
        own_mse: mean(|(_, own)| *own),
        places: pairs.len() as u64,
        p: wilcoxon(&differences),
    }
}

/// Tells how a parent did beside its child.
fn told(parent: &str, beside: Beside) -> String {
    format!(
        "{parent}: mean squared error {:.3e}, {:.3e} of its own on {} held-out places (Wilcoxon \
         signed-rank, {})",
        beside.parent_mse,
        beside.own_mse,
        beside.places,
        beside.chance()
    )
}

/// Says why a cell has no model of its own.
pub(super) fn no_better(descent: &Descent) -> String {
    let told = descent.beside.map(|beside| told(&descent.donor, beside));
    let told = told.unwrap_or_else(|| descent.donor.clone());
    format!("no better than parent {told}, whose model answers here")
}
