//! What was reached, in words and as JSON.
//!
//! *Invariants*: percent 0–100; scenes are numbered as the provenance band numbers them.
//!
//! *Not here*: pixels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use earth::raster::splice::Rule;
use earth::split::meta::SplitId;
use jiff::Timestamp;
use serde::Serialize;
use wire::compose::{CellFailure, CellReport, ComposeEnd, ComposePlan, Predicted};
use wire::fault::{Fault, FaultKind};

use crate::export::{Existing, Staged, stage_file};
use crate::predict::told;
use crate::print::{Align, Screen, Table, bytes, line, to_stderr};

/// Parts whose coverage is told one by one.
const PARTS_TOLD_MAX: usize = 6;

/// A scene, as provenance numbers it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Numbered {
    provenance: u16,
    scene: String,
    acquired: Timestamp,
}

/// What was reached in all cells.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    rule: Rule,
    reached: bool,
    complete: bool,
    min_coverage: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cloud: Option<f64>,
    /// Of the image: the whole area that a file shows.
    pixel_coverage: f64,
    cloud_cover: Option<f64>,
    scenes: Vec<Numbered>,
    cells: Vec<CellReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<CellFailure>,
    files: Vec<PathBuf>,
    #[serde(skip)]
    numbers: BTreeMap<String, u16>,
    #[serde(skip)]
    area: Option<f64>,
}

impl Summary {
    /// Starts a summary; scenes are numbered in the order of cells and their splits.
    ///
    /// # Errors
    /// More scenes than a band of 16 bits can number.
    pub(super) fn new(
        plan: &ComposePlan,
        rule: Rule,
        limits: (f64, Option<f64>),
    ) -> Result<Self, Fault> {
        let mut numbers = BTreeMap::new();
        let mut scenes = Vec::new();
        for split in plan.cells.iter().flat_map(|c| &c.splits) {
            let name = scene_name(&split.id);
            let number = u16::try_from(scenes.len() + 1).map_err(|_| {
                Fault::new(FaultKind::Refused, "too many scenes for one image")
                    .because(format!("provenance numbers {} at most", u16::MAX))
                    .try_("a smaller --bbox, or a shorter --datetime")
            })?;
            numbers.entry(name.clone()).or_insert_with(|| {
                scenes.push(Numbered {
                    provenance: number,
                    scene: name,
                    acquired: split.acquired,
                });
                number
            });
        }
        Ok(Self {
            rule,
            reached: false,
            complete: false,
            min_coverage: limits.0,
            max_cloud: limits.1,
            pixel_coverage: 0.0,
            cloud_cover: None,
            scenes,
            cells: Vec::new(),
            failed: Vec::new(),
            files: Vec::new(),
            numbers,
            area: None,
        })
    }

    /// Returns the number of a split's scene; 0 for one that was not planned.
    pub(super) fn scene_of(&self, id: &SplitId) -> u16 {
        self.numbers.get(&scene_name(id)).copied().unwrap_or(0)
    }

    pub(super) fn cell(&mut self, report: CellReport) {
        let place = self.cells.partition_point(|c| c.geocode < report.geocode);
        self.cells.insert(place, report);
    }

    pub(super) fn wrote(&mut self, files: Vec<PathBuf>) {
        self.files.extend(files);
    }

    /// Notes the coverage of the area that is shown, cells or not.
    pub(super) fn area(&mut self, coverage: f64) {
        self.area = Some(coverage);
    }

    fn settle(&mut self, end: &ComposeEnd) {
        self.reached = end.reached;
        self.complete = end.complete;
        self.failed.clone_from(&end.failed);
        let mean = |of: &dyn Fn(&CellReport) -> Option<f64>| {
            let found: Option<Vec<f64>> = self.cells.iter().map(of).collect();
            found
                .filter(|all| !all.is_empty())
                .map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        let cells = mean(&|c| Some(c.pixel_coverage)).unwrap_or(0.0);
        self.cloud_cover = mean(&|c| c.cloud_cover);
        self.pixel_coverage = self.area.unwrap_or(cells);
    }

    /// Stages the summary as JSON.
    pub(super) fn stage(
        &mut self,
        path: &Path,
        (existing, end): (Existing, &ComposeEnd),
    ) -> Result<Staged, Fault> {
        self.settle(end);
        let staged = stage_json(path, self, existing)?;
        self.files.push(path.to_owned());
        Ok(staged)
    }

    /// Prints the summary: a line, or JSON.
    pub(super) fn print(&mut self, screen: &Screen, end: &ComposeEnd) {
        self.settle(end);
        if screen.is_json() {
            screen.json(self);
        } else {
            line(&self.line());
        }
    }

    fn line(&self) -> String {
        let parts: Vec<_> = self.cells.iter().flat_map(|c| &c.parts).collect();
        let used: Vec<_> = parts.iter().filter(|p| p.pixels_used > 0).collect();
        let mut text = match self.cells.as_slice() {
            [_] => plural(used.len(), "part"),
            cells => format!(
                "{}, {}",
                plural(cells.len(), "cell"),
                plural(used.len(), "part")
            ),
        };
        text += ", coverage ";
        if self.cells.len() == 1 && (2..=PARTS_TOLD_MAX).contains(&used.len()) {
            let own: Vec<_> = used
                .iter()
                .map(|p| format!("{:.0}", p.pixel_coverage))
                .collect();
            text += &format!("{} -> ", own.join("+"));
        }
        text += &format!("{:.1} %", self.pixel_coverage);
        text += &match self.cloud_cover {
            Some(cloud) => format!(", cloud {cloud:.1} %"),
            None => ", cloud unknown".to_owned(),
        };
        match self.files.first() {
            Some(first) if self.cells.len() == 1 || self.area.is_some() => {
                text + &format!("   wrote {}", first.display())
            }
            Some(_) => text + &format!("   wrote {} files", self.files.len()),
            None => text,
        }
    }

    /// Says on stderr whose models answered for cells without one of their own, and what stays
    /// fill.
    pub(super) fn say_who_answered(&self, screen: &Screen, end: &ComposeEnd) {
        let cells: Vec<_> = self
            .cells
            .iter()
            .filter_map(|c| c.predicted.as_ref())
            .collect();
        let stand_ins = cells.iter().map(|p| (p.model.as_str(), p.kinship.as_str()));
        for words in told::stand_ins(stand_ins) {
            screen.note(words);
        }
        if let Some(words) = told::fills(&end.without_model) {
            screen.note(words);
        }
        let warnings: BTreeSet<&String> = cells.iter().flat_map(|p| &p.warnings).collect();
        for warning in warnings {
            screen.note(format!("note: {warning}"));
        }
        let sum = |of: fn(&Predicted) -> u64| cells.iter().map(|p| of(p)).sum::<u64>();
        let pixels = (sum(|p| p.pixels_outside), sum(|p| p.pixels));
        if let Some(words) = told::outside(pixels) {
            screen.note(words);
        }
    }

    /// Says on stderr which cells do not reach what was asked for.
    pub(super) fn say_what_is_not_reached(&self) {
        let short: Vec<_> = self.cells.iter().filter(|c| !c.reached).collect();
        let Some(worst) = short
            .iter()
            .min_by(|a, b| a.pixel_coverage.total_cmp(&b.pixel_coverage))
        else {
            return;
        };
        let of = match (short.len(), self.cells.len()) {
            (1, 1) => String::new(),
            (n, all) => format!("{n} of {all} cells; in {} ", worst.geocode),
        };
        let mut text = format!("not reached: {of}coverage {:.1} %", worst.pixel_coverage);
        text += &format!(" of {} % asked for", self.min_coverage);
        if let Some(max) = self.max_cloud {
            text += &match worst.cloud_cover {
                Some(cloud) => format!(", cloud {cloud:.1} % of {max} % allowed"),
                None => format!(", cloud unknown where {max} % are allowed"),
            };
        }
        to_stderr(&text);
        to_stderr("  try: a wider --datetime or --window, or other limits");
    }
}

fn plural(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Returns `COLLECTION/SCENE`, which is one scene in all cells.
fn scene_name(id: &SplitId) -> String {
    format!("{}/{}", id.collection(), id.scene())
}

/// Stages what was reached in one cell.
pub(super) fn stage_cell(
    path: &Path,
    report: &CellReport,
    existing: Existing,
) -> Result<Staged, Fault> {
    stage_json(path, report, existing)
}

fn stage_json(path: &Path, value: &impl Serialize, existing: Existing) -> Result<Staged, Fault> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    stage_file(path, existing, &text)
}

/// Prints what would be composed.
pub(super) fn plan(screen: &Screen, plan: &ComposePlan) {
    if screen.is_json() {
        screen.json(plan);
        return;
    }
    if plan.cells.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("GEOCODE", Align::Left),
        ("SPLITS", Align::Right),
        ("NEEDED", Align::Right),
        ("COVERAGE", Align::Right),
        ("PIXELS", Align::Right),
        ("BYTES", Align::Right),
        ("FIRST", Align::Left),
        ("OWNER", Align::Left),
    ]);
    for cell in &plan.cells {
        let needed = cell.splits.iter().take(cell.expected);
        let promised: f64 = needed.map(|s| s.pixel_coverage).sum();
        table.row([
            cell.geocode.clone(),
            cell.splits.len().to_string(),
            cell.expected.to_string(),
            format!("{:.1}", promised.min(100.0)),
            format!("{}x{}", cell.width, cell.height),
            bytes(cell.bytes),
            cell.splits
                .first()
                .map_or_else(String::new, |s| s.id.to_string()),
            cell.owners.first().cloned().unwrap_or_default(),
        ]);
    }
    table.print();
    let total: u64 = plan.cells.iter().map(|c| c.bytes).sum();
    screen.note(format!(
        "{}, {} to read at their owners",
        plural(plan.cells.len(), "cell"),
        bytes(total)
    ));
}
