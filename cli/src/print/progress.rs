//! Progress on stderr: a bar on a terminal, else a line every ten seconds.
//!
//! *Invariants*: nothing reaches stdout; without `--no-progress` it says rate and time left.
//!
//! *Not here*: results.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Screen, to_stderr};

/// Time between lines where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far a piece of work has come.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: bool,
    last: Instant,
    start: Instant,
    unit: &'static str,
}

impl Progress {
    /// Starts counting up to `total` units; 0 if unknown.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: progress is about wall time"
    )]
    pub(crate) fn new(screen: &Screen, total: u64, unit: &'static str) -> Self {
        let tty = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(total);
        let style =
            format!("[{{bar:30}}] {{pos}}/{{len}} {unit}  {{per_sec}}  eta {{eta}}  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&style) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !screen.shows_progress() || !tty {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let now = Instant::now();
        Self {
            bar,
            lines: screen.shows_progress() && !tty,
            last: now,
            start: now,
            unit,
        }
    }

    /// Sets how many units there are.
    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Sets how many units are done, with a word on the state.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: progress is about wall time"
    )]
    pub(crate) fn set(&mut self, done: u64, message: &str) {
        self.bar.set_position(done);
        self.bar.set_message(message.to_owned());
        if self.lines && self.last.elapsed() >= LINE_EVERY {
            self.last = Instant::now();
            let total = self.bar.length().unwrap_or(0);
            let rate = done as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
            let eta = if rate > 0.0 {
                total.saturating_sub(done) as f64 / rate
            } else {
                0.0
            };
            let unit = self.unit;
            to_stderr(&format!(
                "{done}/{total} {unit}  {rate:.1}/s  eta {eta:.0} s  {message}"
            ));
        }
    }

    /// Writes a note above the bar.
    pub(crate) fn note(&self, screen: &Screen, text: &str) {
        self.bar.suspend(|| screen.note(text));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
