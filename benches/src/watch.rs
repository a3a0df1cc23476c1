//! What a command and all that it starts take of the machine, sampled while they run.
//!
//! *Invariants*: a process counts under its program's name from when it is first seen; what a
//! process that has ended took since the last sample is lost.
//!
//! *Not here*: what is started.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Time between samples (S001's Figs. 10 and 11 show some four a second).
const EVERY: Duration = Duration::from_millis(250);
/// Clock ticks a second in `/proc`: the same on every Linux.
const TICKS_A_SECOND: f64 = 100.0;
/// Bytes of a page of memory on the machines that benchmarks run on (x86-64).
const PAGE_BYTES: f64 = 4096.0;

/// What one program took, by sample.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// Seconds since the start and cores that were busy since the sample before.
    pub(crate) cores: Vec<[f64; 2]>,
    /// Seconds since the start and resident mebibytes.
    pub(crate) mib: Vec<[f64; 2]>,
}

/// Runs a command to its end; returns what each program of its tree took.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
pub(crate) fn watched(command: &mut Command) -> Result<BTreeMap<String, Taken>> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = quiet.stderr(Stdio::null()).spawn()?;
    let (start, mut last) = (Instant::now(), Instant::now());
    let mut ticks: BTreeMap<u32, f64> = BTreeMap::new();
    let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
    let status = loop {
        std::thread::sleep(EVERY);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let (at, since) = (start.elapsed().as_secs_f64(), last.elapsed().as_secs_f64());
        last = Instant::now();
        let mut sums: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for process in tree(child.id()) {
            let before = ticks.insert(process.pid, process.ticks).unwrap_or(0.0);
            let sum = sums.entry(process.program).or_default();
            sum[0] += (process.ticks - before) / TICKS_A_SECOND / since;
            sum[1] += process.bytes / f64::from(1 << 20);
        }
        for (program, [cores, mib]) in sums {
            let taken = taken.entry(program).or_default();
            taken.cores.push([at, cores]);
            taken.mib.push([at, mib]);
        }
    };
    ensure!(
        matches!(status.code(), Some(0 | 1 | 4)),
        "{command:?} ended with {status}"
    );
    Ok(taken)
}

/// A process as it is now.
struct Process {
    pid: u32,
    parent: u32,
    program: String,
    ticks: f64,
    bytes: f64,
}

/// Returns a process and all below it.
fn tree(root: u32) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    // Who has ended meanwhile cannot be read, and is left out.
    let all: Vec<Process> = pids.filter_map(|pid| process(pid).ok()).collect();
    let mut members = BTreeSet::from([root]);
    loop {
        let more = all.iter().filter(|p| members.contains(&p.parent));
        let more: Vec<u32> = more.map(|p| p.pid).collect();
        let known = members.len();
        members.extend(more);
        if members.len() == known {
            break;
        }
    }
    all.into_iter()
        .filter(|p| members.contains(&p.pid))
        .collect()
}

fn process(pid: u32) -> Result<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the process stands in brackets and may hold spaces.
    let (head, rest) = stat.rsplit_once(')').context("no name")?;
    let (_, program) = head.split_once('(').context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| -> Result<f64> { Ok(fields.get(at).context("too short")?.parse()?) };
    Ok(Process {
        pid,
        parent: fields.get(1).context("too short")?.parse()?,
        program: program.to_owned(),
        ticks: number(11)? + number(12)?,
        bytes: number(21)? * PAGE_BYTES,
    })
}
