//! A netCDF file: what it says of itself and of its variables, and arrays of angles.
//!
//! *Invariants*: a file that is shorter than its own header says is refused before the library sees
//! it; only the netCDF driver is tried; no other thread is in the netCDF, HDF5 or HDF4
//! library meanwhile, since none is thread-safe; rows come in the file's order.
//!
//! *Not here*: pixels of bands (`image`), which variables belong to a scene (the sources).

pub mod length;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use earth::raster::swath::Angles;
use earth::raster::{Raster, Samples};
use gdal::errors::GdalError;
use gdal::raster::{GdalDataType, GdalType, RasterBand};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
use wire::fault::{Fault, FaultKind};

use super::image::{alone, gdal_words};
use super::whole;

/// Greatest array of angles: a full OLCI frame has 20 million positions.
const ANGLES_MAX: usize = 1 << 26;
/// Longest text of an attribute that is looked at: flags have 32 names.
const TEXT_MAX: usize = 1 << 14;

/// A netCDF file.
#[derive(Debug)]
pub struct NetCdf {
    path: PathBuf,
    label: String,
    attributes: BTreeMap<String, String>,
    variables: Vec<String>,
}

impl NetCdf {
    /// Opens a file; `label` names it in messages.
    pub fn open(path: &Path, label: &str) -> Result<Self, Fault> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if path.to_string_lossy().contains('"') {
            let what = format!("'{label}' cannot be named");
            return Err(Fault::new(FaultKind::Data, what)
                .because("its path holds a quotation mark, which netCDF variables are named with")
                .try_("move it elsewhere"));
        }
        whole::check(&path, (label, "netCDF"), length::needed)?;
        let _alone = alone();
        let dataset = open(&path, label)?;
        let mut attributes = texts(&dataset, "NC_GLOBAL#");
        let lists = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
        let names = lists.iter().filter(|l| l.contains("_NAME="));
        let mut variables: Vec<String> = names
            .filter_map(|l| Some(l.rsplit_once("\":")?.1.to_owned()))
            .collect();
        if variables.is_empty() {
            // A file with one variable is that variable.
            let band = dataset.rasterband(1).ok();
            variables.extend(band.and_then(|b| b.metadata_item("NETCDF_VARNAME", "")));
        }
        attributes.retain(|_, text| text.len() <= TEXT_MAX);
        Ok(Self {
            path,
            label: label.to_owned(),
            attributes,
            variables,
        })
    }

    /// Returns an attribute of the file.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Tells whether a two-dimensional variable is there.
    pub fn has(&self, variable: &str) -> bool {
        self.variables.iter().any(|v| v == variable)
    }

    /// Returns the name under which GDAL opens a variable.
    pub fn gdal_path(&self, variable: &str) -> PathBuf {
        PathBuf::from(format!("NETCDF:\"{}\":{variable}", self.path.display()))
    }

    /// Returns an attribute of a variable.
    pub fn said(&self, variable: &str, attribute: &str) -> Result<Option<String>, Fault> {
        let _alone = alone();
        let dataset = open(&self.gdal_path(variable), &self.label)?;
        let all = texts(&dataset, &format!("{variable}#"));
        Ok(all.get(attribute).filter(|t| t.len() <= TEXT_MAX).cloned())
    }

    /// Returns columns and rows of a variable.
    pub fn size(&self, variable: &str) -> Result<(u32, u32), Fault> {
        let _alone = alone();
        let dataset = open(&self.gdal_path(variable), &self.label)?;
        let (width, height) = dataset.raster_size();
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok((side(width), side(height)))
    }

    /// Reads a whole variable as angles in degrees.
    pub fn angles(&self, variable: &str) -> Result<Angles, Fault> {
        let _alone = alone();
        let label = format!("{} of {}", variable, self.label);
        let dataset = open(&self.gdal_path(variable), &label)?;
        let (width, height) = dataset.raster_size();
        if width.saturating_mul(height) > ANGLES_MAX {
            let claim = format!("it claims {width} x {height} positions; at most {ANGLES_MAX}");
            return Err(Fault::new(FaultKind::Data, format!("'{label}' is refused")).because(claim));
        }
        let band = dataset.rasterband(1).map_err(|e| damaged(&label, &e))?;
        let samples = samples(&band, (width, height)).map_err(|e| damaged(&label, &e))?;
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let raster = Raster::new(side(width), side(height), samples)
            .map_err(|e| Fault::new(FaultKind::Data, label).because(e.to_string()))?;
        Ok(Angles {
            raster,
            scale: band.scale().unwrap_or(1.0),
            offset: band.offset().unwrap_or(0.0),
            fill: band.no_data_value(),
        })
    }
}

/// Reads a whole band, 32-bit integers as they are, for a frame of them takes 80 MB.
fn samples(band: &RasterBand<'_>, size: (usize, usize)) -> Result<Samples, GdalError> {
    Ok(match band.band_type() {
        GdalDataType::Int32 => Samples::I32(whole(band, size)?),
        GdalDataType::Float32 => Samples::F32(whole(band, size)?),
        _ => Samples::F64(whole(band, size)?),
    })
}

fn whole<T: GdalType + Copy>(
    band: &RasterBand<'_>,
    size: (usize, usize),
) -> Result<Vec<T>, GdalError> {
    let buffer = band.read_as::<T>((0, 0), size, size, None)?;
    Ok(buffer.into_shape_and_vec().1)
}

/// Says that a file is as long as it should be and cannot be read all the same.
fn damaged(label: &str, error: &GdalError) -> Fault {
    let silent = || "its length is right, but what its header points to is damaged".to_owned();
    Fault::new(FaultKind::Data, format!("'{label}' cannot be decoded"))
        .because(gdal_words(error).unwrap_or_else(silent))
        .try_("download it again; ncdump -h shows how far it can be read")
}

fn open(path: &Path, label: &str) -> Result<Dataset, Fault> {
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_READONLY,
        allowed_drivers: Some(&["netCDF"]),
        ..DatasetOptions::default()
    };
    Dataset::open_ex(path, options).map_err(|e| damaged(label, &e))
}

/// Returns the attributes that begin so, without the beginning.
fn texts(dataset: &Dataset, begin: &str) -> BTreeMap<String, String> {
    let lines = dataset.metadata_domain("").unwrap_or_default();
    let pair = |line: &String| {
        let (name, text) = line.strip_prefix(begin)?.split_once('=')?;
        Some((name.to_owned(), text.to_owned()))
    };
    lines.iter().filter_map(pair).collect()
}
