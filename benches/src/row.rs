//! One figure and the report of all.
//!
//! *Invariants*: JSON is `{"name","machine","rows":[…]}`; ratios are of one run: ours / peer, or
//! peer / ours where seconds are compared (`quicker_than`).
//!
//! *Not here*: how a figure is measured.

use std::io::Write as _;

use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Its unit.
    pub(crate) unit: String,
    /// Median.
    pub(crate) value: f64,
    /// Least and greatest.
    pub(crate) range: [f64; 2],
    /// Runs.
    pub(crate) runs: usize,
    /// The peer's name and median in the same run, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<Peer>,
    /// What was measured in order: seconds since the start, value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<[f64; 2]>,
}

/// The peer's figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Peer {
    /// What it is.
    pub(crate) name: String,
    /// Median.
    pub(crate) value: f64,
    /// Ours / peer's; of times the peer's / ours.
    pub(crate) ratio: f64,
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    name: String,
    machine: String,
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// Builds a row from the values of all runs.
    pub(crate) fn new(what: &str, unit: &str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let end = values.len().saturating_sub(1);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        Self {
            what: what.to_owned(),
            unit: unit.to_owned(),
            value: f64::midpoint(at(end / 2), at(end.div_ceil(2))),
            range: [at(0), at(end)],
            runs: values.len(),
            peer: None,
            series: Vec::new(),
        }
    }

    /// Keeps what was measured in order.
    pub(crate) fn over(mut self, series: Vec<[f64; 2]>) -> Self {
        self.series = series;
        self
    }

    /// Sets the peer beside which it was measured.
    pub(crate) fn beside(mut self, name: &str, values: Vec<f64>) -> Self {
        let value = Self::new(name, "", values).value;
        self.peer = Some(Peer {
            name: name.to_owned(),
            value,
            ratio: self.value / value,
        });
        self
    }
}

impl Row {
    /// Sets the peer; values are times, so the ratio is the peer's / ours: above 1 we are quicker.
    pub(crate) fn quicker_than(self, name: &str, values: Vec<f64>) -> Self {
        let mut row = self.beside(name, values);
        if let Some(peer) = &mut row.peer {
            peer.ratio = peer.value / row.value;
        }
        row
    }
}

impl Report {
    /// Starts a report.
    pub(crate) fn new(name: &str) -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|l| l.strip_prefix("model name"))
            .unwrap_or("cpu");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let machine = format!(
            "{cores} cores,{}",
            model.trim_start_matches([' ', '\t', ':'])
        );
        Self {
            name: name.to_owned(),
            machine,
            rows: Vec::new(),
        }
    }

    /// Prints all rows.
    pub(crate) fn print(&self) {
        for row in &self.rows {
            let [least, most] = row.range;
            let (what, value, unit) = (&row.what, row.value, &row.unit);
            let mut text = format!("{what:<58} {value:>10.2} {unit:<10} ({least:.2}..{most:.2})");
            if let Some(peer) = &row.peer {
                let (name, value, ratio) = (&peer.name, peer.value, peer.ratio);
                text += &format!("  {name}: {value:.2}  ratio {ratio:.2}");
            }
            say(&text);
        }
    }
}

/// Writes a line to stdout; there is nowhere to report a failure of that.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
