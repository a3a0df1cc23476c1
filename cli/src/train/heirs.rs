//! What is told of donors and heirs, parents and their cells.
//!
//! *Invariants*: a cell that starts cold against the run's wish is counted and said; so is one that
//! was not judged beside a parent.
//!
//! *Not here*: who is whose donor (node), warm starts (trainer).

use std::collections::BTreeSet;

use wire::run::{JobState, JobView, RunView};
use wire::transfer::{Beside, Inheritance, TransferMode};

use crate::print::{Align, Table, bytes, some_of};
use crate::region;
use crate::status::short;

/// Cells named one by one.
const NAMED_MAX: usize = 6;

/// Prints donors with their heirs, or parents with the nodes that train them.
pub(crate) fn show(inheritance: &Inheritance) {
    let donors = inheritance.donors.iter();
    if is_tree(inheritance) {
        let mut table = Table::new(&[
            ("PARENT", Align::Left),
            ("NODE", Align::Left),
            ("CELLS", Align::Right),
        ]);
        for parent in donors {
            let node = short(parent.holder.as_deref().unwrap_or_default());
            let cells = parent.heirs.len().to_string();
            table.row([parent.geocode.clone(), node.to_owned(), cells]);
        }
        return table.print();
    }
    region::show(donors.map(|d| (d.geocode.as_str(), d.heirs.as_slice())));
}

/// Tells how many start from whom, and who starts cold.
pub(crate) fn told(inheritance: &Inheritance) -> String {
    let Inheritance {
        donors,
        cold,
        silhouette,
    } = inheritance;
    let (first, heirs) = (donors.len(), inheritance.heirs());
    let (mut told, lacking) = if is_tree(inheritance) {
        let told = format!(
            "{first} parents first, each where most of its cells lie, then {heirs} cells from \
             their weights"
        );
        (told, "no parent with another cell in it")
    } else {
        let told = format!(
            "{first} donors first, then {heirs} heirs from their weights (silhouette \
             {silhouette:.2})"
        );
        (told, "no donor (why: glebe region groups)")
    };
    if !cold.is_empty() {
        told += &format!(
            "; {} cells start cold, having {lacking}: {}",
            cold.len(),
            some_of(cold, NAMED_MAX)
        );
    }
    told
}

fn is_tree(inheritance: &Inheritance) -> bool {
    inheritance.donors.iter().any(|d| d.holder.is_some())
}

/// Tells how an heir starts or did start, and how it did beside its parent; why others of a run
/// with donors have none; nothing of runs without.
pub(crate) fn start(job: &JobView) -> String {
    let (Some(donor), descent) = (&job.donor, &job.descent) else {
        let why = job.no_donor.as_ref();
        return why.map(|why| format!("cold: {why}")).unwrap_or_default();
    };
    let Some(descent) = descent else {
        return format!("heir of {donor}");
    };
    let start = if descent.warm {
        format!("warm from {donor}")
    } else {
        format!("cold, not from {donor}")
    };
    let Some(beside) = &descent.beside else {
        return start;
    };
    let (parent, own) = (beside.parent_mse, beside.own_mse);
    format!(
        "{start}; its {parent:.6}, own {own:.6}, {}",
        beside.chance()
    )
}

/// Tells how many cells of a tree needed a model of their own; nothing of other runs.
fn tree(view: &RunView) -> Option<String> {
    if view.run.transfer.mode != TransferMode::Tree {
        return None;
    }
    let is_judged = |job: &&JobView| job.descent.as_ref().is_some_and(|d| d.beside.is_some());
    let judged: Vec<&JobView> = view.jobs.iter().filter(is_judged).collect();
    let dropped = judged.iter().filter(|j| j.state == JobState::Dropped);
    let (all, dropped) = (judged.len(), dropped.count());
    let p_max = Beside::P_MAX;
    let mut told = format!(
        "tree: {} of {all} cells needed a model of their own (better than their parent's on \
         held-out places, Wilcoxon signed-rank p < {p_max}); {dropped} are answered by their \
         parent's",
        all - dropped,
    );
    let parents = view.run.inheritance.iter().flat_map(|i| &i.donors);
    let parents: BTreeSet<&str> = parents.map(|donor| donor.geocode.as_str()).collect();
    let is_cell = |job: &&JobView| !parents.contains(job.geocode.as_str());
    let done = view.jobs.iter().filter(is_cell);
    let done = done.filter(|job| job.state == JobState::Done).count();
    let alone = done - (all - dropped);
    if alone > 0 {
        told += &format!("; {alone} have one without a parent to be judged by");
    }
    Some(told)
}

/// Tells how the heirs of a run started, and what came of a tree; nothing where there are none.
pub(crate) fn started(view: &RunView) -> Option<String> {
    let descents: Vec<_> = { view.jobs.iter() }
        .filter_map(|job| job.descent.as_ref())
        .collect();
    if descents.is_empty() {
        return tree(view);
    }
    let warm = descents.iter().filter(|descent| descent.warm).count();
    let given = descents.iter().map(|descent| descent.bytes).sum();
    let cold = descents.len() - warm;
    let mut told = format!(
        "{warm} heirs started warm; {} of donors' weights were given",
        bytes(given)
    );
    if cold > 0 {
        told += &format!("; {cold} started cold instead: glebe job show says why");
    }
    let tree = tree(view).map(|tree| format!("\n{tree}"));
    Some(told + &tree.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_shows_whose_heir_it_is_or_why_nobodys() {
        let job = |told: serde_json::Value| -> JobView {
            let mut job = serde_json::json!({
                "run": "r", "geocode": "9xj5k", "node": "n", "splits": 1, "attempts": 0,
                "state": "waiting",
            });
            let fields = told.as_object().unwrap().clone();
            job.as_object_mut().unwrap().extend(fields);
            serde_json::from_value(job).unwrap()
        };
        assert_eq!(start(&job(serde_json::json!({}))), "");
        let alone = serde_json::json!({"no_donor": "it is a donor itself"});
        assert_eq!(start(&job(alone)), "cold: it is a donor itself");
        let heir = serde_json::json!({"donor": "9xj5m"});
        assert_eq!(start(&job(heir)), "heir of 9xj5m");
    }

    #[test]
    fn cells_without_a_donor_are_counted_and_why_is_one_command_away() {
        let cold = (0..9).map(|i| format!("9xj5{i}"));
        let inheritance = Inheritance {
            cold: cold.collect(),
            ..Inheritance::default()
        };
        let told = told(&inheritance);
        let lacking = "9 cells start cold, having no donor (why: glebe region groups): 9xj50, ";
        assert!(told.contains(lacking), "{told}");
        assert!(told.ends_with("9xj55 and 3 more"), "{told}");
    }
}
