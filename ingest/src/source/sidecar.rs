//! A GeoTIFF's side-car, `NAME.json` beside `NAME.tif`: what the file itself does not say.
//!
//! ```json
//! {"dataset": "generic", "datetime": "2020-06-01T10:00:00Z", "platform": "drone",
//!  "cloud_mask": "clouds.tif", "bands": [{"name": "red", "common": "red", "scale": 0.0001}]}
//! ```
//! *Invariants*: every field may be absent; flags win over it; a cloud mask lies beside the file.
//!
//! *Not here*: how the file is read (`geotiff`).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use wire::fault::{Fault, FaultKind};

use super::bounds::Bounds;
use crate::name::show;

/// Greatest side-car: 512 bands of a few words.
const BYTES_MAX: u64 = 1 << 20;

/// What a side-car says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sidecar {
    /// Dataset.
    pub dataset: Option<String>,
    /// Sensing time.
    pub datetime: Option<Timestamp>,
    /// Satellite or aircraft.
    pub platform: Option<String>,
    /// Cloud mask, a file beside this one.
    pub cloud_mask: Option<String>,
    /// Where a picture lies: its outer edges.
    pub bounds: Option<Bounds>,
    /// The system of `bounds` or of a world file, `EPSG:n` or a PROJ string.
    pub crs: Option<String>,
    /// Bands, in the file's order.
    pub bands: Vec<SidecarBand>,
}

/// What a side-car says of one band.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SidecarBand {
    /// Name.
    pub name: Option<String>,
    /// STAC common name.
    pub common: Option<String>,
    /// Centre wavelength in nanometres.
    pub centre_nm: Option<f64>,
    /// Physical value = stored value × scale + offset.
    pub scale: Option<f64>,
    /// See `scale`.
    pub offset: Option<f64>,
    /// The value that means "nothing".
    pub fill: Option<f64>,
    /// Classes or a mask: no arithmetic.
    pub categorical: bool,
}

/// Returns where a file's side-car would lie.
pub fn path_of(file: &Path) -> PathBuf {
    file.with_extension("json")
}

/// Reads the side-car of a file; the empty one if there is none.
pub fn read(file: &Path) -> Result<Sidecar, Fault> {
    let path = path_of(file);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Sidecar::default()),
        Err(e) => return Err(unusable(&name, e.to_string())),
        Ok(meta) if meta.len() > BYTES_MAX => {
            return Err(unusable(&name, "it is too long".to_owned()));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(&path).map_err(|e| unusable(&name, e.to_string()))?;
    parse(&name, &bytes)
}

/// Reads the text of a side-car of a name.
pub fn parse(name: &str, text: &[u8]) -> Result<Sidecar, Fault> {
    serde_json::from_slice(text).map_err(|e| unusable(name, e.to_string()))
}

fn unusable(name: &str, reason: String) -> Fault {
    let what = format!("the side-car '{}' cannot be used", name.escape_debug());
    Fault::new(FaultKind::Data, what)
        .because(reason)
        .try_("docs/FORMATS.md lists its fields")
}

/// Returns the path of a side-car's cloud mask: a plain name beside the file.
pub fn mask_path(file: &Path, name: &str) -> Result<PathBuf, Fault> {
    let plain = Path::new(name).file_name().is_some_and(|n| n == name);
    if plain {
        Ok(file.with_file_name(name))
    } else {
        Err(Fault::new(
            FaultKind::Data,
            format!("the side-car of {} is refused", show(file)),
        )
        .because(format!(
            "its cloud mask '{}' is no plain file name",
            name.escape_debug()
        ))
        .try_("put the mask beside the file, or name it with --cloud-mask"))
    }
}
