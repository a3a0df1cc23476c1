//! The bands of a raster file: which they are, how they are stored and scaled.
//!
//! *Invariants*: the side-car wins over the file, the file over what its dataset is known for; an
//! alpha band is no layer but says which pixels of the others hold something; NAIP's fourth band is
//! near infrared whatever its tag says; bands of palettes are classes.
//!
//! *Not here*: reading pixels (`super::super::image`).

use std::path::Path;
use std::sync::Arc;

use earth::dataset::{BandSpec, Dataset};
use earth::raster::veil::holds;
use earth::split::collection::is_name;
use earth::split::meta::SampleType;
use wire::fault::{Fault, FaultKind};

use super::super::Layer;
use super::super::image::{Image, Shows};
use super::super::nlcd::Nlcd;
use super::super::sidecar::{Sidecar, SidecarBand};
use crate::name::show;

/// Digital number per unit of reflectance of Sentinel-2 pixels in integer GeoTIFFs.
const SENTINEL2_QUANTIFICATION: f64 = 10_000.0;

/// Returns the layers of a raster: all its bands but one that says how opaque the others are.
///
/// A side-car that describes the alpha band too, or NAIP, takes it for a band like any other.
pub(in super::super) fn of(
    path: &Path,
    image: Arc<Image>,
    dataset: &Dataset,
    sidecar: &Sidecar,
) -> Result<Vec<Layer>, Fault> {
    if dataset.name == Nlcd::DATASET {
        return Ok(vec![Nlcd::layer(image)?]);
    }
    let image = if dataset.name == "naip" || sidecar.bands.len() == image.bands() {
        plain(image)
    } else {
        image
    };
    let declared: Vec<f64> = dataset.bands.iter().map(|b| b.resolution_m).collect();
    let bands: Vec<usize> = (1..=image.bands())
        .filter(|b| image.shows(*b) != Shows::Alpha)
        .collect();
    let specs = specs(path, (&image, &bands), dataset, sidecar)?;
    let mut layers = Vec::new();
    for (i, (band, spec)) in bands.into_iter().zip(specs).enumerate() {
        let said = sidecar.bands.get(i).cloned().unwrap_or_default();
        let layer = layer(&image, band, spec, &said)?;
        let resolution_m = image.nominal_m(&declared);
        layers.push(scaled(
            Layer {
                resolution_m,
                ..layer
            },
            dataset,
            (&image, band, &said),
        ));
    }
    Ok(layers)
}

/// Takes an alpha band for a band like any other; nobody else holds the image yet.
fn plain(image: Arc<Image>) -> Arc<Image> {
    match Arc::try_unwrap(image) {
        Ok(image) => Arc::new(image.without_alpha()),
        Err(image) => image,
    }
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
        categorical: said.categorical || image.shows(band) == Shows::Classes,
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
    let fill = said.fill.filter(|f| holds(layer.sample, *f));
    Layer {
        fill: fill.or(layer.fill).or(dataset.fill.filter(|_| !float)),
        scale: said.scale.unwrap_or(own),
        offset: said.offset.or(offset).unwrap_or(0.0),
        ..layer
    }
}

/// Finds which of the dataset's bands each band of the file is; `None` if the dataset has no list.
fn specs(
    path: &Path,
    (image, bands): (&Image, &[usize]),
    dataset: &Dataset,
    sidecar: &Sidecar,
) -> Result<Vec<Option<&'static BandSpec>>, Fault> {
    let known = dataset.bands;
    if known.is_empty() || sidecar.bands.len() == bands.len() {
        let named = |b: &SidecarBand| {
            let name = b.name.as_deref().unwrap_or("");
            known.iter().find(|s| s.name == name)
        };
        let mut specs: Vec<_> = sidecar.bands.iter().map(named).collect();
        specs.resize(bands.len(), None);
        return Ok(specs);
    }
    let described: Vec<_> = bands
        .iter()
        .map(|b| known.iter().find(|s| s.name == image.description(*b)))
        .collect();
    if described.iter().all(Option::is_some) {
        return Ok(described);
    }
    // NAIP of three bands lacks the last; for others the order is only known of the whole list.
    let whole = bands.len() == known.len();
    if whole || (dataset.name == "naip" && bands.len() == 3) {
        return Ok(known.iter().take(bands.len()).map(Some).collect());
    }
    let (has, all) = (bands.len(), known.len());
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
