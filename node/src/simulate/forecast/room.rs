//! Whether all that a cluster is to hold has room, as it is placed and once it was rebalanced.
//!
//! *Invariants*: the fullest node decides; what rebalancing gives is what its own plan would.
//!
//! *Not here*: what is stored (`forecast`).

use earth::split::placement::Slot;
use serde::Serialize;

use super::{Balance, FORECAST_NODES_MAX, Load, Question, balance, members, name, whole};
use crate::layout::{self, ChangeSet, ChangeSetError, Layout, Loads, What, even_out};

/// Whether nodes have room for what they are to hold, all of them being here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fill {
    /// Bytes that a node has room for.
    pub disk: u64,
    /// The fullest has room, as splits are placed.
    pub fits: bool,
    /// The fullest has room once slots were moved to even them out.
    pub fits_rebalanced: bool,
    /// The fewest nodes of which the fullest has room, as splits are placed; none of as many as
    /// can be asked about.
    pub nodes_enough: Option<u16>,
}

/// Returns how evenly nodes are filled after a rebalance.
pub(super) fn rebalanced(
    set: &ChangeSet,
    layout: &Layout,
    load: &Load,
) -> Result<Balance, ChangeSetError> {
    let mut loads = Loads::none();
    for slot in Slot::all() {
        let bytes = whole(load.bytes[usize::from(slot.number())]);
        loads.add(slot, layout::Load { splits: 1, bytes });
    }
    let shifts = even_out(layout, &loads);
    let nodes = layout.members().len();
    if shifts.is_empty() {
        return Ok(balance(layout, &load.bytes, nodes, true));
    }
    let even = set.with(name(0), What::Rebalance(shifts))?.layout();
    Ok(balance(&even, &load.bytes, nodes, true))
}

/// Says whether the disks are large enough, and how many would be, if that is asked.
pub(super) fn fill(
    asked: &Question,
    load: &Load,
    (stored, rebalanced): (&Balance, &Balance),
) -> Result<Option<Fill>, ChangeSetError> {
    let Some(disk) = asked.disk else {
        return Ok(None);
    };
    let fits = |most: f64| most <= disk as f64;
    // More nodes never make the fullest fuller by more than chance: the fewest are between.
    let (mut few, mut many) = (0, FORECAST_NODES_MAX + 1);
    while many - few > 1 {
        let nodes = few.midpoint(many);
        let layout = members(nodes, asked.replicas)?.layout();
        let of = balance(&layout, &load.bytes, layout.members().len(), true);
        if fits(of.most) && layout.width() >= usize::from(asked.replicas) {
            many = nodes;
        } else {
            few = nodes;
        }
    }
    Ok(Some(Fill {
        disk,
        fits: fits(stored.most),
        fits_rebalanced: fits(rebalanced.most),
        nodes_enough: (many <= FORECAST_NODES_MAX).then_some(many),
    }))
}

#[cfg(test)]
mod tests {
    use earth::extent::LonLatBox;
    use earth::geocode::{Scheme, cover};
    use earth::split::placement::PlacementRule;

    use super::*;

    fn question(disk: u64) -> Question {
        let area = LonLatBox::new(-124.8, 24.5, -66.9, 49.4).unwrap();
        Question {
            nodes: 50,
            replicas: 1,
            killed: 1,
            cells: cover::of_box(Scheme::Geohash, 4, &area).unwrap(),
            rule: PlacementRule::First(3),
            dates: 1,
            split_bytes: (1_000_000, 0.0),
            rate: 100_000_000,
            disk: Some(disk),
            seed: 1,
        }
    }

    #[test]
    fn the_fullest_node_decides_and_rebalancing_makes_room() {
        let told = question(1).forecast().unwrap();
        assert!(told.stored.most_over_mean > 1.4, "{:?}", told.stored);
        assert!(
            told.rebalanced.most_over_mean < 1.2,
            "{:?}",
            told.rebalanced
        );
        let none = told.fill.unwrap();
        assert!(!none.fits && !none.fits_rebalanced && none.nodes_enough.is_none());
        let between = told.stored.most.midpoint(told.rebalanced.most);
        let told = question(whole(between)).forecast().unwrap().fill.unwrap();
        assert!(!told.fits && told.fits_rebalanced, "{told:?}");
        let enough = told.nodes_enough.unwrap();
        let mut more = question(told.disk);
        more.nodes = enough;
        assert!(more.forecast().unwrap().fill.unwrap().fits);
        more.nodes = enough - 1;
        assert!(!more.forecast().unwrap().fill.unwrap().fits);
        assert!(enough > 50);
    }
}
