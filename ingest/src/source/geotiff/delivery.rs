//! How a raster was delivered: a file with others beside it, or an archive that holds it.
//!
//! *Invariants*: what is read is named and hashed; of an archive of several rasters, one is meant.
//!
//! *Not here*: what the raster shows (`super`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::fault::{Fault, FaultKind};

use super::super::archive::{self, Kind};
use super::super::image::{Format, Image};
use super::super::package::{Delivered, Package, delivered_files};
use super::super::sidecar::{self, Sidecar};
use super::super::{listed, readable};
use super::naip;
use crate::name::show;
use crate::source::raster_file;

/// Greatest metadata file: real ones have 15–45 kB.
const METADATA_BYTES_MAX: u64 = 4 << 20;

/// A raster as it was delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The raster, opened.
    pub(super) image: Arc<Image>,
    /// Where it lies; in an archive, under the name it has there.
    pub(super) raster: PathBuf,
    /// Name and text of a quarter quad's metadata.
    pub(super) metadata: Option<(String, String)>,
    place: Place,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Place {
    /// Files beside one another.
    Files(Vec<PathBuf>),
    /// An archive, with files beside it.
    Archive(Box<Package>, Vec<PathBuf>),
}

/// Tells whether a path is an archive that directly holds rasters, or one of them.
pub(super) fn is_packed(path: &Path) -> bool {
    let (file, _) = listed::split(path);
    let zip = archive::kind(&file) == Some(Kind::Zip) && file.is_file();
    zip && (naip::is_naip(&file) || rasters_in(&file).is_ok_and(|found| !found.is_empty()))
}

/// Returns the rasters that an archive directly holds, sorted; products of files keep theirs in
/// folders of their own.
pub(super) fn rasters_in(file: &Path) -> Result<Vec<String>, Fault> {
    let names = archive::names(file)?.into_iter();
    let direct =
        |name: &str| name.split('/').count() <= 2 && raster_file::format(Path::new(name)).is_some();
    Ok(names.filter(|name| direct(name)).collect())
}

/// Returns the archive that a path names, and the raster in it that is meant.
pub(super) fn raster_of(path: &Path) -> Result<(PathBuf, String), Fault> {
    let (file, number) = listed::split(path);
    let mut rasters = rasters_in(&file)?;
    let count = rasters.len();
    match number {
        Some(number) if number < count => Ok((file, rasters.swap_remove(number))),
        None if count == 1 => Ok((file, rasters.swap_remove(0))),
        _ => {
            let what = format!("which raster of {} is meant is unknown", show(&file));
            let last = count.saturating_sub(1);
            Err(Fault::new(FaultKind::Data, what)
                .because(format!("it holds {count} rasters"))
                .try_(format!("{}#0 to #{last} are its scenes", file.display())))
        }
    }
}

/// Opens a raster where it lies.
pub(super) fn open(path: &Path) -> Result<Delivery, Fault> {
    readable(&listed::split(path).0)?;
    let beside = sidecar::path_of(path);
    let beside: Vec<PathBuf> = Some(beside).filter(|p| p.is_file()).into_iter().collect();
    if is_packed(path) {
        packed(path, beside)
    } else {
        plain(path, beside)
    }
}

fn plain(path: &Path, beside: Vec<PathBuf>) -> Result<Delivery, Fault> {
    let metadata = metadata_beside(path);
    let files = [path.to_owned()].into_iter().chain(beside);
    let files = files.chain(metadata.clone()).collect();
    let text = metadata.as_deref().map(read_metadata).transpose()?;
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let metadata = metadata.as_deref().and_then(name).zip(text);
    Ok(Delivery {
        image: Arc::new(open_image(path, path)?),
        raster: path.to_owned(),
        metadata,
        place: Place::Files(files),
    })
}

fn packed(path: &Path, beside: Vec<PathBuf>) -> Result<Delivery, Fault> {
    let (file, inside) = raster_of(path)?;
    let whole = |name: &str| raster_file::format(Path::new(name)).is_some();
    let own = inside.rsplit('/').next().unwrap_or(&inside);
    let (package, _) = Package::archive(&file, |name| name == own)?;
    let raster = PathBuf::from(own);
    let metadata = package
        .names()
        .filter(|n| naip::is_metadata(&raster, Path::new(n)));
    let metadata = match metadata.max().map(str::to_owned) {
        Some(name) if naip::is_naip(&raster) => {
            let text = package.text(&name)?;
            Some((name, text))
        }
        _ => None,
    };
    let image = open_image(&package.gdal_path(&raster.to_string_lossy()), &raster)?;
    // Beside other rasters, only what belongs to this one is its delivery.
    let alone = package.names().filter(|n| whole(n)).count() == 1;
    let own = |name: &str| Path::new(name).with_extension("") == raster.with_extension("");
    let said = metadata.as_ref().map(|(name, _)| name.clone());
    let package = package.keep(|name| alone || own(name) || said.as_deref() == Some(name));
    Ok(Delivery {
        image: Arc::new(image),
        raster,
        metadata,
        place: Place::Archive(Box::new(package), beside),
    })
}

/// Opens the raster at a place of GDAL's; `name` has its extension and names it in messages.
fn open_image(place: &Path, name: &Path) -> Result<Image, Fault> {
    let label = name.file_name().map(|n| n.to_string_lossy().into_owned());
    let format = raster_file::format(name).unwrap_or(Format::Tiff);
    Image::open(place, &label.unwrap_or_default(), format)
}

impl Delivery {
    /// Describes a raster in a file of its own, with the files that say something of it.
    pub(super) fn of_files(image: Arc<Image>, raster: &Path, files: Vec<PathBuf>) -> Self {
        Self {
            image,
            raster: raster.to_owned(),
            metadata: None,
            place: Place::Files(files),
        }
    }

    /// Reads the side-car that lies beside the raster in an archive; `None` if there is none.
    pub(super) fn sidecar(&self) -> Result<Option<Sidecar>, Fault> {
        let name = sidecar::path_of(&self.raster);
        let name = name.to_string_lossy();
        match &self.place {
            Place::Archive(package, _) if package.has(&name) => {
                sidecar::parse(&name, package.text(&name)?.as_bytes()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Hashes everything delivered, some more files included.
    pub(super) fn delivered(&self, more: &[PathBuf]) -> Result<Delivered, Fault> {
        match &self.place {
            Place::Files(files) => {
                let files: Vec<&Path> = files.iter().chain(more).map(PathBuf::as_path).collect();
                delivered_files(&files)
            }
            Place::Archive(package, beside) => {
                let beside: Vec<&Path> = beside.iter().chain(more).map(PathBuf::as_path).collect();
                package.delivered_with(&beside)
            }
        }
    }
}

/// Returns the metadata beside a quarter quad: the latest published.
fn metadata_beside(path: &Path) -> Option<PathBuf> {
    if !naip::is_naip(path) {
        return None;
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let files = entries.filter_map(|e| e.ok().map(|e| e.path()));
    files
        .filter(|p| naip::is_metadata(path, p) && p.is_file())
        .max()
}

fn read_metadata(path: &Path) -> Result<String, Fault> {
    let failed = |reason: String| {
        let what = format!("the metadata {} cannot be used", show(path));
        Fault::new(FaultKind::Data, what)
            .because(reason)
            .try_("--datetime 2015-09-26")
    };
    let meta = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?;
    if meta.len() > METADATA_BYTES_MAX {
        return Err(failed("it is too long".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
