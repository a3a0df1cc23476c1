//! Any georeferenced GeoTIFF or COG; what it does not say comes from flags or a side-car.
//!
//! *Invariants*: flags win over the side-car, the side-car over the file; NAIP's fourth band is
//! near infrared whatever its tag says; nothing is guessed.
//!
//! *Not here*: the side-car's form (`super::sidecar`), NAIP's names and metadata (`naip`).

pub mod naip;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::{BandSpec, Dataset, dataset};
use earth::raster::cloud::meaning::NON_ZERO;
use earth::split::collection::is_name;
use earth::split::meta::SampleType;
use jiff::Timestamp;
use wire::fault::{Fault, FaultKind};

use super::image::{Format, Image};
use super::package::delivered_files;
use super::sidecar::{self, Sidecar, SidecarBand};
use super::{Given, Layer, Mask, Scene, Source, readable, scene_name, show};

/// Digital number per unit of reflectance of Sentinel-2 pixels in integer GeoTIFFs.
const SENTINEL2_QUANTIFICATION: f64 = 10_000.0;

/// The reader of GeoTIFFs.
#[derive(Debug)]
pub struct GeoTiff;

impl Source for GeoTiff {
    fn reads(&self) -> &'static str {
        "georeferenced GeoTIFF (.tif, .tiff)"
    }

    fn claims(&self, path: &Path) -> bool {
        path.is_file() && is_tiff(path)
    }

    /// Folders hold rasters of all kinds: one is meant only if its dataset can be known.
    fn offers(&self, path: &Path, given: &Given) -> bool {
        let known = given.dataset.is_some() || naip::is_naip(path);
        self.claims(path) && (known || sidecar::path_of(path).is_file())
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        let sidecar = sidecar::read(path)?;
        let image = Arc::new(open_tiff(path)?);
        let dataset = which_dataset(path, given, &sidecar)?;
        let acquired = sensing_time(path, given, &sidecar, dataset)?;
        let mask_file = mask_file(path, given, &sidecar)?;
        let layers = layers(path, &image, dataset, &sidecar)?;
        let missing = missing(dataset, &layers);
        let mut files = vec![path.to_owned()];
        files.extend(Some(sidecar::path_of(path)).filter(|p| p.is_file()));
        files.extend(naip_metadata(path, dataset));
        files.extend(mask_file.clone());
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        Ok(Scene {
            name: scene_name(&stem.unwrap_or_default()),
            dataset,
            platform: sidecar.platform,
            acquired,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered: delivered_files(&files)?,
            layers,
            mask: mask_file.as_deref().map(user_mask).transpose()?,
            missing,
        })
    }
}

/// Opens a user's cloud mask.
pub fn user_mask(path: &Path) -> Result<Mask, Fault> {
    let image = Arc::new(open_tiff(path)?);
    let layer = Layer {
        name: "CLOUD".to_owned(),
        common: None,
        centre_nm: None,
        resolution_m: image.resolution_m(),
        sample: image.sample_type(1)?,
        fill: image.fill(1).filter(|f| *f != 0.0),
        scale: 1.0,
        offset: 0.0,
        categorical: true,
        class_names: &[],
        image,
        band: 1,
    };
    Ok(Mask {
        meaning: &NON_ZERO,
        layer,
    })
}

fn is_tiff(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    ["tif", "tiff"]
        .iter()
        .any(|e| extension.eq_ignore_ascii_case(e))
}

fn open_tiff(path: &Path) -> Result<Image, Fault> {
    readable(path)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    Image::open(path, &name.unwrap_or_default(), Format::Tiff)
}

fn which_dataset(path: &Path, given: &Given, sidecar: &Sidecar) -> Result<&'static Dataset, Fault> {
    let named = given.dataset.as_deref().or(sidecar.dataset.as_deref());
    let named = named.or_else(|| naip::is_naip(path).then_some("naip"));
    let Some(name) = named else {
        return Err(Fault::new(
            FaultKind::Data,
            format!("the dataset of {} is unknown", show(path)),
        )
        .because("a GeoTIFF does not say which sensor it comes from")
        .try_("--dataset generic, or a side-car NAME.json with \"dataset\""));
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
    path: &Path,
    given: &Given,
    sidecar: &Sidecar,
    dataset: &Dataset,
) -> Result<Timestamp, Fault> {
    if let Some(time) = given.acquired.or(sidecar.datetime) {
        return Ok(time);
    }
    let flown = if dataset.name == "naip" {
        naip::flown(path)?
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

fn naip_metadata(path: &Path, dataset: &Dataset) -> Option<PathBuf> {
    (dataset.name == "naip")
        .then(|| naip::metadata_path(path))
        .flatten()
}

fn mask_file(path: &Path, given: &Given, sidecar: &Sidecar) -> Result<Option<PathBuf>, Fault> {
    match (&given.cloud_mask, &sidecar.cloud_mask) {
        (Some(mask), _) => Ok(Some(mask.clone())),
        (None, Some(name)) => sidecar::mask_path(path, name).map(Some),
        (None, None) => Ok(None),
    }
}

fn layers(
    path: &Path,
    image: &Arc<Image>,
    dataset: &Dataset,
    sidecar: &Sidecar,
) -> Result<Vec<Layer>, Fault> {
    let declared: Vec<f64> = dataset.bands.iter().map(|b| b.resolution_m).collect();
    let specs = specs(path, image, dataset, sidecar)?;
    let mut layers = Vec::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let said = sidecar.bands.get(i).cloned().unwrap_or_default();
        let layer = layer(image, i + 1, spec, &said)?;
        let resolution_m = image.nominal_m(&declared);
        layers.push(scaled(
            Layer {
                resolution_m,
                ..layer
            },
            dataset,
            (image, i + 1, &said),
        ));
    }
    Ok(layers)
}

fn layer(
    image: &Arc<Image>,
    band: usize,
    spec: Option<&'static BandSpec>,
    said: &SidecarBand,
) -> Result<Layer, Fault> {
    let plain = BandSpec {
        name: "",
        common: "",
        centre_nm: 0.0,
        resolution_m: 0.0,
    };
    let layer = Layer::of(spec.unwrap_or(&plain), Arc::clone(image), band)?;
    let described = Some(image.description(band))
        .filter(|d| is_name(d))
        .map(str::to_owned);
    let own = Some(layer.name.clone()).filter(|n| !n.is_empty());
    let name = said
        .name
        .clone()
        .filter(|n| is_name(n))
        .or(own)
        .or(described);
    Ok(Layer {
        name: name.unwrap_or_else(|| format!("B{band}")),
        common: said.common.clone().or(layer.common),
        centre_nm: said.centre_nm.or(layer.centre_nm),
        categorical: said.categorical,
        ..layer
    })
}

/// Sets fill, scale and offset: side-car, else file, else what the dataset is known for.
fn scaled(
    layer: Layer,
    dataset: &Dataset,
    (image, band, said): (&Image, usize, &SidecarBand),
) -> Layer {
    let (scale, offset) = image.scaling(band);
    let float = matches!(layer.sample, SampleType::F32 | SampleType::F64);
    let known = match dataset.name {
        "sentinel-2-l1c" | "sentinel-2-l2a" if !float => 1.0 / SENTINEL2_QUANTIFICATION,
        _ => 1.0,
    };
    // A file that was never scaled says scale 1 and offset 0.
    let scaled = |s: f64| (s - 1.0).abs() > 0.0;
    let plain = !scale.is_some_and(scaled) && offset.is_none_or(|o| o.abs() <= 0.0);
    let own = if plain { known } else { scale.unwrap_or(1.0) };
    Layer {
        fill: said.fill.or(layer.fill).or(dataset.fill.filter(|_| !float)),
        scale: said.scale.unwrap_or(own),
        offset: said.offset.or(offset).unwrap_or(0.0),
        ..layer
    }
}

/// Finds which of the dataset's bands each band of the file is; `None` if the dataset has no list.
fn specs(
    path: &Path,
    image: &Image,
    dataset: &Dataset,
    sidecar: &Sidecar,
) -> Result<Vec<Option<&'static BandSpec>>, Fault> {
    let known = earth::dataset::dataset(dataset.name).map_or(&[][..], |d| d.bands);
    if known.is_empty() || sidecar.bands.len() == image.bands() {
        let named = |b: &SidecarBand| {
            let name = b.name.as_deref().unwrap_or("");
            known.iter().find(|s| s.name == name)
        };
        let mut specs: Vec<_> = sidecar.bands.iter().map(named).collect();
        specs.resize(image.bands(), None);
        return Ok(specs);
    }
    let described: Vec<_> = (1..=image.bands())
        .map(|b| known.iter().find(|s| s.name == image.description(b)))
        .collect();
    if described.iter().all(Option::is_some) {
        return Ok(described);
    }
    // NAIP of three bands lacks the last; for others the order is only known of the whole list.
    let whole = image.bands() == known.len();
    if whole || (dataset.name == "naip" && image.bands() == 3) {
        return Ok(known.iter().take(image.bands()).map(Some).collect());
    }
    let (has, all) = (image.bands(), known.len());
    Err(Fault::new(
        FaultKind::Data,
        format!("the bands of {} are unknown", show(path)),
    )
    .because(format!(
        "it has {has} bands without names; {} has {all}",
        dataset.name
    ))
    .try_("a side-car NAME.json with \"bands\": [{\"name\": \"B04\"}, …]"))
}

fn missing(dataset: &Dataset, layers: &[Layer]) -> Vec<String> {
    let there = |name: &str| layers.iter().any(|l| l.name == name);
    let names = dataset.bands.iter().map(|b| b.name);
    names.filter(|b| !there(b)).map(str::to_owned).collect()
}
