//! Names of single-band rasters of MODIS land products, as programs write them.
//!
//! ```text
//! MYD13A1.A2020153.h30v10.006.2020170024036_NDVI_B01.TIF    granule and field: archives in clouds
//! MOD13Q1.061__250m_16_days_NDVI_doy2020001_aid0001.tif     AppEEARS
//! MOD13A1_NDVI_2016_001.tif                                 MODIStsp
//! ```
//!
//! *Invariants*: a name that does not fit is none of these; the field is one of the product's, or
//! the name is none either; days exist in the calendar.
//!
//! *Not here*: what the rasters hold (`raster`, `product`).

use jiff::civil::Date;

use super::day_of_year;
use super::field::Field;
use super::product::{Product, product_of};

/// What archives call fields, by the code of the product; other names end as the field's does.
const ALIASES: &[(&str, &str, &str)] = &[
    ("13", "RR", "red_reflectance"),
    ("13", "NIRR", "NIR_reflectance"),
    ("13", "BR", "blue_reflectance"),
    ("13", "MIRR", "MIR_reflectance"),
    ("13", "VIQ", "VI_Quality"),
    ("13", "CDOY", "composite_day_of_the_year"),
    ("13", "PR", "pixel_reliability"),
    ("43A4", "B01", "Nadir_Reflectance_Band1"),
    ("43A4", "B02", "Nadir_Reflectance_Band2"),
    ("43A4", "B03", "Nadir_Reflectance_Band3"),
    ("43A4", "B04", "Nadir_Reflectance_Band4"),
    ("43A4", "B05", "Nadir_Reflectance_Band5"),
    ("43A4", "B06", "Nadir_Reflectance_Band6"),
    ("43A4", "B07", "Nadir_Reflectance_Band7"),
    ("43A4", "B01qa", "BRDF_Albedo_Band_Mandatory_Quality_Band1"),
    ("43A4", "B02qa", "BRDF_Albedo_Band_Mandatory_Quality_Band2"),
    ("43A4", "B03qa", "BRDF_Albedo_Band_Mandatory_Quality_Band3"),
    ("43A4", "B04qa", "BRDF_Albedo_Band_Mandatory_Quality_Band4"),
    ("43A4", "B05qa", "BRDF_Albedo_Band_Mandatory_Quality_Band5"),
    ("43A4", "B06qa", "BRDF_Albedo_Band_Mandatory_Quality_Band6"),
    ("43A4", "B07qa", "BRDF_Albedo_Band_Mandatory_Quality_Band7"),
];

/// What the name of a raster says.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The product.
    pub(super) product: &'static Product,
    /// Its short name, such as `MYD13A1`.
    pub(super) short: String,
    /// The name without the field: the same for all rasters of a scene.
    pub(super) scene: String,
    /// The field.
    pub(super) field: &'static Field,
    /// First day.
    pub(super) day: Date,
}

/// Reads a raster's file name without its extension.
pub fn is_named(stem: &str) -> bool {
    parse(stem).is_some()
}

/// Reads a raster's file name without its extension.
pub(super) fn parse(stem: &str) -> Option<Named> {
    let short = stem.get(..stem.find(['.', '_'])?)?;
    let product = product_of(short)?;
    let (scene, layer, day) = of_granule(stem)
        .or_else(|| of_appeears(stem))
        .or_else(|| of_modistsp(stem))?;
    Some(Named {
        product,
        short: short.to_owned(),
        scene,
        field: field(product, layer)?,
        day,
    })
}

/// Scene, field and day.
type Parts<'a> = (String, &'a str, Date);

/// `CODE.AYYYYDDD.hHHvVV.VERSION.PRODUCED_FIELD`, or `.` before the field.
fn of_granule(stem: &str) -> Option<Parts<'_>> {
    let mut ends = stem.match_indices('.').map(|(at, _)| at);
    let (first, fourth) = (ends.next()?, ends.nth(2)?);
    let produced = stem.get(fourth + 1..)?;
    let digits = produced.find(|c: char| !c.is_ascii_digit())?;
    let layer = produced.get(digits..)?.trim_start_matches(['.', '_']);
    let layer = layer
        .strip_prefix("hdf")
        .map_or(layer, |l| l.trim_start_matches(['.', '_']));
    let day = stem
        .get(first + 1..)?
        .split('.')
        .next()?
        .strip_prefix('A')?;
    let scene = stem.get(..fourth + 1 + digits)?.to_owned();
    (digits == 13).then_some((scene, layer, day_of_year(day)?))
}

/// `CODE.VERSION_FIELD_doyYYYYDDD…_aidNNNN`.
fn of_appeears(stem: &str) -> Option<Parts<'_>> {
    let (before, after) = stem.rsplit_once("_doy")?;
    let (code, layer) = before.split_once('_')?;
    let day = day_of_year(after.get(..7)?)?;
    Some((format!("{code}_doy{after}"), layer, day))
}

/// `CODE_FIELD_YYYY_DDD`.
fn of_modistsp(stem: &str) -> Option<Parts<'_>> {
    let (before, day) = stem.rsplit_once('_')?;
    let (before, year) = before.rsplit_once('_')?;
    let (code, layer) = before.split_once('_')?;
    let found = day_of_year(&format!("{year}{day}"))?;
    let whole = year.len() == 4 && day.len() == 3;
    whole.then(|| (format!("{code}_{year}_{day}"), layer, found))
}

/// Finds the field that a name means.
fn field(product: &Product, layer: &str) -> Option<&'static Field> {
    let alias = |layer: &str| {
        let own = |code: &str| product.code.starts_with(code);
        let found = ALIASES
            .iter()
            .find(|(code, from, _)| own(code) && *from == layer);
        found.and_then(|(_, _, to)| product.fields.iter().find(|f| f.name == *to))
    };
    // A number of the band may follow: `RR_B04`.
    let bare = layer
        .rsplit_once("_B")
        .filter(|(_, n)| n.parse::<u8>().is_ok());
    let bare = bare.map_or(layer, |(bare, _)| bare);
    let told = plain(bare);
    let ends = || {
        let mut fields = product.fields.iter();
        fields.find(|f| !told.is_empty() && told.ends_with(&plain(f.ends)))
    };
    alias(layer).or_else(|| alias(bare)).or_else(ends)
}

/// Returns letters and digits alone, in lower case: `_250m_16_days_NDVI` → `250m16daysndvi`.
fn plain(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rasters_are_named_by_archives_and_programs() {
        let cases = [
            (
                "MYD13A1.A2020153.h30v10.006.2020170024036_NDVI_B01",
                (
                    "MYD13A1.A2020153.h30v10.006.2020170024036",
                    "NDVI",
                    "2020-06-01",
                ),
            ),
            (
                "MYD13A1.A2020153.h30v10.006.2020170024036_RR_B04",
                (
                    "MYD13A1.A2020153.h30v10.006.2020170024036",
                    "red_reflectance",
                    "2020-06-01",
                ),
            ),
            (
                "MCD43A4.A2013160.h10v04.006.2016135221216_B01qa",
                (
                    "MCD43A4.A2013160.h10v04.006.2016135221216",
                    "BRDF_Albedo_Band_Mandatory_Quality_Band1",
                    "2013-06-09",
                ),
            ),
            (
                "MCD43A4.A2013160.h10v04.006.2016135221216_B07",
                (
                    "MCD43A4.A2013160.h10v04.006.2016135221216",
                    "Nadir_Reflectance_Band7",
                    "2013-06-09",
                ),
            ),
            (
                "MOD09A1.A2017193.h18v04.006.2017202035302.hdf_sur_refl_b01",
                (
                    "MOD09A1.A2017193.h18v04.006.2017202035302",
                    "sur_refl_b01",
                    "2017-07-12",
                ),
            ),
            (
                "MOD13Q1.061__250m_16_days_NDVI_doy2020001_aid0001",
                ("MOD13Q1.061_doy2020001_aid0001", "NDVI", "2020-01-01"),
            ),
            (
                "MOD11A2.061_LST_Day_1km_doy2020009000000_aid0001",
                (
                    "MOD11A2.061_doy2020009000000_aid0001",
                    "LST_Day_1km",
                    "2020-01-09",
                ),
            ),
            (
                "MOD13A1_NDVI_2016_366",
                ("MOD13A1_2016_366", "NDVI", "2016-12-31"),
            ),
        ];
        for (stem, (scene, field, day)) in cases {
            let named = parse(stem).unwrap_or_else(|| panic!("{stem}"));
            let found = (
                named.scene.as_str(),
                named.field.name,
                named.day.to_string(),
            );
            assert_eq!(found, (scene, field, day.to_owned()), "{stem}");
        }
    }

    #[test]
    fn other_names_are_none_of_these() {
        for stem in [
            "MCD43A4.h10v04.006",
            "MYD13A1.A2020153.h30v10.006.2020170024036",
            "MYD13A1.A2020153.h30v10.006.2020170024036_VZ_B08",
            "MYD13A1.A2020367.h30v10.006.2020170024036_NDVI_B01",
            "TERRA_MODIS_012010_NDVI_2013-09-14",
            "MOD13A1_NDVI_2015_366",
            "VNP13A1_NDVI_2016_001",
            "MOD13A1",
            "MOD13A1_NDVI_é016_001",
            "",
        ] {
            assert_eq!(parse(stem).map(|n| n.scene), None, "{stem}");
        }
    }
}
