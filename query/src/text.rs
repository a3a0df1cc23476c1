//! Selectors as text: times, boxes and orders.
//!
//! *Invariants*: a date names its whole day, a month its whole month, a year its whole year, in
//! UTC; an open end is `..` or nothing; what cannot be understood is never guessed.
//!
//! *Not here*: flags (cli), query strings (node).

use earth::extent::{BoxError, LonLatBox};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::model::{SortKey, SortOrder, TimeRange};

/// Names of the sort keys, as in `--sort`.
const SORT_KEYS: [(&str, SortKey); 5] = [
    ("id", SortKey::Id),
    ("time", SortKey::Time),
    ("cloud", SortKey::Cloud),
    ("coverage", SortKey::Coverage),
    ("geocode", SortKey::Geocode),
];

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TextError {
    /// Neither a year, a month, a date nor an instant.
    #[error(
        "'{text}' is no time: write 2019, 2019-07, 2019-07-01 or 2019-07-01T10:30:00Z, \
         and A/B, A/.. or ../B for a range"
    )]
    Time {
        /// The part that is wrong.
        text: String,
    },
    /// The range has more than two ends.
    #[error("'{text}' has more than one '/'")]
    Ends {
        /// The whole text.
        text: String,
    },
    /// The range ends before it starts.
    #[error("'{text}' ends before it starts")]
    Backward {
        /// The whole text.
        text: String,
    },
    /// The range has no end at all.
    #[error("'{text}' bounds nothing")]
    Unbounded {
        /// The whole text.
        text: String,
    },
    /// Not four numbers.
    #[error("'{text}' is no box: write W,S,E,N in degrees")]
    Corners {
        /// The whole text.
        text: String,
    },
    /// Four numbers that are no box.
    #[error("'{text}' is no box: {source}")]
    Box {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// An unknown or repeated sort key.
    #[error(
        "'{text}' is no order: write id, time, cloud, coverage or geocode, '-' before it to reverse, each once"
    )]
    Sort {
        /// The part that is wrong.
        text: String,
    },
}

/// Parses a time, or a range of times, in UTC: `2019-07`, `2019-07-01/2019-07-31`, `2019/..`.
///
/// The start of a range is the first instant that its text names, the end the last one.
pub fn time_range(text: &str) -> Result<TimeRange, TextError> {
    let whole = text.trim();
    let (first, last) = match whole.split_once('/') {
        None => (whole, whole),
        Some((first, last)) => (first.trim(), last.trim()),
    };
    if last.contains('/') {
        let text = whole.to_owned();
        return Err(TextError::Ends { text });
    }
    let range = TimeRange {
        start: end_of_range(first)?.map(|(start, _)| start),
        end: end_of_range(last)?.map(|(_, end)| end),
    };
    match (range.start, range.end) {
        (None, None) => Err(TextError::Unbounded {
            text: whole.to_owned(),
        }),
        (Some(start), Some(end)) if start > end => Err(TextError::Backward {
            text: whole.to_owned(),
        }),
        _ => Ok(range),
    }
}

/// Returns the first and last instant that a text names; `None` for an open end.
fn end_of_range(text: &str) -> Result<Option<(Timestamp, Timestamp)>, TextError> {
    if text.is_empty() || text == ".." {
        return Ok(None);
    }
    let wrong = || TextError::Time {
        text: text.to_owned(),
    };
    period(text)
        .or_else(|| instant(text))
        .ok_or_else(wrong)
        .map(Some)
}

/// Returns the first and last instant of a year, month or day.
fn period(text: &str) -> Option<(Timestamp, Timestamp)> {
    let parts: Vec<&str> = text.split('-').collect();
    let widths = [4, 2, 2];
    let well_formed = parts.len() <= widths.len()
        && parts
            .iter()
            .zip(widths)
            .all(|(part, width)| part.len() == width && part.bytes().all(|c| c.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let part = |i: usize| parts.get(i).map_or(Some(1), |p| p.parse::<i8>().ok());
    let first = Date::new(parts.first()?.parse().ok()?, part(1)?, part(2)?).ok()?;
    let next = match parts.len() {
        1 => first.checked_add(1.year()),
        2 => first.checked_add(1.month()),
        _ => first.checked_add(1.day()),
    };
    let last = match next {
        Ok(next) => midnight(next)?.checked_sub(1.nanosecond()).ok()?,
        Err(_) => Timestamp::MAX,
    };
    Some((midnight(first)?, last))
}

fn midnight(date: Date) -> Option<Timestamp> {
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

/// Returns an instant, and the last instant that its text still names: `10:30:00Z` covers its
/// whole second, since sensing times carry fractions that nobody types.
fn instant(text: &str) -> Option<(Timestamp, Timestamp)> {
    let first: Timestamp = text.parse().ok()?;
    let last = if text.contains('.') || text.contains(',') {
        first
    } else {
        let second = first.checked_add(1.second()).unwrap_or(Timestamp::MAX);
        second.checked_sub(1.nanosecond()).ok()?
    };
    Some((first, last))
}

/// Parses `W,S,E,N` in degrees; west may exceed east across the antimeridian.
pub fn lon_lat_box(text: &str) -> Result<LonLatBox, TextError> {
    let corners = || TextError::Corners {
        text: text.to_owned(),
    };
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let numbers = numbers.map_err(|_| corners())?;
    let &[west, south, east, north] = numbers.as_slice() else {
        return Err(corners());
    };
    LonLatBox::new(west, south, east, north).map_err(|source| TextError::Box {
        text: text.to_owned(),
        source,
    })
}

/// Parses an order such as `-cloud,id`.
pub fn sort(text: &str) -> Result<Vec<SortOrder>, TextError> {
    let mut orders: Vec<SortOrder> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let wrong = || TextError::Sort {
            text: part.to_owned(),
        };
        let descending = part.starts_with('-');
        let name = part.trim_start_matches(['-', '+']);
        let known = SORT_KEYS.iter().find(|(known, _)| *known == name);
        let key = known.ok_or_else(wrong)?.1;
        if part.len() > name.len() + 1 || orders.iter().any(|o| o.key == key) {
            return Err(wrong());
        }
        orders.push(SortOrder { key, descending });
    }
    Ok(orders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> (Option<String>, Option<String>) {
        let range = time_range(text).unwrap();
        let show = |t: Timestamp| t.to_string();
        (range.start.map(show), range.end.map(show))
    }

    fn check(text: &str, start: &str, end: &str) {
        let some = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        assert_eq!(bounds(text), (some(start), some(end)), "{text}");
    }

    #[test]
    fn a_date_names_its_whole_day_a_month_its_whole_month() {
        check(
            "2019-07-01/2019-07-31",
            "2019-07-01T00:00:00Z",
            "2019-07-31T23:59:59.999999999Z",
        );
        check(
            "2020-02",
            "2020-02-01T00:00:00Z",
            "2020-02-29T23:59:59.999999999Z",
        );
        check(
            "2019",
            "2019-01-01T00:00:00Z",
            "2019-12-31T23:59:59.999999999Z",
        );
        check(
            "2019-12-31",
            "2019-12-31T00:00:00Z",
            "2019-12-31T23:59:59.999999999Z",
        );
    }

    #[test]
    fn either_end_may_be_open() {
        check("2019-07/..", "2019-07-01T00:00:00Z", "");
        check("2019-07/", "2019-07-01T00:00:00Z", "");
        check("../2019", "", "2019-12-31T23:59:59.999999999Z");
        check("/2019-07-02", "", "2019-07-02T23:59:59.999999999Z");
    }

    #[test]
    fn instants_keep_their_zone_and_cover_their_second() {
        check(
            "2015-07-31T10:00:09Z",
            "2015-07-31T10:00:09Z",
            "2015-07-31T10:00:09.999999999Z",
        );
        check(
            "2015-07-31T12:00:09.5+02:00",
            "2015-07-31T10:00:09.5Z",
            "2015-07-31T10:00:09.5Z",
        );
    }

    #[test]
    fn the_last_year_of_the_calendar_has_an_end() {
        let range = time_range("9999").unwrap();
        assert!(range.end.unwrap() > "9999-12-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "..",
            "../..",
            "/",
            "19",
            "2019-7",
            "2019-13",
            "2019-02-30",
            "July",
            "2019/2020/2021",
            "2020/2019",
            "2019-07-01T25:00:00Z",
            "2019-07-01T10:00",
            "-2019",
            "２０１９",
        ] {
            assert!(time_range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_message_names_the_wrong_part() {
        let text = time_range("2019-07-01/tomorrow").unwrap_err().to_string();
        assert!(text.starts_with("'tomorrow' is no time"), "{text}");
    }

    #[test]
    fn a_box_is_four_numbers_with_south_below_north() {
        let b = lon_lat_box(" -10, 50,-9.5,51 ").unwrap();
        assert_eq!(b, LonLatBox::new(-10.0, 50.0, -9.5, 51.0).unwrap());
        assert!(
            lon_lat_box("170,-20,-170,-10")
                .unwrap()
                .crosses_antimeridian()
        );
        for wrong in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,2,3,4",
            "0,51,1,50",
            "0,0,1,91",
            "nan,0,1,1",
        ] {
            assert!(lon_lat_box(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_lists_keys_once_each() {
        let order = |key, descending| SortOrder { key, descending };
        assert_eq!(
            sort("-cloud,id").unwrap(),
            [order(SortKey::Cloud, true), order(SortKey::Id, false)]
        );
        assert_eq!(sort("+time").unwrap(), [order(SortKey::Time, false)]);
        for wrong in ["", "id,", "--id", "size", "id,-id", "-"] {
            assert!(sort(wrong).is_err(), "{wrong}");
        }
    }
}
