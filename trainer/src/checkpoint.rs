//! The checkpoint of a job: a file in its node's folder that the next worker goes on from.
//!
//! ```text
//! "GLEBECKP"
//! u16 LE version
//! 32 bytes BLAKE3 of what follows
//! postcard: 32 bytes of what it is a checkpoint of, the trial of an heir's starts, the state
//! ```
//! *Invariants*: the file is replaced whole or not at all; one that does not check, or is of other
//! chips, settings or software, is never gone on from, and that is said; a disk that is full costs
//! the checkpoint, not the job.
//!
//! *Not here*: what a state is (`fit::state`), when the file is removed (node).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::transfer::Trial;

use crate::fit::state::State;
use crate::log::say;

/// First bytes of the file.
const MAGIC: [u8; 8] = *b"GLEBECKP";
/// Version of what follows.
const VERSION: u16 = 1;
/// Bytes before what is hashed.
const HEAD_BYTES: usize = MAGIC.len() + 2 + blake3::OUT_LEN;
/// Greatest checkpoint written: six copies of a network a hundred times our largest.
const BYTES_MAX: usize = 512 << 20;

/// Least time between two, unless told otherwise: a worker that is killed loses no more work, and
/// writing the largest of our networks takes a hundredth of it.
pub const EVERY: Duration = Duration::from_secs(5);

/// Names what a checkpoint is of: all that decides weights.
pub type Of = [u8; blake3::OUT_LEN];

/// What is read from the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    of: Of,
    trial: Option<(u32, Option<f64>, Option<f64>)>,
    /// Where learning stands.
    pub state: State,
}

/// Why a file is no checkpoint of this job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is torn, or of something else.
    #[error("it is damaged")]
    Damaged,
    /// It is of another version of glebe.
    #[error("it is of version {0} of the format, not {VERSION}")]
    Version(u16),
    /// It is of other chips, settings or software.
    #[error("it is of other chips, settings or software")]
    Other,
}

/// Where and how often checkpoints are written.
#[derive(Debug, Clone)]
pub struct Spot {
    /// The file.
    pub path: PathBuf,
    /// Token of the lease: two that write at once do not write into one file.
    pub token: u64,
    /// Least time between two.
    pub every: Duration,
}

/// Writes the checkpoints of one job.
#[derive(Debug)]
pub struct Keeper {
    spot: Spot,
    of: Of,
    trial: Option<Trial>,
    last: Instant,
    /// The last could not be written: said once.
    failed: bool,
}

impl Checkpoint {
    /// Returns the trial of an heir's starts, if it is over.
    pub fn trial(&self) -> Option<Trial> {
        let (epochs, warm_mse, cold_mse) = self.trial?;
        Some(Trial {
            epochs,
            warm_mse,
            cold_mse,
        })
    }

    /// Reads the bytes of a file as a checkpoint of something.
    pub fn decode(bytes: &[u8], of: &Of) -> Result<Self, CheckpointError> {
        let rest = bytes.strip_prefix(&MAGIC);
        let (version, rest) = rest
            .and_then(|rest| rest.split_first_chunk::<2>())
            .ok_or(CheckpointError::Damaged)?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let (hash, body) = rest
            .split_first_chunk::<{ blake3::OUT_LEN }>()
            .ok_or(CheckpointError::Damaged)?;
        if blake3::hash(body) != *hash {
            return Err(CheckpointError::Damaged);
        }
        let read: Self = postcard::from_bytes(body).map_err(|_| CheckpointError::Damaged)?;
        if read.of == *of {
            Ok(read)
        } else {
            Err(CheckpointError::Other)
        }
    }

    /// Returns the bytes of a file.
    pub fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        let body = postcard::to_stdvec(self)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(blake3::hash(&body).as_bytes());
        bytes.extend(body);
        Ok(bytes)
    }
}

impl Keeper {
    /// Opens the place of a job's checkpoints; returns what the last worker left, if it can be
    /// gone on from, or why not.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: when checkpoints are written decides nothing"
    )]
    pub fn open(spot: Spot, of: Of) -> (Self, Option<Result<Checkpoint, CheckpointError>>) {
        let found = fs::read(&spot.path).ok();
        let found = found.map(|bytes| Checkpoint::decode(&bytes, &of));
        let trial = found.as_ref().and_then(|read| read.as_ref().ok()?.trial());
        let keeper = Self {
            spot,
            of,
            trial,
            last: Instant::now(),
            failed: false,
        };
        (keeper, found)
    }

    /// Notes how an heir's starts did: what goes on is the better one.
    pub fn tried(&mut self, trial: Trial) {
        self.trial = Some(trial);
    }

    /// Tells whether it is time for the next.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.spot.every
    }

    /// Writes a checkpoint in place of the last; tells the first of failures in a row.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: when checkpoints are written decides nothing"
    )]
    pub fn keep(&mut self, state: State) -> io::Result<()> {
        let trial = self.trial.map(|t| (t.epochs, t.warm_mse, t.cold_mse));
        let of = self.of;
        let written = Checkpoint { of, trial, state }
            .encode()
            .map_err(io::Error::other)
            .and_then(|bytes| self.spot.replace(&bytes));
        let is_told = std::mem::replace(&mut self.failed, written.is_err());
        self.last = Instant::now();
        if is_told { Ok(()) } else { written }
    }

    /// Removes what was written.
    pub fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.spot.path) {
            say(&format!("the checkpoint cannot be removed: {error}"));
        }
    }
}

impl Spot {
    /// Replaces the file, whole or not at all.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > BYTES_MAX {
            let what = format!("it has {} bytes, more than {BYTES_MAX}", bytes.len());
            return Err(io::Error::other(what));
        }
        let part = self
            .path
            .with_added_extension(format!("{}.part", self.token));
        let written = write(&part, bytes).and_then(|()| fs::rename(&part, &self.path));
        if written.is_err() {
            // What is left of it only takes space; the node sweeps what cannot be removed now.
            drop(fs::remove_file(&part));
        }
        written
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, CheckpointError, HEAD_BYTES};
    use crate::fit::adam::Moments;
    use crate::fit::early_stop::EarlyStop;
    use crate::fit::state::{Place, State};
    use crate::network::{Weight, Weights};

    fn checkpoint() -> Checkpoint {
        let weight = Weight {
            shape: vec![2],
            values: vec![1.5, f32::MIN_POSITIVE],
        };
        let weights = Weights::from([("a".to_owned(), weight)]);
        let moments = Moments {
            steps: 300,
            mean: vec![0.1, -0.0],
            square: vec![1e-40, 2.0],
        };
        let state = State {
            weights: (weights.clone(), None),
            best: (weights, None),
            moments: (moments, None),
            dice: u64::MAX,
            order: vec![1, 0],
            place: Place::default(),
            part: 32,
            watch: EarlyStop::new(3),
            epochs: vec![(1, [0.1, f64::MIN_POSITIVE, 1e-3], true, None)],
        };
        Checkpoint {
            of: [7; 32],
            trial: Some((1, None, Some(0.3))),
            state,
        }
    }

    #[test]
    fn what_is_written_is_read_to_the_bit() {
        let bytes = checkpoint().encode().expect("bytes");
        let read = Checkpoint::decode(&bytes, &[7; 32]).expect("our own file");
        assert_eq!(read, checkpoint());
        assert_eq!(read.encode().expect("bytes"), bytes);
    }

    #[test]
    fn the_bytes_are_frozen() {
        let bytes = checkpoint().encode().expect("bytes");
        let hash = blake3::hash(&bytes).to_hex();
        assert_eq!(&hash[..16], FROZEN, "a new version of the format?");
    }

    const FROZEN: &str = "9feb9eca3ba09d0a";

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let bytes = checkpoint().encode().expect("bytes");
        let refused = |bytes: &[u8]| Checkpoint::decode(bytes, &[7; 32]).expect_err("damage");
        for cut in 0..bytes.len() {
            assert_eq!(refused(&bytes[..cut]), CheckpointError::Damaged, "{cut}");
        }
        for at in (0..8).chain(10..bytes.len()) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(refused(&bytes), CheckpointError::Damaged, "{at}");
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(refused(&newer), CheckpointError::Version(2));
        let other = Checkpoint::decode(&bytes, &[8; 32]);
        assert_eq!(other, Err(CheckpointError::Other));
        assert!(bytes.len() > HEAD_BYTES);
    }
}
