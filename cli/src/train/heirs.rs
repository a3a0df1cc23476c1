//! What is told of donors and heirs.
//!
//! *Invariants*: a cell that starts cold against the run's wish is counted and said.
//!
//! *Not here*: who is whose donor (node), warm starts (trainer).

use wire::run::JobView;
use wire::transfer::Inheritance;

use crate::print::bytes;
use crate::region;

/// Cells named one by one.
const NAMED_MAX: usize = 6;

/// Prints donors with their heirs.
pub(crate) fn show(inheritance: &Inheritance) {
    let donors = inheritance.donors.iter();
    region::show(donors.map(|d| (d.geocode.as_str(), d.heirs.as_slice())));
}

/// Tells how many start from whom, and who starts cold.
pub(crate) fn told(inheritance: &Inheritance) -> String {
    let Inheritance {
        donors,
        cold,
        silhouette,
    } = inheritance;
    let heirs = inheritance.heirs();
    let mut told = format!(
        "{} donors first, then {heirs} heirs from their weights (silhouette {silhouette:.2})",
        donors.len()
    );
    if !cold.is_empty() {
        let mut named = cold[..cold.len().min(NAMED_MAX)].join(", ");
        if cold.len() > NAMED_MAX {
            named += &format!(" and {} more", cold.len() - NAMED_MAX);
        }
        told += &format!(
            "; {} cells start cold, having no donor: {named}",
            cold.len()
        );
    }
    told
}

/// Tells how an heir starts or did start; nothing of others.
pub(crate) fn start(job: &JobView) -> String {
    match (&job.donor, &job.descent) {
        (None, _) => String::new(),
        (Some(donor), None) => format!("heir of {donor}"),
        (Some(donor), Some(descent)) if descent.warm => format!("warm from {donor}"),
        (Some(donor), Some(_)) => format!("cold, not from {donor}"),
    }
}

/// Tells how the heirs of a run started; nothing where there are none.
pub(crate) fn started(jobs: &[JobView]) -> Option<String> {
    let descents: Vec<_> = jobs.iter().filter_map(|job| job.descent.as_ref()).collect();
    if descents.is_empty() {
        return None;
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
    Some(told)
}
