//! Pictures (PNG, JPEG), such as exports of map servers, of which others say where they lie.
//!
//! *Invariants*: `--bounds` wins over the side-car, the side-car over a world file; without a
//! system the sides are degrees of WGS 84; what a picture's own metadata says is not asked.
//!
//! *Not here*: bands, times and masks, which are those of any raster (`super`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::crs::Crs;
use earth::raster::georef::Georef;
use wire::fault::{Fault, FaultKind};

use super::super::bounds::{read_world_file, world_file};
use super::super::image::{Format, Image};
use super::super::sidecar::{self, Sidecar};
use super::super::{Given, Named, Scene, Source, readable};
use super::delivery::Delivery;
use super::{is_known, named, scene};
use crate::name::show;

/// The reader of pictures.
#[derive(Debug)]
pub struct Picture;

impl Source for Picture {
    fn reads(&self) -> &'static str {
        "PNG or JPEG with --bounds, a side-car or a world file (.png, .jpg)"
    }

    fn claims(&self, path: &Path) -> bool {
        path.is_file() && format(path).is_some()
    }

    /// Folders are full of pictures: one is meant only if it is said where it lies.
    fn offers(&self, path: &Path, given: &Given) -> bool {
        let placed = || {
            let said = sidecar::read(path).is_ok_and(|s| s.bounds.is_some());
            said || given.bounds.is_some() || world_file(path).is_some()
        };
        self.claims(path) && is_known(path, given) && placed()
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        readable(path)?;
        let said = sidecar::read(path)?;
        let label = path.file_name().map(|n| n.to_string_lossy().into_owned());
        let format = format(path).unwrap_or(Format::Png);
        let world = world_file(path);
        let place = Place {
            path,
            given,
            said: &said,
            world: world.as_deref(),
        };
        let opened = (label.as_deref().unwrap_or_default(), format);
        let image = Image::open_placed(path, opened, &|size| place.of(size))?;
        let side = Some(sidecar::path_of(path)).filter(|p| p.is_file());
        let files: Vec<PathBuf> = [path.to_owned()]
            .into_iter()
            .chain(side)
            .chain(world)
            .collect();
        let delivery = Delivery::of_files(Arc::new(image), path, files);
        scene(path, delivery, (given, said))
    }

    fn named(&self, path: &Path) -> Named {
        named(path)
    }
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "png" => Some(Format::Png),
        "jpg" | "jpeg" => Some(Format::Jpeg),
        _ => None,
    }
}

/// What is said of where a picture lies.
struct Place<'a> {
    path: &'a Path,
    given: &'a Given,
    said: &'a Sidecar,
    world: Option<&'a Path>,
}

impl Place<'_> {
    fn of(&self, size: (u32, u32)) -> Result<Georef, Fault> {
        let wrong = |reason: String| {
            let what = format!("{} does not say where on Earth it lies", show(self.path));
            Fault::new(FaultKind::Data, what)
                .because(reason)
                .try_("--bounds W,S,E,N (degrees, or in the system of --crs), or a world file")
        };
        let crs = match (&self.given.crs, &self.said.crs) {
            (Some(crs), _) => crs.clone(),
            (None, Some(text)) => text.parse().map_err(|e| wrong(format!("{e}")))?,
            (None, None) => Crs::wgs84(),
        };
        if let Some(bounds) = self.given.bounds.or(self.said.bounds) {
            return bounds.georef(crs, size).map_err(wrong);
        }
        let Some(world) = self.world else {
            return Err(wrong(
                "it is a picture, and nothing beside it says so".to_owned(),
            ));
        };
        Ok(Georef {
            crs,
            affine: read_world_file(world)?,
            width: size.0,
            height: size.1,
        })
    }
}
