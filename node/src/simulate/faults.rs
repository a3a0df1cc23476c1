//! What goes wrong in a simulated cluster, and for how long.
//!
//! *Invariants*: what goes wrong is drawn from the seed alone; whatever goes wrong ends.
//!
//! *Not here*: how it is made to go wrong (`drill`, `network`, `machine`).

use std::time::Duration;

use super::dice::Dice;
use crate::store::{Failing, Step, When};

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A node is killed, and starts again later.
    Kill,
    /// All nodes are killed at once, and start again later.
    Outage,
    /// A node's power fails while it writes, starts or heals, at any event of its disk or at a
    /// named step: what was not synced is torn. It starts again later.
    PowerCut,
    /// The cluster falls into two parts that do not hear each other.
    Partition,
    /// One node's words do not reach another.
    OneWay,
    /// Frames are late, lost, doubled; connections break.
    Storm,
    /// A disk is full.
    FullDisk,
    /// A node is cut off as if it were paused, and its clock has jumped when it is back.
    Pause,
    /// A node's time of day is wrong by up to an hour.
    WrongDay,
    /// A node joins.
    Join,
    /// A node is taken out of the cluster for good.
    Leave,
    /// A disk is lost with all that was on it, and its node taken out by another.
    LostDisk,
    /// Slots move at a user's word: a node is drained or gets its slots again, its share changes,
    /// or bytes are evened out.
    Shift,
    /// Bytes of a file turn at one of the owners of what it belongs to.
    Rot,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Kill,
        Self::Outage,
        Self::PowerCut,
        Self::Partition,
        Self::OneWay,
        Self::Storm,
        Self::FullDisk,
        Self::Pause,
        Self::WrongDay,
        Self::Join,
        Self::Leave,
        Self::LostDisk,
        Self::Shift,
        Self::Rot,
    ];

    /// Returns its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Outage => "outage",
            Self::PowerCut => "power-cut",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Storm => "storm",
            Self::FullDisk => "full-disk",
            Self::Pause => "pause",
            Self::WrongDay => "wrong-day",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::LostDisk => "lost-disk",
            Self::Shift => "shift",
            Self::Rot => "rot",
        }
    }

    /// Returns how often it is drawn relative to the others.
    fn weight(self) -> u64 {
        match self {
            Self::Kill => 8,
            Self::PowerCut => 6,
            Self::Partition | Self::OneWay | Self::Storm | Self::Rot => 4,
            Self::FullDisk | Self::Pause | Self::Join | Self::LostDisk | Self::Shift => 2,
            Self::Outage | Self::WrongDay | Self::Leave => 1,
        }
    }
}

/// When what goes wrong.
#[derive(Debug)]
pub(super) struct Fate {
    dice: Dice,
    kinds: Vec<Fault>,
    next: Duration,
}

/// Shortest and longest time between two faults, in milliseconds.
const BETWEEN_MS: (u64, u64) = (300, 5_000);
/// Shortest and longest time that a fault lasts, in milliseconds.
const LASTS_MS: (u64, u64) = (200, 9_000);

/// Kills of a thousand after which a node is away for three times as long: tombstones are collected
/// meanwhile if anything is wrong with that.
const LONG: u64 = 150;

/// Events of a disk within which its power fails: some puts.
const EVENTS_MAX: u64 = 120;
/// The same where it starts: a start that has nothing to settle makes fewer.
const EVENTS_MAX_START: u64 = 40;

/// Starts of a thousand at which the power fails: of those after a power cut, of newcomers' first,
/// and of nodes that have just lost bytes, while they heal.
pub(super) const AGAIN: u64 = 350;
pub(super) const AT_FIRST: u64 = 500;
pub(super) const WHILE_IT_HEALS: u64 = 350;

impl Fate {
    /// Draws from some kinds of faults.
    pub(super) fn new(dice: Dice, kinds: &[Fault]) -> Self {
        let mut fate = Self {
            dice,
            kinds: kinds.to_vec(),
            next: Duration::ZERO,
        };
        fate.advance(Duration::ZERO);
        fate
    }

    /// Returns a fault that is due, and how long it lasts.
    pub(super) fn due(&mut self, now: Duration) -> Option<(Fault, Duration)> {
        if now < self.next || self.kinds.is_empty() {
            return None;
        }
        self.advance(now);
        let total = self.kinds.iter().map(|k| k.weight()).sum();
        let mut drawn = self.dice.below(total);
        let lasts = self.dice.millis(LASTS_MS.0, LASTS_MS.1);
        for kind in &self.kinds {
            if drawn < kind.weight() {
                let long = *kind == Fault::Kill && self.dice.chance(LONG);
                return Some((*kind, if long { lasts * 3 } else { lasts }));
            }
            drawn -= kind.weight();
        }
        None
    }

    /// Draws when a node's power fails, and what is left then.
    pub(super) fn power(&mut self, when: When) -> (Failing, Dice) {
        let (events, anywhere) = match when {
            When::Work => (EVENTS_MAX, 500),
            When::First => (EVENTS_MAX, 300),
            When::Start => (EVENTS_MAX_START, 300),
            When::Heal => (0, 0),
        };
        let steps = Step::taken(when);
        let failing = if self.dice.chance(anywhere) {
            Failing::After(self.dice.below(events))
        } else {
            Failing::At(steps[self.dice.place(steps.len())])
        };
        (failing, self.dice.fork())
    }

    /// Tells whether the power fails besides, so many times of a thousand, if it ever does.
    pub(super) fn also_cuts(&mut self, of_thousand: u64) -> bool {
        self.kinds.contains(&Fault::PowerCut) && self.dice.chance(of_thousand)
    }

    /// Lets nothing go wrong any more.
    pub(super) fn rest(&mut self) {
        self.kinds.clear();
    }

    /// Returns dice of somebody else's.
    pub(super) fn fork(&mut self) -> Dice {
        self.dice.fork()
    }

    /// Draws how long a node stays without power.
    pub(super) fn outage(&mut self) -> Duration {
        self.dice.millis(LASTS_MS.0, LASTS_MS.1)
    }

    /// Draws one of so many.
    pub(super) fn place(&mut self, length: usize) -> usize {
        self.dice.place(length)
    }

    /// Draws true or false.
    pub(super) fn coin(&mut self) -> bool {
        self.dice.chance(500)
    }

    fn advance(&mut self, now: Duration) {
        self.next = now + self.dice.millis(BETWEEN_MS.0, BETWEEN_MS.1);
    }
}
