//! OLCI scenes in one netCDF file as BEAM and SNAP write them: a variable a band, latitudes and
//! longitudes of every pixel or of tie points, and the flags of IdePix.
//!
//! *Invariants*: as for all sources; flags are read only if their attributes name the bits that
//! `earth` means by them.
//!
//! *Not here*: SEN3 folders (`sen3`).

use std::path::Path;
use std::sync::Arc;

use earth::dataset::sentinel3::{IDEPIX, IDEPIX_BITS};
use earth::dataset::{Dataset, dataset};
use earth::raster::swath::{Swath, Ties};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wire::fault::{Fault, FaultKind};

use super::flags::same_bits;
use super::{categorical, place};
use crate::name::{scene_name, show};
use crate::source::image::{Format, Image};
use crate::source::netcdf::NetCdf;
use crate::source::package::delivered_files;
use crate::source::raster_file;
use crate::source::{Given, Mask, Scene, agree};

/// Names that programs give the bands, `{}` being the number, with the dataset of what they hold.
const NAMES: [(&str, usize, &str); 3] = [
    ("rtoa_{}", 1, "sentinel-3-olci"),
    ("Oa{}_reflectance", 2, "sentinel-3-olci"),
    ("Oa{}_radiance", 2, "sentinel-3-olci-l1"),
];
/// The flags of IdePix.
const FLAGS: &str = "pixel_classif_flags";
/// Latitudes and longitudes of every pixel.
const EACH: [(&str, &str); 2] = [("lat", "lon"), ("latitude", "longitude")];
/// Latitudes and longitudes of tie points.
const TIES: (&str, &str) = ("TP_latitude", "TP_longitude");

/// Opens a scene.
pub(super) fn open(path: &Path, given: &Given) -> Result<Scene, Fault> {
    let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let file_name = file_name.unwrap_or_default();
    let file = NetCdf::open(path, &file_name)?;
    let (dataset, variables) = bands(path, &file)?;
    let acquired = sensing_time(path, given, &file)?;
    agree(
        path,
        ("--dataset", given.dataset.as_ref()),
        (&dataset.name.to_owned(), dataset.name),
    )?;
    let size = size(&file, &variables)?;
    let swath = Arc::new(swath(path, &file, size)?);
    let mut layers = Vec::new();
    let mut missing = Vec::new();
    for (spec, variable) in dataset.bands.iter().zip(&variables) {
        let Some(variable) = variable else {
            missing.push(spec.name.to_owned());
            continue;
        };
        let label = format!("{variable} of {file_name}");
        let name = file.gdal_path(variable);
        let image = Image::open_along(&name, &label, (Format::NetCdf, &swath))?;
        layers.push(super::measured(spec, Arc::new(image))?);
    }
    let flags = flags(&file, &swath)?;
    layers.extend(flags.iter().map(|m| m.layer.clone()));
    let mask = match &given.cloud_mask {
        Some(mask) => Some(raster_file::user_mask(mask)?),
        None => flags.filter(|_| same_bits(&file, FLAGS, IDEPIX_BITS).unwrap_or(false)),
    };
    let mut files = vec![path];
    files.extend(given.cloud_mask.as_deref());
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    Ok(Scene {
        name: scene_name(&stem.unwrap_or_default()),
        dataset,
        platform: platform(&file_name, &file),
        acquired,
        source: file_name,
        delivered: delivered_files(&files)?,
        layers,
        mask,
        missing,
        notes: Vec::new(),
    })
}

/// Returns the dataset that the bands are of, and each band's variable.
fn bands(path: &Path, file: &NetCdf) -> Result<(&'static Dataset, Vec<Option<String>>), Fault> {
    for (pattern, digits, name) in NAMES {
        let known = dataset(name).expect("the names stand in earth's table of datasets");
        let variable = |i: usize| {
            let name = pattern.replace("{}", &format!("{i:0digits$}"));
            Some(name).filter(|n| file.has(n))
        };
        let found: Vec<_> = (1..=known.bands.len()).map(variable).collect();
        if found.iter().any(Option::is_some) {
            return Ok((known, found));
        }
    }
    Err(Fault::new(
        FaultKind::Data,
        format!("{} holds no bands that are known", show(path)),
    )
    .because("it has none of rtoa_1, Oa01_reflectance, Oa01_radiance and their like")
    .try_("ncdump -h shows its variables; SNAP writes OLCI scenes as NetCDF4-BEAM"))
}

/// Returns the shape of the first band.
fn size(file: &NetCdf, variables: &[Option<String>]) -> Result<(u32, u32), Fault> {
    let first = variables.iter().flatten().next().map_or("", String::as_str);
    file.size(first)
}

/// Places the pixels: by positions of each, else by tie points.
fn swath(path: &Path, file: &NetCdf, size: (u32, u32)) -> Result<Swath, Fault> {
    if let Some((lat, lon)) = EACH
        .into_iter()
        .find(|(lat, lon)| file.has(lat) && file.has(lon))
    {
        return place(size, Ties::EACH, (file, lon, lat));
    }
    let (lat, lon) = TIES;
    if !(file.has(lat) && file.has(lon)) {
        return Err(Fault::new(
            FaultKind::Data,
            format!("{} does not say where on Earth it lies", show(path)),
        )
        .because("it has neither lat and lon nor TP_latitude and TP_longitude"));
    }
    let number = |name: &str| {
        let text = file.said(lat, name)?;
        let number = text.as_deref().and_then(|t| t.trim().parse::<f64>().ok());
        number.ok_or_else(|| {
            Fault::new(FaultKind::Data, format!("{} cannot be placed", show(path)))
                .because(format!("{lat} has no {name}"))
        })
    };
    let ties = Ties {
        first: (number("offset_x")?, number("offset_y")?),
        step: (number("subsampling_x")?, number("subsampling_y")?),
    };
    place(size, ties, (file, lon, lat))
}

/// Opens the flags, if there are any.
fn flags(file: &NetCdf, swath: &Arc<Swath>) -> Result<Option<Mask>, Fault> {
    if !file.has(FLAGS) {
        return Ok(None);
    }
    let layer = categorical(file, FLAGS, (swath, None))?;
    Ok(Some(Mask {
        meaning: &IDEPIX,
        layer,
    }))
}

/// Returns the spacecraft: as an attribute says, else as the name begins.
fn platform(file_name: &str, file: &NetCdf) -> Option<String> {
    let said = file.attribute("platform").map(str::to_ascii_lowercase);
    let begin = || match file_name.get(..3)? {
        "S3A" => Some("sentinel-3a".to_owned()),
        "S3B" => Some("sentinel-3b".to_owned()),
        _ => None,
    };
    said.filter(|p| !p.is_empty()).or_else(begin)
}

fn sensing_time(path: &Path, given: &Given, file: &NetCdf) -> Result<Timestamp, Fault> {
    let said = file
        .attribute("start_date")
        .or(file.attribute("time_coverage_start"));
    let own = said.and_then(time);
    if let Some(own) = own {
        let shown = own.to_string();
        agree(
            path,
            ("--datetime", given.acquired.as_ref()),
            (&own, &shown),
        )?;
        return Ok(own);
    }
    given.acquired.ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the sensing time of {} is unknown", show(path)),
        )
        .because("it has no attribute start_date that is a time")
        .try_("--datetime 2017-04-15T10:01:35Z")
    })
}

/// Reads RFC 3339, or BEAM's `15-APR-2017 10:01:35.533860`, which is UTC.
fn time(text: &str) -> Option<Timestamp> {
    let beam = || {
        let time = DateTime::strptime("%d-%b-%Y %H:%M:%S%.f", text.trim()).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.trim().parse().ok().or_else(beam)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn both_ways_of_writing_a_time_are_read() {
        let beam = time("15-APR-2017 10:01:35.533860").unwrap();
        assert_eq!(beam.to_string(), "2017-04-15T10:01:35.53386Z");
        assert_eq!(time("2017-04-15T10:01:35.533860Z"), Some(beam));
        assert_eq!(time("some day"), None);
    }
}
