//! Queries: milliseconds at the conduit, and of a whole process.
//!
//! *Invariants*: the store is warm; the conduit's own figure comes from the answer's end.
//!
//! *Not here*: stores of 10^5 splits and more (a later benchmark).

use anyhow::{Context as _, Result};

use crate::process::{Bench, output, seconds};
use crate::row::Row;

/// Runs of each query.
const RUNS: usize = 15;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let world = bench.world(2, 3, 600)?;
    seconds(&mut bench.glebe(&["ingest", &world, "--precision", "6", "--data", "query"]))?;
    let queries: [(&str, &[&str]); 3] = [
        ("all splits", &[]),
        (
            "cloud and coverage",
            &["--max-cloud", "10", "--min-coverage", "50"],
        ),
        ("one geocode prefix", &["--geocode", "3"]),
    ];
    let mut rows = Vec::new();
    for (name, selectors) in queries {
        let (mut inside, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let args = [&["search", "-o", "json", "--data", "query"], selectors].concat();
            let answer: serde_json::Value =
                serde_json::from_str(&output(&mut bench.glebe(&args))?)?;
            inside.push(answer["end"]["millis"].as_f64().context("no end")?);
            whole.push(1e3 * seconds(&mut bench.glebe(&args))?);
        }
        rows.push(Row::new(
            &format!("query, {name}: at the conduit"),
            "ms",
            inside,
        ));
        rows.push(Row::new(
            &format!("query, {name}: whole process"),
            "ms",
            whole,
        ));
    }
    Ok(rows)
}
