//! What was said of the jobs of this node: `DIR/joblogs/RUN+START`, the newest lines of each run.
//!
//! ```text
//! a line: 8 hex digits of the CRC-32 of what follows the space, a space, JSON, a newline
//! START:  position of the file's first byte, counted from the first that the run ever had, as 16
//!         hex digits
//! ```
//! *Invariants*: positions only grow; a line that does not check (a torn write) is left out, never
//! believed; what is kept is bounded for each run and in all; what cannot be written, as on a full
//! disk, stops no job: it is written as soon as somebody writes or reads after that, once and in
//! order.
//!
//! *Not here*: gathering the lines of all nodes (`cluster::ongoing`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use wire::diary::Line;

/// Bytes after which a run's next file is begun.
const FILE_BYTES: u64 = 4 << 20;
/// Files kept of a run: some 100,000 lines.
const FILES_A_RUN: usize = 4;
/// Runs of which lines are kept; those that were silent for longest go first.
const RUNS_MAX: usize = 64;
/// Lines held until they can be written; later ones are lost.
const HELD_MAX: usize = 4_096;
/// Lines written at a time: as many as there is room for need not be all.
const LINES_AT_ONCE: usize = 64;
/// Bytes read for one answer, which travels between nodes in one message.
const READ_BYTES_MAX: u64 = 1 << 20;

/// The folder.
#[derive(Debug)]
pub struct Diaries {
    dir: PathBuf,
    /// Lines by run that are still to be written. Locked while some are: readers wait for nobody.
    held: Mutex<BTreeMap<String, Vec<Line>>>,
}

/// A part of a run's lines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pages {
    /// The lines.
    pub lines: Vec<Line>,
    /// Where to go on.
    pub next: u64,
    /// More are there.
    pub more: bool,
}

/// One file of a run.
#[derive(Debug)]
struct Volume {
    start: u64,
    path: PathBuf,
    bytes: u64,
}

impl Diaries {
    /// Names the folder below a node's; it is made with the first line.
    pub fn new(data: &Path) -> Self {
        Self {
            dir: data.join("joblogs"),
            held: Mutex::default(),
        }
    }

    /// Writes lines down behind those of the run.
    pub fn write(&self, run: &str, lines: &[Line]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let others: usize = held.values().map(Vec::len).sum();
        let mut waiting = held.remove(run).unwrap_or_default();
        let (others, was_late) = (others - waiting.len(), !waiting.is_empty());
        waiting.extend_from_slice(lines);
        let Err(error) = self.flush(run, &mut waiting) else {
            held.retain(|run, waiting| self.flush(run, waiting).is_err());
            return;
        };
        if !was_late {
            tracing::warn!(run, %error, "what is said of jobs waits to be written down");
        }
        let room = HELD_MAX.saturating_sub(others);
        if waiting.len() > room {
            let lost = waiting.len() - room;
            tracing::warn!(run, lost, "lines that were said of jobs are lost");
            waiting.truncate(room);
        }
        held.insert(run.to_owned(), waiting);
    }

    /// Writes what waits of a run as far as it can be written.
    fn flush(&self, run: &str, waiting: &mut Vec<Line>) -> io::Result<()> {
        while !waiting.is_empty() {
            let few = waiting.len().min(LINES_AT_ONCE);
            self.append(run, &waiting[..few])?;
            waiting.drain(..few);
        }
        Ok(())
    }

    fn append(&self, run: &str, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            let json = serde_json::to_vec(line).map_err(io::Error::other)?;
            text.extend(format!("{:08x} ", crc32fast::hash(&json)).into_bytes());
            text.extend(json);
            text.push(b'\n');
        }
        fs::create_dir_all(&self.dir)?;
        let mut volumes = self.volumes(run);
        let path = match volumes.last() {
            Some(last) if last.bytes < FILE_BYTES => {
                if last.is_torn()? {
                    // What was cut off ends here, so that it takes no whole line with it.
                    text.insert(0, b'\n');
                }
                last.path.clone()
            }
            last => {
                let start = last.map_or(0, |last| last.start + last.bytes);
                if last.is_none() {
                    self.forget_silent()?;
                }
                self.dir.join(format!("{run}+{start:016x}"))
            }
        };
        let mut file = File::options().create(true).append(true).open(&path)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&text) {
            // Whole or not at all, so that no line is there twice when all are written again.
            file.set_len(before)?;
            return Err(error);
        }
        let kept = FILES_A_RUN - usize::from(volumes.iter().all(|v| v.path != path));
        for old in volumes.drain(..volumes.len().saturating_sub(kept)) {
            if let Err(error) = fs::remove_file(old.path) {
                tracing::warn!(run, %error, "old lines cannot be removed");
            }
        }
        Ok(())
    }

    /// Returns lines of a run, or of one of its jobs, from a position on.
    pub fn read(&self, run: &str, geocode: Option<&str>, after: u64) -> io::Result<Pages> {
        self.try_held();
        let mut pages = Pages {
            next: after,
            ..Pages::default()
        };
        let volumes = self.volumes(run);
        let mut left = READ_BYTES_MAX;
        for (i, volume) in volumes.iter().enumerate() {
            let end = volume.start + volume.bytes;
            if end <= pages.next {
                continue;
            }
            let from = pages.next.max(volume.start);
            let bytes = volume.read(from - volume.start, left.min(end - from))?;
            let to_end = (bytes.len() as u64) < left || from + left == end;
            let is_last = i + 1 == volumes.len();
            let used = if to_end && !is_last {
                // Nothing more comes to this file: what has no end never gets one.
                bytes.len()
            } else {
                let whole = bytes.iter().rposition(|b| *b == b'\n');
                // A mebibyte without an end is damage, and gone past.
                let hopeless = !to_end && left == READ_BYTES_MAX;
                whole.map_or(if hopeless { bytes.len() } else { 0 }, |at| at + 1)
            };
            let lines = bytes[..used].split(|b| *b == b'\n').filter_map(checked);
            pages
                .lines
                .extend(lines.filter(|l| geocode.is_none_or(|g| g == l.geocode)));
            left -= used as u64;
            pages.next = from + used as u64;
            if !to_end || is_last {
                pages.more = !to_end;
                break;
            }
            pages.next = end;
        }
        Ok(pages)
    }

    /// Writes what waits if it can be written by now and nobody else does.
    fn try_held(&self) {
        if let Ok(mut held) = self.held.try_lock() {
            held.retain(|run, waiting| self.flush(run, waiting).is_err());
        }
    }

    /// Returns the files of a run, oldest first.
    fn volumes(&self, run: &str) -> Vec<Volume> {
        let volume = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let (of, start) = name.to_str()?.split_once('+')?;
            Some(Volume {
                start: (of == run).then(|| u64::from_str_radix(start, 16).ok())??,
                path: entry.path(),
                bytes: entry.metadata().ok()?.len(),
            })
        };
        let mut volumes: Vec<Volume> = self.entries().filter_map(volume).collect();
        volumes.sort_by_key(|volume| volume.start);
        volumes
    }

    /// Makes room for one more run.
    fn forget_silent(&self) -> io::Result<()> {
        let mut runs: BTreeMap<String, SystemTime> = BTreeMap::new();
        for entry in self.entries() {
            let name = entry.file_name();
            let Some((run, _)) = name.to_str().and_then(|name| name.split_once('+')) else {
                continue;
            };
            let written = entry.metadata()?.modified()?;
            let newest = runs.entry(run.to_owned()).or_insert(written);
            *newest = written.max(*newest);
        }
        let mut runs: Vec<(SystemTime, String)> = runs.into_iter().map(|(r, t)| (t, r)).collect();
        runs.sort();
        let over = (runs.len() + 1).saturating_sub(RUNS_MAX);
        for (_, run) in runs.into_iter().take(over) {
            for volume in self.volumes(&run) {
                fs::remove_file(volume.path)?;
            }
        }
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = fs::DirEntry> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten();
        entries.filter_map(Result::ok)
    }
}

impl Drop for Diaries {
    fn drop(&mut self) {
        self.try_held();
    }
}

impl Volume {
    /// Tells whether what was written last was cut off.
    fn is_torn(&self) -> io::Result<bool> {
        let last = self.read(self.bytes.saturating_sub(1), 1)?;
        Ok(last.first().is_some_and(|byte| *byte != b'\n'))
    }

    /// Reads bytes, fewer at its end; none of a file that has made room meanwhile.
    fn read(&self, from: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads a line that checks.
fn checked(line: &[u8]) -> Option<Line> {
    let (crc, json) = line.split_at_checked(9)?;
    let crc = std::str::from_utf8(crc.strip_suffix(b" ")?).ok()?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use wire::diary::{Entry, Event};

    use super::*;

    fn line(geocode: &str, text: &str) -> Line {
        Line {
            geocode: geocode.to_owned(),
            node: "n".to_owned(),
            entry: Entry {
                at: jiff::Timestamp::UNIX_EPOCH,
                event: Event::said(text),
            },
        }
    }

    fn texts(pages: &Pages) -> Vec<&str> {
        let mut texts = Vec::new();
        for line in &pages.lines {
            if let Event::Said(text) = &line.entry.event {
                texts.push(text.as_str());
            }
        }
        texts
    }

    #[test]
    fn lines_are_read_once_in_order_and_of_one_job_where_asked() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        assert_eq!(diaries.read("r", None, 0).unwrap(), Pages::default());
        diaries.write("r", &[line("a", "one"), line("b", "two")]);
        let first = diaries.read("r", None, 0).unwrap();
        assert_eq!((texts(&first), first.more), (vec!["one", "two"], false));
        assert!(texts(&diaries.read("r", None, first.next).unwrap()).is_empty());
        diaries.write("r", &[line("a", "three")]);
        diaries.write("r2", &[line("a", "other")]);
        let second = diaries.read("r", None, first.next).unwrap();
        assert_eq!(texts(&second), ["three"]);
        let of_a = diaries.read("r", Some("a"), 0).unwrap();
        assert_eq!(texts(&of_a), ["one", "three"]);
        assert_eq!(of_a.next, second.next);
    }

    #[test]
    fn what_could_not_be_written_is_once_it_can_be_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        let in_the_way = dir.path().join("joblogs");
        fs::write(&in_the_way, b"no folder").unwrap();
        diaries.write("r", &[line("a", "one")]);
        diaries.write("r2", &[line("a", "other")]);
        diaries.write("r", &vec![line("a", "many"); HELD_MAX]);
        fs::remove_file(in_the_way).unwrap();
        diaries.write("r", &[line("a", "last")]);
        let (read, _) = paged(&diaries);
        let last = read.len() - 1;
        assert_eq!([&read[0], &read[1], &read[last]], ["one", "many", "last"]);
        // The other one took a place.
        assert_eq!(
            read.len(),
            HELD_MAX,
            "no more are held, none is there twice"
        );
        assert_eq!(texts(&diaries.read("r2", None, 0).unwrap()), ["other"]);
    }

    #[test]
    fn a_run_that_cannot_be_written_keeps_no_other_waiting_and_whoever_asks_has_it_tried() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        // No file can be begun where a folder is.
        let in_the_way = dir.path().join("joblogs/a+0000000000000000");
        fs::create_dir_all(&in_the_way).unwrap();
        diaries.write("a", &[line("x", "waits")]);
        diaries.write("r", &[line("x", "one")]);
        assert_eq!(texts(&diaries.read("r", None, 0).unwrap()), ["one"]);
        fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(texts(&diaries.read("a", None, 0).unwrap()), ["waits"]);

        fs::create_dir(dir.path().join("joblogs/b+0000000000000000")).unwrap();
        diaries.write("b", &[line("x", "till the end")]);
        fs::remove_dir(dir.path().join("joblogs/b+0000000000000000")).unwrap();
        drop(diaries);
        let again = Diaries::new(dir.path());
        assert_eq!(texts(&again.read("b", None, 0).unwrap()), ["till the end"]);
    }

    #[test]
    fn a_torn_line_is_left_out_and_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        diaries.write("r", &[line("a", "one")]);
        let path = diaries.volumes("r")[0].path.clone();
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(b"0000abcd {\"half").unwrap();
        let before = diaries.read("r", None, 0).unwrap();
        assert_eq!(texts(&before), ["one"]);
        diaries.write("r", &[line("a", "two")]);
        assert_eq!(
            texts(&diaries.read("r", None, before.next).unwrap()),
            ["two"]
        );
    }

    /// Reads all lines of a run, page by page; returns their texts and how many pages that took.
    fn paged(diaries: &Diaries) -> (Vec<String>, usize) {
        let (mut all, mut after, mut count) = (Vec::new(), 0, 0);
        loop {
            let pages = diaries.read("r", None, after).unwrap();
            all.extend(texts(&pages).into_iter().map(str::to_owned));
            count += 1;
            assert!(pages.next > after || !pages.more, "it goes on and on");
            after = pages.next;
            if !pages.more {
                return (all, count);
            }
        }
    }

    #[test]
    fn pages_cross_from_file_to_file_wherever_the_border_falls() {
        let line_of = |i: usize| line("a", &format!("{i:04} {}", "x".repeat(1_000)));
        let lines: Vec<Line> = (0..5_000).map(line_of).collect();
        let all = Pages {
            lines: lines.clone(),
            ..Pages::default()
        };
        // Bytes of a page that are left for the second file: less than a line, some lines.
        for left in [1, 700, 3_000] {
            let dir = tempfile::tempdir().unwrap();
            let diaries = Diaries::new(dir.path());
            let mut damage = vec![b'?'; usize::try_from(FILE_BYTES).unwrap()];
            damage[left - 1] = b'\n';
            fs::create_dir_all(&diaries.dir).unwrap();
            fs::write(diaries.dir.join("r+0000000000000000"), damage).unwrap();
            for some in lines.chunks(500) {
                diaries.write("r", some);
            }
            assert_eq!(diaries.volumes("r").len(), 3);
            let (read, pages) = paged(&diaries);
            assert!(read == texts(&all), "{} lines, {left}", read.len());
            assert!(pages > 8, "{pages}");
        }
    }

    #[test]
    fn the_newest_lines_of_a_run_are_kept_within_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        let long = "x".repeat(1_900);
        let lines: Vec<Line> = (0..500).map(|_| line("a", &long)).collect();
        for _ in 0..24 {
            diaries.write("r", &lines);
        }
        diaries.write("r", &[line("a", "last")]);
        let volumes = diaries.volumes("r");
        let bytes: u64 = volumes.iter().map(|v| v.bytes).sum();
        assert!(
            volumes.len() <= FILES_A_RUN && bytes <= 5 * FILE_BYTES,
            "{bytes}"
        );
        let (read, _) = paged(&diaries);
        let count = read.len();
        assert_eq!(read.last().map(String::as_str), Some("last"));
        assert!(
            count < 24 * 500 && count as u64 > FILE_BYTES / 2_100,
            "{count}"
        );
    }

    #[test]
    fn runs_that_were_silent_for_longest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let diaries = Diaries::new(dir.path());
        for run in 0..RUNS_MAX + 3 {
            diaries.write(&format!("r{run}"), &[line("a", "one")]);
        }
        assert_eq!(diaries.entries().count(), RUNS_MAX);
        assert!(diaries.volumes("r0").is_empty());
    }
}
