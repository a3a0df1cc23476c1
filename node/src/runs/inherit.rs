//! Who starts from whose weights: a run's wish and the cells' textures made into an answer.
//!
//! *Invariants*: pure: the same wish, seed and textures give the same answer, in whatever order the
//! cells come; every cell is a donor, an heir of one donor, or cold, and no donor is an heir.
//!
//! *Not here*: how groups are found (`query::groups`), who waits for whom (`book`).

use std::collections::{BTreeMap, BTreeSet};

use earth::dice::Dice;
use query::groups::{GroupError, Groups, group};
use wire::fault::{Fault, FaultKind};
use wire::region::CellTexture;
use wire::transfer::{Donor, Inheritance, Transfer, TransferMode};

use crate::identity::NodeId;

/// Most cells of a run with donors: their names travel with the run in one message of 4 MiB.
pub const CELLS_MAX: usize = 200_000;
/// Word of the stream of numbers that groups are made with: `glebe region groups` uses the same.
const GROUPS_WORD: &str = "groups";
/// Word of the stream that strange donors are drawn from.
const STRANGERS_WORD: &str = "strangers";

/// Answers a run's wish; `None` where every model is to start cold.
pub fn inheritance(
    wish: &Transfer,
    seed: u64,
    mut cells: Vec<CellTexture>,
) -> Result<Option<Inheritance>, Fault> {
    if wish.is_none() {
        return Ok(None);
    }
    few(cells.len())?;
    cells.sort_by(|a, b| a.geocode.cmp(&b.geocode));
    let (measured, bare): (Vec<_>, Vec<_>) = cells.into_iter().partition(|c| c.measured > 0);
    let mut answer = Inheritance {
        cold: bare.into_iter().map(|cell| cell.geocode).collect(),
        ..Inheritance::default()
    };
    let textures: Vec<Vec<f64>> = measured.iter().map(|cell| cell.texture.clone()).collect();
    let mut dice = Dice::new(seed, &[GROUPS_WORD]);
    let groups = match group(&textures, (wish.metric, wish.groups), || dice.unit()) {
        Ok(groups) => groups,
        Err(GroupError::Nothing) => return Ok(Some(answer)),
        Err(error) => return Err(ungrouped(error)),
    };
    answer.silhouette = groups.silhouette;
    let donor_of = match wish.mode {
        TransferMode::Texture | TransferMode::None | TransferMode::Tree => own(&groups),
        TransferMode::Random => strange(&groups, seed),
    };
    let name = |i: usize| measured[i].geocode.clone();
    let mut heirs: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (heir, donor) in donor_of {
        match donor {
            Some(donor) => heirs.entry(donor).or_default().push(name(heir)),
            None => answer.cold.push(name(heir)),
        }
    }
    answer.cold.sort();
    let donor = |i: &usize| Donor {
        geocode: name(*i),
        heirs: heirs.remove(i).unwrap_or_default(),
        holder: None,
    };
    answer.donors = groups.donors.iter().map(donor).collect();
    Ok(Some(answer))
}

/// Gives each cell the parent around it, which the node trains that answered for most of its cells.
///
/// A cell that is its parent's only one, or whose parent is a cell of the run itself, has none.
pub fn tree(answers: Vec<(NodeId, Vec<CellTexture>)>) -> Result<Inheritance, Fault> {
    let mut cells: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
    for (node, answer) in answers {
        for cell in answer {
            cells.entry(cell.geocode).or_default().insert(node.clone());
        }
    }
    few(cells.len())?;
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for cell in cells.keys() {
        let mut parent = cell.clone();
        parent.pop();
        families.entry(parent).or_default().push(cell.clone());
    }
    let mut answer = Inheritance::default();
    for (geocode, heirs) in families {
        if geocode.is_empty() || heirs.len() < 2 || cells.contains_key(&geocode) {
            answer.cold.extend(heirs);
            continue;
        }
        let mut holders: BTreeMap<&NodeId, usize> = BTreeMap::new();
        for node in heirs.iter().flat_map(|heir| &cells[heir]) {
            *holders.entry(node).or_default() += 1;
        }
        // Of equals the first: the same on every node that asks.
        let most = holders
            .iter()
            .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        let holder = most.map(|(node, _)| node.to_string());
        answer.donors.push(Donor {
            geocode,
            heirs,
            holder,
        });
    }
    answer.cold.sort();
    Ok(answer)
}

/// Checks that so many cells can be told of in one message.
fn few(cells: usize) -> Result<(), Fault> {
    if cells <= CELLS_MAX {
        return Ok(());
    }
    let what = format!("{cells} cells are more than can be grouped");
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!("runs with donors have at most {CELLS_MAX} cells"))
        .try_("a --geocode or --bbox that holds fewer, or --transfer none"))
}

/// Returns the cells that are no donors.
fn heirs(groups: &Groups) -> impl Iterator<Item = usize> {
    let donors: BTreeSet<usize> = groups.donors.iter().copied().collect();
    (0..groups.of.len()).filter(move |i| !donors.contains(i))
}

/// Gives each heir the donor of its own group.
fn own(groups: &Groups) -> Vec<(usize, Option<usize>)> {
    let donor = |i: usize| groups.donors.get(groups.of[i]).copied();
    heirs(groups).map(|i| (i, donor(i))).collect()
}

/// Gives each heir the donor of another group, drawn evenly: the paper's comparison (S001 §II.E)
/// with as many donors.
fn strange(groups: &Groups, seed: u64) -> Vec<(usize, Option<usize>)> {
    let mut dice = Dice::new(seed, &[STRANGERS_WORD]);
    let mut donor = |i: usize| {
        let others = groups.donors.len().checked_sub(1).filter(|n| *n > 0)?;
        let drawn = dice.below(others);
        let group = drawn + usize::from(drawn >= groups.of[i]);
        groups.donors.get(group).copied()
    };
    heirs(groups).map(|i| (i, donor(i))).collect()
}

fn ungrouped(error: GroupError) -> Fault {
    let (kind, step) = match error {
        GroupError::TooMany { .. } => (FaultKind::Usage, "a smaller -k, or none"),
        GroupError::Nothing => (FaultKind::Nothing, "--transfer none"),
        GroupError::Damaged(_) => (FaultKind::Data, "glebe cluster verify"),
    };
    Fault::new(kind, "the cells cannot be grouped")
        .because(error.to_string())
        .try_(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use query::groups::Metric;

    use super::*;
    use crate::identity::Identity;

    /// So many cells of each of so many kinds, and one cell without a texture.
    fn cells(kinds: usize, each: usize) -> Vec<CellTexture> {
        let mut dice = Dice::new(3, &[]);
        let mut value = |kind: usize| 10.0 * kind as f64 + dice.unit();
        let cell = |i: usize| CellTexture {
            geocode: format!("cell{i:03}"),
            splits: 2,
            measured: 1,
            texture: vec![value(i % kinds), value(i % kinds)],
        };
        let bare = CellTexture {
            geocode: "bare".to_owned(),
            splits: 1,
            ..CellTexture::default()
        };
        (0..kinds * each).map(cell).chain([bare]).collect()
    }

    fn wish(mode: TransferMode) -> Transfer {
        Transfer {
            mode,
            ..Transfer::default()
        }
    }

    fn answer(mode: TransferMode, cells: Vec<CellTexture>) -> Inheritance {
        inheritance(&wish(mode), 7, cells).unwrap().unwrap()
    }

    /// Kind of a cell by its name.
    fn kind(name: &str, kinds: usize) -> usize {
        name.trim_start_matches("cell").parse::<usize>().unwrap() % kinds
    }

    #[test]
    fn heirs_start_from_the_donor_of_their_own_kind_or_from_a_stranger() {
        let own = answer(TransferMode::Texture, cells(4, 6));
        assert_eq!((own.donors.len(), own.heirs()), (4, 20));
        let strange = answer(TransferMode::Random, cells(4, 6));
        for (inheritance, alike) in [(&own, true), (&strange, false)] {
            assert_eq!(inheritance.cold, ["bare"]);
            for (heir, donor) in inheritance.donor_of() {
                assert_eq!(kind(heir, 4) == kind(donor, 4), alike, "{heir} of {donor}");
            }
        }
        let donors = |i: &Inheritance| -> Vec<String> {
            i.donors.iter().map(|d| d.geocode.clone()).collect()
        };
        assert_eq!(donors(&own), donors(&strange), "the same donors");
        assert_eq!(strange.heirs(), 20);
        let drawn: BTreeSet<&str> = strange.donor_of().into_values().collect();
        assert_eq!(drawn.len(), 4, "every donor is drawn by somebody");
    }

    #[test]
    fn a_tree_has_a_parent_for_all_siblings_at_the_node_of_most_of_them() {
        let [one, other] = [Identity::generate(), Identity::generate()].map(|i| i.node());
        let cells = |names: &[&str]| -> Vec<CellTexture> {
            let cell = |name: &&str| CellTexture {
                geocode: (*name).to_owned(),
                ..CellTexture::default()
            };
            names.iter().map(cell).collect()
        };
        let answers = vec![
            (one, cells(&["9xja", "9xkb"])),
            (other.clone(), cells(&["9xjc", "9xjb", "9xjc", "u", "9xja"])),
        ];
        let found = tree(answers).unwrap();
        let donor = Donor {
            geocode: "9xj".to_owned(),
            heirs: ["9xja", "9xjb", "9xjc"].map(str::to_owned).to_vec(),
            holder: Some(other.to_string()),
        };
        assert_eq!(found.donors, [donor]);
        assert_eq!(found.cold, ["9xkb", "u"], "no siblings, and no parent");
    }

    #[test]
    fn one_group_has_no_strangers_and_cells_without_texture_have_no_donor() {
        let two = answer(TransferMode::Random, cells(1, 2));
        assert_eq!((two.donors.len(), two.heirs(), two.cold.len()), (1, 0, 2));
        let bare: Vec<CellTexture> = cells(1, 1)
            .into_iter()
            .filter(|c| c.measured == 0)
            .collect();
        let none = answer(TransferMode::Texture, bare);
        assert_eq!((none.donors.len(), none.cold.len()), (0, 1));
        assert_eq!(inheritance(&Transfer::default(), 7, cells(2, 2)), Ok(None));
    }

    #[test]
    fn more_groups_than_cells_are_refused_with_a_next_step() {
        let asked = Transfer {
            groups: Some(99),
            ..wish(TransferMode::Texture)
        };
        let fault = inheritance(&asked, 7, cells(2, 2)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(fault.try_.is_some_and(|step| step.contains("-k")));
    }

    proptest! {
        #[test]
        fn every_cell_is_donor_heir_or_cold_whatever_the_order_of_cells(
            seed: u64,
            order: u64,
            groups in proptest::option::of(1..6_usize),
            mode in proptest::sample::select(vec![TransferMode::Random, TransferMode::Texture]),
            metric in proptest::sample::select(Metric::ALL.map(|(_, m)| m).to_vec()),
        ) {
            let asked = Transfer { mode, metric, groups };
            let mut shuffled = cells(3, 4);
            Dice::new(order, &[]).shuffle(&mut shuffled);
            let found = inheritance(&asked, seed, shuffled).unwrap().unwrap();
            let again = inheritance(&asked, seed, cells(3, 4)).unwrap().unwrap();
            prop_assert_eq!(&found, &again);
            let donors = found.donors.iter().map(|d| d.geocode.as_str());
            let heirs = found.donors.iter().flat_map(|d| d.heirs.iter().map(String::as_str));
            let cold = found.cold.iter().map(String::as_str);
            let all: Vec<&str> = donors.chain(heirs).chain(cold).collect();
            let once: BTreeSet<&str> = all.iter().copied().collect();
            prop_assert_eq!((all.len(), once.len()), (13, 13));
        }
    }
}
