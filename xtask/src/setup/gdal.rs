//! The GDAL that `glebe-ingest` links: is it there, can it read what satellites deliver?
//!
//! *Invariants*: a missing driver is found here, not in the middle of an ingest.
//!
//! *Not here*: installing it (`system`).

use crate::command::{ask, command};
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// Drivers that the sources need, with what is delivered in that format.
const DRIVERS: [(&str, &str); 3] = [
    ("HDF4", "MODIS"),
    ("JP2OpenJPEG", "Sentinel-2"),
    ("GTiff", "GeoTIFF"),
];

/// Checks that GDAL can be linked and has the drivers.
pub(crate) fn drivers(workspace: &Workspace) -> Result<()> {
    if ask(command(workspace, "pkg-config").args(["--exists", "gdal"])).is_none() {
        return Err(Trouble::new(
            "GDAL cannot be linked",
            "`pkg-config --exists gdal` says no",
            "install GDAL's development files (Debian: libgdal-dev pkg-config)",
        ));
    }
    let formats = ask(command(workspace, "gdalinfo").arg("--formats")).unwrap_or_default();
    match DRIVERS
        .into_iter()
        .find(|(driver, _)| !lists(&formats, driver))
    {
        None => Ok(()),
        Some((driver, product)) => Err(Trouble::new(
            format!("GDAL cannot read {product}"),
            format!("`gdalinfo --formats` lists no driver {driver}"),
            "install a GDAL with that driver (Debian: libgdal-dev gdal-bin)",
        )),
    }
}

/// Tells whether `gdalinfo --formats` names a driver for rasters.
fn lists(formats: &str, driver: &str) -> bool {
    formats.lines().any(|line| {
        line.trim()
            .strip_prefix(driver)
            .is_some_and(|rest| rest.starts_with(" -raster"))
    })
}

#[cfg(test)]
mod tests {
    use super::lists;

    #[test]
    fn a_driver_counts_only_under_its_whole_name_and_for_rasters() {
        let formats = "  HDF4Image -raster- (rw+): HDF4 Dataset\n  \
                       JP2OpenJPEG -raster,vector- (rwv): JPEG-2000 driver\n";
        assert!(!lists(formats, "HDF4"));
        assert!(lists(formats, "JP2OpenJPEG"));
        assert!(!lists("  GTiff -vector- (rw+): x", "GTiff"));
    }
}
