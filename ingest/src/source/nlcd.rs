//! NLCD, the National Land Cover Database: rasters of classes (`.img`, `.tif`), alone or in the zip
//! that they come in.
//!
//! *Invariants*: classes are never averaged; every value outside 11–95 means nothing (0 and 127 are
//! background, 250 and 255 no data, by release), and comes as the band's one fill value; the year
//! comes from flags or side-car, else from the file's name, and stands for its first instant.
//!
//! Source: MRLC, NLCD land cover class legend and descriptions.
//!
//! *Not here*: where a raster lies (`super::image`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::{Dataset, dataset};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use super::archive::{self, Kind};
use super::image::{Format, Image};
use super::package::delivered_files;
use super::raster_file;
use super::unpacked::Unpacked;
use super::{Given, Layer, Named, Scene, Source, agree, listed, readable, sidecar};
use crate::name::{ends_with, file_name, scene_name, show, stem_name};

/// Least and greatest class.
const CLASSES: (f64, f64) = (11.0, 95.0);
/// The value that means "nothing" where the file does not say another one.
const FILL: f64 = 0.0;
/// Years there can be: the first Annual NLCD is of 1985.
const YEARS: std::ops::RangeInclusive<i16> = 1985..=2099;

/// Names of the classes; 51 and 72–74 occur in Alaska only.
pub const NAMES: &[(u32, &str)] = &[
    (11, "open water"),
    (12, "perennial ice/snow"),
    (21, "developed, open space"),
    (22, "developed, low intensity"),
    (23, "developed, medium intensity"),
    (24, "developed, high intensity"),
    (31, "barren land"),
    (41, "deciduous forest"),
    (42, "evergreen forest"),
    (43, "mixed forest"),
    (51, "dwarf scrub"),
    (52, "shrub/scrub"),
    (71, "grassland/herbaceous"),
    (72, "sedge/herbaceous"),
    (73, "lichens"),
    (74, "moss"),
    (81, "pasture/hay"),
    (82, "cultivated crops"),
    (90, "woody wetlands"),
    (95, "emergent herbaceous wetlands"),
];

/// The reader of NLCD.
#[derive(Debug)]
pub struct Nlcd;

impl Nlcd {
    /// The dataset's name.
    pub const DATASET: &str = "nlcd";

    /// Returns the one band of a raster of classes that nobody else holds yet.
    pub(super) fn layer(image: Arc<Image>) -> Result<Layer, Fault> {
        let label = image.label().to_owned();
        let image = Arc::into_inner(image).filter(|i| i.bands() == 1);
        let Some(image) = image else {
            return Err(
                Fault::new(FaultKind::Data, format!("'{label}' is no NLCD raster"))
                    .because("it has several bands; classes have one")
                    .try_("--dataset generic, under a name without 'nlcd'"),
            );
        };
        let outside = |f: &f64| !(CLASSES.0..=CLASSES.1).contains(f);
        let fill = image.fill(1).filter(outside).unwrap_or(FILL);
        let image = image.valid_within(1, CLASSES, fill);
        let spec = known()
            .bands
            .first()
            .expect("NLCD has one band: a test holds it");
        Ok(Layer {
            resolution_m: image.nominal_m(&[spec.resolution_m]),
            categorical: true,
            class_names: NAMES,
            ..Layer::of(spec, Arc::new(image), 1)?
        })
    }
}

impl Source for Nlcd {
    fn reads(&self) -> &'static str {
        "NLCD land cover (.img and .tif with 'nlcd' in the name, and their .zip)"
    }

    fn claims(&self, path: &Path) -> bool {
        let (file, _) = listed::split(path);
        match archive::kind(&file) {
            Some(Kind::Zip) => file.is_file() && !rasters_in(&file).is_empty(),
            Some(_) => false,
            None => path.is_file() && is_nlcd(&file_name(path)) && format(path).is_some(),
        }
    }

    fn scenes(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        let (file, _) = listed::split(path);
        let packed = archive::kind(&file).is_some();
        let count = if packed { rasters_in(&file).len() } else { 1 };
        Ok(listed::each(path, count))
    }

    fn named(&self, path: &Path) -> Named {
        let raster = raster_of(path).ok();
        Named {
            scene: stem_name(raster.as_deref().unwrap_or(path)),
            dataset: Some(Self::DATASET),
        }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        let (file, _) = listed::split(path);
        readable(&file)?;
        let own = Self::DATASET.to_owned();
        agree(path, ("--dataset", given.dataset.as_ref()), (&own, &own))?;
        let raster = raster_of(path)?;
        // HFA's driver reads files only, and deflated pixels are read from their beginning.
        let packed = archive::kind(&file).is_some();
        let kept = packed.then(|| Unpacked::all(&file)).transpose()?;
        let place = match &kept {
            Some(unpacked) => unpacked.path().join(&raster),
            None => path.to_owned(),
        };
        let beside = if packed { &file } else { path };
        let side = sidecar::read(beside)?;
        let acquired = given.acquired.or(side.datetime);
        let acquired = acquired.map_or_else(|| year(&raster), Ok)?;
        let files = [place.clone(), spilled(&place), sidecar::path_of(beside)];
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let files: Vec<&Path> = files.into_iter().filter(|p| p.is_file()).collect();
        let stem = raster.file_stem().map(|s| s.to_string_lossy().into_owned());
        let image = open(&place)?.of(kept.map(Arc::new));
        Ok(Scene {
            name: scene_name(&stem.unwrap_or_default()),
            dataset: known(),
            platform: side.platform,
            acquired,
            source: file_name(path),
            delivered: delivered_files(&files)?,
            layers: vec![Self::layer(Arc::new(image))?],
            mask: given
                .cloud_mask
                .as_deref()
                .map(raster_file::user_mask)
                .transpose()?,
            missing: Vec::new(),
            notes: Vec::new(),
        })
    }
}

fn known() -> &'static Dataset {
    dataset(Nlcd::DATASET).expect("it is in earth's table of datasets: a test holds it")
}

fn is_nlcd(name: &str) -> bool {
    name.to_ascii_lowercase().contains(Nlcd::DATASET)
}

/// Returns the rasters of land cover in an archive, sorted: one of them says it, or the archive.
fn rasters_in(file: &Path) -> Vec<String> {
    let all = is_nlcd(&file_name(file));
    let its = |name: &str| {
        let own = file_name(Path::new(name));
        (all || is_nlcd(&own)) && format(Path::new(name)).is_some()
    };
    let names = archive::names(file).unwrap_or_default().into_iter();
    names.filter(|name| its(name)).collect()
}

/// Returns the raster that a path means: the file itself, or one in an archive.
fn raster_of(path: &Path) -> Result<PathBuf, Fault> {
    let (file, number) = listed::split(path);
    if archive::kind(&file).is_none() {
        return Ok(path.to_owned());
    }
    // What is wrong with an archive is said before what is missing in it.
    archive::names(&file)?;
    let rasters = rasters_in(&file);
    let found = rasters.get(number.unwrap_or(0));
    found.map(PathBuf::from).ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("{} is not in its archive", show(path)),
        )
        .because(format!("the archive holds {} rasters", rasters.len()))
    })
}

/// Returns where the pixels of an `.img` lie that has over 2 GB of them.
fn spilled(raster: &Path) -> PathBuf {
    raster.with_extension("ige")
}

fn format(path: &Path) -> Option<Format> {
    let name = file_name(path);
    if ends_with(&name, ".img") {
        return Some(Format::Hfa);
    }
    [".tif", ".tiff"]
        .iter()
        .any(|e| ends_with(&name, e))
        .then_some(Format::Tiff)
}

fn open(path: &Path) -> Result<Image, Fault> {
    let format = format(path).unwrap_or(Format::Tiff);
    Image::open(path, &file_name(path), format)
}

/// Returns the first instant of the year that a file's name holds: `nlcd2011`,
/// `nlcd_2021_land_cover_l48_20230630`.
fn year(path: &Path) -> Result<Timestamp, Fault> {
    let name = file_name(path);
    let runs = name.split(|c: char| !c.is_ascii_digit());
    let mut years = runs.filter(|r| r.len() == 4).filter_map(|r| r.parse().ok());
    let year = years.find(|y| YEARS.contains(y));
    let day = year.and_then(|y| Date::new(y, 1, 1).ok());
    let zoned = day.and_then(|d| d.to_zoned(TimeZone::UTC).ok());
    zoned.map(|z| z.timestamp()).ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the year of {} is unknown", show(path)),
        )
        .because("its name holds none")
        .try_("--datetime 2011-01-01")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_read_from_the_names_of_all_releases() {
        let of = |name| year(Path::new(name)).ok().map(|t| t.to_string());
        for (name, told) in [
            ("nlcd2011.tif", 2011),
            ("NLCD_2016_Land_Cover_L48_20190424.img", 2016),
            ("nlcd_2021_land_cover_l48_20230630.img", 2021),
            ("Annual_NLCD_LndCov_2023_CU_C1V0.tif", 2023),
        ] {
            assert_eq!(of(name), Some(format!("{told}-01-01T00:00:00Z")), "{name}");
        }
        for name in ["nlcd.img", "nlcd_20190424.img", "nlcd_0042.tif"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn the_dataset_has_one_band_and_its_classes_are_in_order() {
        assert_eq!(known().bands.len(), 1);
        assert!(NAMES.is_sorted());
    }
}
