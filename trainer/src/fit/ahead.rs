//! The next batch, picked and turned by a thread of its own while the network computes.
//!
//! *Invariants*: a batch is what it would be if it were made when it is needed, from the same chips
//! turned alike; at most one waits; what was prepared in vain is dropped; a thread that cannot go
//! on, for want of memory or else, costs time and nothing more.
//!
//! *Not here*: which chips (`fit`), what is done with them (`tutor`).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tch::{Device, Tensor};

use crate::fit::Sample;
use crate::memory::tried;

/// Which chips, and which of the square's symmetries they are turned by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Indexes of chips.
    pub chips: Vec<i64>,
    /// 0..8.
    pub symmetry: usize,
}

/// Prepares batches.
#[derive(Debug)]
pub struct Loader {
    asks: SyncSender<Ask>,
    made: Receiver<Option<Sample>>,
    asked: Option<Ask>,
}

impl Loader {
    /// Starts the thread; `None` where there can be none. It ends with the loader.
    pub fn new(from: &Sample, device: Device) -> Option<Self> {
        // One ask and one batch, so that neither side ever waits to hand one over.
        let (asks, asked) = sync_channel::<Ask>(1);
        let (make, made) = sync_channel(1);
        let from = from.same();
        let prepare = move || {
            while let Ok(ask) = asked.recv() {
                let batch = tried(|| ask.batch(&from, device)).ok();
                if make.send(batch).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("batches".to_owned());
        thread.spawn(prepare).ok()?;
        Some(Self {
            asks,
            made,
            asked: None,
        })
    }

    /// Has a batch prepared, unless another is.
    pub fn prepare(&mut self, ask: Ask) {
        if self.asked.is_none() && self.asks.try_send(ask.clone()).is_ok() {
            self.asked = Some(ask);
        }
    }

    /// Takes the batch that was prepared, if it is this one.
    pub fn take(&mut self, wanted: &Ask) -> Option<Sample> {
        let asked = self.asked.take()?;
        let batch = self.made.recv().ok()?;
        batch.filter(|_| asked == *wanted)
    }
}

impl Ask {
    /// Takes the chips, turned alike, to where the network computes.
    pub fn batch(&self, from: &Sample, device: Device) -> Sample {
        let index = Tensor::from_slice(&self.chips);
        let pick = |from: &Tensor| {
            let picked = from.index_select(0, &index).to_device(device);
            turned(&picked, self.symmetry)
        };
        Sample {
            chips: pick(&from.chips),
            labels: pick(&from.labels),
            veils: from.veils.as_ref().map(pick),
        }
    }
}

impl Sample {
    /// Returns the same tensors, not copied.
    fn same(&self) -> Self {
        Self {
            chips: self.chips.shallow_clone(),
            labels: self.labels.shallow_clone(),
            veils: self.veils.as_ref().map(Tensor::shallow_clone),
        }
    }
}

/// Turns or mirrors chips or labels [n, channels, side, side] by one of the square's symmetries.
pub(super) fn turned(chips: &Tensor, symmetry: usize) -> Tensor {
    let flips: Vec<i64> = [(1, 2), (2, 3)]
        .into_iter()
        .filter_map(|(bit, axis)| (symmetry & bit != 0).then_some(axis))
        .collect();
    let chips = chips.flip(flips);
    if symmetry & 4 == 0 {
        chips
    } else {
        chips.transpose(2, 3).contiguous()
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{Ask, Loader};
    use crate::fit::Sample;
    use crate::network::floats;

    #[test]
    fn a_batch_that_was_prepared_is_the_one_that_is_made_when_needed_or_none() {
        let numbers = Tensor::arange(4 * 2 * 3 * 3, (Kind::Float, Device::Cpu));
        let sample = Sample {
            chips: numbers.reshape([4, 2, 3, 3]),
            labels: numbers.narrow(0, 0, 4).reshape([4, 1, 1, 1]),
            veils: Some(numbers.narrow(0, 0, 36).reshape([4, 1, 3, 3])),
        };
        let mut loader = Loader::new(&sample, Device::Cpu).expect("a thread");
        let ask = |symmetry| Ask {
            chips: vec![3, 0],
            symmetry,
        };
        let all = |s: &Sample| {
            let veils = s.veils.as_ref().expect("of pairs");
            [&s.chips, &s.labels, veils].map(floats)
        };
        for symmetry in 0..8 {
            loader.prepare(ask(symmetry));
            let prepared = loader.take(&ask(symmetry)).expect("it was asked for");
            assert_eq!(
                all(&prepared),
                all(&ask(symmetry).batch(&sample, Device::Cpu))
            );
        }
        assert!(loader.take(&ask(0)).is_none(), "nothing was asked for");
        loader.prepare(ask(1));
        assert!(loader.take(&ask(2)).is_none(), "another was");
        loader.prepare(ask(2));
        loader.prepare(ask(3));
        assert!(loader.take(&ask(2)).is_some(), "one at a time");
    }
}
