//! Sentinel-2 products (SAFE), levels 1C and 2A, as folders and zip archives.
//!
//! *Invariants*: only images that the metadata lists are read; each band once, at the finest
//! resolution delivered; offsets and quantification come from the metadata.
//!
//! Source: ESA, Sentinel-2 Products Specification Document 14.9.
//!
//! *Not here*: GDAL's own SENTINEL2 driver: it hides offsets and merges resolutions.

pub mod xml;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use earth::dataset::sentinel2::{CLOUD_PROBABILITY, SCENE_CLASSES};
use earth::dataset::{Dataset, dataset};
use earth::split::collection::is_name;
use wire::fault::{Fault, FaultKind};

use self::xml::{Level, Product};
use super::archive;
use super::image::{Format, Image};
use super::package::{Delivered, Package};
use super::raster_file;
use super::{Given, Layer, Mask, Named, Scene, Source, agree};
use crate::name::{scene_name, show, stem_name};

/// Bands by the index that `band_id` means.
const BAND_IDS: [&str; 13] = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
];
/// The end-of-codestream marker of JPEG 2000 (ISO/IEC 15444-1, A.4.4).
const JP2_END: [u8; 2] = [0xFF, 0xD9];
/// Classes of the scene classification (ESA, Level-2A Algorithm Overview, table 3); 0 is fill.
const CLASS_NAMES: [(u32, &str); 11] = [
    (1, "saturated or defective"),
    (2, "topographic shadow"),
    (3, "cloud shadow"),
    (4, "vegetation"),
    (5, "not vegetated"),
    (6, "water"),
    (7, "unclassified"),
    (8, "cloud, medium probability"),
    (9, "cloud, high probability"),
    (10, "thin cirrus"),
    (11, "snow or ice"),
];
/// Levels with their metadata files.
const LEVELS: [Level; 2] = [Level::L1C, Level::L2A];

/// The reader of Sentinel-2 products.
#[derive(Debug)]
pub struct Sentinel2;

impl Source for Sentinel2 {
    fn reads(&self) -> &'static str {
        "Sentinel-2 products (.SAFE folders and their .zip)"
    }

    fn claims(&self, path: &Path) -> bool {
        let ends = |e: &str| path.extension().is_some_and(|x| x.eq_ignore_ascii_case(e));
        if path.is_dir() {
            ends("SAFE")
                || LEVELS
                    .iter()
                    .any(|l| path.join(l.metadata_name()).is_file())
        } else {
            ends("SAFE") || (ends("zip") && is_packed(path))
        }
    }

    fn named(&self, path: &Path) -> Named {
        if let Some(named) = packed_name(path) {
            return named;
        }
        let scene = stem_name(path);
        let scene = scene.strip_suffix(".SAFE").unwrap_or(&scene).to_owned();
        let level = |l: &&Level| {
            let in_name = l.metadata_name().trim_start_matches("MTD_");
            let in_name = in_name.trim_end_matches(".xml");
            scene.contains(in_name) || path.join(l.metadata_name()).is_file()
        };
        let dataset = LEVELS.iter().find(level).map(|l| l.dataset());
        Named { scene, dataset }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        let (package, folder) = package(path)?;
        let level = level(path, &package)?;
        let product = metadata(path, &package, level)?;
        agree_with_flags(path, given, level, &product)?;
        let files = listed(&package, &product);
        if files.bands.is_empty() {
            return Err(no_pixels(path, product.images.len()));
        }
        let delivered = package.delivered()?;
        whole(&files, &delivered)?;
        let reader = Reader {
            package: &package,
            product: &product,
            level,
        };
        let mut layers = reader.layers(&files)?;
        let mask = match &given.cloud_mask {
            Some(mask) => Some(raster_file::user_mask(mask)?),
            None => reader.mask(&files)?,
        };
        layers.extend(
            mask.iter()
                .filter(|m| m.meaning.tells_void)
                .map(|m| m.layer.clone()),
        );
        Ok(Scene {
            name: name(path, &folder, &product),
            dataset: known(level),
            platform: product.platform.clone(),
            acquired: product.start,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered,
            layers,
            mask,
            missing: missing(level, &files),
            notes: Vec::new(),
        })
    }
}

/// Tells whether an archive is a product's: by its name, as damaged ones are, else by its list.
fn is_packed(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let named = name.starts_with("S2") && name.contains("_MSIL");
    path.is_file() && (named || archive::holds(path, |inside| metadata_in(inside).is_some()))
}

/// Returns the level whose metadata a file in an archive is, and the folder that holds it.
fn metadata_in(inside: &str) -> Option<(Level, &str)> {
    let (folder, file) = inside.rsplit_once('/').unwrap_or(("", inside));
    let level = LEVELS.into_iter().find(|l| l.metadata_name() == file)?;
    Some((level, folder.rsplit('/').next().unwrap_or(folder)))
}

/// Returns what the list of an archive tells of the product in it.
fn packed_name(path: &Path) -> Option<Named> {
    let names = archive::names(path).ok().filter(|_| path.is_file())?;
    let (level, folder) = names.iter().find_map(|name| metadata_in(name))?;
    let name = folder.strip_suffix(".SAFE").unwrap_or(folder);
    Some(Named {
        scene: Some(name.to_owned()).filter(|n| is_name(n))?,
        dataset: Some(level.dataset()),
    })
}

/// The images of a product by what they hold; each at the finest resolution delivered.
#[derive(Debug, Default)]
struct Files {
    /// Band → (metres in the name, file).
    bands: BTreeMap<String, (u32, String)>,
    classes: Option<(u32, String)>,
    probability: Option<(u32, String)>,
}

fn package(path: &Path) -> Result<(Package, String), Fault> {
    if path.is_dir() {
        let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
        return Ok((Package::folder(path)?, name.unwrap_or_default()));
    }
    Package::archive(path, |file| metadata_in(file).is_some())
}

fn level(path: &Path, package: &Package) -> Result<Level, Fault> {
    let level = LEVELS.into_iter().find(|l| package.has(l.metadata_name()));
    level.ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("{} lacks its metadata", show(path)),
        )
        .because("it has neither MTD_MSIL1C.xml nor MTD_MSIL2A.xml")
        .try_("download the whole product; offsets and times stand only there")
    })
}

fn metadata(path: &Path, package: &Package, level: Level) -> Result<Product, Fault> {
    let name = level.metadata_name();
    xml::product(level, &package.text(name)?).map_err(|e| {
        Fault::new(
            FaultKind::Data,
            format!("{name} of {} cannot be used", show(path)),
        )
        .because(e.to_string())
        .try_("download the product again")
    })
}

fn agree_with_flags(
    path: &Path,
    given: &Given,
    level: Level,
    product: &Product,
) -> Result<(), Fault> {
    let own = level.dataset().to_owned();
    agree(path, ("--dataset", given.dataset.as_ref()), (&own, &own))?;
    let start = product.start.to_string();
    agree(
        path,
        ("--datetime", given.acquired.as_ref()),
        (&product.start, &start),
    )
}

/// Returns the table of a level's bands.
fn known(level: Level) -> &'static Dataset {
    dataset(level.dataset()).expect("both levels are in earth's table of datasets")
}

/// Finds what the product's list of images and its folder of masks deliver.
fn listed(package: &Package, product: &Product) -> Files {
    let mut files = Files::default();
    for image in &product.images {
        let file = format!("{image}.jp2");
        if !package.has(&file) {
            continue;
        }
        let (band, metres) = band_of(image);
        match band {
            "SCL" => finest(&mut files.classes, metres, file),
            _ if BAND_IDS.contains(&band) => {
                let mut best = files.bands.remove(band);
                finest(&mut best, metres, file);
                files.bands.extend(best.map(|b| (band.to_owned(), b)));
            }
            _ => {}
        }
    }
    for name in package.names().filter(|n| is_jp2(n)) {
        let stem = name
            .rsplit('/')
            .next()
            .unwrap_or(name)
            .trim_end_matches(".jp2");
        if let Some(metres) = stem.strip_prefix("MSK_CLDPRB_").and_then(metres) {
            finest(&mut files.probability, metres, name.to_owned());
        }
    }
    files
}

fn is_jp2(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|e| e.eq_ignore_ascii_case("jp2"))
}

/// Splits `…_B02_10m` or `…_B02` into band and metres (0 where the name has none).
fn band_of(image: &str) -> (&str, u32) {
    let stem = image.rsplit('/').next().unwrap_or(image);
    let (before, last) = stem.rsplit_once('_').unwrap_or(("", stem));
    match metres(last) {
        Some(m) => (before.rsplit('_').next().unwrap_or(before), m),
        None => (last, 0),
    }
}

fn metres(text: &str) -> Option<u32> {
    text.strip_suffix('m').and_then(|m| m.parse().ok())
}

/// Keeps the finer of two files.
fn finest(best: &mut Option<(u32, String)>, metres: u32, file: String) {
    if best.as_ref().is_none_or(|(m, _)| metres < *m) {
        *best = Some((metres, file));
    }
}

/// Checks that every image that is read ends with JPEG 2000's end marker.
fn whole(files: &Files, delivered: &Delivered) -> Result<(), Fault> {
    let bands = files
        .bands
        .values()
        .chain(&files.classes)
        .chain(&files.probability);
    for (_, file) in bands {
        if delivered.ends.get(file).map(Vec::as_slice) != Some(JP2_END.as_slice()) {
            let short = file.rsplit('/').next().unwrap_or(file);
            return Err(
                Fault::new(FaultKind::Data, format!("'{short}' is cut short"))
                    .because("its JPEG 2000 stream lacks the end marker")
                    .try_("download the product again"),
            );
        }
    }
    Ok(())
}

fn no_pixels(path: &Path, listed: usize) -> Fault {
    Fault::new(FaultKind::Data, format!("{} holds no pixels", show(path)))
        .because(format!(
            "none of the {listed} images that its metadata lists is there"
        ))
        .try_("download the whole product, with GRANULE/*/IMG_DATA")
}

fn missing(level: Level, files: &Files) -> Vec<String> {
    let expected = known(level).bands.iter().map(|b| b.name);
    expected
        .filter(|b| !files.bands.contains_key(*b))
        .map(str::to_owned)
        .collect()
}

/// The product's name: its folder's, else what its metadata calls it.
fn name(path: &Path, folder: &str, product: &Product) -> String {
    let strip = |n: &str| n.strip_suffix(".SAFE").unwrap_or(n).to_owned();
    let own = Some(folder)
        .filter(|f| !f.is_empty())
        .map(strip)
        .filter(|n| is_name(n));
    let uri = product.uri.as_deref().map(strip).filter(|n| is_name(n));
    let stem = || path.file_stem().map(|s| s.to_string_lossy().into_owned());
    own.or(uri)
        .unwrap_or_else(|| scene_name(&strip(&stem().unwrap_or_default())))
}

/// Opens a product's images.
struct Reader<'a> {
    package: &'a Package,
    product: &'a Product,
    level: Level,
}

impl Reader<'_> {
    fn image(&self, file: &str) -> Result<Arc<Image>, Fault> {
        let label = file.rsplit('/').next().unwrap_or(file);
        let image = Image::open(&self.package.gdal_path(file), label, Format::Jp2)?;
        Ok(Arc::new(image))
    }

    fn declared(&self) -> Vec<f64> {
        known(self.level)
            .bands
            .iter()
            .map(|b| b.resolution_m)
            .collect()
    }

    /// Returns the layers of all bands delivered, in the dataset's order.
    fn layers(&self, files: &Files) -> Result<Vec<Layer>, Fault> {
        let declared = self.declared();
        let mut layers = Vec::new();
        for spec in known(self.level).bands {
            let Some((_, file)) = files.bands.get(spec.name) else {
                continue;
            };
            let image = self.image(file)?;
            let id = BAND_IDS.iter().position(|b| *b == spec.name);
            let id = id.and_then(|i| u8::try_from(i).ok());
            let offset = id
                .and_then(|i| self.product.offsets.get(&i))
                .copied()
                .unwrap_or(0.0);
            layers.push(Layer {
                resolution_m: image.nominal_m(&declared),
                fill: known(self.level).fill,
                scale: 1.0 / self.product.quantification,
                offset: offset / self.product.quantification,
                ..Layer::of(spec, image, 1)?
            });
        }
        Ok(layers)
    }

    /// Returns the scene classification, else the cloud probability.
    fn mask(&self, files: &Files) -> Result<Option<Mask>, Fault> {
        let (meaning, name, file, fill) = match (&files.classes, &files.probability) {
            (Some((_, file)), _) => (&SCENE_CLASSES, "SCL", file, Some(0.0)),
            (None, Some((_, file))) => (&CLOUD_PROBABILITY, "CLDPRB", file, None),
            (None, None) => return Ok(None),
        };
        let image = self.image(file)?;
        let layer = Layer {
            name: name.to_owned(),
            common: None,
            centre_nm: None,
            resolution_m: image.nominal_m(&self.declared()),
            sample: image.sample_type(1)?,
            fill,
            scale: 1.0,
            offset: 0.0,
            categorical: true,
            class_names: if *meaning == SCENE_CLASSES {
                &CLASS_NAMES
            } else {
                &[]
            },
            image,
            band: 1,
        };
        Ok(Some(Mask { meaning, layer }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_and_metres_are_read_from_image_names() {
        assert_eq!(
            band_of("GRANULE/X/IMG_DATA/R10m/T29UNU_20221005T115411_B02_10m"),
            ("B02", 10)
        );
        assert_eq!(
            band_of("GRANULE/X/IMG_DATA/T46RER_20210908T042701_B8A"),
            ("B8A", 0)
        );
        assert_eq!(band_of("T_SCL_20m"), ("SCL", 20));
    }

    #[test]
    fn the_finest_of_several_files_of_a_band_is_kept() {
        let mut best = None;
        for (metres, file) in [(60, "c"), (10, "a"), (20, "b")] {
            finest(&mut best, metres, file.to_owned());
        }
        assert_eq!(best, Some((10, "a".to_owned())));
    }
}
