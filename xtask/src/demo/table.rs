//! The demo's one summary table.
//!
//! *Invariants*: figures are what the cluster said, not estimates.
//!
//! *Not here*: how they were made.

use serde_json::Value;

use crate::say;

/// What the demo did, in figures.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) scenes: u64,
    pub(super) splits: u64,
    pub(super) bytes_in: u64,
    bytes_stored: u64,
    sent: Vec<(String, u64)>,
    models: u64,
    mse: [f64; 3],
    better: [u64; 2],
    pub(super) seconds: Vec<(String, f64)>,
}

impl Summary {
    /// Takes the list of models with their scores.
    pub(super) fn models(&mut self, models: &[Value]) {
        let score = |m: &Value, key: &str| m["metrics"][key].as_f64().unwrap_or(f64::NAN);
        let keys = ["val_mse", "mean_mse", "linear_mse"];
        self.models = models.len() as u64;
        self.mse = keys.map(|k| median(models.iter().map(|m| score(m, k)).collect()));
        self.better = ["mean_mse", "linear_mse"].map(|k| {
            models
                .iter()
                .filter(|m| score(m, "val_mse") < score(m, k))
                .count() as u64
        });
    }

    /// Takes the cluster's status.
    pub(super) fn status(&mut self, status: &Value) {
        self.bytes_stored = status["bytes"].as_u64().unwrap_or(0);
        let sent = status["bytes_by_purpose"].as_object();
        self.sent = sent
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.as_u64().unwrap_or(0)))
            .collect();
    }

    /// Prints the table.
    pub(super) fn print(&self) {
        say::answer("\nSUMMARY");
        let row = |name: &str, value: String| say::answer(format!("{name:<34}{value:>14}"));
        row("scenes", self.scenes.to_string());
        row("splits", self.splits.to_string());
        row("bytes in (delivered)", megabytes(self.bytes_in));
        row("bytes stored (all replicas)", megabytes(self.bytes_stored));
        for (purpose, bytes) in &self.sent {
            row(
                &format!("bytes sent between nodes: {purpose}"),
                megabytes(*bytes),
            );
        }
        row("regional models", self.models.to_string());
        row("validation MSE, median", format!("{:.6}", self.mse[0]));
        row("  baseline mean", format!("{:.6}", self.mse[1]));
        row("  baseline linear", format!("{:.6}", self.mse[2]));
        row(
            "  models better than mean",
            format!("{}/{}", self.better[0], self.models),
        );
        row(
            "  models better than linear",
            format!("{}/{}", self.better[1], self.models),
        );
        for (step, seconds) in &self.seconds {
            row(&format!("seconds: {step}"), format!("{seconds:.1}"));
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.3} MB", bytes as f64 / 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
