//! MODIS land products: HDF4-EOS granules on the sinusoidal grid (`.hdf`, `.hdf.zip`).
//!
//! *Invariants*: the product is known by its short name, the time is the beginning of the range in
//! its core metadata, each before the file's name; a raster lies inside the tile it is named by;
//! all values that mean "nothing" come as the band's one fill value; a field that is not there is
//! a missing band.
//!
//! Source: NASA, HDF-EOS Interface Based on HDF5, and the ECS core metadata standard.
//!
//! *Not here*: the products (`product`), where a raster of a file lies (`super::image`, by GDAL
//! from the file's `StructMetadata`).

pub mod attributes;
pub mod directory;
mod field;
mod granule;
mod legend;
pub mod naming;
mod product;
pub mod raster;
mod tile;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::{BandSpec, Dataset, dataset};
use earth::raster::swath::Place;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use self::field::{Field, Holds};
use self::granule::{FieldImage, Granule};
use self::product::{PRODUCTS, Product, product_of};
use self::tile::Tile;
use super::archive;
use super::package::delivered_files;
use super::raster_file;
use super::unpacked::Unpacked;
use super::{Given, Layer, Mask, Named, Scene, Source, agree};
use crate::name::{ends_with, scene_name, show};

/// The reader of MODIS granules.
#[derive(Debug)]
pub struct Modis;

impl Source for Modis {
    fn reads(&self) -> &'static str {
        "MODIS land products (.hdf and .hdf.zip)"
    }

    fn claims(&self, path: &Path) -> bool {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        let ends = |e| name.as_deref().is_some_and(|n| ends_with(n, e));
        path.is_file()
            && (ends(".hdf")
                || ends(".hdf.zip")
                || (ends(".zip") && archive::holds(path, |name| ends_with(name, ".hdf"))))
    }

    fn named(&self, path: &Path) -> Named {
        let scene = name(path);
        let product = product_of(scene.split('.').next().unwrap_or(""));
        Named {
            dataset: product.map(|p| p.dataset),
            scene,
        }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        let (file, unpacked) = file_of(path)?;
        let granule = Granule::open(&file, unpacked)?;
        let product = which_product(path, &granule)?;
        let known = known(product);
        let acquired = beginning(path, &granule)?;
        agree_with_flags(path, given, (known, acquired))?;
        let reader = Reader {
            granule: &granule,
            known,
            tile: tile(&granule),
        };
        let (layers, missing) = reader.layers(product)?;
        if layers.is_empty() {
            return Err(no_fields(path, product, &granule));
        }
        let mask = match &given.cloud_mask {
            Some(mask) => Some(raster_file::user_mask(mask)?),
            None => mask(product, &layers),
        };
        Ok(Scene {
            name: name(path),
            dataset: known,
            platform: platform(&granule),
            acquired,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered: delivered_files(&[file.as_path()])?,
            layers,
            mask,
            missing,
            notes: Vec::new(),
        })
    }
}

/// Returns the granule itself, unpacked if it comes in an archive.
fn file_of(path: &Path) -> Result<(PathBuf, Option<Arc<Unpacked>>), Fault> {
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zip"))
    {
        let unpacked = Unpacked::only(path, ".hdf")?;
        let file = unpacked.path().to_owned();
        return Ok((file, Some(Arc::new(unpacked))));
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok((absolute, None))
}

/// Knows the product by its short name, else by the file's.
fn which_product(path: &Path, granule: &Granule) -> Result<&'static Product, Fault> {
    let own = granule.attributes.core("SHORTNAME");
    let named = granule.label.split('.').next().unwrap_or("");
    let name = own.unwrap_or(named);
    product_of(name).ok_or_else(|| {
        let codes: Vec<_> = PRODUCTS.iter().map(|p| p.code).collect();
        let because = match own {
            Some(own) => format!("it calls itself '{}'", own.escape_debug()),
            None => format!(
                "it has no short name, and '{}' is none",
                named.escape_debug()
            ),
        };
        Fault::new(
            FaultKind::Data,
            format!("{} is no MODIS product that is known", show(path)),
        )
        .because(because)
        .because(format!("known are MOD, MYD and MCD{}", codes.join(", ")))
        .try_("convert its fields with gdal_translate to GeoTIFF, and give --dataset generic")
    })
}

/// Returns the dataset of a product.
fn known(product: &Product) -> &'static Dataset {
    dataset(product.dataset).expect("every product's dataset is in earth's table: a test holds it")
}

/// Returns when the product's days begin: by its core metadata, else by its name (`A2017193`).
fn beginning(path: &Path, granule: &Granule) -> Result<Timestamp, Fault> {
    let lost = |reason: String| {
        Fault::new(
            FaultKind::Data,
            format!("the sensing time of {} is unknown", show(path)),
        )
        .because(reason)
        .try_("download it again; names such as MOD09A1.A2017193.h18v04.… say the day, too")
    };
    let Some(day) = granule.attributes.core("RANGEBEGINNINGDATE") else {
        let mut parts = granule.label.split('.');
        let named = parts.find_map(|p| day_of_year(p.strip_prefix('A')?));
        let none = "neither RANGEBEGINNINGDATE nor its name says it";
        return named.map(midnight).ok_or_else(|| lost(none.to_owned()));
    };
    let time = granule.attributes.core("RANGEBEGINNINGTIME");
    let time = time.map_or(Ok(Time::midnight()), str::parse);
    if let (Ok(day), Ok(time)) = (day.parse::<Date>(), time) {
        return Ok(instant(day.to_datetime(time)));
    }
    let day = day.escape_debug();
    Err(lost(format!(
        "its range begins on '{day}', which is no day"
    )))
}

/// Reads a year and a day of it: `2017193`.
fn day_of_year(text: &str) -> Option<Date> {
    let digits = text.len() == 7 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Date::strptime("%Y%j", text).ok())?
}

fn midnight(day: Date) -> Timestamp {
    instant(day.to_datetime(Time::midnight()))
}

/// Returns an instant of UTC; every civil time has one there.
fn instant(time: DateTime) -> Timestamp {
    let zoned = time.to_zoned(TimeZone::UTC);
    zoned.map_or(Timestamp::UNIX_EPOCH, |z| z.timestamp())
}

fn agree_with_flags(
    path: &Path,
    given: &Given,
    (known, acquired): (&Dataset, Timestamp),
) -> Result<(), Fault> {
    let own = known.name.to_owned();
    agree(path, ("--dataset", given.dataset.as_ref()), (&own, &own))?;
    let shown = acquired.to_string();
    agree(
        path,
        ("--datetime", given.acquired.as_ref()),
        (&acquired, &shown),
    )
}

/// Returns the tile that the metadata names, else the file's name.
fn tile(granule: &Granule) -> Option<Tile> {
    let number = |name| granule.attributes.core(name)?.trim().parse().ok();
    let own = number("HORIZONTALTILENUMBER").zip(number("VERTICALTILENUMBER"));
    let own = own.and_then(|(h, v)| Tile::new(h, v));
    own.or_else(|| granule.label.split('.').find_map(Tile::parse))
}

/// Returns the satellites: by the short name's first letters, which say whose data went in.
fn platform(granule: &Granule) -> Option<String> {
    let own = granule.attributes.core("SHORTNAME");
    platform_of(own.unwrap_or(&granule.label))
}

fn platform_of(short_name: &str) -> Option<String> {
    let name = match short_name.get(..3)? {
        "MOD" => "terra",
        "MYD" => "aqua",
        "MCD" => "terra,aqua",
        _ => return None,
    };
    Some(name.to_owned())
}

/// The file's name without its endings: the same for an archive and what lies in it.
fn name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let mut name = name.unwrap_or_default();
    for end in [".zip", ".hdf"] {
        if ends_with(&name, end) {
            name.truncate(name.len() - end.len());
        }
    }
    scene_name(&name)
}

fn no_fields(path: &Path, product: &Product, granule: &Granule) -> Fault {
    let wanted = product.fields.first().map_or("", |f| f.name);
    let has: Vec<_> = granule.names().collect();
    let has = if has.is_empty() {
        "it holds no grid".to_owned()
    } else {
        format!("it holds {}", has.join(", "))
    };
    Fault::new(FaultKind::Data, format!("{} holds no pixels", show(path)))
        .because(format!(
            "it has none of its product's fields, such as {wanted}"
        ))
        .because(has)
        .try_("download the whole granule")
}

/// Returns the field that says what was seen, if it is there.
fn mask(product: &Product, layers: &[Layer]) -> Option<Mask> {
    let meaning = product.mask?;
    let layer = layers.iter().find(|l| l.name == meaning.band)?.clone();
    Some(Mask { meaning, layer })
}

/// Opens a granule's fields.
struct Reader<'a> {
    granule: &'a Granule,
    known: &'static Dataset,
    tile: Option<Tile>,
}

impl Reader<'_> {
    /// Returns the layers that are there, and the names of those that are not.
    fn layers(&self, product: &Product) -> Result<(Vec<Layer>, Vec<String>), Fault> {
        let (mut layers, mut missing) = (Vec::new(), Vec::new());
        for field in product.fields {
            match self.granule.field(field.ends) {
                None => missing.push(field.name.to_owned()),
                Some(found) => layers.push(self.layer(field, found?)?),
            }
        }
        Ok((layers, missing))
    }

    fn layer(&self, field: &Field, found: FieldImage) -> Result<Layer, Fault> {
        self.placed(field, &found)?;
        let plain = BandSpec {
            name: field.name,
            common: "",
            centre_nm: 0.0,
            resolution_m: 0.0,
        };
        let spec = self.known.bands.iter().find(|b| b.name == field.name);
        let declared: Vec<f64> = self.known.bands.iter().map(|b| b.resolution_m).collect();
        match field.holds {
            Holds::Numbers(numbers) => {
                let numbers = numbers.said_by(&found.attributes);
                let image = found.image.valid_within(1, numbers.valid, numbers.fill);
                let resolution_m = image.nominal_m(&declared);
                Ok(Layer {
                    resolution_m,
                    scale: numbers.scale,
                    offset: numbers.offset,
                    ..Layer::of(spec.unwrap_or(&plain), Arc::new(image), 1)?
                })
            }
            Holds::Classes(fill, names) => Ok(Layer {
                resolution_m: found.image.nominal_m(&declared),
                fill,
                categorical: true,
                class_names: names,
                ..Layer::of(spec.unwrap_or(&plain), Arc::new(found.image), 1)?
            }),
        }
    }

    /// Fails if a field does not lie in the tile that the granule names.
    fn placed(&self, field: &Field, found: &FieldImage) -> Result<(), Fault> {
        let Place::Mapped(georef) = found.image.georef() else {
            return Ok(());
        };
        match self.tile {
            Some(tile) if !tile.holds(georef) => {
                let [x, _, _, y, ..] = georef.affine.to_gdal();
                let (label, name) = (&self.granule.label, field.name);
                let what = format!("{name} of '{label}' cannot be placed");
                Err(Fault::new(FaultKind::Data, what)
                    .because(format!(
                        "its corner ({x:.0}, {y:.0}) m is not in tile {tile}"
                    ))
                    .try_("download it again"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_and_its_granule_have_one_name() {
        for path in [
            "a/MOD09A1.A2017193.h18v04.hdf",
            "MOD09A1.A2017193.h18v04.hdf.zip",
        ] {
            assert_eq!(name(Path::new(path)), "MOD09A1.A2017193.h18v04");
        }
    }

    #[test]
    fn days_of_a_year_are_days() {
        let day = |text| day_of_year(text).map(|d| d.to_string());
        assert_eq!(day("2017193").as_deref(), Some("2017-07-12"));
        assert_eq!(day("2016366").as_deref(), Some("2016-12-31"));
        for text in ["2017366", "2017000", "201719", "2017-19", "20171933"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
