//! Why a cell of a run with donors has none.
//!
//! *Invariants*: pure: told from what was settled when the run was planned; a cell that starts from
//! a donor is told nothing, and neither is one of a run that asks for no donors.
//!
//! *Not here*: who is whose donor (`inherit`), a donor that has no model (`book::heirs`).

use std::collections::{BTreeMap, BTreeSet};

use wire::run::Run;
use wire::transfer::TransferMode;

/// The cells of a run that start from nobody's weights.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    run: &'a Run,
    /// Donors, or parents, with the number of their heirs.
    donors: BTreeMap<&'a str, usize>,
    cold: BTreeSet<&'a str>,
}

impl<'a> Alone<'a> {
    /// Looks who they are; `None` of a run whose models all start cold.
    pub(super) fn of(run: &'a Run) -> Option<Self> {
        let inheritance = run.inheritance.as_ref()?;
        let donors = inheritance.donors.iter();
        Some(Self {
            run,
            donors: donors
                .map(|d| (d.geocode.as_str(), d.heirs.len()))
                .collect(),
            cold: inheritance.cold.iter().map(String::as_str).collect(),
        })
    }

    /// Tells why a cell has no donor, if it has none.
    pub(super) fn why(&self, geocode: &str) -> Option<&'static str> {
        let mode = self.run.transfer.mode;
        if let Some(heirs) = self.donors.get(geocode) {
            return Some(match (mode, heirs) {
                (TransferMode::Tree, _) => "it is a parent itself",
                (TransferMode::Texture, 0) => "no other cell is in its group",
                _ => "it is a donor itself",
            });
        }
        if !self.cold.contains(geocode) {
            return None;
        }
        Some(match mode {
            TransferMode::Tree if self.has_parent_of_the_run(geocode) => {
                "its parent is a cell of the run itself"
            }
            TransferMode::Tree => "no other cell of the run is in its parent",
            // Cells with a texture are cold, too, where all of them make one group.
            TransferMode::Random if self.donors.len() == 1 => {
                "it has no texture, or there is no other group"
            }
            _ => "it has no texture: no split of it is whole and clear",
        })
    }

    fn has_parent_of_the_run(&self, geocode: &str) -> bool {
        // A run of an older version does not say which cells it has.
        let is_told = !self.run.cells.is_empty();
        let parent = geocode.char_indices().next_back();
        is_told && parent.is_some_and(|(end, _)| self.run.is_of(&geocode[..end]))
    }
}

#[cfg(test)]
mod tests {
    use query::Query;
    use wire::transfer::{Donor, Inheritance, Transfer};

    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    /// A run of two donors or parents, the second of which has no heirs, and two cold cells.
    fn run(mode: TransferMode) -> Run {
        let donor = |geocode: &str, heirs: &[&str]| Donor {
            geocode: geocode.to_owned(),
            heirs: texts(heirs),
            holder: None,
        };
        Run {
            transfer: Transfer {
                mode,
                ..Transfer::default()
            },
            inheritance: Some(Inheritance {
                donors: vec![donor("9xj", &["9xk"]), donor("9xm", &[])],
                cold: texts(&["9y0", "9z1"]),
                silhouette: 0.5,
            }),
            cells: texts(&["9xj", "9xk", "9xm", "9y", "9y0", "9z1"]),
            ..Run::new("r", "ndvi-cnn", Query::default())
        }
    }

    #[test]
    fn every_cell_without_a_donor_is_told_why_and_every_heir_nothing() {
        let why = |run: &Run, geocode: &str| Alone::of(run).unwrap().why(geocode);
        let texture = run(TransferMode::Texture);
        assert_eq!(why(&texture, "9xj"), Some("it is a donor itself"));
        assert_eq!(why(&texture, "9xm"), Some("no other cell is in its group"));
        let bare = "it has no texture: no split of it is whole and clear";
        assert_eq!(why(&texture, "9y0"), Some(bare));
        let mut random = run(TransferMode::Random);
        assert_eq!(why(&random, "9xm"), Some("it is a donor itself"));
        assert_eq!(why(&random, "9y0"), Some(bare));
        random.inheritance.as_mut().unwrap().donors.pop();
        let either = "it has no texture, or there is no other group";
        assert_eq!(why(&random, "9y0"), Some(either));
        let tree = run(TransferMode::Tree);
        assert_eq!(why(&tree, "9xj"), Some("it is a parent itself"));
        let nested = "its parent is a cell of the run itself";
        assert_eq!(why(&tree, "9y0"), Some(nested));
        let only = "no other cell of the run is in its parent";
        assert_eq!(why(&tree, "9z1"), Some(only));
        for run in [&texture, &random, &tree] {
            assert_eq!(why(run, "9xk"), None, "an heir");
            assert_eq!(why(run, "9qq"), None, "of another run");
        }
        assert!(Alone::of(&Run::new("r", "ndvi-cnn", Query::default())).is_none());
    }
}
