//! Names of Landsat products and of their files.
//!
//! *Invariants*: a name that does not fit is no Landsat name; days exist in the calendar.
//!
//! Sources: USGS, *Landsat Collection 2 Level-1 Data Format Control Book* (LSDS-1822), section 3;
//! *What is the naming convention for Landsat Collections / scene identifiers*.
//!
//! *Not here*: what the metadata says (`mtl`).

use earth::dataset::landsat::{Level, Sensor};
use jiff::civil::Date;

/// How the archive was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Before there were collections: `LC80050092015191LGN01`.
    Before,
    /// Collection 1.
    One,
    /// Collection 2.
    Two,
}

/// What a product's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The name, as far as it was read.
    pub name: String,
    /// What recorded it.
    pub sensor: Sensor,
    /// Number of the satellite.
    pub satellite: u8,
    /// How far it was processed.
    pub level: Level,
    /// Path and row in the worldwide reference system, six digits.
    pub path_row: String,
    /// Day of sensing.
    pub day: Date,
    /// Which collection, where the name says.
    pub collection: Option<Collection>,
}

impl Product {
    /// Tells whether two names mean the same observation, however much of it they say.
    pub fn same_scene(&self, other: &Self) -> bool {
        self.satellite == other.satellite
            && self.path_row == other.path_row
            && self.day == other.day
    }
}

/// Reads a product's name and what follows it: `LC08_…_02_T1_SR_B4.TIF` → (…, `SR_B4.TIF`).
pub fn parse(text: &str) -> Option<(Product, &str)> {
    let first = text.split(['_', '.']).next()?;
    match first.len() {
        4 => of_collection(text),
        21 => before_collections(text, first),
        _ => None,
    }
}

fn of_collection(text: &str) -> Option<(Product, &str)> {
    let mut parts = text.split('_');
    let (sensor, satellite) = sensor(parts.next()?.as_bytes())?;
    let level = match parts.next()? {
        "L1TP" | "L1GT" | "L1GS" => Level::L1,
        "L2SP" | "L2SR" => Level::L2,
        _ => return None,
    };
    let path_row = parts.next().filter(|p| digits(p, 6))?;
    let day = parts.next().map(day_of).filter(Option::is_some)??;
    // Some archives shorten file names to what was read so far.
    let (mut length, mut collection) = (text.split('_').take(4).map(|p| p.len() + 1).sum(), None);
    let mut rest = [parts.next(), parts.next(), parts.next()];
    // The last part of a bare name may carry the extension of the file.
    rest[2] = rest[2].map(|t| t.split('.').next().unwrap_or(t));
    if let [Some(made), Some(number), Some(tier)] = rest
        && digits(made, 8)
        && matches!(tier, "T1" | "T2" | "RT" | "A1" | "A2")
    {
        collection = match number {
            "01" => Some(Collection::One),
            "02" => Some(Collection::Two),
            _ => None,
        };
        length += made.len() + number.len() + tier.len() + 3;
    }
    let name = text.get(..length - 1).unwrap_or(text).to_owned();
    let product = Product {
        name,
        sensor,
        satellite,
        level,
        path_row: path_row.to_owned(),
        day,
        collection,
    };
    Some((product, text.get(length..).unwrap_or("")))
}

fn before_collections<'a>(text: &'a str, first: &str) -> Option<(Product, &'a str)> {
    let head = first.get(..3)?.as_bytes();
    let (sensor, satellite) = sensor(&[head[0], head[1], b'0', head[2]])?;
    let path_row = first.get(3..9).filter(|p| digits(p, 6))?;
    let year = first.get(9..13)?.parse().ok()?;
    let day_of_year = first.get(13..16).filter(|d| digits(d, 3))?.parse().ok()?;
    let start = Date::new(year, 1, 1).ok()?;
    let day = start.with().day_of_year(day_of_year).build().ok()?;
    let product = Product {
        name: first.to_owned(),
        sensor,
        satellite,
        level: Level::L1,
        path_row: path_row.to_owned(),
        day,
        collection: Some(Collection::Before),
    };
    Some((product, text.get(first.len() + 1..).unwrap_or("")))
}

/// Returns sensor and satellite of `LC08`.
fn sensor(code: &[u8]) -> Option<(Sensor, u8)> {
    let [b'L', kind, tens, ones] = code else {
        return None;
    };
    let digit = |code: &u8| code.is_ascii_digit().then(|| code - b'0');
    let satellite = digit(tens)? * 10 + digit(ones)?;
    let sensor = match (kind, satellite) {
        (b'T', 4 | 5) => Sensor::Tm,
        (b'E', 7) => Sensor::EtmPlus,
        (b'C', 8 | 9) => Sensor::OliTirs,
        (b'O', 8 | 9) => Sensor::Oli,
        (b'T', 8 | 9) => Sensor::Tirs,
        _ => return None,
    };
    Some((sensor, satellite))
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit())
}

fn day_of(text: &str) -> Option<Date> {
    let text = text.split('.').next()?;
    Date::strptime("%Y%m%d", Some(text).filter(|t| digits(t, 8))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_read_from_their_names() {
        let cases = [
            (
                "LC08_L2SP_005009_20150710_20200908_02_T2_SR_B5.TIF",
                "SR_B5.TIF",
                Sensor::OliTirs,
                8,
            ),
            (
                "LE07_L1TP_005009_20150710_20200908_01_RT_B6_VCID_1.TIF",
                "B6_VCID_1.TIF",
                Sensor::EtmPlus,
                7,
            ),
            (
                "LT05_L1GS_005009_19850710_20200908_02_T2",
                "",
                Sensor::Tm,
                5,
            ),
            (
                "LC08_L1TP_014031_20180106_BQA.TIF",
                "BQA.TIF",
                Sensor::OliTirs,
                8,
            ),
            (
                "LC08_L2SP_005009_20150710_20200908_02_T2.tar",
                "tar",
                Sensor::OliTirs,
                8,
            ),
            ("LC80050092015191LGN01_B4.TIF", "B4.TIF", Sensor::OliTirs, 8),
            (
                "LT08_L1GT_005009_20150710_20200908_02_T2_B10.TIF",
                "B10.TIF",
                Sensor::Tirs,
                8,
            ),
        ];
        for (text, rest, sensor, satellite) in cases {
            let (product, after) = parse(text).unwrap();
            assert_eq!(
                (after, product.sensor, product.satellite),
                (rest, sensor, satellite)
            );
            assert!(
                text.starts_with(&product.name) && product.path_row.len() == 6,
                "{product:?}"
            );
        }
        let (old, _) = parse("LC80050092015191LGN01_B4.TIF").unwrap();
        let (new, _) = parse("LC08_L2SP_005009_20150710_20200908_02_T2").unwrap();
        assert!(old.same_scene(&new));
        assert_eq!(new.name, "LC08_L2SP_005009_20150710_20200908_02_T2");
        assert_eq!(
            (old.collection, new.collection),
            (Some(Collection::Before), Some(Collection::Two))
        );
    }

    #[test]
    fn other_names_are_no_products() {
        for text in [
            "landsat_b3.tif",
            "L8-B2-Elkton-VA.tiff",
            "LC08_L2SP_005009_20151310_20200908_02_T2",
            "LC08_L9XX_005009_20150710",
            "LM05_L1TP_005009_19850710_20200908_02_T2",
            "LC8005009201536éLGN01",
            "LC80050092015999LGN01",
            // Found by fuzzing: a letter where the satellite's number stands.
            "LCLP_L1TP_014032_20180101_20180101_01_T1",
            "LC08_L2SP_005009_20150710é",
            "",
            "____",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
