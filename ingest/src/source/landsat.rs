//! Landsat 4 to 9 products: level 1 and 2, Collection 1 and 2, and scenes before collections.
//!
//! A product is a folder of one file a band, named `PRODUCT_BAND.TIF`, with metadata (`_MTL.txt`,
//! `.json` or `.xml`) and a quality band, or an archive of such a folder (`.tar` as USGS delivers
//! it, `.tar.gz`, `.zip`). Folders without metadata are read by their names.
//!
//! *Invariants*: delivered numbers are stored, fill is 0; scale and offset give reflectance (at
//! level 1 divided by the sine of the sun's elevation), surface temperature in kelvin, or radiance
//! for thermal bands of level 1; without metadata only what holds for all products is applied.
//!
//! *Not here*: names (`product`), metadata (`mtl`), what quality bits mean (`quality`).

pub mod mtl;
pub mod product;
mod quality;
mod scaling;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use earth::dataset::landsat::{Level, bands};
use earth::dataset::{BandSpec, Dataset, dataset};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use self::mtl::{Mtl, MtlError};
use self::product::{Collection, Product, parse};
use super::archive::{self, Kind};
use super::image::{Format, Image};
use super::package::Package;
use super::raster_file;
use super::{Given, Layer, Mask, Named, Scene, Source, agree, readable, tarball};
use crate::name::{scene_name, show, stem_name};

/// Resolutions that pixels of a product mean: panchromatic, and all others as delivered.
const RESOLUTIONS_M: [f64; 2] = [15.0, 30.0];
/// The number that means "nothing" in every band.
const FILL: f64 = 0.0;

/// The reader of Landsat products.
#[derive(Debug)]
pub struct Landsat;

impl Source for Landsat {
    fn reads(&self) -> &'static str {
        "Landsat products (folders of *_B*.TIF with MTL, or their .tar, .tar.gz, .zip)"
    }

    fn claims(&self, path: &Path) -> bool {
        if path.is_dir() {
            return is_product(path);
        }
        file_of(path).is_some() || is_packed(path)
    }

    /// One file of a product stands for all of them.
    fn offers(&self, path: &Path, _given: &Given) -> bool {
        self.claims(path) && (path.is_dir() || is_packed(path) || is_first(path))
    }

    fn named(&self, path: &Path) -> Named {
        // An archive without a list is not unpacked to be named.
        let listed = archive::kind(path) != Some(Kind::TarGz);
        let found = listed.then(|| members(path).ok()).flatten();
        found.map_or_else(
            || named_by(path),
            |m| Named {
                dataset: m.collection().map(|c| name_of(c, m.product.level)),
                scene: scene_name(&m.name),
            },
        )
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        readable(path)?;
        let members = members(path)?;
        let mtl = metadata(path, &members)?;
        let known = known(path, &members)?;
        agree(
            path,
            ("--dataset", given.dataset.as_ref()),
            (&known.name.to_owned(), known.name),
        )?;
        let mut notes = Vec::new();
        let acquired = sensed(path, &members, mtl.as_ref(), (given, &mut notes))?;
        let mut layers = members.layers(mtl.as_ref(), &mut notes)?;
        if layers.is_empty() {
            return Err(no_pixels(path));
        }
        let quality = members.quality()?;
        layers.extend(quality.iter().map(|m| m.layer.clone()));
        let mask = match &given.cloud_mask {
            Some(mask) => Some(raster_file::user_mask(mask)?),
            None => quality,
        };
        Ok(Scene {
            name: scene_name(&members.name),
            dataset: known,
            platform: Some(format!("landsat-{}", members.product.satellite)),
            acquired,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered: members.package.delivered()?,
            missing: members.missing(),
            layers,
            mask,
            notes,
        })
    }
}

/// Returns the product a file belongs to and what the file holds: `SR_B4`, `QA_PIXEL`, `MTL`.
fn file_of(path: &Path) -> Option<(Product, String)> {
    let name = path.file_name()?.to_str()?;
    member(name)
}

fn member(name: &str) -> Option<(Product, String)> {
    let (product, rest) = parse(name)?;
    let (holds, extension) = rest.rsplit_once('.')?;
    let holds = holds.to_ascii_uppercase();
    let extension = extension.to_ascii_lowercase();
    let raster = matches!(extension.as_str(), "tif" | "tiff");
    let band = |h: &str| {
        let h = h.strip_prefix("SR_").or(h.strip_prefix("ST_")).unwrap_or(h);
        let number = h.strip_prefix('B').unwrap_or("");
        number.starts_with(|c: char| c.is_ascii_digit())
    };
    let wanted = match holds.as_str() {
        "MTL" => mtl::EXTENSIONS.contains(&extension.as_str()),
        h => raster && (band(h) || quality::NAMES.contains(&h)),
    };
    wanted.then_some((product, holds))
}

/// Tells whether a path is an archive of a product: by its name, else by what it lists.
fn is_packed(path: &Path) -> bool {
    let Some(kind) = archive::kind(path).filter(|_| path.is_file()) else {
        return false;
    };
    let is_its = |name: &str| member(last(name)).is_some();
    let holds = || match kind {
        Kind::TarGz => tarball::first_names(path).iter().any(|n| is_its(n)),
        Kind::Tar | Kind::Zip => archive::holds(path, is_its),
    };
    by_name(path).is_some() || holds()
}

/// Returns the product that a path's own name says.
fn by_name(path: &Path) -> Option<Product> {
    Some(parse(path.file_name()?.to_str()?)?.0)
}

/// Returns what a path's own name tells.
fn named_by(path: &Path) -> Named {
    let product = by_name(path);
    let dataset = |p: &Product| Some(name_of(p.collection?, p.level));
    Named {
        dataset: product.as_ref().and_then(dataset),
        scene: product.map_or_else(|| stem_name(path), |p| scene_name(&p.name)),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Tells whether a folder is one product: by its name, else by holding nothing else. Among other
/// files a product is found by its first one, and they are found as well.
fn is_product(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let (mut products, mut others) = (BTreeSet::new(), false);
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        products.extend(member(&name).map(|(product, _)| product.name));
        others |= !name.starts_with('.') && parse(&name).is_none();
    }
    products.len() == 1 && (!others || by_name(folder).is_some())
}

/// Tells whether no other file of the product comes before this one: metadata, then bands.
fn is_first(path: &Path) -> bool {
    let Some((product, holds)) = file_of(path) else {
        return false;
    };
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("TIF");
    let names = mtl::EXTENSIONS.iter().map(|e| ("MTL", *e));
    let bands = bands(product.sensor, product.level).iter();
    let names = names.chain(bands.map(|b| (b.name, extension)));
    let names = names.chain(quality::NAMES.iter().map(|n| (*n, extension)));
    let mut before = names.take_while(|(h, e)| *h != holds || *e != extension);
    before.all(|(h, e)| {
        let name = format!("{}_{h}.{e}", product.name);
        !path.with_file_name(name).is_file()
    })
}

/// The files of one product.
struct Members {
    /// What the file names say.
    product: Product,
    /// The fullest name: its folder's, or that of its files.
    name: String,
    /// All files of the product.
    package: Package,
    /// What a file holds → its name.
    files: BTreeMap<String, String>,
}

/// Finds the files of the product that a folder or archive holds or a file belongs to.
fn members(path: &Path) -> Result<Members, Fault> {
    if is_packed(path) {
        let (package, folder) = Package::archive(path, |file| member(file).is_some())?;
        let whole = [stem_of(path), Some(folder)].into_iter().flatten();
        return of_package(path, package, &whole.collect::<Vec<String>>());
    }
    let folder = if path.is_dir() {
        path.to_owned()
    } else {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_owned()
    };
    let package = match file_of(path) {
        Some((product, _)) if !path.is_dir() => Package::flat(&folder, own(&product))?,
        _ => Package::flat(&folder, |name| parse(name).is_some())?,
    };
    let whole = stem_of(&folder.canonicalize().unwrap_or(folder));
    of_package(path, package, whole.as_slice())
}

/// Accepts the names of a product's files; an archive of them beside them is none.
fn own(product: &Product) -> impl Fn(&str) -> bool {
    |name| {
        let packed = archive::kind(Path::new(name)).is_some();
        !packed && parse(name).is_some_and(|(p, _)| p.name == product.name)
    }
}

/// Returns the last part of a path.
fn stem_of(path: &Path) -> Option<String> {
    path.file_name().map(|n| n.to_string_lossy().into_owned())
}

/// Sorts the files of the one product in a package; `whole` are names that may say more of it.
fn of_package(path: &Path, package: Package, whole: &[String]) -> Result<Members, Fault> {
    let found = package.names().filter_map(member);
    let found: BTreeMap<String, Product> = found.map(|(p, _)| (p.name.clone(), p)).collect();
    if let [first, second, ..] = found.keys().collect::<Vec<_>>().as_slice() {
        let what = format!("{} holds files of two products", show(path));
        return Err(Fault::new(FaultKind::Data, what)
            .because(format!("they are {first} and {second}"))
            .try_("give every product a folder of its own"));
    }
    let Some(product) = found.into_values().next() else {
        return Err(no_pixels(path));
    };
    let package = package.keep(own(&product));
    let mut files = BTreeMap::new();
    for name in package.names() {
        let Some((_, holds)) = member(name) else {
            continue;
        };
        // Metadata of several forms says the same; the first form is read.
        let rank = |n: &str| mtl::EXTENSIONS.iter().position(|e| extension_is(n, e));
        let better = files
            .get(&holds)
            .is_none_or(|old: &String| rank(name) < rank(old));
        if better {
            files.insert(holds, name.to_owned());
        }
    }
    Ok(Members {
        name: fullest_name(whole, &product),
        product,
        package,
        files,
    })
}

fn extension_is(name: &str, extension: &str) -> bool {
    let own = Path::new(name).extension();
    own.is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

/// Some archives shorten the names of files: then the folder has the whole name.
fn fullest_name(whole: &[String], product: &Product) -> String {
    let whole = whole.iter().filter_map(|name| Some(parse(name)?.0));
    let mut longer = whole.filter(|w| w.same_scene(product) && w.name.len() > product.name.len());
    longer
        .next()
        .map_or_else(|| product.name.clone(), |w| w.name)
}

impl Members {
    /// Returns which collection the product belongs to, by its names or its quality band.
    fn collection(&self) -> Option<Collection> {
        let whole = parse(&self.name).and_then(|(p, _)| p.collection);
        let by_quality = || quality::collection(self.files.keys().map(String::as_str));
        self.product.collection.or(whole).or_else(by_quality)
    }

    fn specs(&self) -> &'static [BandSpec] {
        bands(self.product.sensor, self.product.level)
    }

    fn image(&self, file: &str) -> Result<Arc<Image>, Fault> {
        let image = Image::open(&self.package.gdal_path(file), file, Format::Tiff)?;
        Ok(Arc::new(image.of(self.package.kept())))
    }

    /// Returns the bands delivered, in the sensor's order.
    fn layers(&self, mtl: Option<&Mtl>, notes: &mut Vec<String>) -> Result<Vec<Layer>, Fault> {
        let mut layers = Vec::new();
        for spec in self.specs() {
            let Some(file) = self.files.get(spec.name) else {
                continue;
            };
            let scaling = scaling::of(&self.product, spec, mtl);
            let scaling = scaling.map_err(|e| unusable(self.files.get("MTL"), &e))?;
            if let Some(note) = scaling.note.filter(|n| !notes.iter().any(|o| o == n)) {
                notes.push(note.to_owned());
            }
            let image = self.image(file)?;
            layers.push(Layer {
                resolution_m: image.nominal_m(&RESOLUTIONS_M),
                fill: Some(FILL),
                scale: scaling.scale,
                offset: scaling.offset,
                ..Layer::of(spec, image, 1)?
            });
        }
        Ok(layers)
    }

    /// Returns the quality band as classes and as what judges the sky.
    fn quality(&self) -> Result<Option<Mask>, Fault> {
        let found = quality::NAMES
            .iter()
            .find_map(|n| self.files.get_key_value(*n));
        let Some((name, file)) = found else {
            return Ok(None);
        };
        let image = self.image(file)?;
        let spec = BandSpec {
            name: "",
            common: "",
            centre_nm: 0.0,
            resolution_m: 0.0,
        };
        let collection = self.collection().unwrap_or(Collection::Two);
        let layer = Layer {
            name: name.clone(),
            resolution_m: image.nominal_m(&RESOLUTIONS_M),
            fill: Some(quality::FILL),
            categorical: true,
            ..Layer::of(&spec, image, 1)?
        };
        Ok(Some(quality::mask(layer, collection)))
    }

    /// Returns the bands that the sensor has and the product did not deliver.
    fn missing(&self) -> Vec<String> {
        let bands = self.specs().iter().map(|b| b.name);
        let mut missing: Vec<String> = bands
            .filter(|b| !self.files.contains_key(*b))
            .map(str::to_owned)
            .collect();
        if !quality::NAMES.iter().any(|n| self.files.contains_key(*n)) {
            missing.push("QA_PIXEL".to_owned());
        }
        missing
    }
}

/// Reads the product's metadata, if it was delivered, and checks that it is this product's.
fn metadata(path: &Path, members: &Members) -> Result<Option<Mtl>, Fault> {
    let Some(file) = members.files.get("MTL") else {
        return Ok(None);
    };
    let extension = mtl::EXTENSIONS.iter().find(|e| extension_is(file, e));
    let text = members.package.text(file)?;
    let mtl = Mtl::parse(extension.copied().unwrap_or("txt"), &text);
    let mtl = mtl.map_err(|e| unusable(Some(file), &e))?;
    let other = mtl.product().and_then(parse).map(|(p, _)| p);
    match other.filter(|p| !p.same_scene(&members.product)) {
        Some(other) => Err(Fault::new(
            FaultKind::Data,
            format!("{} holds files of two products", show(path)),
        )
        .because(format!("{file} is the metadata of {}", other.name))
        .try_("give every product a folder of its own")),
        None => Ok(Some(mtl)),
    }
}

fn unusable(file: Option<&String>, error: &MtlError) -> Fault {
    let file = file.map_or("the metadata", String::as_str);
    Fault::new(FaultKind::Data, format!("{file} cannot be used"))
        .because(error.to_string())
        .try_("download the product again")
}

/// Returns the dataset of a collection and level.
fn name_of(collection: Collection, level: Level) -> &'static str {
    match (collection, level) {
        (Collection::Two, Level::L2) => "landsat-c2-l2",
        (Collection::Two, Level::L1) => "landsat-c2-l1",
        (Collection::One | Collection::Before, _) => "landsat-c1-l1",
    }
}

fn known(path: &Path, members: &Members) -> Result<&'static Dataset, Fault> {
    // Level 2 was first made of Collection 2; names that are cut short say no collection.
    let by_level = match members.product.level {
        Level::L2 => Some(Collection::Two),
        Level::L1 => None,
    };
    let collection = members.collection().or(by_level).ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the collection of {} is unknown", show(path)),
        )
        .because("its names do not say it and it has no quality band")
        .try_("name its folder as the product, such as LC08_L1TP_…_02_T1")
    })?;
    let name = name_of(collection, members.product.level);
    Ok(dataset(name).expect("Landsat's collections are in earth's table of datasets"))
}

/// Returns when the scene was sensed: by its metadata, else the day of its name.
fn sensed(
    path: &Path,
    members: &Members,
    mtl: Option<&Mtl>,
    (given, notes): (&Given, &mut Vec<String>),
) -> Result<Timestamp, Fault> {
    let told = mtl.map(Mtl::acquired).transpose();
    let told = told
        .map_err(|e| unusable(members.files.get("MTL"), &e))?
        .flatten();
    let day = members.product.day.to_zoned(TimeZone::UTC);
    let day = day.map_err(|e| unusable_day(path, &e))?;
    match (told, given.acquired) {
        (Some(told), given) => {
            agree(
                path,
                ("--datetime", given.as_ref()),
                (&told, &told.to_string()),
            )?;
            Ok(told)
        }
        (None, Some(given)) if given.to_zoned(TimeZone::UTC).date() == members.product.day => {
            Ok(given)
        }
        (None, given) => {
            let start = day.timestamp();
            agree(
                path,
                ("--datetime", given.as_ref()),
                (&start, &start.to_string()),
            )?;
            notes.push("only the day of sensing is known: there is no MTL".to_owned());
            Ok(start)
        }
    }
}

fn unusable_day(path: &Path, error: &jiff::Error) -> Fault {
    Fault::new(
        FaultKind::Data,
        format!("the name of {} holds no day", show(path)),
    )
    .because(error.to_string())
}

fn no_pixels(path: &Path) -> Fault {
    Fault::new(FaultKind::Data, format!("{} holds no pixels", show(path)))
        .because("none of the product's bands (*_B4.TIF, *_SR_B4.TIF, …) is there")
        .try_("download the whole product")
}
