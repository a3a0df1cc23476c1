//! What a job keeps for the worker after this one, and what the one before it left.
//!
//! *Invariants*: a checkpoint names all that decides weights: recipe, settings, seed, cell, chips,
//! donor's file, software, device. Another's is never gone on from.
//!
//! *Not here*: the file (`checkpoint`), what a state is (`fit::state`).

use tch::{Device, Tensor};
use wire::transfer::Trial;

use crate::checkpoint::{Checkpoint, Keeper, Of, Spot};
use crate::fit::state::State;
use crate::fit::{FitError, Learning, Sample};
use crate::heed::Heed;
use crate::job::Work;
use crate::job::heir::Gift;
use crate::job::ordeal::Ordeal;
use crate::job::room::{self, Room};
use crate::memory::Margin;
use crate::probe::SOFTWARE;
use crate::resident;

/// Chips hashed at a time.
const CHIPS_A_PART: i64 = 256;

/// A job's checkpoints.
pub(super) struct Kept<'a> {
    heed: Heed<'a>,
    found: Option<Checkpoint>,
    /// Chips of a batch that are looked at at a time at most.
    part: usize,
}

impl<'a> Kept<'a> {
    /// Looks what the last worker left, where the lease names a place for it.
    pub(super) fn open(work: &Work<'a>, gift: Option<&Gift>) -> Self {
        let mut heed = Heed::only(&work.setting.stop);
        heed.diary = work.setting.diary.clone();
        heed.margin = Margin::below(work.setting.bytes_max);
        let batch = usize::try_from(work.lease.run.hyper.batch).unwrap_or(1);
        let begun = begun(work);
        let mut part = begun.as_ref().map_or(batch, |(part, _)| *part);
        let Some(path) = &work.lease.checkpoint else {
            { begun.iter() }.for_each(|(_, said)| heed.diary.say(said));
            let found = None;
            return Self { heed, found, part };
        };
        let mut ordeal = Ordeal::begin(path, batch, &heed.diary);
        if part < ordeal.part {
            { begun.iter() }.for_each(|(_, said)| heed.diary.say(said));
            ordeal.lessened(part);
        }
        part = ordeal.part;
        heed.ordeal = Some(ordeal);
        let spot = Spot {
            path: path.clone(),
            token: work.lease.token,
            every: work.setting.checkpoint_every,
        };
        let (keeper, found) = Keeper::open(spot, of(work, gift));
        heed.keeper = Some(keeper);
        let found = match found {
            None => None,
            Some(Ok(found)) => {
                let epoch = found.state.epochs.len() + 1;
                let text = format!("goes on from its checkpoint in epoch {epoch}");
                heed.diary.say(&text);
                Some(found)
            }
            Some(Err(error)) => {
                heed.diary.say(&format!(
                    "starts from the beginning: its checkpoint is of no use: {error}"
                ));
                None
            }
        };
        Self { heed, found, part }
    }

    /// Has learning look at no more chips at a time than there is room for, or was noted.
    pub(super) fn bound(&self, learning: &mut Learning<'_>) {
        learning.at_most(self.part);
    }

    /// Returns the trial of an heir's starts, if it was over when the checkpoint was written.
    pub(super) fn trial(&self) -> Option<Trial> {
        self.found.as_ref()?.trial()
    }

    /// Notes how an heir's starts did, and returns what is heeded from then on.
    pub(super) fn tried(mut self, trial: Trial) -> Heed<'a> {
        if let Some(keeper) = &mut self.heed.keeper {
            keeper.tried(trial);
        }
        self.heed
    }

    /// Brings learning to where the checkpoint was written; returns what is heeded from then on.
    pub(super) fn onto(mut self, learning: &mut Learning<'_>) -> Result<Heed<'a>, FitError> {
        let state: Option<State> = self.found.take().map(|found| found.state);
        let restored = state.map_or(Ok(()), |state| learning.restore(state));
        if let (Err(_), Some(keeper)) = (&restored, &self.heed.keeper) {
            keeper.discard();
        }
        restored?;
        self.bound(learning);
        Ok(self.heed)
    }
}

/// Returns how many chips of a batch a job begins with and why, where a step on the whole of one is
/// told to take more than there may be. Nothing is told of a step on another device than the CPU:
/// what is bounded is this machine's own memory.
fn begun(work: &Work<'_>) -> Option<(usize, String)> {
    let (bound, held) = work.setting.bytes_max.zip(resident::bytes())?;
    if work.setting.device != Device::Cpu {
        return None;
    }
    let hyper = &work.lease.run.hyper;
    let needs = work.recipe.describe(i64::from(hyper.chip_px)).needs?;
    let chips = u32::try_from(work.lesson.train.chips.size()[0]).unwrap_or(u32::MAX);
    let (part, said) = room::part(needs, hyper.batch.min(chips), Room { bound, held });
    Some((usize::try_from(part).ok()?, said?))
}

/// Names all that decides the weights of a job.
fn of(work: &Work<'_>, gift: Option<&Gift>) -> Of {
    let (lease, mut hasher) = (work.lease, blake3::Hasher::new());
    let run = &lease.run;
    let gift = gift.map(|gift| gift.as_ref().map(|bytes| blake3::hash(bytes).to_hex()));
    let told = format!(
        "{SOFTWARE} {:?} {} {:?} {:?} {} {} {gift:?}",
        work.setting.device, run.recipe, run.module, run.hyper, run.seed, lease.geocode,
    );
    hasher.update(told.as_bytes());
    for Sample {
        chips,
        labels,
        veils,
    } in [work.lesson.train, work.lesson.validation]
    {
        for tensor in [Some(chips), Some(labels), veils.as_ref()]
            .into_iter()
            .flatten()
        {
            hash(&mut hasher, tensor);
        }
    }
    *hasher.finalize().as_bytes()
}

/// Hashes shape and values of a tensor in main memory.
fn hash(hasher: &mut blake3::Hasher, tensor: &Tensor) {
    hasher.update(format!("{:?}", tensor.size()).as_bytes());
    let mut bytes = Vec::new();
    for part in tensor.split(CHIPS_A_PART, 0) {
        let part = part.contiguous();
        bytes.resize(part.numel() * size_of::<f32>(), 0);
        part.copy_data_u8(&mut bytes, part.numel());
        hasher.update(&bytes);
    }
}
