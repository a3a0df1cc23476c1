//! A ring of random tokens, as Cassandra deals them: a node owns what lies before each of its own.
//!
//! *Invariants*: the same seed deals the same tokens; a node's tokens do not depend on the others'.
//!
//! *Not here*: glebe's ring (node).

use earth::geocode::Geocode;

/// Tokens in order, each with its node.
#[derive(Debug)]
pub(super) struct Tokens {
    ring: Vec<(u64, usize)>,
    nodes: usize,
}

impl Tokens {
    /// Deals tokens to nodes.
    pub(super) fn deal(nodes: usize, each: usize, seed: u64) -> Self {
        let token = |node: usize, i: usize| {
            mixed(mixed(seed ^ 0x70_6b_65_6e) ^ (((node as u64) << 20) | i as u64))
        };
        let all = (0..nodes).flat_map(|node| (0..each).map(move |i| (token(node, i), node)));
        let mut ring: Vec<(u64, usize)> = all.collect();
        ring.sort_unstable();
        Self { ring, nodes }
    }

    fn owner(&self, position: u64, but: Option<usize>) -> usize {
        let at = self.ring.partition_point(|(token, _)| *token < position);
        let around = self.ring[at..].iter().chain(&self.ring[..at]);
        let mut owners = around
            .map(|(_, node)| *node)
            .filter(|node| Some(*node) != but);
        owners.next().unwrap_or(0)
    }

    /// Returns the coefficient of variation of cells over nodes.
    pub(super) fn cv(&self, cells: &[Geocode]) -> f64 {
        let mut counts = vec![0_u64; self.nodes];
        for cell in cells {
            counts[self.owner(position(cell), None)] += 1;
        }
        let mean = cells.len() as f64 / self.nodes as f64;
        let square: f64 = counts.iter().map(|c| (*c as f64 - mean).powi(2)).sum();
        (square / self.nodes as f64).sqrt() / mean
    }

    /// Returns the share of cells that change their owner when a node goes, or when it came.
    pub(super) fn moved_without(&self, node: usize, cells: &[Geocode]) -> f64 {
        let moves = |cell: &&Geocode| {
            let position = position(cell);
            self.owner(position, None) != self.owner(position, Some(node))
        };
        cells.iter().filter(moves).count() as f64 / cells.len() as f64
    }
}

/// Where a cell lies on the ring: any even hash does, as Murmur3 does for Cassandra.
fn position(cell: &Geocode) -> u64 {
    let bytes = cell.to_string().into_bytes();
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = from;
    }
    mixed(u64::from_le_bytes(word))
}

/// Returns a number that looks like any (SplitMix64).
pub(super) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
