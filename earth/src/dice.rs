//! Randomness that is an argument: a small generator whose stream is fixed by its seed and words.
//!
//! *Invariants*: the same seed and words give the same stream on every machine and version of
//! libtorch; different words give unrelated streams.
//!
//! *Not here*: secrets. SplitMix64 (Steele, Lea, Flood 2014) is quick and even, not unguessable.

/// A stream of numbers that looks random.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Opens the stream that belongs to a seed and some words, such as a geocode and a purpose.
    pub fn new(seed: u64, words: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        for word in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word.as_bytes());
        }
        let mut head = [0_u8; 8];
        head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self {
            state: u64::from_le_bytes(head),
        }
    }

    /// Returns where the stream stands.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// Goes on where a stream stood.
    pub fn set_state(&mut self, state: u64) {
        self.state = state;
    }

    /// Returns the next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in 0..1, of 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number in 0..limit (0 for an empty range), by widening multiplication.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.next_bits()) * limit as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Puts the items into an even random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_stream_is_frozen() {
        let mut dice = Dice::new(7, &["9xj5k", "weights"]);
        let first: Vec<u64> = (0..3).map(|_| dice.next_bits()).collect();
        let again: Vec<u64> = {
            let mut dice = Dice::new(7, &["9xj5k", "weights"]);
            (0..3).map(|_| dice.next_bits()).collect()
        };
        assert_eq!(first, again);
        assert_eq!(first, FROZEN, "stored models could no longer be reproduced");
    }

    const FROZEN: [u64; 3] = [
        2_856_386_674_507_773_914,
        16_151_544_424_432_542_374,
        14_514_435_266_409_878_236,
    ];

    #[test]
    fn the_generator_is_splitmix64() {
        // The reference implementation's first output from state 0 (Vigna, splitmix64.c).
        assert_eq!(Dice { state: 0 }.next_bits(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn words_are_not_run_together() {
        let a = Dice::new(1, &["ab", "c"]).next_bits();
        let b = Dice::new(1, &["a", "bc"]).next_bits();
        assert_ne!(a, b);
    }

    #[test]
    fn numbers_stay_in_range_and_fill_it_evenly() {
        let mut dice = Dice::new(3, &[]);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&dice.unit()));
            seen[dice.below(10)] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Dice::new(9, &["epoch"]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
