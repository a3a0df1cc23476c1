//! Checkpoints of jobs that are not over: `DIR/checkpoints/RUN+GEOCODE`, and beside them the notes
//! of workers that have one under way: `RUN+GEOCODE.note`.
//!
//! *Invariants*: a file goes when its job ends; what is left of jobs that have ended, or of nobody,
//! is swept; beyond a bound jobs are lent without a place.
//!
//! *Not here*: what the files hold (trainer writes and checks them).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::book::JobKey;

/// Bytes of all checkpoints beyond which no job is given a place for one: dozens of our largest.
const BYTES_MAX: u64 = 4 << 30;

/// How names of notes end.
const NOTE: &str = "note";

/// The folder.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Names the folder below a node's; it is made with the first place.
    pub fn new(data: &Path) -> Self {
        // Workers are told whole paths, wherever they were started.
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        Self {
            dir: data.join("checkpoints"),
        }
    }

    /// Returns where a job's checkpoints go; none if there is no room.
    pub fn place(&self, key: &JobKey) -> Option<PathBuf> {
        if let Err(error) = fs::create_dir_all(&self.dir) {
            tracing::warn!(%error, "jobs are lent without a place for checkpoints");
            return None;
        }
        let size = |entry: fs::DirEntry| entry.metadata().map_or(0, |m| m.len());
        let bytes: u64 = self.entries().map(size).sum();
        (bytes <= BYTES_MAX).then(|| self.dir.join(name(key)))
    }

    /// Removes what a job left.
    pub fn remove(&self, key: &JobKey) {
        let checkpoint = self.dir.join(name(key));
        remove(&checkpoint.with_added_extension(NOTE));
        remove(&checkpoint);
    }

    /// Removes all of which `wanted` does not say that it is to stay, given the job and, of a file
    /// that is still being written, the token of its writer.
    pub fn sweep(&self, wanted: impl Fn(&JobKey, Option<u64>) -> bool) {
        for entry in self.entries() {
            let name = entry.file_name();
            let parsed = name.to_str().and_then(parsed);
            if parsed.is_none_or(|(key, token)| !wanted(&key, token)) {
                remove(&entry.path());
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = fs::DirEntry> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten();
        entries.filter_map(Result::ok)
    }
}

fn name(key: &JobKey) -> String {
    format!("{}+{}", key.run, key.geocode)
}

/// Reads a name: that of a job, behind which a token may stand.
fn parsed(name: &str) -> Option<(JobKey, Option<u64>)> {
    let (run, rest) = name.split_once('+')?;
    let (geocode, token) = match rest.split_once('.') {
        None => (rest, None),
        Some((geocode, NOTE)) => (geocode, None),
        Some((geocode, part)) => {
            let token = part.strip_suffix(".part")?.parse().ok()?;
            (geocode, Some(token))
        }
    };
    let key = JobKey {
        run: run.to_owned(),
        geocode: geocode.to_owned(),
    };
    Some((key, token))
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a checkpoint cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_what_is_wanted_stays() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        let key = |geocode: &str| JobKey {
            run: "r.1".to_owned(),
            geocode: geocode.to_owned(),
        };
        spool.sweep(|_, _| false);
        let place = spool.place(&key("9xj5k")).unwrap();
        let folder = place.parent().unwrap();
        let names = [
            "r.1+9xj5k",
            "r.1+9xj5k.7.part",
            "r.1+9xj5k.note",
            "r.1+9xj5k.6.part",
            "r.1+9xj5m.note",
            "r.1+9xj5m",
            "x",
        ];
        for name in names {
            fs::write(folder.join(name), b"bytes").unwrap();
        }
        spool.sweep(|k, token| *k == key("9xj5k") && token.is_none_or(|token| token == 7));
        let left = || -> BTreeSet<String> {
            let names = spool
                .entries()
                .map(|e| e.file_name().into_string().unwrap());
            names.collect()
        };
        assert_eq!(left(), names[..3].iter().map(ToString::to_string).collect());
        spool.remove(&key("9xj5k"));
        spool.remove(&key("9xj5k"));
        assert_eq!(left().len(), 1);
    }
}
