//! An heir's start: from its donor's weights, unless its own first weights do better.
//!
//! The heir keeps its own normalisation: what counts is how its land differs from itself, not from
//! the donor's (docs/adr/0021). Both starts are given a few epochs, and the one with the lesser
//! error goes on from there.
//!
//! *Invariants*: an heir that falls back is to the bit the model that a cold start gives (unless
//! memory ran out, so that chips came in parts), and says why; the same donor's file, chips and
//! seed give the same weights, whatever node fetched it.
//!
//! *Not here*: fetching the donor's file (`work`), which cell is whose donor (node).

use wire::run::Hyper;
use wire::transfer::{Descent, Heritage, Trial};

use crate::diary::Diary;
use crate::fit::{FitError, Learning, score};
use crate::heed::Heed;
use crate::job::kept::Kept;
use crate::job::{Fitted, JobError, Work};
use crate::log::chain;
use crate::network::{Network, WeightsError};
use crate::publish::{NORMALISATION_FACT, RECIPE_FACT};
use crate::units;
use crate::weights::{self, WeightsFileError};

/// Epochs at the full rate that both starts are given. One is eight steps of the default batch or
/// more: a donor that misleads is behind by then, and more would cost what a good one saves.
const TRIAL_EPOCHS: u32 = 1;

/// What the worker brought for an heir: the donor's file, or why there is none.
pub type Gift = Result<Vec<u8>, String>;

/// Why a donor's file is of no use.
#[derive(Debug, thiserror::Error)]
enum UselessGift {
    /// It holds no weights.
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// It is another recipe's.
    #[error("they are of recipe {0}")]
    Recipe(String),
    /// Its network is another.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Returns the network with the weights of a donor's file, and whether they were told in the heir's
/// units: whichever way the chips to learn from are answered better before a step is made.
fn warm(work: &Work<'_>, bytes: &[u8]) -> Result<(Network, bool), UselessGift> {
    let mut facts = weights::facts(bytes)?;
    let recipe = facts.remove(RECIPE_FACT).unwrap_or_default();
    if recipe != work.recipe.name() {
        return Err(UselessGift::Recipe(recipe));
    }
    let mut network = work.network();
    let given = weights::decode(bytes)?;
    network.set_weights(&given)?;
    let learned_by = facts.remove(NORMALISATION_FACT);
    let learned_by = learned_by.and_then(|text| serde_json::from_str(&text).ok());
    let told = work.recipe.ends().zip(learned_by).and_then(|(ends, from)| {
        let units = (&from, work.normalisation);
        units::told(&given, &ends, units)
    });
    let Some(told) = told else {
        return Ok((network, false));
    };
    let as_they_are = score(&network, work.lesson.train);
    network.set_weights(&told)?;
    if score(&network, work.lesson.train) <= as_they_are {
        return Ok((network, true));
    }
    network.set_weights(&given)?;
    Ok((network, false))
}

/// Learns the model of an heir.
pub(super) fn fitted(
    work: &Work<'_>,
    (heritage, gift): (&Heritage, Option<&Gift>),
    kept: Kept<'_>,
) -> Result<(Fitted, Descent), JobError> {
    let kin = kin(&work.lease.geocode, &heritage.donor);
    let missing = format!("the {kin}'s weights were not brought");
    let bytes = gift.map_or(Err(&missing), Gift::as_ref);
    let hash = |bytes: &Vec<u8>| blake3::hash(bytes).to_hex().to_string();
    let mut descent = Descent {
        donor: heritage.donor.clone(),
        warm: false,
        reason: None,
        weights_blake3: bytes.ok().map(hash),
        bytes: bytes.map_or(0, |bytes| bytes.len() as u64),
        told: false,
        trial: None,
        beside: None,
    };
    let useless = |error: UselessGift| {
        let donor = &heritage.donor;
        format!(
            "the weights of {kin} {donor} are of no use: {}",
            chain(&error)
        )
    };
    let network = bytes
        .map_err(String::clone)
        .and_then(|bytes| warm(work, bytes).map_err(useless));
    let fitted = match network {
        Ok((network, told)) => {
            descent.told = told;
            race(work, network, &mut descent, kept)?
        }
        Err(reason) => {
            work.setting.diary.say(&format!("starts cold: {reason}"));
            descent.reason = Some(reason);
            work.cold(kept)?
        }
    };
    Ok((fitted, descent))
}

/// Gives both starts their first epochs and goes on with the better one; one that a checkpoint was
/// written of has been the better one.
fn race(
    work: &Work<'_>,
    mut warm_network: Network,
    descent: &mut Descent,
    kept: Kept<'_>,
) -> Result<Fitted, JobError> {
    let kin = kin(&work.lease.geocode, &descent.donor);
    if let Some(tried) = kept.trial() {
        judge(descent, tried, kin);
        let network = if descent.warm {
            warm_network
        } else {
            work.network()
        };
        return work.fitted(network, kept);
    }
    let (lesson, hyper) = (&work.lesson, &work.lease.run.hyper);
    let (mut cold_network, mut cold_dice, mut warm_dice) =
        (work.network(), work.order(), work.order());
    let mut cold = Learning::new(&mut cold_network, lesson, hyper, &mut cold_dice);
    kept.bound(&mut cold);
    let (cold_ended, cold_said) = trial(&mut cold, work)?;
    let mut warm = Learning::new(&mut warm_network, lesson, hyper, &mut warm_dice);
    kept.bound(&mut warm);
    let (warm_ended, warm_said) = trial(&mut warm, work)?;
    let tried = Trial {
        epochs: trial_epochs(hyper),
        warm_mse: warm_ended.as_ref().ok().copied(),
        cold_mse: cold_ended.as_ref().ok().copied(),
    };
    judge(descent, tried, kin);
    let mut heed = kept.tried(tried);
    let said = if descent.warm { warm_said } else { cold_said };
    heed.diary.pass_on(&said);
    let start = descent.reason.as_ref();
    let start = start.map_or_else(
        || format!("from its {kin}'s weights"),
        |reason| format!("cold: {reason}"),
    );
    heed.diary.say(&format!("starts {start}"));
    // What has lost is let go before the other is gone on with.
    if descent.warm {
        drop(cold);
        drop(cold_network);
        let course = warm.finish(lesson, &mut heed)?;
        return Ok(Fitted {
            network: warm_network,
            course,
            ordeal: heed.ordeal.take(),
        });
    }
    drop(warm);
    drop(warm_network);
    cold_ended?;
    let course = cold.finish(lesson, &mut heed)?;
    Ok(Fitted {
        network: cold_network,
        course,
        ordeal: heed.ordeal.take(),
    })
}

/// Says what the model is that a cell's was to start from: in a tree, that of the cell around it.
pub fn kin(geocode: &str, donor: &str) -> &'static str {
    if donor != geocode && geocode.starts_with(donor) {
        "parent"
    } else {
        "donor"
    }
}

/// Notes of a descent how its starts did.
fn judge(descent: &mut Descent, trial: Trial, kin: &str) {
    descent.trial = Some(trial);
    descent.warm = does_better(trial);
    descent.told &= descent.warm;
    descent.reason = (!descent.warm).then(|| told(trial, kin));
}

/// Returns how many epochs both starts are given: those in which the rate grows come before.
fn trial_epochs(hyper: &Hyper) -> u32 {
    hyper.warm_up.saturating_add(TRIAL_EPOCHS).min(hyper.epochs)
}

/// A start's error after its first epochs, or that there is none that is finite; and what was said.
type Tried = (Result<f64, FitError>, Diary);

/// Runs a start's first epochs.
fn trial(start: &mut Learning<'_>, work: &Work<'_>) -> Result<Tried, FitError> {
    let mut heed = Heed::only(&work.setting.stop);
    heed.diary = work.setting.diary.beside();
    for _ in 0..trial_epochs(&work.lease.run.hyper) {
        match start.epoch(&work.lesson, &mut heed) {
            Ok(()) => {}
            Err(error @ FitError::NotFinite { .. }) => return Ok((Err(error), heed.diary)),
            Err(error) => return Err(error),
        }
    }
    let error = start.best_mse().unwrap_or(f64::INFINITY);
    Ok((Ok(error), heed.diary))
}

/// Tells whether the warm start is the better one; of equals it is, having been learned from more.
fn does_better(trial: Trial) -> bool {
    match (trial.warm_mse, trial.cold_mse) {
        (Some(warm), Some(cold)) => warm <= cold,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Says why an heir fell back.
fn told(trial: Trial, kin: &str) -> String {
    let error = |mse: Option<f64>| mse.map_or("no finite loss".to_owned(), |m| format!("{m:.3e}"));
    format!(
        "after {} epoch(s) its validation error was {} from the {kin}'s weights, {} from its own",
        trial.epochs,
        error(trial.warm_mse),
        error(trial.cold_mse),
    )
}

#[cfg(test)]
mod tests {
    use wire::transfer::Descent;

    use super::{Trial, does_better, judge};

    #[test]
    fn the_lesser_error_goes_on_and_a_loss_that_is_not_finite_never_does() {
        let trial = |warm_mse, cold_mse| Trial {
            epochs: 1,
            warm_mse,
            cold_mse,
        };
        assert!(does_better(trial(Some(0.1), Some(0.2))));
        assert!(!does_better(trial(Some(0.3), Some(0.2))));
        assert!(does_better(trial(Some(0.3), None)));
        assert!(!does_better(trial(None, Some(0.2))));
        assert!(!does_better(trial(None, None)));
    }

    #[test]
    fn an_heir_that_falls_back_did_not_begin_as_its_donors_function() {
        for (warm_mse, told) in [(0.1, true), (0.3, false)] {
            let mut descent = Descent {
                donor: "gcpvn".to_owned(),
                warm: false,
                reason: None,
                weights_blake3: None,
                bytes: 1,
                told: true,
                trial: None,
                beside: None,
            };
            let trial = Trial {
                epochs: 1,
                warm_mse: Some(warm_mse),
                cold_mse: Some(0.2),
            };
            judge(&mut descent, trial, "donor");
            assert_eq!((descent.warm, descent.told), (told, told));
        }
    }
}
