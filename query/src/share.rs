//! Percent as a person gives it, shares as we compute them.
//!
//! *Invariants*: percent 0..=100 outside, shares 0..=1 inside; a bound includes its own value, in
//! spite of rounding.
//!
//! *Not here*: where shares come from (earth).

use crate::model::Range;

/// How far apart two shares may lie and still be one: less than one pixel in 10^8, more than what
/// is lost between `7` on the command line, 0.07 in here and `7.000000000000001` on the way out.
pub const SHARE_SLACK: f64 = 1e-9;

/// A closed range of shares, slack included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    min: f64,
    max: f64,
}

/// Why two numbers are no range of percent.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PercentError {
    /// A bound is no number from 0 to 100.
    #[error("{value} is outside 0..=100 percent")]
    Outside {
        /// The bound.
        value: f64,
    },
    /// The least lies above the greatest.
    #[error("the least, {min}, lies above the greatest, {max}")]
    Crossed {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
}

impl Shares {
    /// Builds the range of shares that a range of percent names; `None` if it bounds nothing.
    pub fn of_percent(range: &Range) -> Result<Option<Self>, PercentError> {
        for value in [range.min, range.max].into_iter().flatten() {
            if !(0.0..=100.0).contains(&value) {
                return Err(PercentError::Outside { value });
            }
        }
        if let (Some(min), Some(max)) = (range.min, range.max)
            && min > max
        {
            return Err(PercentError::Crossed { min, max });
        }
        let bounded = range.min.is_some() || range.max.is_some();
        Ok(bounded.then(|| Self {
            min: range
                .min
                .map_or(f64::NEG_INFINITY, |p| p / 100.0 - SHARE_SLACK),
            max: range.max.map_or(f64::INFINITY, |p| p / 100.0 + SHARE_SLACK),
        }))
    }

    /// Tells whether the share lies in the range.
    pub fn contains(&self, share: f64) -> bool {
        (self.min..=self.max).contains(&share)
    }

    /// Returns the least share, slack included, 0 if unbounded.
    pub fn min(&self) -> f64 {
        self.min.max(0.0)
    }

    /// Returns the greatest share, slack included, 1 if unbounded.
    pub fn max(&self) -> f64 {
        self.max.min(1.0)
    }

    /// Tells whether there is an upper bound.
    pub fn has_max(&self) -> bool {
        self.max.is_finite()
    }

    /// Tells whether the share lies below the range.
    pub fn is_above(&self, share: f64) -> bool {
        share < self.min
    }

    /// Tells whether the share lies above the range.
    pub fn is_below(&self, share: f64) -> bool {
        share > self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(min: Option<f64>, max: Option<f64>) -> Shares {
        Shares::of_percent(&Range { min, max }).unwrap().unwrap()
    }

    #[test]
    fn a_bound_includes_its_own_value_in_every_tenth_of_a_percent() {
        for tenth in 0..=1000_u32 {
            let percent = f64::from(tenth) / 10.0;
            let share = f64::from(tenth) / 1000.0;
            let shown = share * 100.0;
            for given in [percent, shown.min(100.0)] {
                assert!(shares(None, Some(given)).contains(share), "{given}");
                assert!(shares(Some(given), None).contains(share), "{given}");
            }
        }
    }

    #[test]
    fn one_pixel_of_a_hundred_million_is_past_the_bound() {
        assert!(!shares(None, Some(10.0)).contains(0.1 + 1e-8));
        assert!(!shares(Some(10.0), None).contains(0.1 - 1e-8));
    }

    #[test]
    fn what_is_no_percent_is_refused() {
        for (min, max) in [
            (Some(-1.0), None),
            (None, Some(100.5)),
            (Some(f64::NAN), None),
            (Some(60.0), Some(40.0)),
        ] {
            assert!(Shares::of_percent(&Range { min, max }).is_err());
        }
        assert_eq!(Shares::of_percent(&Range::default()), Ok(None));
    }
}
