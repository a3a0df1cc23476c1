//! Seeded randomness and smooth noise over the plane.
//!
//! *Invariants*: the same seed and place give the same value, in any order and on any thread.
//!
//! *Not here*: what the noise becomes (`landscape`, `cloud`).

/// A stream of pseudo-random numbers (SplitMix64; Steele, Lea and Flood, 2014).
#[derive(Debug, Clone, Copy)]
pub struct Random(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mixes the bits of a number (the finaliser of SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns the 24 upper bits as a number in 0..1, which a float holds exactly.
fn unit(bits: u64) -> f32 {
    let top = u16::try_from(bits >> 48).unwrap_or(0);
    let low = u8::try_from((bits >> 40) & 0xFF).unwrap_or(0);
    (f32::from(top) * 256.0 + f32::from(low)) / 16_777_216.0
}

impl Random {
    /// Starts the stream of a seed and a purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)) ^ mix(purpose.wrapping_mul(GOLDEN)))
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Returns the next number in 0..1.
    pub fn unit(&mut self) -> f32 {
        unit(self.bits())
    }

    /// Returns the next number in `low..high`.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Returns the next whole number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }
}

/// Returns a number in 0..1 for a lattice point.
pub fn at(seed: u64, x: i32, y: i32) -> f32 {
    let place = (u64::from(x.cast_unsigned()) << 32) | u64::from(y.cast_unsigned());
    unit(mix(seed ^ mix(place.wrapping_add(GOLDEN))))
}

/// Returns the whole part below a number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "coordinates are pixels, far below 2^31"
)]
pub fn floor(x: f32) -> i32 {
    x.floor() as i32
}

/// Returns smooth noise in 0..1 at a place, with features about one unit wide.
pub fn value(seed: u64, x: f32, y: f32) -> f32 {
    let (ix, iy) = (floor(x), floor(y));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - x.floor()), ease(y - y.floor()));
    let row = |j: i32| {
        let (a, b) = (at(seed, ix, j), at(seed, ix.wrapping_add(1), j));
        a + (b - a) * tx
    };
    let (top, bottom) = (row(iy), row(iy.wrapping_add(1)));
    top + (bottom - top) * ty
}

/// Returns fractal noise in 0..1: octaves of halved width and weight.
pub fn fractal(seed: u64, (mut x, mut y): (f32, f32), octaves: u32) -> f32 {
    let (mut sum, mut weight, mut all) = (0.0, 1.0, 0.0);
    for octave in 0..octaves {
        sum += weight * value(seed.wrapping_add(u64::from(octave)), x, y);
        all += weight;
        weight *= 0.5;
        (x, y) = (x * 2.0 + 17.3, y * 2.0 - 9.1);
    }
    sum / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_for_a_seed_and_spread_over_the_unit_interval() {
        let draw = |seed| {
            let mut random = Random::new(seed, 1);
            (0..10_000).map(|_| random.unit()).collect::<Vec<_>>()
        };
        let (a, b) = (draw(7), draw(7));
        assert!(a.iter().zip(&b).all(|(x, y)| x.to_bits() == y.to_bits()));
        let mean = a.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(a.iter().all(|v| (0.0..1.0).contains(v)));
    }

    #[test]
    fn noise_is_continuous_across_lattice_lines() {
        for k in 0..100_u8 {
            let y = f32::from(k) * 0.37;
            let (left, right) = (value(3, 4.999_9, y), value(3, 5.000_1, y));
            assert!((left - right).abs() < 1e-3);
        }
    }
}
