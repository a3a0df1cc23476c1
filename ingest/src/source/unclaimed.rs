//! Archives that no source takes for its own: they are named with what was looked for in them.
//!
//! *Invariants*: asked last; opens nothing.
//!
//! *Not here*: archives of products (`landsat`, `modis`, `nlcd`, `sentinel2`, `sentinel3`) and of
//! rasters (`geotiff`).

use std::path::Path;

use wire::fault::{Fault, FaultKind};

use super::archive::{self, Kind};
use super::{Given, Scene, Source, readable, tarball};
use crate::name::show;

/// What makes an archive a scene.
const LOOKED_FOR: &str = "looked for MTD_MSIL1C.xml or MTD_MSIL2A.xml (Sentinel-2), \
    xfdumanifest.xml (Sentinel-3), *_MTL.txt and *_B*.TIF (Landsat), .hdf (MODIS), nlcd*.img, \
    .tif and .jp2";
/// Names of an archive's files that are shown.
const SHOWN_MAX: usize = 5;

/// The last to be asked for archives.
#[derive(Debug)]
pub struct Unclaimed;

impl Source for Unclaimed {
    fn reads(&self) -> &'static str {
        ""
    }

    fn claims(&self, path: &Path) -> bool {
        path.is_file() && archive::kind(path).is_some()
    }

    /// An archive of other things merely lies in a folder; one that cannot be read may be a scene.
    fn offers(&self, path: &Path, _given: &Given) -> bool {
        self.claims(path) && archive::names(path).is_err()
    }

    fn open(&self, path: &Path, _given: &Given) -> Result<Scene, Fault> {
        readable(path)?;
        let names = archive::names(path)?;
        let what = format!("{} is no scene that can be read", show(path));
        let fault = Fault::new(FaultKind::Data, what);
        if archive::kind(path) == Some(Kind::TarGz) {
            return Err(fault
                .because("a .tar.gz is read if its name or first files are of a Landsat product")
                .because(held(&tarball::first_names(path)))
                .try_("unpack it and ingest the folder"));
        }
        Err(fault
            .because(LOOKED_FOR)
            .because(held(&names))
            .try_("unpack it; other rasters are read once gdal_translate wrote GeoTIFFs of them"))
    }
}

/// Says what an archive holds: some names, and how many there are.
fn held(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN_MAX).map(|n| shown(n)).collect();
    let shown = shown.join(", ");
    match names.len() {
        0 => "it holds no files".to_owned(),
        n if n <= SHOWN_MAX => format!("it holds {shown}"),
        n => format!("it holds {n} files: {shown}, …"),
    }
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}
