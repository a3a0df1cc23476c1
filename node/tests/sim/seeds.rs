//! Every seed is a cluster that must keep its promises.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use node::simulate::{Detail, Drill, Fault, Tally};

/// Seeds of a run by hand; `cargo xtask test` asks for 2,000 by `GLEBE_SEEDS`.
const SEEDS: u64 = 40;
/// Seeds of a nightly run.
const SEEDS_NIGHTLY: u64 = 100_000;
/// Broken seeds after which no more are tried.
const BROKEN_MAX: usize = 5;
/// Seeds from which on each step of a disk must have been cut, with all faults.
const SEEDS_FOR_CUTS: u64 = 2_000;
/// Power cuts at each step among them.
const CUTS_MIN: u64 = 3;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What may go wrong: everything, or `GLEBE_FAULTS=kill,storm`.
fn faults() -> Vec<Fault> {
    let asked = std::env::var("GLEBE_FAULTS").ok();
    let may = |fault: &Fault| {
        let asked = asked.as_deref();
        asked.is_none_or(|asked| asked.split(',').any(|word| word == fault.word()))
    };
    Fault::ALL.into_iter().filter(may).collect()
}

/// `GLEBE_SEEDS=N` plays that many, `GLEBE_FIRST_SEED=S` others; a single one is told in full.
#[test]
fn every_seed_keeps_every_promise() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let usual = if nightly { SEEDS_NIGHTLY } else { SEEDS };
    let count = number("GLEBE_SEEDS").unwrap_or(usual);
    let first = number("GLEBE_FIRST_SEED").unwrap_or(0);
    let faults = faults();
    let next = AtomicU64::new(first);
    let broken = Mutex::new(Vec::new());
    let sum = Mutex::new(Tally::default());
    let cuts = Mutex::new(BTreeMap::<&str, u64>::new());
    let slowest = Mutex::new(Vec::new());
    let stories = Mutex::new(BTreeMap::new());
    let started = Instant::now();
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || broken.lock().unwrap().len() >= BROKEN_MAX {
                return;
            }
            let mut drill = Drill::of_seed(seed);
            drill.faults.clone_from(&faults);
            if count == 1 {
                drill.detail = Detail::Events;
            }
            let began = Instant::now();
            let outcome = drill.run().unwrap();
            slowest.lock().unwrap().push(began.elapsed());
            stories.lock().unwrap().insert(seed, outcome.digest.clone());
            for (step, n) in &outcome.cuts {
                *cuts.lock().unwrap().entry(step).or_default() += n;
            }
            let mut sum = sum.lock().unwrap();
            sum.acked += outcome.tally.acked;
            sum.deleted += outcome.tally.deleted;
            sum.refused += outcome.tally.refused;
            sum.queries += outcome.tally.queries;
            sum.complete += outcome.tally.complete;
            sum.fetched += outcome.tally.fetched;
            outcome.lines.iter().for_each(|line| eprintln!("{line}"));
            if !outcome.violations.is_empty() {
                let text = format!("{}\n  {}", drill.command(), outcome.violations.join("\n  "));
                eprintln!("{text}");
                broken.lock().unwrap().push(text);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(play);
        }
    });
    let (sum, broken) = (sum.into_inner().unwrap(), broken.into_inner().unwrap());
    let slowest = slowest.into_inner().unwrap().into_iter().max();
    let took = started.elapsed().as_secs_f64();
    eprintln!("{count} seeds in {took:.1} s, the slowest in {slowest:?}: {sum:?}");
    // Who makes this faster sees by it that every seed still tells the same story.
    let stories = stories.into_inner().unwrap();
    let all: Vec<String> = stories.into_values().collect();
    let all = blake3::hash(all.concat().as_bytes()).to_hex();
    eprintln!("digest of all stories: {}", &all[..16]);
    let cuts = cuts.into_inner().unwrap();
    eprintln!("power cuts at each step: {cuts:#?}");
    assert!(broken.is_empty(), "broken:\n{}", broken.join("\n"));
    assert!(sum.complete > 0 && sum.acked > 0 && sum.deleted > 0 && sum.fetched > 0);
    if count >= SEEDS_FOR_CUTS && faults == Fault::ALL {
        check_cuts(&cuts);
    }
}

/// Checks that the power failed at each step that has a name.
fn check_cuts(cuts: &BTreeMap<&str, u64>) {
    let rare: Vec<_> = cuts.iter().filter(|(_, n)| **n < CUTS_MIN).collect();
    assert!(rare.is_empty(), "cut less than {CUTS_MIN} times: {rare:?}");
}

/// Whatever else this process does: another seed is played beside it.
#[test]
fn a_seed_is_the_same_story_twice_in_one_process() {
    let digest = |seed: u64| Drill::of_seed(seed).run().unwrap().digest;
    std::thread::scope(|scope| {
        for first in [100, 200] {
            scope.spawn(move || {
                for seed in first..first + 2 {
                    assert_eq!(digest(seed), digest(seed), "seed {seed}");
                }
            });
        }
    });
    assert_ne!(digest(100), digest(101));
}

/// The bar: 1 KB/s a node with fifty of them, which take most of a minute to come up.
#[test]
fn idle_nodes_whisper_less_than_a_kilobyte_a_second_each() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let mut drill = Drill::of_seed(1);
    let nodes = if nightly { 50 } else { 16 };
    (drill.nodes, drill.replicas, drill.faults) = (nodes, 3, Vec::new());
    drill.lasts = Duration::from_mins(1);
    let (mean, most) = drill.idle().unwrap();
    eprintln!("{nodes} idle nodes: {mean:.0} B/s each, the most {most:.0} B/s");
    assert!(mean > 10.0 && most <= 1_000.0, "{mean} {most}");
}
