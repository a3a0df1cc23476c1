//! What a map holds, counted while it is written.
//!
//! *Invariants*: fill counts nothing; a pixel counts once, whatever its bands.
//!
//! *Not here*: the summary that users read (`infer`).

/// Sum and range of the values that are numbers, over all bands, and count of a band's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// Pixels with an answer.
    pub count: u64,
    sum: f64,
    values: u64,
    min: f32,
    max: f32,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            values: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

impl Tally {
    /// Counts pixels: those of one stretch in every band.
    pub fn add<'a>(&mut self, bands: impl Iterator<Item = &'a [f32]>) {
        for (number, band) in bands.enumerate() {
            for value in band.iter().filter(|v| !v.is_nan()) {
                self.count += u64::from(number == 0);
                self.values += 1;
                self.sum += f64::from(*value);
                self.min = self.min.min(*value);
                self.max = self.max.max(*value);
            }
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.values += other.values;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Returns the mean over all bands, where there is one.
    pub fn mean(&self) -> Option<f64> {
        (self.values > 0).then(|| self.sum / self.values as f64)
    }

    /// Returns the least and the greatest value, where there are any.
    pub fn range(&self) -> (Option<f32>, Option<f32>) {
        let any = self.values > 0;
        (any.then_some(self.min), any.then_some(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn fill_counts_nothing_and_a_pixel_counts_once_whatever_its_bands() {
        let mut tally = Tally::default();
        assert_eq!((tally.mean(), tally.range()), (None, (None, None)));
        let bands: [&[f32]; 2] = [&[1.0, f32::NAN, 3.0], &[5.0, f32::NAN, 7.0]];
        tally.add(bands.into_iter());
        let mut all = Tally::default();
        all.merge(&tally);
        assert_eq!((all.count, all.mean()), (2, Some(4.0)));
        assert_eq!(all.range(), (Some(1.0), Some(7.0)));
    }
}
