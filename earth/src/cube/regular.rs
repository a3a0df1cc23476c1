//! Regular time: steps of days or months, and several dates of a step made one.
//!
//! *Invariants*: steps are half-open, follow each other without a gap and begin at midnight UTC;
//! what is made of several dates holds at each pixel a valid sample wherever one date has one.
//!
//! *Not here*: which splits (cli), splicing with clouds left out (`raster::splice`).

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use crate::cube::{Cube, CubeBand};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, each_sample_type};

/// Most steps of a cube: daily for ten years.
pub const STEPS_MAX: usize = 3660;

/// The length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// So many days.
    Days(u16),
    /// So many calendar months.
    Months(u16),
}

/// Why a text is no length of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no step; give days, weeks, months or years: 10d, 2w, 1mo, 1y")]
pub struct EveryError(String);

/// Why there are no steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepsError {
    /// More than `STEPS_MAX`.
    #[error("more than {STEPS_MAX} steps; take longer ones or a shorter time")]
    TooMany,
    /// Times past the calendar.
    #[error("the time lies past the calendar")]
    Calendar,
}

/// One step: from its beginning up to the next one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The beginning.
    pub start: Timestamp,
    /// The beginning of the next.
    pub end: Timestamp,
}

impl Every {
    /// Parses `10d`, `2w`, `1mo`, `1y`.
    ///
    /// # Errors
    /// Other texts, and lengths of nothing.
    pub fn parse(text: &str) -> Result<Self, EveryError> {
        let wrong = || EveryError(text.to_owned());
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(end.ok_or_else(wrong)?);
        let number: u16 = number.parse().map_err(|_| wrong())?;
        let times = |factor: u16| number.checked_mul(factor).filter(|n| *n > 0);
        match unit {
            "d" => times(1).map(Self::Days),
            "w" => times(7).map(Self::Days),
            "mo" => times(1).map(Self::Months),
            "y" => times(12).map(Self::Months),
            _ => None,
        }
        .ok_or_else(wrong)
    }

    fn span(self, steps: i64) -> Span {
        match self {
            Self::Days(days) => (steps * i64::from(days)).days(),
            Self::Months(months) => (steps * i64::from(months)).months(),
        }
    }

    /// Returns the steps that hold both times; the first begins on the day of the first time, or
    /// on the first of its month.
    ///
    /// # Errors
    /// More than `STEPS_MAX`.
    pub fn steps(self, first: Timestamp, last: Timestamp) -> Result<Vec<Step>, StepsError> {
        let day = first.to_zoned(TimeZone::UTC).date();
        let origin = match self {
            Self::Days(_) => day,
            Self::Months(_) => day.first_of_month(),
        };
        let mut steps = Vec::new();
        for number in 0.. {
            let start = self.edge(origin, number)?;
            if start > last && !steps.is_empty() {
                break;
            }
            if steps.len() == STEPS_MAX {
                return Err(StepsError::TooMany);
            }
            let end = self.edge(origin, number + 1)?;
            steps.push(Step { start, end });
        }
        Ok(steps)
    }

    /// Returns the beginning of a step.
    fn edge(self, origin: Date, number: i64) -> Result<Timestamp, StepsError> {
        let date = origin.checked_add(self.span(number));
        let zoned = date.and_then(|d| d.to_zoned(TimeZone::UTC));
        zoned
            .map(|z| z.timestamp())
            .map_err(|_| StepsError::Calendar)
    }
}

impl Step {
    /// Tells whether a time lies in the step.
    pub fn holds(&self, time: Timestamp) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// Returns how far a time is from the middle of the step, in seconds.
    pub fn from_middle(&self, time: Timestamp) -> f64 {
        let seconds = |t: Timestamp| t.as_second() as f64;
        let middle = f64::midpoint(seconds(self.start), seconds(self.end));
        (seconds(time) - middle).abs()
    }
}

/// How several dates become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reduce {
    /// The first valid sample, in this order of dates.
    First(Vec<usize>),
    /// The median of valid samples, the mean of both middle ones; classes take the first.
    Median,
}

/// Makes all dates of a cube one.
pub fn reduce(cube: &Cube, how: &Reduce) -> Vec<(CubeBand, Raster)> {
    let in_order: Vec<usize> = (0..cube.times().len()).collect();
    let one = |(number, band): (usize, &CubeBand)| {
        let order = match how {
            Reduce::First(order) => order,
            Reduce::Median => &in_order,
        };
        let dates: Vec<_> = { order.iter() }
            .filter_map(|time| cube.raster(*time, number))
            .collect();
        let median = *how == Reduce::Median && !band.categorical;
        let first = dates.first()?;
        let raster = each_sample_type!(first.samples(), values => {
            let samples = merge(values, &dates, (band.fill, median));
            Raster::counted(first.width(), first.height(), samples)
        });
        Some((band.clone(), raster))
    };
    cube.bands().iter().enumerate().filter_map(one).collect()
}

fn merge<T: Pixel>(
    _kind: &[T],
    dates: &[&Raster],
    (fill, median): (Option<f64>, bool),
) -> crate::raster::Samples {
    let fill = fill.and_then(T::exactly);
    let void = { fill }
        .or_else(|| T::exactly(f64::NAN))
        .unwrap_or_default();
    let lines: Vec<&[T]> = { dates.iter() }
        .filter_map(|date| T::of(date.samples()))
        .collect();
    let pixels = lines.first().map_or(0, |line| line.len());
    let mut found = Vec::with_capacity(lines.len());
    let mut out = Vec::with_capacity(pixels);
    for pixel in 0..pixels {
        let samples = lines.iter().map(|line| line[pixel]);
        let mut valid = samples.filter(|sample| !is_fill(*sample, fill));
        if !median {
            out.push(valid.next().unwrap_or(void));
            continue;
        }
        found.clear();
        found.extend(valid.map(Pixel::to_f64));
        out.push(middle(&mut found).map_or(void, |value| beside(T::nearest(value), fill)));
    }
    T::into_samples(out)
}

fn beside<T: Pixel>(sample: T, fill: Option<T>) -> T {
    if fill == Some(sample) {
        sample.beside()
    } else {
        sample
    }
}

/// Returns the median, the mean of both middle values of an even number.
fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some(f64::midpoint(values[half - 1], values[half])),
        _ => Some(values[half]),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Every, Reduce, StepsError, reduce};
    use crate::cube::Cube;
    use crate::cube::tests::{band, georef, time};
    use crate::raster::{Raster, Samples};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn starts(every: &str, first: &str, last: &str) -> Vec<String> {
        let every = Every::parse(every).unwrap();
        let steps = every.steps(at(first), at(last)).unwrap();
        assert!(steps.windows(2).all(|pair| pair[0].end == pair[1].start));
        let text = |t: Timestamp| t.strftime("%F").to_string();
        steps.iter().map(|s| text(s.start)).collect()
    }

    #[test]
    fn steps_begin_at_midnight_and_months_at_their_first_day() {
        let found = starts("10d", "2020-02-20T10:11:12Z", "2020-03-11T00:00:00Z");
        assert_eq!(found, ["2020-02-20", "2020-03-01", "2020-03-11"]);
        let found = starts("1mo", "2019-12-31T23:00:00Z", "2020-02-01T00:00:00Z");
        assert_eq!(found, ["2019-12-01", "2020-01-01", "2020-02-01"]);
        assert_eq!(
            starts("1y", "2019-03-01T00:00:00Z", "2019-05-01T00:00:00Z"),
            ["2019-03-01"]
        );
    }

    #[test]
    fn a_step_has_the_length_that_its_text_says_and_ends_where_the_next_begins() {
        let texts = ["10d", "2w", "3mo", "2y"];
        let lengths = [
            Every::Days(10),
            Every::Days(14),
            Every::Months(3),
            Every::Months(24),
        ];
        assert_eq!(texts.map(Every::parse), lengths.map(Ok));
        let (first, last) = (at("2020-01-01T12:00:00Z"), at("2020-01-20T00:00:00Z"));
        let steps = Every::Days(7).steps(first, last).unwrap();
        let edge = at("2020-01-08T00:00:00Z");
        assert!(!steps[0].holds(edge) && steps[1].holds(edge));
    }

    #[test]
    fn steps_without_end_and_senseless_lengths_are_refused() {
        for text in ["", "d", "10", "0d", "10x", "-1d", "70000d", "10000w"] {
            assert!(Every::parse(text).is_err(), "{text}");
        }
        let daily = Every::Days(1);
        let found = daily.steps(at("1900-01-01T00:00:00Z"), at("2020-01-01T00:00:00Z"));
        assert_eq!(found, Err(StepsError::TooMany));
    }

    fn cube(dates: &[[u16; 6]]) -> Cube {
        let rasters = dates.iter().map(|values| {
            let samples = Samples::U16(values.to_vec());
            Raster::new(3, 2, samples).unwrap()
        });
        let times = (1..).take(dates.len()).map(time).collect();
        Cube::new(georef(), vec![band("B04")], times, rasters.collect()).unwrap()
    }

    #[test]
    fn medians_leave_out_fill_and_average_the_middle_two() {
        let cube = cube(&[[1, 0, 0, 5, 9, 3], [2, 7, 0, 5, 1, 0], [9, 0, 0, 5, 4, 4]]);
        let found = reduce(&cube, &Reduce::Median);
        assert_eq!(found[0].1.samples(), &Samples::U16(vec![2, 7, 0, 5, 4, 4]));
    }

    #[test]
    fn the_first_valid_date_of_an_order_is_taken() {
        let cube = cube(&[[1, 0, 0, 5, 0, 3], [2, 7, 0, 0, 1, 0]]);
        let found = reduce(&cube, &Reduce::First(vec![1, 0]));
        assert_eq!(found[0].1.samples(), &Samples::U16(vec![2, 7, 0, 5, 1, 3]));
    }
}
