//! What names and metadata of NAIP quarter quads say.
//!
//! *Invariants*: the metadata beside a file wins over the file's name; a wrong date is an error.
//!
//! Source: USDA, NAIP information sheet: `m_QUAD_QUARTER_ZONE_RESOLUTION_DATE[_…].tif`.
//!
//! *Not here*: pixels (`super`).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use super::super::show;

/// Greatest metadata file: real ones have 15–45 kB.
const BYTES_MAX: u64 = 4 << 20;

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

/// Returns the day a quarter quad was flown (its first instant in UTC), if it is known.
pub fn flown(path: &Path) -> Result<Option<Timestamp>, Fault> {
    if let Some(xml) = metadata_path(path)
        && let Some(day) = day_of_metadata(&xml)?
    {
        return Ok(Some(day));
    }
    let stem = stem(path);
    match day_in(&stem) {
        None => Ok(None),
        Some(digits) => instant(digits).map(Some).ok_or_else(|| {
            Fault::new(
                FaultKind::Data,
                format!("the name of {} holds no day", show(path)),
            )
            .because(format!("there is no {digits} in the calendar"))
            .try_("--datetime 2015-09-26")
        }),
    }
}

/// Returns the metadata beside a file: `STEM.xml` or `STEM_PUBLISHED.xml`.
pub fn metadata_path(path: &Path) -> Option<PathBuf> {
    let own = path.with_extension("xml");
    if own.is_file() {
        return Some(own);
    }
    let stem = format!("{}_", stem(path));
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).ok()?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .filter(|p| {
            self::stem(p)
                .strip_prefix(&stem)
                .is_some_and(|rest| rest.len() == 8)
        })
        .collect();
    found.sort();
    found.pop()
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

fn instant(digits: &str) -> Option<Timestamp> {
    let day = Date::strptime("%Y%m%d", digits).ok()?;
    day.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}

/// Reads `<timeperd>…<caldate>` of FGDC metadata.
fn day_of_metadata(path: &Path) -> Result<Option<Timestamp>, Fault> {
    let failed = |reason: String| {
        Fault::new(
            FaultKind::Data,
            format!("the metadata {} cannot be used", show(path)),
        )
        .because(reason)
        .try_("--datetime 2015-09-26")
    };
    let meta = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?;
    if meta.len() > BYTES_MAX {
        return Err(failed("it is too long".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    let period = text.split_once("<timeperd>").map_or("", |(_, rest)| rest);
    let day = period.split_once("<caldate>").map_or("", |(_, rest)| rest);
    let day = day
        .split_once("</caldate>")
        .map_or("", |(day, _)| day.trim());
    if day.is_empty() {
        return Ok(None);
    }
    let wrong = || failed(format!("its <caldate> is '{}'", day.escape_debug()));
    instant(day).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(name: &str) -> Option<String> {
        flown(Path::new(name)).unwrap().map(|t| t.to_string())
    }

    #[test]
    fn quarter_quads_are_known_by_name_and_dated_by_it() {
        for name in [
            "m_4709963_se_14_1_20150926.tif",
            "m_3610332_se_13_060_20200903-downsampled.tif",
        ] {
            assert!(is_naip(Path::new(name)), "{name}");
        }
        assert!(!is_naip(Path::new("S2_L1C_20150731T100009.tif")));
        assert_eq!(
            day("m_4709963_se_14_1_20150926.tif").as_deref(),
            Some("2015-09-26T00:00:00Z")
        );
        assert!(flown(Path::new("m_4709963_se_14_1_20150931.tif")).is_err());
    }
}
