//! Rasters as GDAL reads and warps them.
//!
//! *Invariants*: what GDAL calls no data is NaN.
//!
//! *Not here*: what is expected of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::expect;

/// A raster's bands as 64-bit numbers, NaN where GDAL sees nothing.
pub(crate) struct Pixels {
    pub(crate) bands: Vec<(String, Vec<f64>)>,
    pub(crate) info: Value,
}

/// Reads a raster with GDAL.
pub(crate) fn pixels(path: &Path) -> Pixels {
    let raw = path.with_extension("raw");
    let mut convert = Command::new("gdal_translate");
    convert.args(["-q", "-of", "ENVI", "-ot", "Float64"]);
    expect(
        convert.args(["-co", "INTERLEAVE=BSQ"]).arg(path).arg(&raw),
        0,
    );
    let info = expect(Command::new("gdalinfo").arg("-json").arg(path), 0);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    let bytes = std::fs::read(&raw).unwrap();
    let about = info["bands"].as_array().unwrap();
    let plane = bytes.len() / about.len();
    let bands = { about.iter().zip(bytes.chunks(plane)) }.map(|(about, bytes)| {
        let fill = about["noDataValue"].as_f64();
        let number = |b: &[u8]| {
            let value = f64::from_le_bytes(b.try_into().unwrap());
            let void = fill.is_some_and(|fill| (value - fill).abs() < 0.5);
            if void { f64::NAN } else { value }
        };
        let name = about["description"].as_str().unwrap_or_default();
        (name.to_owned(), bytes.chunks(8).map(number).collect())
    });
    Pixels {
        bands: bands.collect(),
        info: info.clone(),
    }
}

impl Pixels {
    /// Warps files onto this raster's pixels with GDAL.
    pub(crate) fn warped(&self, files: &[PathBuf], kernel: &str, out: &Path) -> Pixels {
        self.warped_onto_parts(files, (kernel, 1), out)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> [usize; 2] {
        let size = |i: usize| self.info["size"][i].as_u64().unwrap();
        [0, 1].map(|i| usize::try_from(size(i)).unwrap())
    }

    /// Warps files onto this raster's pixels, each cut into parts × parts, with GDAL.
    pub(crate) fn warped_onto_parts(
        &self,
        files: &[PathBuf],
        (kernel, parts): (&str, usize),
        out: &Path,
    ) -> Pixels {
        let place = self.info["geoTransform"].as_array().unwrap();
        let at = |i: usize| place[i].as_f64().unwrap();
        let size = self.size().map(|n| n as f64);
        let (east, south) = (at(0) + at(1) * size[0], at(3) + at(5) * size[1]);
        // As one raster, so that kernels see across the files.
        let all = out.with_extension("vrt");
        let mut join = Command::new("gdalbuildvrt");
        expect(join.args(["-q", "-overwrite"]).arg(&all).args(files), 0);
        let mut warp = Command::new("gdalwarp");
        warp.args(["-q", "-overwrite", "-et", "0", "-r", kernel, "-te"]);
        warp.args([at(0), south, east, at(3)].map(|n| format!("{n:.17}")));
        let parts = self.size().map(|n| (n * parts).to_string());
        warp.arg("-ts").args(parts);
        expect(warp.arg(&all).arg(out), 0);
        pixels(out)
    }
}
