//! What names and metadata of NAIP quarter quads say.
//!
//! *Invariants*: the metadata delivered with a file wins over the file's name; a wrong date is an
//! error; a date from before NAIP was flown is no date.
//!
//! Source: USDA, NAIP information sheet: `m_QUAD_QUARTER_ZONE_RESOLUTION_DATE[_…].tif`.
//!
//! *Not here*: pixels (`super`), where the metadata lies (`deliveries`).

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use super::super::xml::{self, Leaf};
use crate::name::show;

/// The first year of the programme. ISO metadata of 2020 was delivered with the date of its
/// template, 1990-11-03.
const FIRST_YEAR: i16 = 2002;

/// When a quarter quad was flown, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flown {
    /// The day's first instant in UTC: no product gives the hour.
    pub day: Timestamp,
    /// What a user should know of it.
    pub note: Option<String>,
}

/// Tells whether a file name is that of a quarter quad: `m_4709963_se_14_1_20150926`.
pub fn is_naip(path: &Path) -> bool {
    let stem = stem(path);
    let mut parts = stem.split('_');
    let quad = |p: &str| p.len() == 7 && p.bytes().all(|b| b.is_ascii_digit());
    let quarter = |p: &str| matches!(p, "ne" | "nw" | "se" | "sw");
    parts.next() == Some("m")
        && parts.next().is_some_and(quad)
        && parts.next().is_some_and(quarter)
        && day_in(&stem).is_some()
}

/// Tells whether a file is the metadata of a raster: `STEM.xml`, `.txt` or `STEM_PUBLISHED.xml`.
pub fn is_metadata(raster: &Path, file: &Path) -> bool {
    let form = file.extension().and_then(|e| e.to_str()).unwrap_or("");
    let form = ["xml", "txt"].iter().any(|e| form.eq_ignore_ascii_case(e));
    let (own, stem) = (stem(raster), stem(file));
    let published = |rest: &str| rest.len() == 9 && rest.starts_with('_');
    form && stem
        .strip_prefix(&own)
        .is_some_and(|rest| rest.is_empty() || published(rest))
}

/// Returns when a quarter quad was flown, from its metadata (name and text), else from its name.
pub fn flown(path: &Path, metadata: Option<(&str, &str)>) -> Result<Option<Flown>, Fault> {
    let Some((file, text)) = metadata else {
        return Ok(day_of_name(path)?.map(|day| Flown { day, note: None }));
    };
    let days = days_of_metadata(text).map_err(|reason| {
        Fault::new(
            FaultKind::Data,
            format!("the metadata {} cannot be used", show(Path::new(file))),
        )
        .because(reason)
        .try_("--datetime 2015-09-26")
    })?;
    let named = match days {
        Some(_) => day_of_name(path).unwrap_or(None),
        None => day_of_name(path)?,
    };
    let within = |days: &Days| named.is_some_and(|n| days.first <= n && n <= days.last);
    Ok(match (days, named) {
        (Some(days), Some(day)) if within(&days) => Some(Flown { day, note: None }),
        (Some(days), Some(_)) => Some(Flown {
            day: days.first,
            note: Some("flown on the day its metadata gives, not that of its name".to_owned()),
        }),
        (Some(days), None) => Some(Flown {
            day: days.first,
            note: None,
        }),
        (None, Some(day)) => Some(Flown {
            day,
            note: Some("flown on the day of its name: its metadata gives none".to_owned()),
        }),
        (None, None) => None,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|s| s.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

/// Returns the first run of exactly eight digits between underscores or other signs.
fn day_in(stem: &str) -> Option<&str> {
    let mut runs = stem.split(|c: char| !c.is_ascii_digit());
    runs.find(|r| r.len() == 8)
}

fn day_of_name(path: &Path) -> Result<Option<Timestamp>, Fault> {
    let stem = stem(path);
    let Some(digits) = day_in(&stem) else {
        return Ok(None);
    };
    instant(digits).map(Some).ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the name of {} holds no day", show(path)),
        )
        .because(format!("there is no {digits} in the calendar"))
        .try_("--datetime 2015-09-26")
    })
}

/// Returns the first instant of a day written `20150926` or `2015-09-26…`.
fn instant(text: &str) -> Option<Timestamp> {
    let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    let day = Date::strptime("%Y%m%d", digits).ok()?;
    day.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}

/// The days in which a quarter quad was flown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    first: Timestamp,
    last: Timestamp,
}

/// Reads the time period of FGDC metadata (XML or text) or ISO 19115; `None` if it gives none.
fn days_of_metadata(text: &str) -> Result<Option<Days>, String> {
    let said: Vec<String> = if text
        .trim_start_matches(['\u{feff}', ' ', '\n', '\r'])
        .starts_with('<')
    {
        let leaves = xml::leaves(text).map_err(|e| e.to_string())?;
        leaves
            .into_iter()
            .filter(is_period)
            .map(|l| l.text)
            .collect()
    } else {
        lines_of_period(text)
    };
    let mut days = Vec::new();
    for text in said {
        let wrong = || format!("its time period holds '{}'", text.escape_debug());
        days.push(instant(&text).ok_or_else(wrong)?);
    }
    let year = |t: &Timestamp| t.to_zoned(TimeZone::UTC).year();
    days.retain(|d| year(d) >= FIRST_YEAR);
    let (first, last) = (days.iter().min(), days.iter().max());
    Ok(first.zip(last).map(|(first, last)| Days {
        first: *first,
        last: *last,
    }))
}

/// Tells whether an element gives a day of the time period of content.
fn is_period(leaf: &Leaf) -> bool {
    let fgdc = leaf.is_in("timeperd") && matches!(leaf.name(), "caldate" | "begdate" | "enddate");
    let iso = leaf.is_in("EX_TemporalExtent")
        && matches!(
            leaf.name(),
            "beginPosition" | "endPosition" | "timePosition"
        );
    fgdc || iso
}

/// Returns the dates of `Time_Period_of_Content` in FGDC's text form.
fn lines_of_period(text: &str) -> Vec<String> {
    let (_, period) = text
        .split_once("Time_Period_of_Content")
        .unwrap_or(("", ""));
    let date = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let dated = matches!(
            key.trim(),
            "Calendar_Date" | "Beginning_Date" | "Ending_Date"
        );
        dated.then(|| value.trim().to_owned())
    };
    let lines = period
        .lines()
        .take_while(|l| !l.contains("Currentness_Reference"));
    lines.filter_map(date).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(name: &str, metadata: Option<&str>) -> Option<String> {
        let metadata = metadata.map(|text| ("m.xml", text));
        let found = flown(Path::new(name), metadata).unwrap();
        found.map(|f| f.day.strftime("%Y%m%d").to_string())
    }

    const QUAD: &str = "m_4709963_se_14_1_20150926.tif";

    #[test]
    fn quarter_quads_are_known_by_name_and_dated_by_it() {
        for name in [QUAD, "m_3610332_se_13_060_20200903-downsampled.tif"] {
            assert!(is_naip(Path::new(name)), "{name}");
        }
        assert!(!is_naip(Path::new("S2_L1C_20150731T100009.tif")));
        assert_eq!(day(QUAD, None).as_deref(), Some("20150926"));
        assert!(flown(Path::new("m_4709963_se_14_1_20150931.tif"), None).is_err());
    }

    #[test]
    fn metadata_wins_over_the_name() {
        let single = "<m><timeperd><timeinfo><sngdate><caldate>20150927</caldate></sngdate>\
                      </timeinfo></timeperd></m>";
        assert_eq!(day(QUAD, Some(single)).as_deref(), Some("20150927"));
        let range = "<m><timeperd><timeinfo><rngdates><begdate>20150920</begdate>\
                     <enddate>20151003</enddate></rngdates></timeinfo></timeperd></m>";
        assert_eq!(day(QUAD, Some(range)).as_deref(), Some("20150926"));
        let text = "Time_Period_of_Content:\n  Calendar_Date: 20150925\n\
                    Currentness_Reference: x\n  Calendar_Date: 20170101\n";
        assert_eq!(day(QUAD, Some(text)).as_deref(), Some("20150925"));
        let wrong = single.replace("20150927", "someday");
        assert!(flown(Path::new(QUAD), Some(("m.xml", &wrong))).is_err());
    }

    #[test]
    fn the_date_of_a_template_is_no_date() {
        let iso = "<x><EX_TemporalExtent><beginPosition>1990-11-03T00:00:00</beginPosition>\
                   <endPosition>1990-11-04T00:00:00</endPosition></EX_TemporalExtent></x>";
        assert_eq!(day(QUAD, Some(iso)).as_deref(), Some("20150926"));
        let real = iso.replace("1990-11", "2015-10");
        assert_eq!(day(QUAD, Some(&real)).as_deref(), Some("20151003"));
    }

    #[test]
    fn metadata_belongs_to_the_raster_of_its_name() {
        let raster = Path::new("m_3610332_se_13_060_20200903.jp2");
        for name in [
            "m_3610332_se_13_060_20200903.XML",
            "m_3610332_se_13_060_20200903_20201204.xml",
        ] {
            assert!(is_metadata(raster, Path::new(name)), "{name}");
        }
        for name in [
            "m_3610332_se_13_060_2020.xml",
            "m_3610332_se_13_060_20200903.tif",
        ] {
            assert!(!is_metadata(raster, Path::new(name)), "{name}");
        }
    }
}
