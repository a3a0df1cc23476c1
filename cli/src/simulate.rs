//! `glebe simulate`: will it be enough, and what if everything goes wrong?
//!
//! *Invariants*: needs no cluster and no store; the same flags print the same; a broken promise
//! ends with exit code 6 and the command that shows it again.
//!
//! *Not here*: the simulation (node).

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use earth::extent::LonLatBox;
use earth::geocode::{Scheme, cover};
use earth::split::placement::PlacementRule;
use node::simulate::forecast::{Fill, Forecast, Movement, Question};
use node::simulate::{Detail, Drill, Outcome, SimulationError};
use serde_json::json;
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::{DrillArgs, ForecastArgs, Simulate, SimulateVerb};
use crate::forecast::UNEVEN;
use crate::print::{Screen, bytes, count, line};
use crate::session::Session;

/// Greatest number of cells: beyond it the list takes gigabytes, and balance changes no more.
const CELLS_MAX: f64 = 4e6;
/// Replicas of a forecast unless told otherwise.
const REPLICAS: u8 = 3;

pub(crate) async fn run(session: &Session, args: Simulate) -> Done {
    let screen = session.screen.clone();
    let work = move || match args.verb {
        Some(SimulateVerb::Drill(args)) if args.seeds.is_some() => drills(&screen, &args),
        Some(SimulateVerb::Drill(args)) => drill(&screen, &args),
        None => forecast(&screen, &args.forecast),
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| {
        Fault::new(FaultKind::Internal, "the simulation ended early").because(e.to_string())
    })?
}

fn forecast(screen: &Screen, args: &ForecastArgs) -> Done {
    let question = question(args)?;
    let told = question
        .forecast()
        .map_err(|e| Fault::new(FaultKind::Usage, e.to_string()))?;
    if screen.is_json() {
        screen.json(&told);
    } else {
        tell(&told, args);
    }
    Ok(ExitCode::SUCCESS)
}

fn question(args: &ForecastArgs) -> Result<Question, Fault> {
    let wrong = |what: String| Fault::new(FaultKind::Usage, what);
    let numbers: Vec<f64> = args
        .bbox
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let [west, south, east, north] = numbers[..] else {
        return Err(wrong(format!("--bbox {} is no box", args.bbox)).try_("--bbox W,S,E,N"));
    };
    let area = LonLatBox::new(west, south, east, north)
        .map_err(|e| wrong(format!("--bbox {} is no box", args.bbox)).because(e.to_string()))?;
    let scheme = Scheme::from(args.scheme);
    let usual = match scheme {
        Scheme::Geohash => 5,
        Scheme::QuadTile => 12,
    };
    let precision = args.precision.unwrap_or(usual);
    if precision > scheme.precision_max() {
        let max = scheme.precision_max();
        return Err(wrong(format!("--precision {precision} is too deep"))
            .because(format!("{scheme} has 1..={max} characters")));
    }
    let share = |from: f64, to: f64, all: f64| (to - from).rem_euclid(all + 1e-9) / all;
    let (columns, rows) = (scheme.columns(precision), scheme.rows(precision));
    let cells = f64::from(columns)
        * share(west, east, 360.0)
        * f64::from(rows)
        * share(south, north, 180.0);
    if cells > CELLS_MAX {
        return Err(
            wrong(format!("some {cells:.0} cells are too many to forecast"))
                .try_("a smaller --precision or --bbox: balance is the same from a million on"),
        );
    }
    if !(0.0..=10.0).contains(&args.spread) {
        return Err(wrong(format!(
            "--spread {} is not within 0..=10",
            args.spread
        )));
    }
    Ok(Question {
        nodes: args.nodes,
        replicas: replicas(args.replicas, (args.nodes, REPLICAS))?,
        killed: killed(args)?,
        cells: cover::of_box(scheme, precision, &area).map_err(|e| wrong(e.to_string()))?,
        rule: args
            .first
            .map_or(PlacementRule::Whole, PlacementRule::First),
        dates: args.dates,
        split_bytes: (args.split_size, args.spread),
        rate: args.rate,
        disk: args.disk,
        seed: args.seed,
    })
}

/// Returns how many replicas are asked for, unless told how many there usually are.
fn replicas(asked: Option<u8>, (nodes, usual): (u16, u8)) -> Result<u8, Fault> {
    let most = u8::try_from(nodes).unwrap_or(u8::MAX);
    match asked {
        Some(asked) if asked > most => {
            let what = format!("--replicas {asked} is more than there are nodes");
            let because = format!("each replica lies on a node of its own, and there are {nodes}");
            Err(Fault::new(FaultKind::Usage, what)
                .because(because)
                .try_(format!("--replicas {most}, or --nodes {asked}")))
        }
        asked => Ok(asked.unwrap_or(usual.min(most))),
    }
}

/// Returns how many nodes die.
fn killed(args: &ForecastArgs) -> Result<u16, Fault> {
    let most = args.nodes.saturating_sub(1);
    match args.kill {
        Some(kill) if kill > most => {
            let what = format!("--kill {kill} leaves none of {} nodes", args.nodes);
            Err(Fault::new(FaultKind::Usage, what)
                .because("what is lost and copied is told of the nodes that live on")
                .try_(format!("--kill {most}")))
        }
        kill => Ok(kill.unwrap_or(most.min(1))),
    }
}

fn tell(told: &Forecast, args: &ForecastArgs) {
    let size = |n: f64| bytes(whole(n));
    line(&format!(
        "{} nodes, {} replicas: {} splits in {} cells, {} ({} with replicas)",
        told.nodes,
        told.replicas,
        count(told.splits),
        count(told.cells),
        bytes(told.bytes),
        size(told.stored.mean * f64::from(told.nodes)),
    ));
    let stored = &told.stored;
    line(&format!(
        "disk      {} a node, {} to {}; CV {:.2} %, max/mean {:.3}",
        size(stored.mean),
        size(stored.least),
        size(stored.most),
        stored.cv_percent,
        stored.most_over_mean,
    ));
    if stored.most_over_mean > UNEVEN {
        let even = &told.rebalanced;
        line(&format!(
            "uneven    glebe cluster rebalance would make that CV {:.2} %, max/mean {:.3}; with \
             --expect COLLECTION before there is any data",
            even.cv_percent, even.most_over_mean,
        ));
    }
    if let Some(fill) = &told.fill {
        line(&filled(fill, told));
    }
    let first = &told.primaries;
    line(&format!(
        "work      {:.0} splits a node as first owner; CV {:.2} %, max/mean {:.3}",
        first.mean, first.cv_percent, first.most_over_mean,
    ));
    line(&format!("join      {}", movement(&told.join)));
    line(&format!("leave     {}", movement(&told.leave)));
    let deaths = &told.deaths;
    line(&format!(
        "{} die     {:.3} % of splits lost or unreachable on average, {:.3} % at worst; something \
         is in {:.1} % of {} cases",
        deaths.killed,
        deaths.unreachable_percent,
        deaths.unreachable_percent_most,
        deaths.trials_with_loss_percent,
        deaths.trials,
    ));
    line(&format!(
        "repair    {} to copy, {} at {}/s a node",
        bytes(deaths.bytes_to_copy),
        time(deaths.seconds),
        bytes(args.rate),
    ));
    let traffic = &told.traffic;
    line(&format!(
        "ingest    up to {}/s for the cluster, each byte sent on {} times; everything in {}",
        size(traffic.ingest_bytes_s),
        traffic.sent_per_byte_put,
        time(traffic.ingest_hours * 3_600.0),
    ));
    line(&format!(
        "gossip    {:.0} B/s sent by an idle node",
        traffic.gossip_bytes_s
    ));
}

/// Says whether the disks are large enough.
fn filled(fill: &Fill, told: &Forecast) -> String {
    let percent = |most: f64| most / fill.disk.max(1) as f64 * 100.0;
    let (placed, even) = (percent(told.stored.most), percent(told.rebalanced.most));
    let verdict = match (fill.fits, fill.fits_rebalanced) {
        (true, _) => "enough",
        (false, true) => "enough once rebalanced",
        (false, false) => "not enough",
    };
    let nodes = match fill.nodes_enough {
        Some(nodes) => format!("{nodes} such nodes would do"),
        None => "no number of such nodes would do".to_owned(),
    };
    format!(
        "room      {verdict}: the fullest node takes {placed:.0} % of {}, {even:.0} % once \
         rebalanced; {nodes}",
        bytes(fill.disk),
    )
}

fn movement(moved: &Movement) -> String {
    format!(
        "{} move, {:.2} % (ideal {:.2} %), {}",
        bytes(moved.bytes),
        moved.percent,
        moved.ideal_percent,
        time(moved.seconds),
    )
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes, never negative and far below 2^63"
)]
fn whole(n: f64) -> u64 {
    n.round() as u64
}

fn described(args: &DrillArgs, seed: u64) -> Result<Drill, Fault> {
    let mut drill = Drill::of_seed(seed);
    drill.nodes = args.nodes.unwrap_or(drill.nodes);
    drill.replicas = replicas(args.replicas, (drill.nodes, drill.replicas))?;
    drill.lasts = args.seconds.map_or(drill.lasts, Duration::from_secs);
    if let Some(faults) = &args.faults {
        drill.faults = faults.iter().filter_map(|f| f.fault()).collect();
    }
    Ok(drill)
}

/// Runs one drill and tells what happened.
fn drill(screen: &Screen, args: &DrillArgs) -> Done {
    let mut drill = described(args, args.seed)?;
    drill.detail = if args.log.is_some() || screen.verbosity() > 0 {
        Detail::Messages
    } else {
        Detail::Events
    };
    let outcome = drill.run().map_err(|e| impossible(&e))?;
    if let Some(path) = &args.log {
        let text = outcome.lines.join("\n") + "\n";
        std::fs::write(path, text).map_err(|e| {
            let what = format!("cannot write {}", path.display());
            Fault::new(FaultKind::Refused, what).because(e.to_string())
        })?;
    }
    if screen.is_json() {
        screen.json(&as_json(&drill, &outcome));
    } else {
        if args.log.is_none() {
            outcome.lines.iter().for_each(|text| line(text));
        }
        summary(&drill, &outcome);
    }
    verdict(&drill, &outcome)
}

fn summary(drill: &Drill, outcome: &Outcome) {
    let tally = &outcome.tally;
    let faults = outcome
        .faults
        .iter()
        .map(|(f, n)| format!("{} {n}", f.word()));
    line(&format!(
        "seed {}: {} nodes, {} replicas, {} s; {}",
        drill.seed,
        drill.nodes,
        drill.replicas,
        drill.lasts.as_secs(),
        faults.collect::<Vec<_>>().join(", "),
    ));
    line(&format!(
        "puts {} acknowledged, deletions {}, {} refused   queries {} of {} complete   fetched {} \
         alike",
        tally.acked, tally.deleted, tally.refused, tally.complete, tally.queries, tally.fetched,
    ));
    let healed = outcome.healed_after.map_or_else(
        || "never healed".to_owned(),
        |t| format!("healed after {:.1} s", t.as_secs_f64()),
    );
    line(&format!(
        "{healed}   {} messages, {}   log {}",
        count(outcome.frames.0),
        bytes(outcome.frames.1),
        outcome.digest,
    ));
}

fn as_json(drill: &Drill, outcome: &Outcome) -> serde_json::Value {
    let tally = &outcome.tally;
    let faults: serde_json::Map<String, serde_json::Value> = outcome
        .faults
        .iter()
        .map(|(fault, n)| (fault.word().to_owned(), json!(n)))
        .collect();
    let cuts = outcome.cuts.iter().filter(|(_, n)| **n > 0);
    let cuts: BTreeMap<_, _> = cuts.collect();
    json!({
        "seed": drill.seed,
        "nodes": drill.nodes,
        "replicas": drill.replicas,
        "seconds": drill.lasts.as_secs(),
        "faults": faults,
        "power_cuts": cuts,
        "acknowledged": {"puts": tally.acked, "deletions": tally.deleted},
        "refused": tally.refused,
        "queries": {"answered": tally.queries, "complete": tally.complete},
        "fetched": tally.fetched,
        "healed_after_s": outcome.healed_after.map(|t| t.as_secs_f64()),
        "messages": outcome.frames.0,
        "bytes": outcome.frames.1,
        "violations": outcome.violations,
        "digest": outcome.digest,
    })
}

/// Runs many drills on all cores and tells of those that broke a promise.
fn drills(screen: &Screen, args: &DrillArgs) -> Done {
    let seeds = args.seeds.unwrap_or(1);
    let end = args.seed.saturating_add(seeds);
    let next = AtomicU64::new(args.seed);
    let broken: Mutex<Vec<(Drill, Outcome)>> = Mutex::new(Vec::new());
    let failed: Mutex<Option<Fault>> = Mutex::new(None);
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let run = |drill: Drill| drill.run().map(|o| (drill, o)).map_err(|e| impossible(&e));
            match described(args, seed).and_then(run) {
                Ok((_, outcome)) if outcome.violations.is_empty() => {}
                Ok((drill, outcome)) => {
                    screen.note(format!("broken: {}", drill.command()));
                    lock(&broken).push((drill, outcome));
                }
                Err(fault) => {
                    next.store(end, Ordering::Relaxed);
                    *lock(&failed) = Some(fault);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(play);
        }
    });
    if let Some(fault) = lock(&failed).take() {
        return Err(fault);
    }
    let mut broken = std::mem::take(&mut *lock(&broken));
    broken.sort_by_key(|(drill, _)| drill.seed);
    if screen.is_json() {
        let all: Vec<_> = broken.iter().map(|(d, o)| as_json(d, o)).collect();
        screen.json(&json!({"seeds": seeds, "broken": all}));
    } else {
        line(&format!(
            "{} of {seeds} seeds broke a promise",
            broken.len()
        ));
    }
    match broken.first() {
        Some((drill, outcome)) => verdict(drill, outcome),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn verdict(drill: &Drill, outcome: &Outcome) -> Done {
    if outcome.violations.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let fault = Fault::new(FaultKind::Data, "the simulated cluster broke a promise");
    let fault = outcome
        .violations
        .iter()
        .cloned()
        .fold(fault, Fault::because);
    Err(fault.try_(format!("{} --log FILE, and report it", drill.command())))
}

fn impossible(error: &SimulationError) -> Fault {
    let because = std::error::Error::source(error).map(ToString::to_string);
    let kind = match error {
        SimulationError::Senseless(_) => FaultKind::Usage,
        SimulationError::Disk { .. } => FaultKind::Refused,
    };
    because
        .into_iter()
        .fold(Fault::new(kind, error.to_string()), Fault::because)
}
