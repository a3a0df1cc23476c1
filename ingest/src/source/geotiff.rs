//! Any georeferenced GeoTIFF, COG or JPEG 2000, alone or in an archive; what it does not say comes
//! from flags or a side-car.
//!
//! *Invariants*: flags win over the side-car, the side-car over metadata, metadata over the file's
//! name; nothing is guessed.
//!
//! *Not here*: the side-car's form (`super::sidecar`), NAIP's names and metadata (`naip`), where
//! the raster lies (`delivery`), its bands (`layers`).

mod delivery;
pub(super) mod layers;
pub mod naip;
pub mod picture;

use std::path::{Path, PathBuf};

use earth::dataset::{Dataset, dataset};
use wire::fault::{Fault, FaultKind};

use self::delivery::Delivery;
use self::naip::Flown;
use super::raster_file;
use super::sidecar::{self, Sidecar};
use super::{Given, Layer, Named, Scene, Source, listed};
use crate::name::{scene_name, show, stem_name};

/// The reader of rasters in files of their own.
#[derive(Debug)]
pub struct GeoTiff;

/// The reader of archives that hold rasters, and perhaps their metadata: each is a scene.
#[derive(Debug)]
pub struct Packed;

impl Source for Packed {
    fn reads(&self) -> &'static str {
        "a .zip of such rasters"
    }

    fn claims(&self, path: &Path) -> bool {
        delivery::is_packed(path)
    }

    fn offers(&self, path: &Path, given: &Given) -> bool {
        self.claims(path) && is_known(path, given)
    }

    fn scenes(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        let (file, _) = listed::split(path);
        Ok(listed::each(path, delivery::rasters_in(&file)?.len()))
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        open(path, given)
    }

    fn named(&self, path: &Path) -> Named {
        match delivery::raster_of(path) {
            Ok((_, raster)) => Named {
                scene: stem_name(Path::new(&raster)),
                ..named(path)
            },
            Err(_) => named(path),
        }
    }
}

impl Source for GeoTiff {
    fn reads(&self) -> &'static str {
        "georeferenced GeoTIFF or JPEG 2000 (.tif, .tiff, .jp2)"
    }

    fn claims(&self, path: &Path) -> bool {
        path.is_file() && raster_file::format(path).is_some()
    }

    /// Folders hold rasters of all kinds: one is meant only if its dataset can be known.
    fn offers(&self, path: &Path, given: &Given) -> bool {
        self.claims(path) && is_known(path, given)
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        open(path, given)
    }

    fn named(&self, path: &Path) -> Named {
        named(path)
    }
}

fn is_known(path: &Path, given: &Given) -> bool {
    let named = given.dataset.is_some() || naip::is_naip(path);
    named || sidecar::path_of(path).is_file()
}

fn named(path: &Path) -> Named {
    let said = sidecar::read(path).ok().and_then(|s| s.dataset);
    let said = said.as_deref().and_then(dataset).map(|d| d.name);
    Named {
        scene: stem_name(path),
        dataset: said.or(naip::is_naip(path).then_some("naip")),
    }
}

/// Opens a raster that says nothing of its sensor by its form alone.
pub(super) fn open(path: &Path, given: &Given) -> Result<Scene, Fault> {
    let delivery = delivery::open(path)?;
    let inside = delivery.sidecar()?;
    let sidecar = inside.map_or_else(|| sidecar::read(path), Ok)?;
    scene(path, delivery, (given, sidecar))
}

/// Describes a raster that is open.
fn scene(
    path: &Path,
    delivery: Delivery,
    (given, sidecar): (&Given, Sidecar),
) -> Result<Scene, Fault> {
    let dataset = which_dataset(&delivery, given, &sidecar)?;
    let flown = sensing_time(&delivery, given, &sidecar, dataset)?;
    let mask_file = mask_file(path, given, &sidecar)?;
    let delivered = delivery.delivered(mask_file.as_slice())?;
    let stem = delivery.raster.file_stem();
    let stem = stem.map(|s| s.to_string_lossy().into_owned());
    let layers = layers::of(&delivery.raster, delivery.image, dataset, &sidecar)?;
    Ok(Scene {
        name: scene_name(&stem.unwrap_or_default()),
        dataset,
        platform: sidecar.platform,
        acquired: flown.day,
        source: path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
        delivered,
        missing: missing(dataset, &layers),
        layers,
        mask: mask_file
            .as_deref()
            .map(raster_file::user_mask)
            .transpose()?,
        notes: flown.note.into_iter().collect(),
    })
}

fn which_dataset(
    delivery: &Delivery,
    given: &Given,
    sidecar: &Sidecar,
) -> Result<&'static Dataset, Fault> {
    let path = delivery.raster.as_path();
    let named = given.dataset.as_deref().or(sidecar.dataset.as_deref());
    let named = named.or_else(|| naip::is_naip(path).then_some("naip"));
    let Some(name) = named else {
        return Err(Fault::new(
            FaultKind::Data,
            format!("the dataset of {} is unknown", show(path)),
        )
        .because("a GeoTIFF does not say which sensor it comes from")
        .try_(
            "--dataset generic --datetime 2015-07-31T10:00:09Z, or beside it a side-car NAME.json: \
             {\"dataset\": \"generic\", \"datetime\": \"2015-07-31T10:00:09Z\"}",
        ));
    };
    dataset(name).ok_or_else(|| {
        let names: Vec<_> = earth::dataset::DATASETS.iter().map(|d| d.name).collect();
        Fault::new(
            FaultKind::Data,
            format!("the side-car of {} is wrong", show(path)),
        )
        .because(format!("it names the dataset '{}'", name.escape_debug()))
        .try_(format!("one of {}", names.join(", ")))
    })
}

fn sensing_time(
    delivery: &Delivery,
    given: &Given,
    sidecar: &Sidecar,
    dataset: &Dataset,
) -> Result<Flown, Fault> {
    let path = delivery.raster.as_path();
    if let Some(day) = given.acquired.or(sidecar.datetime) {
        return Ok(Flown { day, note: None });
    }
    let metadata = delivery.metadata.as_ref();
    let metadata = metadata.map(|(name, text)| (name.as_str(), text.as_str()));
    let flown = if dataset.name == "naip" {
        naip::flown(path, metadata)?
    } else {
        None
    };
    flown.ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the sensing time of {} is unknown", show(path)),
        )
        .because("neither --datetime nor a side-car gives it")
        .try_("--datetime 2015-07-31T10:00:09Z")
    })
}

fn mask_file(path: &Path, given: &Given, sidecar: &Sidecar) -> Result<Option<PathBuf>, Fault> {
    match (&given.cloud_mask, &sidecar.cloud_mask) {
        (Some(mask), _) => Ok(Some(mask.clone())),
        (None, Some(name)) => sidecar::mask_path(path, name).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns the bands of a dataset that are not among the layers.
pub(super) fn missing(dataset: &Dataset, layers: &[Layer]) -> Vec<String> {
    let there = |name: &str| layers.iter().any(|l| l.name == name);
    let names = dataset.bands.iter().map(|b| b.name);
    names.filter(|b| !there(b)).map(str::to_owned).collect()
}
