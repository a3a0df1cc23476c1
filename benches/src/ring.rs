//! The ring: how evenly layouts spread the contiguous United States, and what changes of them move,
//! beside random tokens as Cassandra deals them.
//!
//! *Invariants*: real SHA-1 placement of real geohash-5 cells; layouts are those that nodes
//! compute; nothing random but by a fixed seed; both rings get the same cells and sizes.
//!
//! *Not here*: nodes that move data (`cluster`).

mod conus;
mod tokens;

use std::ops::Range;

use anyhow::{Context as _, Result};
use earth::geocode::Geocode;
use earth::split::placement::{PlacementRule, SLOTS, Slot};
use node::identity::NodeId;
use node::layout::{ChangeSet, Layout, Load, Loads, Member, Place, What, even_out};

use crate::row::Row;
use tokens::{Tokens, mixed};

/// Nodes of S001's cluster.
const NODES: usize = 50;
/// Layouts that are looked at.
const LAYOUTS: usize = 100;
/// Nodes that were replaced in each: twice as many as there are, so that hardly any slot lies where
/// it did.
const REPLACED: usize = 100;
/// Numbers of nodes that one cluster may have, and that of a node which is in none.
const NUMBERS: usize = 1_000;
const STRANGER: usize = NUMBERS * LAYOUTS;
/// Tokens a node that Cassandra has dealt by default, since 4.0 and before.
const TOKENS: [usize; 2] = [16, 256];
/// Runs of what is timed.
const RUNS: usize = 9;

pub(crate) fn run() -> Result<Vec<Row>> {
    let cells = conus::cells().context("the contiguous United States are covered")?;
    let mut rows = vec![Row::new(
        "cells of CONUS, geohash 5",
        "cells",
        vec![cells.len() as f64],
    )];
    let whole = loads(&cells, PlacementRule::Whole, |_| 1);
    rows.extend(imbalance(&cells, &whole)?);
    rows.extend(movement(&cells, &whole)?);
    rows.push(weights()?);
    rows.extend(rebalanced(&cells)?);
    rows.extend(prefixes(&cells)?);
    rows.extend(thousand()?);
    Ok(rows)
}

fn node(i: usize) -> Result<NodeId> {
    Ok(NodeId::parse(&format!("n{i:04}"))?)
}

/// Founds a cluster and lets nodes of those numbers and weights join.
fn cluster(
    numbers: Range<usize>,
    replicas: u8,
    weight: impl Fn(usize) -> u32,
) -> Result<ChangeSet> {
    let place = |i| Place {
        weight: weight(i),
        ..Place::default()
    };
    let first = Member {
        node: node(numbers.start)?,
        place: place(numbers.start),
        draining: false,
    };
    let mut changes = ChangeSet::found(replicas, &first)?;
    for i in numbers.skip(1) {
        changes = changes.with(node(i)?, What::Join(place(i)))?;
    }
    Ok(changes)
}

/// Returns a cluster of fifty nodes that are in no other, as no two clusters have a node in common,
/// and that came to be in its own way: again and again one left, and another joined.
fn history(seed: usize) -> Result<ChangeSet> {
    let first = seed * NUMBERS;
    let mut changes = cluster(first..first + NODES, 1, |_| 1)?;
    let mut here: Vec<usize> = (first..first + NODES).collect();
    for step in 0..REPLACED {
        let dice = mixed(((seed as u64) << 32) | step as u64);
        let place = usize::try_from(dice % NODES as u64)?;
        changes = changes.with(node(here[place])?, What::Leave)?;
        here[place] = first + NODES + step;
        changes = changes.with(node(here[place])?, What::Join(Place::default()))?;
    }
    Ok(changes)
}

fn loads(cells: &[Geocode], rule: PlacementRule, bytes: impl Fn(usize) -> u64) -> Loads {
    let mut loads = Loads::none();
    for (i, cell) in cells.iter().enumerate() {
        let load = Load {
            splits: 1,
            bytes: bytes(i),
        };
        loads.add(rule.key(cell).slot(), load);
    }
    loads
}

fn imbalance(cells: &[Geocode], loads: &Loads) -> Result<Vec<Row>> {
    let mut ours = Vec::new();
    for seed in 0..LAYOUTS {
        ours.push(100.0 * loads.balance(&history(seed)?.layout()).cv);
    }
    let floor = 100.0 * (NODES as f64 / cells.len() as f64).sqrt();
    let what = "imbalance, 50 nodes, R=1, 100 layouts (CV)";
    let mut rows = vec![
        Row::new(
            "imbalance that chance alone gives 50 nodes (CV)",
            "%",
            vec![floor],
        ),
        Row::new(
            "imbalance of 50 nodes that joined one after another (CV)",
            "%",
            vec![100.0 * loads.balance(&cluster(0..NODES, 1, |_| 1)?.layout()).cv],
        ),
        Row::new(
            "… of these layouts above 1.35 %",
            "layouts",
            vec![above(&ours, 1.35)],
        ),
    ];
    for tokens in TOKENS {
        let cv = |seed| 100.0 * Tokens::deal(NODES, tokens, seed as u64).cv(cells);
        let theirs = (0..LAYOUTS).map(cv).collect();
        let name = format!("{tokens} random tokens");
        rows.push(Row::new(what, "%", ours.clone()).beside(&name, theirs));
    }
    Ok(rows)
}

fn above(values: &[f64], limit: f64) -> f64 {
    values.iter().filter(|v| **v > limit).count() as f64
}

/// Returns the share of all cells that change their owner.
fn moved(loads: &Loads, before: &Layout, after: &Layout) -> f64 {
    let total: u64 = loads.iter().map(|(_, load)| load.bytes).sum();
    let flows = loads.flows(before, after);
    let moved: u64 = flows.values().map(|f| f.load.bytes).sum();
    moved as f64 / total as f64
}

fn movement(cells: &[Geocode], loads: &Loads) -> Result<Vec<Row>> {
    let ideal = 1.0 / (NODES as f64 + 1.0);
    let (mut joins, mut leaves) = (Vec::new(), Vec::new());
    let (mut slots_join, mut slots_leave) = (Vec::new(), Vec::new());
    let mut even = Loads::none();
    for slot in Slot::all() {
        even.add(
            slot,
            Load {
                splits: 1,
                bytes: 1,
            },
        );
    }
    for seed in 0..LAYOUTS / 10 {
        let fifty = history(seed)?;
        let more = fifty.with(node(STRANGER)?, What::Join(Place::default()))?;
        let gone = more.with(node(STRANGER)?, What::Leave)?;
        let (fifty, more, gone) = (fifty.layout(), more.layout(), gone.layout());
        joins.push(moved(loads, &fifty, &more) / ideal);
        leaves.push(moved(loads, &more, &gone) / ideal);
        slots_join.push(moved(&even, &fifty, &more) / ideal);
        slots_leave.push(moved(&even, &more, &gone) / ideal);
    }
    let mut rows = vec![
        Row::new("slots moved 50 → 51, of the ideal", "×", slots_join),
        Row::new("slots moved 51 → 50, of the ideal", "×", slots_leave),
    ];
    for tokens in TOKENS {
        let change = |seed: usize| {
            let more = Tokens::deal(NODES + 1, tokens, seed as u64);
            more.moved_without(NODES, cells) / ideal
        };
        let theirs: Vec<f64> = (0..LAYOUTS / 10).map(change).collect();
        let name = format!("{tokens} random tokens");
        let ours = Row::new("cells moved 50 → 51, of the ideal", "×", joins.clone());
        rows.push(ours.beside(&name, theirs.clone()));
        let ours = Row::new("cells moved 51 → 50, of the ideal", "×", leaves.clone());
        rows.push(ours.beside(&name, theirs));
    }
    Ok(rows)
}

/// Nodes of weight 1, 2 and 4 in turn: how far their slots are from proportion.
fn weights() -> Result<Row> {
    let mut off = Vec::new();
    for replicas in 1..=3 {
        let layout = cluster(0..30, replicas, |i| 1 << (i % 3))?.layout();
        let unit = f64::from(SLOTS) * f64::from(replicas) / 70.0;
        let owned = |i: usize| {
            let owns = |s: &Slot| {
                layout
                    .owner_indexes(*s)
                    .iter()
                    .any(|o| usize::from(*o) == i)
            };
            Slot::all().filter(owns).count() as f64
        };
        let off_by = |i: usize| (owned(i) / (unit * f64::from(1 << (i % 3))) - 1.0).abs();
        off.extend((0..30).map(|i| 100.0 * off_by(i)));
    }
    Ok(Row::new(
        "weights 1:2:4, off proportion, 30 nodes, R=1..3",
        "%",
        off,
    ))
}

/// Sizes of splits with a coefficient of variation of 0.5: as clouds and coasts leave them.
fn size(i: usize) -> u64 {
    let uniform = |n: u64| (mixed(i as u64 * 12 + n) >> 11) as f64 / (1_u64 << 53) as f64;
    // Twelve uniform numbers less six make a normal one (Irwin–Hall); of its exponential,
    // CV² = exp(σ²) − 1.
    let normal: f64 = (0..12).map(uniform).sum::<f64>() - 6.0;
    let sigma = (1.25_f64).ln().sqrt();
    whole(500_000.0 * (sigma * normal).exp())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some hundred thousand bytes"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

fn rebalanced(cells: &[Geocode]) -> Result<Vec<Row>> {
    let loads = loads(cells, PlacementRule::Whole, size);
    let (mut before, mut after, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..LAYOUTS / 10 {
        let set = history(seed)?;
        let layout = set.layout();
        let shifts = even_out(&layout, &loads);
        let done = set.with(node(0)?, What::Rebalance(shifts))?.layout();
        before.push(100.0 * loads.balance(&layout).cv);
        after.push(100.0 * loads.balance(&done).cv);
        let held = loads.by_member(&layout);
        let mean = held.iter().sum::<u64>() as f64 / held.len() as f64;
        let above: f64 = held.iter().map(|h| (*h as f64 - mean).max(0.0)).sum();
        let total = held.iter().sum::<u64>() as f64;
        cost.push(moved(&loads, &layout, &done) * total / above);
    }
    Ok(vec![
        Row::new(
            "bytes, split sizes of CV 0.5, before rebalance (CV)",
            "%",
            before,
        ),
        Row::new(
            "bytes, split sizes of CV 0.5, after rebalance (CV)",
            "%",
            after,
        ),
        Row::new(
            "bytes moved by rebalance, of what is above the mean",
            "×",
            cost,
        ),
    ])
}

fn prefixes(cells: &[Geocode]) -> Result<Vec<Row>> {
    let loads = loads(cells, PlacementRule::First(3), |_| 1);
    let (mut unbounded, mut bounded, mut share) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..LAYOUTS / 10 {
        let set = history(seed)?;
        let layout = set.layout();
        let shifts = even_out(&layout, &loads);
        let done = set.with(node(0)?, What::Rebalance(shifts))?.layout();
        unbounded.push(loads.balance(&layout).max);
        bounded.push(loads.balance(&done).max);
        share.push(100.0 * moved(&loads, &layout, &done));
    }
    let ours = Row::new("prefix First(3), bounded load (max/mean)", "×", bounded);
    Ok(vec![
        Row::new(
            "prefixes First(3) of CONUS",
            "slots",
            vec![loads.iter().count() as f64],
        ),
        ours.beside("unbounded", unbounded),
        Row::new("… moved for it, if data lies there already", "%", share),
    ])
}

fn thousand() -> Result<Vec<Row>> {
    let changes = cluster(0..1_000, 3, |_| 1)?;
    let (mut millis, mut more) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (layout, took) = timed(|| changes.layout());
        millis.push(took);
        let loads = Loads::none();
        anyhow::ensure!(loads.balance(&layout).max >= 1.0, "the layout is used");
    }
    let joined = changes.with(node(1_000)?, What::Join(Place::default()))?;
    let (before, after) = (changes.layout(), joined.layout());
    let (flows, took) = timed(|| Loads::none().flows(&before, &after));
    more.push(took);
    anyhow::ensure!(!flows.is_empty(), "a newcomer gets slots");
    Ok(vec![
        Row::new(
            "layout of 1,000 nodes from 1,001 changes, R=3",
            "ms",
            millis,
        ),
        Row::new("what the 1,001st moves, listed", "ms", more),
    ])
}

/// Returns what some work gives, and the milliseconds it took.
#[allow(
    clippy::disallowed_methods,
    reason = "a benchmark: wall time is the figure"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let done = work();
    (done, 1e3 * start.elapsed().as_secs_f64())
}
