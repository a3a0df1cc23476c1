//! Will so many nodes be enough? What a cluster would hold, move, lose and say, without one.
//!
//! The layouts are the real ones, folded from the changes that such a cluster would go through;
//! cells are placed by the real hash; messages are counted as encoded.
//!
//! *Invariants*: the same question has the same answer: sizes and victims are drawn from its seed.
//!
//! *Not here*: a cluster that runs (`drill`).

mod room;

use earth::geocode::Geocode;
use earth::split::placement::{PlacementRule, SLOTS, Slot};
use serde::Serialize;

use super::dice::Dice;
use crate::cluster::ClusterConfig;
use crate::identity::NodeId;
use crate::layout::{Change, ChangeSet, ChangeSetError, Layout, Member, Place, Stamp, What};
use crate::peer::{Gossip, News, Request, Response, encode};

pub use room::Fill;

/// Greatest number of nodes asked about: the one-hop table is meant for a thousand.
pub const FORECAST_NODES_MAX: u16 = 1_000;
/// Sets of nodes that are killed to see what is lost.
const TRIALS: usize = 200;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Nodes, all alike.
    pub nodes: u16,
    /// Replicas of each split.
    pub replicas: u8,
    /// Nodes that die at once.
    pub killed: u16,
    /// Cells that hold splits.
    pub cells: Vec<Geocode>,
    /// How they are placed.
    pub rule: PlacementRule,
    /// Splits of each cell.
    pub dates: u32,
    /// Mean bytes of a split, and how far they spread: standard deviation over mean.
    pub split_bytes: (u64, f64),
    /// Bytes a second that a node sends and receives.
    pub rate: u64,
    /// Bytes that a node has room for, if it is asked whether they are enough.
    pub disk: Option<u64>,
    /// Decides sizes and victims.
    pub seed: u64,
}

/// What a cluster would be like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Nodes.
    pub nodes: u16,
    /// Replicas of each split.
    pub replicas: u8,
    /// Cells.
    pub cells: u64,
    /// Splits, each counted once.
    pub splits: u64,
    /// Bytes, each split counted once.
    pub bytes: u64,
    /// First owners by splits.
    pub primaries: Balance,
    /// All replicas by bytes, as they are placed.
    pub stored: Balance,
    /// The same once slots were moved to even that out.
    pub rebalanced: Balance,
    /// Whether all of it has room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// One more node.
    pub join: Movement,
    /// One node fewer.
    pub leave: Movement,
    /// Nodes die at once.
    pub deaths: Deaths,
    /// What goes over the network.
    pub traffic: Traffic,
}

/// How evenly something lies on nodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Balance {
    /// Mean of a node.
    pub mean: f64,
    /// Least of a node.
    pub least: f64,
    /// Most of a node.
    pub most: f64,
    /// Standard deviation over mean, in percent.
    pub cv_percent: f64,
    /// Most over mean.
    pub most_over_mean: f64,
}

/// What a change of the layout moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Movement {
    /// Bytes that change their node.
    pub bytes: u64,
    /// Share of all stored bytes, in percent.
    pub percent: f64,
    /// Least share that keeps balance, in percent.
    pub ideal_percent: f64,
    /// Seconds, if the busiest node sends or receives at the given rate.
    pub seconds: f64,
}

/// What dies with nodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Deaths {
    /// Nodes that die at once.
    pub killed: u16,
    /// Sets of victims that were tried.
    pub trials: usize,
    /// Sets with which something is unreachable, in percent.
    pub trials_with_loss_percent: f64,
    /// Splits that are unreachable, and lost with the disks: mean, in percent.
    pub unreachable_percent: f64,
    /// The same in the worst set.
    pub unreachable_percent_most: f64,
    /// Bytes to copy until all splits that live have all replicas again.
    pub bytes_to_copy: u64,
    /// Seconds that takes at the given rate, from the removal of the dead on.
    pub seconds: f64,
}

/// What goes over the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Traffic {
    /// Bytes a second that an idle node sends to keep the table of members.
    pub gossip_bytes_s: f64,
    /// Bytes that nodes send each other for each byte put.
    pub sent_per_byte_put: u8,
    /// Bytes a second that the cluster can take in, until its busiest node is full.
    pub ingest_bytes_s: f64,
    /// Hours to take in everything at that rate.
    pub ingest_hours: f64,
}

/// What lies in each slot.
struct Load {
    splits: Vec<f64>,
    bytes: Vec<f64>,
}

impl Question {
    /// Answers.
    pub fn forecast(&self) -> Result<Forecast, ChangeSetError> {
        let mut dice = Dice::new(self.seed);
        let load = self.load(&mut dice);
        let set = members(self.nodes, self.replicas)?;
        let layout = set.layout();
        let stored = balance(&layout, &load.bytes, layout.members().len(), true);
        let rebalanced = room::rebalanced(&set, &layout, &load)?;
        let total: f64 = load.bytes.iter().sum();
        let copies = total * f64::from(self.replicas.min(small(self.nodes)));
        let more = set.with(name(self.nodes), joins())?.layout();
        let join = self.movement((&layout, &more), &load, copies / f64::from(self.nodes + 1));
        let leave = if self.nodes > 1 {
            let victim = name(u16::try_from(dice.below(u64::from(self.nodes))).unwrap_or(0));
            let fewer = set.with(victim, What::Leave)?.layout();
            self.movement((&layout, &fewer), &load, copies / f64::from(self.nodes))
        } else {
            self.movement((&layout, &layout), &load, 0.0)
        };
        Ok(Forecast {
            nodes: self.nodes,
            replicas: self.replicas,
            cells: self.cells.len() as u64,
            splits: self.cells.len() as u64 * u64::from(self.dates),
            bytes: whole(total),
            primaries: balance(&layout, &load.splits, layout.members().len(), false),
            fill: room::fill(self, &load, (&stored, &rebalanced))?,
            stored,
            rebalanced,
            join,
            leave,
            deaths: self.deaths((&set, &layout), &load, &mut dice)?,
            traffic: self.traffic(total, &stored),
        })
    }

    /// Draws what lies in each slot.
    fn load(&self, dice: &mut Dice) -> Load {
        let mut load = Load {
            splits: vec![0.0; usize::from(SLOTS)],
            bytes: vec![0.0; usize::from(SLOTS)],
        };
        let (mean, spread) = (self.split_bytes.0 as f64, self.split_bytes.1);
        for cell in &self.cells {
            let slot = usize::from(self.rule.key(cell).slot().number());
            let dates = f64::from(self.dates);
            load.splits[slot] += dates;
            load.bytes[slot] += mean * dates * lognormal(dice, spread);
        }
        load
    }

    fn movement(&self, (old, new): (&Layout, &Layout), load: &Load, ideal: f64) -> Movement {
        let moved = moved(old, new, load, |_| true);
        let total: f64 = load.bytes.iter().sum();
        let copies = (total * f64::from(self.replicas.min(small(self.nodes)))).max(1.0);
        Movement {
            bytes: whole(moved.bytes),
            percent: moved.bytes / copies * 100.0,
            ideal_percent: ideal / copies * 100.0,
            seconds: moved.busiest / self.rate.max(1) as f64,
        }
    }

    /// Kills many sets of nodes and sees what of the splits is left; repairs after the last.
    fn deaths(
        &self,
        (set, layout): (&ChangeSet, &Layout),
        load: &Load,
        dice: &mut Dice,
    ) -> Result<Deaths, ChangeSetError> {
        let killed = self.killed.min(self.nodes.saturating_sub(1));
        let total = load.splits.iter().sum::<f64>().max(1.0);
        let mut order: Vec<u16> = (0..self.nodes).collect();
        let (mut sum, mut most, mut with_loss) = (0.0, 0.0_f64, 0);
        let mut dead = vec![false; usize::from(self.nodes)];
        for _ in 0..TRIALS {
            dice.shuffle(&mut order);
            dead.fill(false);
            for victim in &order[..usize::from(killed)] {
                dead[usize::from(*victim)] = true;
            }
            let gone = |slot: &Slot| owners(layout, *slot).all(|o| dead[o]);
            let lost = Slot::all()
                .filter(gone)
                .map(|s| load.splits[usize::from(s.number())]);
            let share = lost.sum::<f64>() / total;
            sum += share;
            most = most.max(share);
            with_loss += usize::from(share > 0.0);
        }
        let mut after = set.clone();
        for victim in &order[..usize::from(killed)] {
            after = after.with(name(*victim), What::Leave)?;
        }
        let alive = |slot: Slot| owners(layout, slot).any(|o| !dead[o]);
        let copied = moved(layout, &after.layout(), load, alive);
        Ok(Deaths {
            killed,
            trials: TRIALS,
            trials_with_loss_percent: with_loss as f64 / TRIALS as f64 * 100.0,
            unreachable_percent: sum / TRIALS as f64 * 100.0,
            unreachable_percent_most: most * 100.0,
            bytes_to_copy: whole(copied.bytes),
            seconds: copied.busiest / self.rate.max(1) as f64,
        })
    }

    fn traffic(&self, total: f64, stored: &Balance) -> Traffic {
        let copies = self.replicas.min(small(self.nodes)).max(1);
        let even = f64::from(self.nodes) * self.rate as f64 / f64::from(copies);
        let ingest = even / stored.most_over_mean.max(1.0);
        Traffic {
            gossip_bytes_s: gossip_bytes_s(self.nodes),
            sent_per_byte_put: copies - 1,
            ingest_bytes_s: ingest,
            ingest_hours: total / ingest.max(1.0) / 3_600.0,
        }
    }
}

/// Bytes on the move, and those of the node that sends or receives most.
struct Moved {
    bytes: f64,
    busiest: f64,
}

/// Counts what new owners must get, in slots that somebody still holds; it comes from the old
/// owners in turn.
fn moved(old: &Layout, new: &Layout, load: &Load, held: impl Fn(Slot) -> bool) -> Moved {
    let mut sent = vec![0.0; old.members().len()];
    let mut received = vec![0.0; new.members().len()];
    let mut all = 0.0;
    for slot in Slot::all().filter(|s| held(*s)) {
        let bytes = load.bytes[usize::from(slot.number())];
        let stay = |o: &usize| new.contains(&old.members()[*o].node);
        let from: Vec<usize> = owners(old, slot).filter(stay).collect();
        let fresh = owners(new, slot).filter(|o| !old.owns(&new.members()[*o].node, slot));
        for (i, to) in fresh.enumerate() {
            received[to] += bytes;
            all += bytes;
            let turn = i + usize::from(slot.number());
            if let Some(giver) = from.get(turn % from.len().max(1)) {
                sent[*giver] += bytes;
            }
        }
    }
    let busiest = sent.into_iter().chain(received).fold(0.0, f64::max);
    Moved {
        bytes: all,
        busiest,
    }
}

/// Returns how evenly loads lie on the first owners, or on all.
fn balance(layout: &Layout, loads: &[f64], nodes: usize, all: bool) -> Balance {
    let mut held = vec![0.0; nodes];
    for slot in Slot::all() {
        let load = loads[usize::from(slot.number())];
        let count = if all { usize::MAX } else { 1 };
        for owner in owners(layout, slot).take(count) {
            held[owner] += load;
        }
    }
    let mean = held.iter().sum::<f64>() / nodes as f64;
    let squares = held.iter().map(|h| (h - mean) * (h - mean)).sum::<f64>();
    let deviation = (squares / nodes as f64).sqrt();
    let most = held.iter().copied().fold(0.0, f64::max);
    let over = |n: f64| if mean > 0.0 { n / mean } else { 0.0 };
    Balance {
        mean,
        least: held.iter().copied().fold(f64::INFINITY, f64::min),
        most,
        cv_percent: over(deviation) * 100.0,
        most_over_mean: over(most),
    }
}

fn owners(layout: &Layout, slot: Slot) -> impl Iterator<Item = usize> {
    layout.owner_indexes(slot).iter().map(|i| usize::from(*i))
}

/// Returns the bytes that a node of so many sends each second while nothing happens: a question in
/// each round, and an answer to that of another.
pub fn gossip_bytes_s(nodes: u16) -> f64 {
    if nodes < 2 {
        return 0.0;
    }
    let stamp = Stamp {
        version: u64::from(nodes) + 1,
        digest: u64::MAX,
    };
    let question = Request::Gossip(Gossip {
        digest: u64::MAX,
        known: stamp,
        beat: None,
        ages: Vec::new(),
        grants: u64::MAX,
    });
    let answer = Response::News(News::default());
    let round = encode(&question).len() + encode(&answer).len();
    round as f64 / ClusterConfig::PACE.as_secs_f64()
}

fn members(nodes: u16, replicas: u8) -> Result<ChangeSet, ChangeSetError> {
    let change = |counter: u64, node: u16, what| Change {
        counter,
        node: name(node),
        what,
    };
    let first = Member {
        node: name(0),
        place: Place::default(),
        draining: false,
    };
    let founded = ChangeSet::found(replicas, &first)?;
    let joined = (1..nodes).map(|i| change(u64::from(i) + 2, i, joins()));
    let all: Vec<Change> = founded.iter().cloned().chain(joined).collect();
    ChangeSet::try_from(all)
}

fn joins() -> What {
    What::Join(Place::default())
}

fn name(number: u16) -> NodeId {
    NodeId::parse(&format!("node{number:04}")).expect("letters and digits")
}

/// Draws a size around 1 whose logarithm is normal.
fn lognormal(dice: &mut Dice, spread: f64) -> f64 {
    if spread <= 0.0 {
        return 1.0;
    }
    let variance = (1.0 + spread * spread).ln();
    let (one, other) = (1.0 - dice.share(), dice.share());
    let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
    (variance.sqrt() * normal - variance / 2.0).exp()
}

fn small(nodes: u16) -> u8 {
    u8::try_from(nodes).unwrap_or(u8::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a cluster, never negative and far below 2^63"
)]
fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}

#[cfg(test)]
mod tests {
    use earth::extent::LonLatBox;
    use earth::geocode::{Scheme, cover};

    use super::*;

    fn question(nodes: u16, replicas: u8, killed: u16) -> Question {
        let area = LonLatBox::new(-110.0, 35.0, -100.0, 42.0).unwrap();
        Question {
            nodes,
            replicas,
            killed,
            cells: cover::of_box(Scheme::Geohash, 5, &area).unwrap(),
            rule: PlacementRule::Whole,
            dates: 2,
            split_bytes: (1_000_000, 0.0),
            rate: 100_000_000,
            disk: None,
            seed: 1,
        }
    }

    #[test]
    fn a_forecast_adds_up_and_moves_little_more_than_it_must() {
        let asked = question(20, 2, 2);
        let told = asked.forecast().unwrap();
        assert_eq!(told, asked.forecast().unwrap());
        assert_eq!(told.splits, 2 * asked.cells.len() as u64);
        assert_eq!(told.bytes, told.splits * 1_000_000);
        assert!((told.stored.mean * 20.0 - 2.0 * told.bytes as f64).abs() < 1.0);
        assert!(told.stored.cv_percent < 3.0, "{told:?}");
        for moved in [told.join, told.leave] {
            let ratio = moved.percent / moved.ideal_percent;
            assert!((0.95..1.1).contains(&ratio), "{moved:?}");
        }
        assert!(told.traffic.gossip_bytes_s <= 1_000.0);
    }

    #[test]
    fn what_dies_is_what_had_no_other_replica() {
        let none = question(10, 3, 2).forecast().unwrap().deaths;
        assert_eq!(none.unreachable_percent_most.to_bits(), 0.0_f64.to_bits());
        let one = question(10, 1, 1).forecast().unwrap().deaths;
        assert!((8.0..12.0).contains(&one.unreachable_percent), "{one:?}");
        let two = question(10, 2, 2).forecast().unwrap().deaths;
        let pairs = 100.0 / 45.0;
        assert!((two.unreachable_percent - pairs).abs() < 0.4, "{two:?}");
        assert!((two.trials_with_loss_percent - 100.0).abs() < 1e-9);
        assert!(two.bytes_to_copy > 0 && two.seconds > 0.0);
    }

    #[test]
    fn sizes_spread_as_asked() {
        let mut dice = Dice::new(3);
        let drawn: Vec<f64> = (0..20_000).map(|_| lognormal(&mut dice, 0.5)).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>();
        let cv = (variance / drawn.len() as f64).sqrt() / mean;
        assert!(
            (0.97..1.03).contains(&mean) && (0.45..0.55).contains(&cv),
            "{mean} {cv}"
        );
    }
}
