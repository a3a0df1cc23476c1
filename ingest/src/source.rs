//! Sources: how the files of a sensor become a `Scene`. An open set behind one registry.
//!
//! *Invariants*: opening reads metadata only (and hashes what was delivered); a scene that opens
//! says of every band where it lies and how it is read.
//!
//! *Not here*: cells, cutting and putting (`cut_scene`, `put`).

pub mod archive;
pub mod bounds;
mod degrees;
pub mod find;
pub mod footprint;
pub mod geotiff;
pub mod guard;
pub mod image;
pub mod landsat;
pub mod listed;
pub mod modis;
pub mod netcdf;
pub mod nlcd;
pub mod package;
pub mod raster_file;
pub mod sentinel2;
pub mod sentinel3;
pub mod sidecar;
pub mod stac;
pub mod tarball;
pub mod unclaimed;
pub mod unpacked;
mod whole;
pub mod xml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::crs::Crs;
use earth::dataset::{BandSpec, Dataset};
use earth::raster::cloud::Meaning;
use earth::split::meta::SampleType;
use jiff::Timestamp;
use wire::fault::{Fault, FaultKind};

use self::bounds::Bounds;
use self::image::Image;
use self::package::Delivered;
use crate::name::{show, stem_name};

/// The readers, in the order they are asked.
pub const SOURCES: &[&dyn Source] = &[
    &landsat::Landsat,
    &stac::StacItem,
    &modis::Modis,
    &modis::raster::ModisRasters,
    &nlcd::Nlcd,
    &sentinel2::Sentinel2,
    &sentinel3::Sentinel3,
    &geotiff::Packed,
    &geotiff::GeoTiff,
    &geotiff::picture::Picture,
    &unclaimed::Unclaimed,
];

/// Reads the files of one sensor or container.
pub trait Source: Sync {
    /// Returns what it reads, in a few words; none of one that only says why nobody does.
    fn reads(&self) -> &'static str;

    /// Tells whether a path looks like a scene of this source, from names alone.
    fn claims(&self, path: &Path) -> bool;

    /// Tells whether a path inside a searched folder is meant as a scene: a user named the folder,
    /// not the path.
    fn offers(&self, path: &Path, _given: &Given) -> bool {
        self.claims(path)
    }

    /// Returns a path for every scene that a path lists.
    fn scenes(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        Ok(vec![path.to_owned()])
    }

    /// Returns the files beside a path that belong to its scene and are none of their own.
    fn files(&self, _path: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Opens a scene.
    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault>;

    /// Returns what names alone tell of a scene: where the reason is kept if it cannot be opened.
    fn named(&self, path: &Path) -> Named {
        Named {
            scene: stem_name(path),
            dataset: None,
        }
    }
}

/// What names alone tell of a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name it will have once it opens.
    pub scene: String,
    /// The dataset it will belong to, if its names tell.
    pub dataset: Option<&'static str>,
}

/// What a user says of a scene that does not say it itself.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Dataset.
    pub dataset: Option<String>,
    /// Sensing time.
    pub acquired: Option<Timestamp>,
    /// Raster whose non-zero pixels are cloud.
    pub cloud_mask: Option<PathBuf>,
    /// Where a picture lies: its outer edges.
    pub bounds: Option<Bounds>,
    /// The system of the bounds, or of a world file.
    pub crs: Option<Crs>,
}

/// One delivered observation, opened.
#[derive(Debug)]
pub struct Scene {
    /// Name, fit for ids.
    pub name: String,
    /// The dataset it belongs to.
    pub dataset: &'static Dataset,
    /// Satellite or aircraft, where known.
    pub platform: Option<String>,
    /// Sensing time.
    pub acquired: Timestamp,
    /// File or folder name of the source, without its path.
    pub source: String,
    /// Hash and bytes of what was delivered.
    pub delivered: Delivered,
    /// Bands that are stored, in the dataset's order, categorical ones last.
    pub layers: Vec<Layer>,
    /// Where cloud cover comes from.
    pub mask: Option<Mask>,
    /// Bands that the product should have and did not deliver.
    pub missing: Vec<String>,
    /// What a user should know of how it was read, such as that only the day is known.
    pub notes: Vec<String>,
}

/// One band of a scene.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The product's name of the band.
    pub name: String,
    /// STAC common name where there is one.
    pub common: Option<String>,
    /// Centre wavelength in nanometres where it has a meaning.
    pub centre_nm: Option<f64>,
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// How a pixel is stored.
    pub sample: SampleType,
    /// The value that means "nothing".
    pub fill: Option<f64>,
    /// Physical value = stored value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// True for classes and masks.
    pub categorical: bool,
    /// What the product calls its classes, by stored value.
    pub class_names: &'static [(u32, &'static str)],
    /// The file that holds it.
    pub image: Arc<Image>,
    /// Number of the band in that file, from 1.
    pub band: usize,
}

/// Where cloud cover comes from.
#[derive(Debug, Clone)]
pub struct Mask {
    /// What its values mean.
    pub meaning: &'static Meaning,
    /// The band that holds it.
    pub layer: Layer,
}

impl Mask {
    /// Returns the layer that is stored and judges clouds itself, on its own grid: it says where
    /// there is no data.
    pub fn stored_judge(&self, scene: &Scene) -> Option<usize> {
        let stored = |l: &Layer| l.name == self.layer.name && l.categorical;
        let at = scene.layers.iter().position(stored);
        at.filter(|_| self.meaning.tells_void)
    }
}

impl Scene {
    /// Returns the layers whose pixels are counted: all that are no classes.
    pub fn measured(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|l| !l.categorical)
    }
}

impl Layer {
    /// Describes a band of a file by the product's table of bands.
    pub fn of(spec: &BandSpec, image: Arc<Image>, band: usize) -> Result<Self, Fault> {
        Ok(Self {
            name: spec.name.to_owned(),
            common: (!spec.common.is_empty()).then(|| spec.common.to_owned()),
            centre_nm: (spec.centre_nm > 0.0).then_some(spec.centre_nm),
            resolution_m: image.resolution_m(),
            sample: image.sample_type(band)?,
            fill: image.fill(band),
            scale: 1.0,
            offset: 0.0,
            categorical: false,
            class_names: &[],
            image,
            band,
        })
    }
}

/// Opens the scene at a path with the first source that claims it.
pub fn open(path: &Path, given: &Given) -> Result<Scene, Fault> {
    if !listed::is_listed(path) {
        readable(path)?;
    }
    match SOURCES.iter().find(|s| s.claims(path)) {
        Some(source) => source.open(path, given),
        None => Err(unknown(path)),
    }
}

/// Returns what names alone tell of the scene at a path.
pub fn named(path: &Path) -> Named {
    let source = SOURCES.iter().find(|s| s.claims(path));
    source.map_or_else(
        || Named {
            scene: stem_name(path),
            dataset: None,
        },
        |s| s.named(path),
    )
}

/// Fails if a path does not exist or is an empty file.
pub fn readable(path: &Path) -> Result<(), Fault> {
    match std::fs::metadata(path) {
        Err(e) => Err(
            Fault::new(FaultKind::Data, format!("{} cannot be read", show(path)))
                .because(e.to_string())
                .try_("check the path"),
        ),
        Ok(meta) if meta.is_file() && meta.len() == 0 => Err(Fault::new(
            FaultKind::Data,
            format!("{} is empty", show(path)),
        )
        .because("it has 0 bytes")
        .try_("download it again")),
        Ok(_) => Ok(()),
    }
}

/// Says what all sources read.
fn known() -> String {
    let reads = SOURCES.iter().map(|s| s.reads());
    let reads: Vec<_> = reads.filter(|r| !r.is_empty()).collect();
    format!("known are {}", reads.join("; "))
}

/// Says that nobody reads a path.
pub fn unknown(path: &Path) -> Fault {
    Fault::new(
        FaultKind::Data,
        format!("{} is no scene that can be read", show(path)),
    )
    .because(known())
    .try_("convert it with gdal_translate to GeoTIFF, and give --dataset and --datetime")
}

/// Fails if a user says something else than the product itself.
fn agree<T: PartialEq>(
    path: &Path,
    (flag, given): (&str, Option<&T>),
    (own, shown): (&T, &str),
) -> Result<(), Fault> {
    match given {
        Some(given) if given != own => {
            let what = format!("{} says otherwise than {flag}", show(path));
            Err(Fault::new(FaultKind::Data, what)
                .because(format!("its own metadata says {shown}"))
                .try_(format!("leave out {flag}")))
        }
        _ => Ok(()),
    }
}
