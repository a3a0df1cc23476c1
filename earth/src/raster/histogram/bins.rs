//! Which bin a number lies in, and which numbers lie in a bin.
//!
//! Bins are numbered by size: 0 holds zero, -b mirrors b.
//!
//! *Invariants*: `bin` never falls as its argument grows; every number lies in the span of its bin.
//!
//! *Not here*: counting (`histogram`).

use serde::{Deserialize, Serialize};

use crate::raster::pixel::Pixel;

/// Bins of one octave are 2 to this power.
const OCTAVE_BITS: u32 = 7;

/// Bins of an octave.
const OCTAVE: u32 = 1 << OCTAVE_BITS;

/// Bits of an f64 that are dropped to name its bin: all of the mantissa but `OCTAVE_BITS`.
const FRACTION_BITS: u32 = 52 - OCTAVE_BITS;

/// After so many joins one bin holds all: bins of f64 are below 2 to this power.
pub const JOINED_MAX: u8 = 18;

/// Which numbers are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Whole numbers of up to 32 bits.
    Integers,
    /// Floating-point numbers.
    Floats,
}

/// The numbers of a bin: from `least` to `greatest`, which floats do not reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Least number.
    pub least: f64,
    /// Greatest number; of floats the bound that they stay below (above, where negative).
    pub greatest: f64,
}

impl Numbers {
    /// Returns which numbers a sample type holds.
    pub fn of<T: Pixel>() -> Self {
        if T::INTEGER {
            Self::Integers
        } else {
            Self::Floats
        }
    }

    /// Returns the bin of a finite number before any are joined.
    #[inline]
    pub fn bin(self, value: f64) -> i32 {
        let size = value.abs();
        let bin = match self {
            Self::Integers => of_integer(size),
            Self::Floats => of_bits(size),
        };
        if value < 0.0 { -bin } else { bin }
    }

    /// Returns the numbers of a bin after `joined` joins.
    pub fn span(self, bin: i32, joined: u8) -> Span {
        let size = bin.unsigned_abs();
        let (inner, outer) = (self.lower(size, joined), self.lower(size + 1, joined));
        // The greatest whole number before the next bin.
        let outer = match self {
            Self::Integers => outer - 1.0,
            Self::Floats => outer,
        };
        let (least, greatest) = match bin {
            0 => (-outer, outer),
            1.. => (inner, outer),
            _ => (-outer, -inner),
        };
        Span { least, greatest }
    }

    /// Returns the least size (absolute value) in a bin.
    fn lower(self, bin: u32, joined: u8) -> f64 {
        let bin = u64::from(bin) << joined;
        match self {
            Self::Integers => lower_integer(bin),
            // Infinity lies past the last octave and is not counted.
            Self::Floats => f64::from_bits((bin << FRACTION_BITS).min(f64::MAX.to_bits())),
        }
    }
}

/// Returns the bin that a bin is part of after some more joins.
pub fn join(bin: i32, times: u8) -> i32 {
    let size = i32::try_from(bin.unsigned_abs() >> times).unwrap_or(i32::MAX);
    if bin < 0 { -size } else { size }
}

/// Below twice `OCTAVE` a number is its own bin; above, an octave has `OCTAVE` bins.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples of at most 32 bits; bins stay below 4,000"
)]
fn of_integer(size: f64) -> i32 {
    let size = size as u32;
    if size < 2 * OCTAVE {
        return size.cast_signed();
    }
    let shift = size.ilog2() - OCTAVE_BITS;
    (shift * OCTAVE + (size >> shift)).cast_signed()
}

/// Undoes `of_integer`.
fn lower_integer(bin: u64) -> f64 {
    let octave = u64::from(OCTAVE);
    if bin < 2 * octave {
        return bin as f64;
    }
    let shift = bin / octave - 1;
    let head = bin % octave + octave;
    // Exact: a power of two, far below the greatest that an f64 holds.
    head as f64 * f64::from(i32::try_from(shift).unwrap_or(i32::MAX).min(1000)).exp2()
}

#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "11 bits of exponent and 7 of mantissa: below 2^18"
)]
fn of_bits(size: f64) -> i32 {
    (size.to_bits() >> FRACTION_BITS) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{JOINED_MAX, Numbers, join};

    fn check(numbers: Numbers, a: f64, b: f64, joined: u8) {
        let bin = |v| join(numbers.bin(v), joined);
        for value in [a, b] {
            let span = numbers.span(bin(value), joined);
            assert!(
                span.least <= value && value <= span.greatest,
                "{value} {span:?}"
            );
        }
        assert!(a > b || bin(a) <= bin(b), "{a} {b}");
    }

    proptest! {
        #[test]
        fn whole_numbers_lie_in_the_span_of_their_bin(
            a in any::<i32>(), b in any::<i32>(), shift in 0..32, joined in 0..=JOINED_MAX,
        ) {
            check(Numbers::Integers, f64::from(a >> shift), f64::from(b >> shift), joined);
            check(Numbers::Integers, f64::from(u32::MAX), f64::from(b), joined);
        }

        #[test]
        fn fractions_lie_in_the_span_of_their_bin(
            a in any::<f64>(), b in -1.0_f64..1.0, joined in 0..=JOINED_MAX,
        ) {
            check(Numbers::Floats, if a.is_finite() { a } else { 0.0 }, b, joined);
            prop_assert_eq!(join(Numbers::Floats.bin(f64::MAX), JOINED_MAX), 0);
        }

        #[test]
        fn a_bin_is_at_most_a_128th_as_wide_as_its_values(value in any::<u32>()) {
            let value = f64::from(value);
            let span = Numbers::Integers.span(Numbers::Integers.bin(value), 0);
            prop_assert!(span.greatest - span.least <= value / 128.0);
        }
    }
}
