//! `glebe model compare`: two runs cell by cell, or two models.
//!
//! *Invariants*: only models that learned to answer the same are compared; of runs a cell counts
//! where both have a model, and those that only one has are told.
//!
//! *Not here*: what the metrics mean (trainer).

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde::Serialize;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{ModelView, Question};

use super::choose::one_or_run;
use crate::Done;
use crate::print::{Align, Table, line};
use crate::session::Session;
use crate::train::median;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    cells: Vec<Pair>,
    /// Cells where the second has the lower validation error.
    better: u64,
    /// Cells where it has the higher.
    worse: u64,
    /// Median of second / first of the validation errors; none if no error is a number.
    median_ratio: Option<f64>,
    /// How likely chance alone divides the cells at least this unevenly: two-sided sign test.
    sign_test_p: f64,
    /// Cells of the first run only.
    only_one: Vec<String>,
    /// Cells of the second run only.
    only_other: Vec<String>,
}

/// Two models.
#[derive(Debug, Serialize)]
struct Pair {
    one: ModelView,
    other: ModelView,
}

pub(super) async fn run(session: &Session, client: &Client, names: (&str, &str)) -> Done {
    let one = one_or_run(client, names.0).await?;
    let other = one_or_run(client, names.1).await?;
    let report = report(one, other)?;
    if session.screen.is_json() {
        session.screen.json(&report);
        return Ok(ExitCode::SUCCESS);
    }
    table(&report).print();
    line(&words(&report, names));
    Ok(ExitCode::SUCCESS)
}

fn report(one: Vec<ModelView>, other: Vec<ModelView>) -> Result<Report, Fault> {
    let [a, b] = [&one, &other].map(|models| questions(models));
    if a != b || a.len() > 1 {
        let what = "these answer different questions and cannot be compared";
        let [a, b] = [a, b].map(|of| of.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (a, b) = (a.join(" and "), b.join(" and "));
        let because = format!("the first are of {a}, the second of {b}");
        let fault = Fault::new(FaultKind::Usage, what).because(because);
        return Err(fault.try_("glebe model list, and two runs that learned the same"));
    }
    let (cells, only_one, only_other) = match (one.as_slice(), other.as_slice()) {
        // Whoever names two models knows which cells they are of.
        ([one], [other]) => {
            let (one, other) = (one.clone(), other.clone());
            (vec![Pair { one, other }], Vec::new(), Vec::new())
        }
        _ => matched(one, other),
    };
    if cells.is_empty() {
        let what = "the two have no cell in common";
        return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list --run RUN"));
    }
    let ratios = cells.iter().map(Pair::ratio);
    let ratios: Vec<f64> = ratios.filter(|ratio| !ratio.is_nan()).collect();
    let better = ratios.iter().filter(|r| **r < 1.0).count() as u64;
    let worse = ratios.iter().filter(|r| **r > 1.0).count() as u64;
    Ok(Report {
        cells,
        better,
        worse,
        median_ratio: (!ratios.is_empty()).then(|| median(ratios.into_iter())),
        sign_test_p: sign_test(better, worse),
        only_one,
        only_other,
    })
}

fn questions(models: &[ModelView]) -> BTreeSet<Question<'_>> {
    models.iter().map(ModelView::question).collect()
}

/// Puts models of the same cells together; returns the cells that one side lacks, too.
fn matched(one: Vec<ModelView>, other: Vec<ModelView>) -> (Vec<Pair>, Vec<String>, Vec<String>) {
    let by_cell = |m: ModelView| (m.geocode.clone(), m);
    let mut other: BTreeMap<String, ModelView> = other.into_iter().map(by_cell).collect();
    let (mut pairs, mut only_one) = (Vec::new(), Vec::new());
    for one in one {
        match other.remove(&one.geocode) {
            Some(other) => pairs.push(Pair { one, other }),
            None => only_one.push(one.geocode),
        }
    }
    (pairs, only_one, other.into_keys().collect())
}

impl Pair {
    /// Returns second / first of the validation errors.
    fn ratio(&self) -> f64 {
        self.other.metrics.val_mse / self.one.metrics.val_mse
    }
}

/// Returns the two-sided p of a sign test: how often fair coins fall this unevenly.
fn sign_test(better: u64, worse: u64) -> f64 {
    let (all, few) = (better + worse, better.min(worse));
    // The logarithm of C(all, k) / 2^all, from each k to the next by one factor.
    let mut log = -(all as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=few {
        tail += log.exp();
        log += ((all - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
        ("GEOCODE", Align::Left),
        ("MSE 1", Align::Right),
        ("MSE 2", Align::Right),
        ("2 / 1", Align::Right),
        ("R2 1", Align::Right),
        ("R2 2", Align::Right),
    ]);
    let share = |r2: Option<f64>| r2.map_or_else(|| "-".to_owned(), |r2| format!("{r2:.3}"));
    for pair in &report.cells {
        let (one, other) = (&pair.one, &pair.other);
        let cell = if one.geocode == other.geocode {
            one.geocode.clone()
        } else {
            format!("{} {}", one.geocode, other.geocode)
        };
        table.row([
            cell,
            format!("{:.6}", one.metrics.val_mse),
            format!("{:.6}", other.metrics.val_mse),
            format!("{:.3}", pair.ratio()),
            share(one.metrics.val_r2),
            share(other.metrics.val_r2),
        ]);
    }
    table
}

fn words(report: &Report, (one, other): (&str, &str)) -> String {
    let (better, all) = (report.better, report.better + report.worse);
    let p = report.sign_test_p;
    let mut text =
        format!("{other} has the lower error in {better} of {all} cells (sign test p = {p:.3})");
    if let Some(ratio) = report.median_ratio {
        text += &format!(", median {ratio:.3} of {one}'s");
    }
    for (run, only) in [(one, &report.only_one), (other, &report.only_other)] {
        if !only.is_empty() {
            text += &format!("; {} cells have a model of {run} only", only.len());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{model, of_module};

    fn models_of(recipe: &str) -> Vec<ModelView> {
        let recipe = recipe.to_owned();
        vec![ModelView {
            recipe,
            ..model("july", "9xj5k")
        }]
    }

    #[test]
    fn models_of_two_recipes_are_not_compared_and_those_of_one_are_proposed() {
        report(models_of("ndvi-cnn"), models_of("ndvi-cnn")).unwrap();
        let fault = report(models_of("ndvi-cnn"), models_of("ndmi-unet")).unwrap_err();
        let because = "the first are of ndvi-cnn, the second of ndmi-unet";
        assert_eq!(fault.because, [because]);
        assert!(fault.try_.unwrap().contains("glebe model list"));
    }

    #[test]
    fn modules_of_one_name_that_learned_other_labels_are_not_compared() {
        let nir = || vec![of_module("a", "nir")];
        assert_eq!(report(nir(), nir()).unwrap().cells.len(), 1);
        let fault = report(nir(), vec![of_module("b", "red")]).unwrap_err();
        assert!(fault.what.contains("different questions"), "{fault}");
        let because = fault.because.join(" ");
        assert!(because.contains("(nir from green"), "{because}");
        assert!(because.contains("(red from green"), "{because}");
        assert!(fault.try_.is_some());
    }

    #[test]
    fn a_sign_test_is_that_of_fair_coins() {
        // At most 1 of 10 on either side: 2 × (1 + 10) / 1024.
        assert!((sign_test(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
        assert!((sign_test(5, 5) - 1.0).abs() < 1e-12);
        assert!((sign_test(0, 0) - 1.0).abs() < 1e-12);
        assert!(sign_test(0, 2_000) < 1e-300);
    }
}
