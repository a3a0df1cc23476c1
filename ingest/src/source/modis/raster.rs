//! MODIS land products as rasters of one band each (`.tif`, `.jp2`), as archives in clouds,
//! AppEEARS and MODIStsp write them: all of one product, tile and day are one scene.
//!
//! *Invariants*: a scene's rasters lie in one folder, or in one folder of a zip archive, which may
//! hold many scenes; fill, range and scale are what the file says, else the product's; numbers with
//! a fraction are physical already.
//!
//! *Not here*: names (`naming`), fields (`product`), whole granules (`super`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::BandSpec;
use earth::split::meta::SampleType;
use wire::fault::{Fault, FaultKind};

use super::attributes::Attributes;
use super::field::{Field, Holds, Numbers};
use super::naming::{Named, parse};
use super::{agree_with_flags, known, mask, midnight};
use crate::name::{scene_name, show, stem_name};
use crate::source::archive::{self, Kind};
use crate::source::image::{Format, Image};
use crate::source::package::Package;
use crate::source::raster_file;
use crate::source::{self, Given, Layer, Scene, Source, geotiff, listed, readable, sidecar};

/// The reader of single-band rasters of MODIS products.
#[derive(Debug)]
pub struct ModisRasters;

impl Source for ModisRasters {
    fn reads(&self) -> &'static str {
        "MODIS bands named by product (MOD13A1_NDVI_2016_001.tif, MCD43A4.A2013160.…_B01.TIF) and \
         their .zip"
    }

    fn claims(&self, path: &Path) -> bool {
        let (file, _) = listed::split(path);
        file.is_file() && (of_path(&file).is_some() || is_packed(&file))
    }

    /// One raster of a scene stands for all of them.
    fn offers(&self, path: &Path, _given: &Given) -> bool {
        self.claims(path) && (of_path(path).is_none() || is_first(path))
    }

    fn scenes(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        if of_path(path).is_some() {
            return Ok(vec![path.to_owned()]);
        }
        let (file, _) = listed::split(path);
        Ok(listed::each(path, scenes_in(&archive::names(&file)?).len()))
    }

    fn files(&self, path: &Path) -> Vec<PathBuf> {
        let members = members(path).ok().filter(|_| of_path(path).is_some());
        let names = members.into_iter().flat_map(|m| m.files.into_values());
        let files = names.map(|name| path.with_file_name(name));
        files.filter(|file| file != path).collect()
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        if is_described(path, given) {
            return geotiff::open(path, given);
        }
        let members = members(path)?;
        let product = members.first.product;
        let known = known(product);
        let acquired = midnight(members.first.day);
        agree_with_flags(path, given, (known, acquired))?;
        let layers = members.layers()?;
        let mask = match &given.cloud_mask {
            Some(mask) => Some(raster_file::user_mask(mask)?),
            None => mask(product, &layers),
        };
        let has = |name: &str| layers.iter().any(|l| l.name == name);
        let missing = product.fields.iter().map(|f| f.name).filter(|n| !has(n));
        Ok(Scene {
            name: scene_name(&members.first.scene),
            dataset: known,
            platform: super::platform_of(&members.first.short),
            acquired,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered: members.package.delivered()?,
            missing: missing.map(str::to_owned).collect(),
            layers,
            mask,
            notes: Vec::new(),
        })
    }

    fn named(&self, path: &Path) -> source::Named {
        match members(path) {
            Ok(members) => source::Named {
                scene: scene_name(&members.first.scene),
                dataset: Some(members.first.product.dataset),
            },
            Err(_) => source::Named {
                scene: stem_name(path),
                dataset: None,
            },
        }
    }
}

/// Tells whether no other raster of the scene comes before this one.
fn is_first(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let members = members(path).ok();
    let first = members.and_then(|m| m.files.into_values().next());
    first.is_some() && first == name
}

/// Tells whether a user says, or a side-car, that a raster is something else than its name does.
fn is_described(path: &Path, given: &Given) -> bool {
    let own = of_path(path).map(|n| n.product.dataset);
    let other = given.dataset.as_deref().is_some_and(|d| Some(d) != own);
    own.is_some() && (other || sidecar::path_of(path).is_file())
}

/// Reads the name of a raster; `None` if it is another file.
fn of_path(path: &Path) -> Option<Named> {
    of_name(path.file_name()?.to_str()?)
}

fn of_name(name: &str) -> Option<Named> {
    format(name)?;
    parse(name.rsplit_once('.')?.0)
}

fn format(name: &str) -> Option<Format> {
    raster_file::format(Path::new(name))
}

fn is_packed(path: &Path) -> bool {
    let zip = archive::kind(path) == Some(Kind::Zip);
    zip && archive::holds(path, |name| of_name(last(name)).is_some())
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Returns the scenes among the names of an archive, sorted.
fn scenes_in(names: &[String]) -> Vec<String> {
    let mut scenes: Vec<String> = names
        .iter()
        .filter_map(|name| Some(of_name(last(name))?.scene))
        .collect();
    scenes.sort();
    scenes.dedup();
    scenes
}

/// The rasters of one scene.
struct Members {
    /// What the first of them says.
    first: Named,
    package: Package,
    /// Place of a field in its product → file.
    files: BTreeMap<usize, String>,
}

/// Finds the rasters of the scene that a path names.
fn members(path: &Path) -> Result<Members, Fault> {
    let (package, scene) = match of_path(path) {
        Some(named) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            (
                Package::flat(folder, |n| of_name(n).is_some())?,
                named.scene,
            )
        }
        None => packed(path)?,
    };
    let package = package.keep(|name| of_name(name).is_some_and(|n| n.scene == scene));
    let mut first = None;
    let mut files = BTreeMap::new();
    for name in package.names() {
        let Some(named) = of_name(name) else {
            continue;
        };
        let at = named.product.fields.iter().position(|f| f == named.field);
        files
            .entry(at.unwrap_or(usize::MAX))
            .or_insert(name.to_owned());
        first.get_or_insert(named);
    }
    let first = first.ok_or_else(|| source::unknown(path))?;
    Ok(Members {
        first,
        package,
        files,
    })
}

/// Lists the archive that a path names, with the scene that its number means.
fn packed(path: &Path) -> Result<(Package, String), Fault> {
    let (file, number) = listed::split(path);
    readable(&file)?;
    let (package, _) = Package::archive(&file, |name| of_name(name).is_some())?;
    let names: Vec<String> = package.names().map(str::to_owned).collect();
    let mut scenes = scenes_in(&names);
    let count = scenes.len();
    match number {
        Some(number) if number < count => Ok((package, scenes.swap_remove(number))),
        None if count == 1 => Ok((package, scenes.swap_remove(0))),
        _ => {
            let what = format!("which scene of {} is meant is unknown", show(&file));
            let last = count.saturating_sub(1);
            Err(Fault::new(FaultKind::Data, what)
                .because(format!("it holds {count} scenes"))
                .try_(format!("{}#0 to #{last} are its scenes", file.display())))
        }
    }
}

impl Members {
    fn layers(&self) -> Result<Vec<Layer>, Fault> {
        let all = self
            .files
            .values()
            .filter_map(|file| Some((of_name(file)?, file)));
        all.map(|(named, file)| self.layer(&named, file)).collect()
    }

    fn layer(&self, named: &Named, file: &str) -> Result<Layer, Fault> {
        let label = last(file);
        let format = format(file).unwrap_or(Format::Tiff);
        let image = Image::open(&self.package.gdal_path(file), label, format)?;
        if image.bands() != 1 {
            let what = format!("'{label}' is no band of {}", named.short);
            return Err(Fault::new(FaultKind::Data, what)
                .because(format!("it has {} bands", image.bands()))
                .try_("--dataset generic takes it for what it is"));
        }
        of_field(named, image)
    }
}

/// Describes a raster that holds a field.
fn of_field(named: &Named, image: Image) -> Result<Layer, Fault> {
    let Field { name, holds, .. } = named.field;
    let plain = BandSpec {
        name,
        common: "",
        centre_nm: 0.0,
        resolution_m: 0.0,
    };
    let bands = known(named.product).bands;
    let spec = bands.iter().find(|b| b.name == *name).unwrap_or(&plain);
    let declared: Vec<f64> = bands.iter().map(|b| b.resolution_m).collect();
    let resolution_m = image.nominal_m(&declared);
    match *holds {
        Holds::Numbers(numbers) => {
            let said = said(numbers, &image)?;
            let image = image.valid_within(1, said.valid, said.fill);
            Ok(Layer {
                resolution_m,
                scale: said.scale,
                offset: said.offset,
                ..Layer::of(spec, Arc::new(image), 1)?
            })
        }
        Holds::Classes(fill, names) => Ok(Layer {
            resolution_m,
            fill: image.fill(1).or(fill),
            categorical: true,
            class_names: names,
            ..Layer::of(spec, Arc::new(image), 1)?
        }),
    }
}

/// Returns how the numbers of a raster are stored.
fn said(numbers: Numbers, image: &Image) -> Result<Numbers, Fault> {
    let said = numbers.said_by(&Attributes::new(image.attributes()));
    let fill = image.fill(1).unwrap_or(said.fill);
    if !matches!(image.sample_type(1)?, SampleType::F32 | SampleType::F64) {
        return Ok(Numbers { fill, ..said });
    }
    // Rounding of single precision must not push the ends of the range out of it.
    let physical = |n: f64| n * said.scale + said.offset;
    let (low, high) = (physical(said.valid.0), physical(said.valid.1));
    let slack = (high - low) * 1e-6;
    Ok(Numbers {
        fill,
        valid: (low - slack, high + slack),
        scale: 1.0,
        offset: 0.0,
    })
}
