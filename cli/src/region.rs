//! `glebe region groups`: cells of like texture, and the donor of each group.
//!
//! *Invariants*: of a cell only its texture travels; the same seed and cells give the same groups
//! whichever node is asked; cells without a whole and clear split are named, not left out silently.
//!
//! *Not here*: grouping (`query::groups`).

use std::process::ExitCode;

use earth::dice::Dice;
use query::groups::{GroupError, Groups, group};
use serde::Serialize;
use wire::fault::{Fault, FaultKind};
use wire::region::{CellTexture, Textures};
use wire::search::SearchRequest;

use crate::Done;
use crate::args::RegionGroups;
use crate::print::{Align, Table};
use crate::session::Session;

/// Geocodes shown of a group in a table.
const SHOWN_MAX: usize = 6;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    groups: Vec<Group>,
    /// Mean silhouette, -1..=1.
    silhouette: f64,
    /// Cells without a whole and clear split.
    without_texture: Vec<String>,
    /// For every slot asked, a live replica answered.
    complete: bool,
}

/// Cells of like texture.
#[derive(Debug, Serialize)]
struct Group {
    /// Its model is trained first.
    donor: String,
    /// Those that start from the donor's.
    heirs: Vec<String>,
}

pub(crate) async fn groups(session: &Session, args: RegionGroups) -> Done {
    let query = args.selectors.query()?;
    let client = session.client().await?;
    let found = client.textures(&SearchRequest { query }).await?;
    let report = report(found, &args)?;
    if session.screen.is_json() {
        session.screen.json(&report);
    } else {
        let groups = report.groups.iter();
        show(groups.map(|g| (g.donor.as_str(), g.heirs.as_slice())));
    }
    let screen = &session.screen;
    let cells: usize = report.groups.iter().map(|g| 1 + g.heirs.len()).sum();
    let (groups, silhouette) = (report.groups.len(), report.silhouette);
    screen.note(format!(
        "{cells} cells in {groups} groups, silhouette {silhouette:.2}"
    ));
    if !report.without_texture.is_empty() {
        let count = report.without_texture.len();
        screen.note(format!(
            "{count} cells have no split with 95 % coverage and at most 10 % cloud: -o json names them"
        ));
    }
    if report.complete {
        return Ok(ExitCode::SUCCESS);
    }
    screen.note("partial: not every node answered");
    Ok(ExitCode::from(FaultKind::Partial.exit_code()))
}

fn report(found: Textures, args: &RegionGroups) -> Result<Report, Fault> {
    if found.cells.is_empty() && found.complete {
        let what = "no split matches";
        return Err(Fault::new(FaultKind::Nothing, what)
            .try_("the same selectors with glebe search, which says why"));
    }
    let (cells, without): (Vec<CellTexture>, Vec<_>) =
        found.cells.into_iter().partition(|cell| cell.measured > 0);
    let textures: Vec<Vec<f64>> = cells.iter().map(|cell| cell.texture.clone()).collect();
    let wish = (args.metric.into(), args.k);
    // The stream that a run's groups are made with: the same seed gives the same groups there.
    let mut dice = Dice::new(args.seed, &["groups"]);
    let groups = group(&textures, wish, || dice.unit()).map_err(fault)?;
    Ok(Report {
        groups: named(&groups, &cells),
        silhouette: groups.silhouette,
        without_texture: without.into_iter().map(|cell| cell.geocode).collect(),
        complete: found.complete,
    })
}

fn named(groups: &Groups, cells: &[CellTexture]) -> Vec<Group> {
    let name = |i: usize| cells[i].geocode.clone();
    let one = |(number, donor): (usize, &usize)| {
        let own = (0..cells.len()).filter(|i| groups.of[*i] == number);
        Group {
            donor: name(*donor),
            heirs: own.filter(|i| i != donor).map(name).collect(),
        }
    };
    groups.donors.iter().enumerate().map(one).collect()
}

/// Prints donors with their heirs.
pub(crate) fn show<'a>(groups: impl Iterator<Item = (&'a str, &'a [String])>) {
    let mut table = Table::new(&[
        ("GROUP", Align::Right),
        ("CELLS", Align::Right),
        ("DONOR", Align::Left),
        ("HEIRS", Align::Left),
    ]);
    for (number, (donor, heirs)) in (1_usize..).zip(groups) {
        let mut shown = heirs[..heirs.len().min(SHOWN_MAX)].join(" ");
        if heirs.len() > SHOWN_MAX {
            shown += &format!(" and {} more", heirs.len() - SHOWN_MAX);
        }
        let cells = 1 + heirs.len();
        table.row([
            number.to_string(),
            cells.to_string(),
            donor.to_owned(),
            shown,
        ]);
    }
    table.print();
}

fn fault(error: GroupError) -> Fault {
    let (kind, step) = match error {
        GroupError::Nothing => (
            FaultKind::Nothing,
            "glebe search --min-coverage 95 --max-cloud 10 with the same place: groups need such \
             a split, and it says what is nearest"
                .to_owned(),
        ),
        GroupError::TooMany { members, .. } => {
            let most = format!("-k with 1 to {members}, or without -k");
            (FaultKind::Usage, most)
        }
        GroupError::Damaged(_) => (FaultKind::Data, "glebe cluster verify".to_owned()),
    };
    Fault::new(kind, "the cells cannot be grouped")
        .because(error.to_string())
        .try_(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_too_many_groups_is_told_how_many_there_can_be() {
        let (asked, members) = (99, 12);
        let fault = fault(GroupError::TooMany { asked, members });
        assert_eq!(
            fault.try_.as_deref(),
            Some("-k with 1 to 12, or without -k")
        );
    }
}
