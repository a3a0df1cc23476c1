//! Which physical value is black and which is white: the 2nd and 98th percentile. What was measured
//! is shown by its square root, so that ground beside bright cloud is not black; 8-bit imagery was
//! made for the eye already and is shown as it is.
//!
//! Values are counted in bins of their own precision (a 512th of their size), so that any number
//! of rasters of any range costs the same memory and the order does not matter.
//!
//! *Invariants*: one stretch for all bands of a picture, so that colours stay true.
//!
//! *Not here*: which bands (`png`).

/// Shares of the values that become black and white.
const BLACK: f64 = 0.02;
const WHITE: f64 = 0.98;

/// Bits of a 32-bit float that tell bins apart: sign, exponent, nine of the mantissa.
const BIN_BITS: u32 = 18;

/// Counts of physical values.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    bins: Vec<u64>,
    ends: Option<(f32, f32)>,
    tone: Tone,
}

/// How shares between black and white are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    /// As they are.
    #[default]
    Linear,
    /// By their square root.
    Root,
}

impl Stretch {
    /// Starts with no value.
    pub(crate) fn new() -> Self {
        Self {
            bins: vec![0; 1 << BIN_BITS],
            ends: None,
            tone: Tone::Linear,
        }
    }

    /// Counts values; NaN is none. The last tone counts.
    pub(super) fn add(&mut self, values: &[f32], tone: Tone) {
        self.tone = tone;
        for value in values.iter().filter(|v| !v.is_nan()) {
            self.bins[bin(*value)] += 1;
        }
    }

    /// Settles black and white once all values are counted.
    #[must_use]
    pub(crate) fn settled(mut self) -> Self {
        let total: u64 = self.bins.iter().sum();
        let at = |share: f64| {
            let wanted = share * total as f64;
            let mut below = 0;
            let reached = |count: &u64| {
                below += count;
                below as f64 >= wanted && below > 0
            };
            self.bins.iter().position(reached).map_or(0.0, value)
        };
        self.ends = Some((at(BLACK), at(WHITE)));
        self
    }

    /// Returns a value's grey; a flat picture is mid-grey, and so is what is not settled.
    pub(super) fn to_byte(&self, value: f32) -> u8 {
        let (low, high) = self.ends.unwrap_or_default();
        if value.is_nan() || high <= low {
            return if value.is_nan() { 0 } else { u8::MAX / 2 };
        }
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
        let shown = match self.tone {
            Tone::Linear => share,
            Tone::Root => share.sqrt(),
        };
        // In 0..=255 after the clamp, and halves go up.
        byte(shown * 255.0 + 0.5)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and the value was clamped"
)]
fn byte(value: f32) -> u8 {
    value as u8
}

/// Returns the bin of a value: bins ascend as values do.
fn bin(value: f32) -> usize {
    let bits = value.to_bits();
    let ordered = if bits >> 31 == 0 {
        bits | (1 << 31)
    } else {
        !bits
    };
    (ordered >> (32 - BIN_BITS)) as usize
}

/// Returns the least value of a bin.
fn value(bin: usize) -> f32 {
    let ordered = u32::try_from(bin).unwrap_or(u32::MAX) << (32 - BIN_BITS);
    let bits = if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    };
    f32::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::{Stretch, Tone, bin, value};

    #[test]
    fn bins_ascend_and_hold_their_values() {
        let values = [-9999.0_f32, -1.5, -0.001, 0.0, 1e-4, 0.25, 1.0, 3.7e4];
        assert!(values.windows(2).all(|p| bin(p[0]) < bin(p[1])));
        for v in values {
            assert!((value(bin(v)) - v).abs() <= v.abs() / 500.0, "{v}");
        }
    }

    #[test]
    fn two_percent_at_either_end_are_cut_off() {
        let mut stretch = Stretch::new();
        let values: Vec<f32> = (0..1000_u16).map(|v| f32::from(v) / 1000.0).collect();
        stretch.add(&values, Tone::Linear);
        stretch.add(&[f32::NAN], Tone::Linear);
        let stretch = stretch.settled();
        assert_eq!(
            [0.0, 0.018, 0.985, 1.0].map(|v| stretch.to_byte(v)),
            [0, 0, 255, 255]
        );
        assert!((i16::from(stretch.to_byte(0.5)) - 127).abs() <= 1);
    }

    #[test]
    fn a_flat_picture_is_grey_and_an_empty_one_does_no_harm() {
        let mut flat = Stretch::new();
        flat.add(&[0.3; 9], Tone::Root);
        assert_eq!(flat.settled().to_byte(0.3), 127);
        assert_eq!(Stretch::new().settled().to_byte(f32::NAN), 0);
    }
}
