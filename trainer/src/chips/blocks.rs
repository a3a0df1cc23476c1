//! Which chips are held out: whole blocks of neighbouring chips, the same on every date, or the
//! last days.
//!
//! *Invariants*: which blocks is a function of geocode and block alone, so that no place is learned
//! from on one date and judged on another; shares are kept to within one; learning and validation
//! get one wherever there are two, a test that is asked for wherever there are three.
//!
//! *Not here*: what chips hold.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::chips::Position;

/// Sides of a block in chips, best first: wide blocks keep neighbours together, small cells need
/// narrower ones.
const SIDES_CHIPS: [u32; 3] = [4, 2, 1];
/// A cell should have so many blocks that a quarter of them is more than one.
const BLOCKS_MIN: u32 = 8;

/// Rows and columns of chips in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChipGrid {
    /// Rows of whole chips.
    pub rows: u32,
    /// Columns of whole chips.
    pub columns: u32,
}

/// A block, counted in blocks from the north-west.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Block {
    /// Row.
    pub row: u32,
    /// Column.
    pub column: u32,
}

/// Returns the side of the blocks of a cell, in chips.
pub fn side_chips(grid: ChipGrid) -> u32 {
    let enough = |side: &u32| grid.rows.div_ceil(*side) * grid.columns.div_ceil(*side);
    SIDES_CHIPS
        .into_iter()
        .find(|side| enough(side) >= BLOCKS_MIN)
        .unwrap_or(1)
}

/// Returns the block of a chip.
pub fn block_of(position: Position, side_chips: u32) -> Block {
    Block {
        row: position.row / side_chips,
        column: position.column / side_chips,
    }
}

/// Returns the blocks that are held out for validation and test: the first of them in the order of
/// their hashes, and the next.
pub fn held_out(geocode: &str, blocks: &BTreeSet<Block>, shares: [f64; 2]) -> [BTreeSet<Block>; 2] {
    let mut ranked: Vec<([u8; 32], Block)> =
        blocks.iter().map(|b| (rank(geocode, *b), *b)).collect();
    ranked.sort_unstable();
    let [validation, test] = counts(blocks.len(), shares);
    let mut ranked = ranked.into_iter().map(|(_, block)| block);
    [
        ranked.by_ref().take(validation).collect(),
        ranked.take(test).collect(),
    ]
}

/// Returns the days that are held out for validation and test: those before the last, and the last.
pub fn last<T: Ord + Copy>(days: &BTreeSet<T>, shares: [f64; 2]) -> [BTreeSet<T>; 2] {
    let [validation, test] = counts(days.len(), shares);
    let mut latest = days.iter().rev().copied();
    let test = latest.by_ref().take(test).collect();
    [latest.take(validation).collect(), test]
}

/// Returns how many of some things are held out for validation and test.
fn counts(things: usize, [validation, test]: [f64; 2]) -> [usize; 2] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count: within 0..=count by the clamp"
    )]
    let part = |share: f64| (things as f64 * share.clamp(0.0, 1.0)).round() as usize;
    let most = things.saturating_sub(1);
    let for_validation = part(validation).clamp(1.min(most), most);
    let most = most - for_validation;
    let least = if test > 0.0 { 1.min(most) } else { 0 };
    [for_validation, part(test).clamp(least, most)]
}

/// Returns the hash that orders a cell's blocks.
fn rank(geocode: &str, block: Block) -> [u8; 32] {
    let text = format!("{geocode} block {} {}", block.row, block.column);
    *blake3::hash(text.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Block, ChipGrid, block_of, held_out, last, side_chips};
    use crate::chips::Position;

    /// Blocks held out for validation, nothing for a test.
    fn held(geocode: &str, blocks: &BTreeSet<Block>, share: f64) -> BTreeSet<Block> {
        let [validation, test] = held_out(geocode, blocks, [share, 0.0]);
        assert!(test.is_empty());
        validation
    }

    fn all(rows: u32, columns: u32) -> BTreeSet<Block> {
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| Block { row, column }))
            .collect()
    }

    #[test]
    fn the_share_is_kept_and_both_sides_get_a_block() {
        assert_eq!(held("9xj5k", &all(3, 4), 0.25).len(), 3);
        assert_eq!(held("9xj5k", &all(1, 2), 0.01).len(), 1);
        assert_eq!(held("9xj5k", &all(1, 2), 0.99).len(), 1);
        assert!(held("9xj5k", &all(1, 1), 0.5).is_empty());
        assert!(held("9xj5k", &all(0, 0), 0.5).is_empty());
    }

    #[test]
    fn cells_hold_out_different_blocks_and_each_always_the_same() {
        let blocks = all(5, 5);
        let once = held("9xj5k", &blocks, 0.3);
        assert_eq!(once, held("9xj5k", &blocks, 0.3));
        assert_ne!(once, held("9xj5m", &blocks, 0.3));
    }

    #[test]
    fn a_new_block_moves_at_most_one_other_across() {
        let mut blocks = all(5, 5);
        let before = held("9xj5k", &blocks, 0.3);
        blocks.insert(Block { row: 5, column: 0 });
        let after = held("9xj5k", &blocks, 0.3);
        assert!(before.difference(&after).count() <= 1);
    }

    #[test]
    fn a_test_takes_what_validation_leaves_and_changes_nothing_of_it() {
        let counts = |blocks: &BTreeSet<Block>, shares: [f64; 2]| {
            let [validation, test] = held_out("9xj5k", blocks, shares);
            assert!(validation.is_disjoint(&test));
            assert_eq!(validation, held("9xj5k", blocks, shares[0]));
            [validation.len(), test.len()]
        };
        assert_eq!(counts(&all(4, 5), [0.2, 0.2]), [4, 4]);
        assert_eq!(counts(&all(1, 3), [0.2, 0.01]), [1, 1]);
        assert_eq!(counts(&all(1, 2), [0.2, 0.2]), [1, 0]);
        assert_eq!(counts(&all(1, 4), [0.5, 0.49]), [2, 1]);
    }

    #[test]
    fn the_last_days_are_held_out() {
        let days: BTreeSet<u8> = (1..=10).collect();
        let some = |days: std::ops::RangeInclusive<u8>| days.collect::<BTreeSet<u8>>();
        assert_eq!(last(&days, [0.2, 0.3]), [some(6..=7), some(8..=10)]);
        assert_eq!(last(&days, [0.2, 0.0]), [some(9..=10), BTreeSet::new()]);
        let few = some(1..=2);
        assert_eq!(last(&few, [0.2, 0.2]), [some(2..=2), BTreeSet::new()]);
        assert_eq!(
            last(&some(1..=1), [0.2, 0.2]),
            [BTreeSet::new(), BTreeSet::new()]
        );
    }

    #[test]
    fn small_cells_get_narrower_blocks() {
        let grid = |rows, columns| ChipGrid { rows, columns };
        assert_eq!(side_chips(grid(9, 15)), 4);
        assert_eq!(side_chips(grid(6, 10)), 2);
        assert_eq!(side_chips(grid(2, 4)), 1);
        assert_eq!(side_chips(grid(1, 1)), 1);
        let chip = Position { row: 7, column: 3 };
        assert_eq!(block_of(chip, 4), Block { row: 1, column: 0 });
    }
}
