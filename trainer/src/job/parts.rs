//! Which chips are learned from, which choose the best epoch, and which score what was chosen.
//!
//! *Invariants*: chips of one block of a cell, or of one of its days, are all on one side; a cell
//! holds out the same blocks for validation whether it is learned from alone or among others; chips
//! of a buffer are on no side; where chips are too few for three sides, none are held out for a
//! test, which is told.
//!
//! *Not here*: how many chips are enough to learn from (`lesson`), which blocks (`chips::blocks`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::run::{HoldOut, Hyper};

use crate::chips::Position;
use crate::chips::blocks::{block_of, held_out, last};
use crate::config::{BlocksConfig, DaysConfig};
use crate::job::lesson::{TRAIN_CHIPS_MIN, VALIDATION_CHIPS_MIN};
use crate::job::stocked::Cuts;

/// Chips by side, as indexes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Learned from.
    pub train: Vec<usize>,
    /// Held out to choose the best epoch by.
    pub validation: Vec<usize>,
    /// Held out to score what was chosen; none where there are too few.
    pub test: Vec<usize>,
    /// How many blocks, or days, that makes.
    pub told: BlocksConfig,
}

/// A row of chips of a cell.
type Row<'a> = (&'a str, u32);

/// Parts the chips of all splits.
pub fn parts(cuts: &Cuts, hyper: &Hyper) -> Parts {
    let parted = Parts::of(cuts, hyper);
    if parted.is_enough() || hyper.test <= 0.0 {
        return parted;
    }
    let without = Hyper {
        test: 0.0,
        ..hyper.clone()
    };
    Parts::of(cuts, &without)
}

impl Parts {
    fn of(cuts: &Cuts, hyper: &Hyper) -> Self {
        match hyper.hold_out {
            HoldOut::Blocks => {
                let block = |chip| block_of(cuts.set.position(chip), cuts.cell(chip).side_chips);
                let part =
                    |cell: &str, all: &_| held_out(cell, all, [hyper.validation, hyper.test]);
                Self::by(cuts, (block, part)).buffered(cuts, hyper.buffer)
            }
            HoldOut::Dates => {
                let day = |chip| day_of(cuts.acquired(chip));
                let part = |_: &str, all: &_| last(all, [hyper.validation, hyper.test]);
                let mut parted = Self::by(cuts, (day, part));
                let first = |side: &[usize]| side.iter().map(|chip| day(*chip)).min();
                parted.told.days = first(&parted.validation).map(|validation| DaysConfig {
                    validation: validation.to_string(),
                    test: first(&parted.test).map(|day| day.to_string()),
                });
                parted
            }
        }
    }

    /// Parts chips by what each lies in, of which every cell holds some out.
    fn by<K: Ord + Copy>(
        cuts: &Cuts,
        (key, part): (
            impl Fn(usize) -> K,
            impl Fn(&str, &BTreeSet<K>) -> [BTreeSet<K>; 2],
        ),
    ) -> Self {
        let chips = 0..cuts.set.len();
        let mut cells: BTreeMap<&str, BTreeSet<K>> = BTreeMap::new();
        for chip in chips.clone() {
            let keys = cells.entry(&cuts.cell(chip).geocode).or_default();
            keys.insert(key(chip));
        }
        let all: usize = cells.values().map(BTreeSet::len).sum();
        let held: BTreeMap<&str, [BTreeSet<K>; 2]> = { cells.iter() }
            .map(|(cell, keys)| (*cell, part(cell, keys)))
            .collect();
        let mut sides = [Vec::new(), Vec::new(), Vec::new()];
        for chip in chips {
            let key = key(chip);
            let held = held.get(cuts.cell(chip).geocode.as_str());
            let side = held.and_then(|held| held.iter().position(|keys| keys.contains(&key)));
            sides[side.map_or(0, |side| side + 1)].push(chip);
        }
        let count = |side: usize| held.values().map(|held| held[side].len()).sum::<usize>();
        let [validation_keys, test_keys] = [count(0), count(1)];
        let [train, validation, test] = sides;
        Self {
            train,
            validation,
            test,
            told: BlocksConfig {
                side_chips: cuts.cells.first().map_or(1, |cell| cell.side_chips),
                train: (all - validation_keys - test_keys) as u64,
                validation: validation_keys as u64,
                test: test_keys as u64,
                buffered: 0,
                days: None,
            },
        }
    }

    /// Learns from no chip so near to one of its cell that is held out, on whatever date.
    fn buffered(mut self, cuts: &Cuts, chips: u32) -> Self {
        if chips == 0 {
            return self;
        }
        let place = |chip: &usize| {
            let Position { row, column } = cuts.set.position(*chip);
            ((cuts.cell(*chip).geocode.as_str(), row), column)
        };
        let mut rows: BTreeMap<Row<'_>, BTreeSet<u32>> = BTreeMap::new();
        for (row, column) in { self.validation.iter() }.chain(&self.test).map(place) {
            rows.entry(row).or_default().insert(column);
        }
        let around = |at: u32| (at.saturating_sub(chips), at.saturating_add(chips));
        let is_near = |((cell, row), column): (Row<'_>, u32)| {
            let ((top, bottom), (left, right)) = (around(row), around(column));
            let mut near = rows.range((cell, top)..=(cell, bottom));
            near.any(|(_, columns)| columns.range(left..=right).next().is_some())
        };
        let before = self.train.len();
        self.train.retain(|chip| !is_near(place(chip)));
        self.told.buffered = (before - self.train.len()) as u64;
        self
    }

    /// Tells whether there is enough to learn from and to choose by.
    pub fn is_enough(&self) -> bool {
        self.train.len() >= TRAIN_CHIPS_MIN && self.validation.len() >= VALIDATION_CHIPS_MIN
    }
}

/// Returns the day of a time, in UTC.
fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use wire::run::{HoldOut, Hyper};

    use super::{Parts, parts};
    use crate::chips::blocks::block_of;
    use crate::chips::{ChipSet, Position};
    use crate::job::stocked::{Cell, Cuts};

    const SIDE_CHIPS: u32 = 4;
    const DAYS: [&str; 3] = ["2009-08-18", "2012-07-31", "2015-09-26"];

    /// Three days of 12 × 12 chips of one pixel whose label is the number of their block.
    pub(crate) fn cuts() -> Cuts {
        let (mut numbers, mut positions) = (Vec::new(), Vec::new());
        for (row, column) in DAYS
            .iter()
            .flat_map(|_| (0..144).map(|at| (at / 12, at % 12)))
        {
            let position = Position { row, column };
            let block = block_of(position, SIDE_CHIPS);
            let number = u16::try_from(block.row * 3 + block.column).expect("a small number");
            numbers.push(f32::from(number));
            positions.push(position);
        }
        let set = ChipSet::held((1, 1), (&numbers, numbers.clone()), &positions);
        let cell = |day: &str| Cell {
            geocode: "9xj5k".to_owned(),
            acquired: format!("{day}T23:30:00Z").parse().expect("a time"),
            side_chips: SIDE_CHIPS,
        };
        Cuts {
            set: set.of_sources(&[144, 288, 432]),
            splits: 3,
            cells: DAYS.map(cell).to_vec(),
            decoded: numbers.len() as u64,
            of_chances: false,
        }
    }

    fn parted(change: impl Fn(&mut Hyper)) -> Parts {
        let mut hyper = Hyper::default();
        change(&mut hyper);
        parts(&cuts(), &hyper)
    }

    fn days(chips: &[usize]) -> BTreeSet<usize> {
        chips.iter().map(|chip| chip / 144).collect()
    }

    #[test]
    fn every_chip_is_on_one_side_and_each_block_on_the_same_on_every_day() {
        let parts = parted(|_| ());
        let sides = [&parts.train, &parts.validation, &parts.test];
        assert_eq!(sides.map(Vec::len), [5 * 48, 2 * 48, 2 * 48]);
        let mut all: Vec<usize> = sides.into_iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..432).collect::<Vec<_>>());
        for side in sides {
            let places: BTreeSet<usize> = side.iter().map(|chip| chip % 144).collect();
            assert_eq!(places.len() * 3, side.len(), "each place on all days");
        }
        let told = parts.told;
        assert_eq!((told.train, told.validation, told.test), (5, 2, 2));
    }

    #[test]
    fn the_last_days_are_held_out_where_that_is_asked() {
        let parts = parted(|hyper| hyper.hold_out = HoldOut::Dates);
        let sides = [&parts.train, &parts.validation, &parts.test];
        assert_eq!(
            sides.map(|side| days(side)),
            [[0], [1], [2]].map(BTreeSet::from)
        );
        let told = parts.told.days.expect("days");
        assert_eq!(told.validation, DAYS[1]);
        assert_eq!(told.test.as_deref(), Some(DAYS[2]));
        let parts = parted(|hyper| (hyper.hold_out, hyper.test) = (HoldOut::Dates, 0.0));
        assert_eq!(days(&parts.train), BTreeSet::from([0, 1]));
        assert_eq!(days(&parts.validation), BTreeSet::from([2]));
        assert!(parts.test.is_empty());
    }

    #[test]
    fn each_cell_holds_out_what_it_would_by_itself() {
        let mut both = cuts();
        // The second cell has one day: it cannot hold out any, and another one's day is its own.
        both.cells[1].geocode = "9xj5m".to_owned();
        let days = Hyper {
            hold_out: HoldOut::Dates,
            ..Hyper::default()
        };
        let of = |cuts: &Cuts, hyper: &Hyper| parts(cuts, hyper);
        let parted = of(&both, &days);
        assert_eq!(super::tests::days(&parted.train), BTreeSet::from([0, 1]));
        assert_eq!(super::tests::days(&parted.validation), BTreeSet::from([2]));
        // Blocks: the first cell's are what they are alone, whatever the second one's.
        let (alone, beside) = (
            parts(&cuts(), &Hyper::default()),
            of(&both, &Hyper::default()),
        );
        let first = |chips: &[usize]| -> Vec<usize> {
            chips
                .iter()
                .copied()
                .filter(|chip| chip / 144 != 1)
                .collect()
        };
        assert_eq!(first(&beside.validation), first(&alone.validation));
        assert_eq!(first(&beside.test), first(&alone.test));
        assert_ne!(
            beside.validation, alone.validation,
            "the second holds out others"
        );
        // Places of one cell are not beside those of another.
        let near = Hyper {
            buffer: 1,
            ..Hyper::default()
        };
        let buffered = of(&both, &near);
        let second = |chips: &[usize]| chips.iter().filter(|chip| *chip / 144 == 1).count();
        assert!(second(&buffered.train) < second(&beside.train));
    }

    #[test]
    fn no_chip_of_a_buffer_is_learned_from() {
        let cuts = cuts();
        let (none, one) = (parted(|_| ()), parted(|hyper| hyper.buffer = 1));
        assert_eq!((&one.validation, &one.test), (&none.validation, &none.test));
        let touches = |a: &usize, b: &usize| {
            let [a, b] = [a, b].map(|chip| cuts.set.position(*chip));
            a.row.abs_diff(b.row) <= 1 && a.column.abs_diff(b.column) <= 1
        };
        let held: Vec<usize> = { one.validation.iter() }
            .chain(&one.test)
            .copied()
            .collect();
        let is_beside = |chip: &usize| held.iter().any(|other| touches(chip, other));
        assert!(!one.train.is_empty() && !one.train.iter().any(is_beside));
        let left: Vec<usize> = none
            .train
            .iter()
            .filter(|c| !is_beside(c))
            .copied()
            .collect();
        assert_eq!(one.train, left, "and every other one is");
        assert_eq!(one.told.buffered, (none.train.len() - left.len()) as u64);
        let all = parted(|hyper| hyper.buffer = u32::MAX);
        assert!(all.train.is_empty() && !all.is_enough());
    }

    #[test]
    fn where_chips_are_few_none_are_held_out_for_a_test() {
        let mut few = cuts();
        few.set = few.set.first(12);
        // Three blocks of a row: four chips learned from are too few, eight are enough.
        let parts = parts(&few, &Hyper::default());
        assert_eq!((parts.train.len(), parts.validation.len()), (8, 4));
        assert!(parts.test.is_empty());
        assert_eq!(parts.told.test, 0);
    }
}
