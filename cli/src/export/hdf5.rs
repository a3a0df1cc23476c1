//! HDF5 with the keys of the BigEarthNet preprocessing (S002): `data_10m`, `data_20m`, `data_60m`
//! for bands at their own resolution, `data_super` for bands that share one grid, `classes` for
//! the labels, binarised.
//!
//! `data_*` is time × band × row × column of stored numbers; `classes_20m` holds maps of classes
//! in the same order; `classes` is time × class, 1 where the class occurs; `times` is microseconds
//! since 1970, `scenes` their names. Attributes say bands, scale, offset, fill and place.
//!
//! *Invariants*: the same cubes give the same bytes.
//!
//! *Not here*: the container's bytes (`hdf5::file`).

mod chunks;
mod file;
mod lookup3;
mod message;

use std::collections::{BTreeMap, BTreeSet};

use earth::cube::{Cube, CubeBand};
use wire::fault::{Fault, FaultKind};

use crate::export::hdf5::file::{File, Form};
use crate::export::hdf5::message::{Kind, Text, Value};

/// Greatest side of a chunk: 2 MiB of 16-bit samples.
const SIDE_MAX: usize = 1024;

/// Greatest file: readers have no trouble, and it is built in memory.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// A cube and the end of its key: `10m`, or `super` for bands brought onto one grid.
pub(crate) type Keyed<'a> = (String, &'a Cube);

/// Returns the file of the grids of one cell.
pub(super) fn encode(grids: &[Keyed<'_>]) -> Result<Vec<u8>, Fault> {
    let size = |cube: &Cube| {
        cube.rasters()
            .iter()
            .map(|r| r.pixels() * r.sample_type().bytes() as u64)
            .sum::<u64>()
    };
    let bytes: u64 = grids.iter().map(|(_, cube)| size(cube)).sum();
    if bytes > FILE_BYTES_MAX {
        return Err(
            Fault::new(FaultKind::Data, "the cubes are too large for one HDF5 file")
                .because(format!("{bytes} bytes of {FILE_BYTES_MAX}"))
                .try_("--bands or --datetime, to take fewer; or --format zarr"),
        );
    }
    let mut file = File::new();
    let mut labels = Labels::default();
    for (key, cube) in grids {
        let of = |categorical: bool| -> Vec<&str> {
            let bands = cube.bands().iter().filter(|b| b.categorical == categorical);
            bands.map(|b| b.name.as_str()).collect()
        };
        if let Some(pixels) = cube.with_bands(&of(false)) {
            put_cube(&mut file, &format!("data_{key}"), &pixels.united())
                .map_err(|e| unpacked(&e))?;
        }
        if let Some(classes) = cube.with_bands(&of(true)) {
            labels.see(&classes);
            put_cube(&mut file, &format!("classes_{key}"), &classes.united())
                .map_err(|e| unpacked(&e))?;
        }
    }
    labels.put(&mut file);
    if let Some((_, cube)) = grids.first() {
        put_times(&mut file, cube);
    }
    Ok(file.finish(&[("source", Value::Text(source()))]))
}

fn unpacked(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, "pixels cannot be compressed").because(error.to_string())
}

fn source() -> Text {
    Text::one(concat!("glebe ", env!("CARGO_PKG_VERSION")))
}

/// Adds one array of a united cube.
fn put_cube(file: &mut File, key: &str, cube: &Cube) -> std::io::Result<()> {
    let Some(first) = cube.bands().first() else {
        return Ok(());
    };
    let georef = cube.georef();
    let [height, width] = [georef.height, georef.width].map(|s| s as usize);
    let shape = [cube.times().len(), cube.bands().len(), height, width];
    let chunk = [1, 1, height.min(SIDE_MAX), width.min(SIDE_MAX)];
    let mut samples = Vec::new();
    for raster in cube.rasters() {
        raster.samples().append_bytes(&mut samples);
    }
    let of = |value: fn(&CubeBand) -> f64| Value::Doubles(cube.bands().iter().map(value).collect());
    let names: Vec<&str> = cube.bands().iter().map(|b| b.name.as_str()).collect();
    let mut attributes = vec![
        ("bands", Value::Text(Text::list(&names))),
        ("dims", Value::Text(Text::list(&["time", "band", "y", "x"]))),
        ("scale", of(|b| b.scale)),
        ("offset", of(|b| b.offset)),
        (
            "transform",
            Value::Doubles(georef.affine.to_gdal().to_vec()),
        ),
        ("crs", Value::Text(Text::one(&georef.crs.to_string()))),
    ];
    if let Some(fill) = first.fill {
        attributes.push(("fill", Value::Doubles(vec![fill])));
    }
    let form = Form {
        shape,
        chunk,
        attributes: &attributes,
    };
    file.chunked(key, Kind::of(first.sample), &samples, &form)
}

/// Adds what the times are.
fn put_times(file: &mut File, cube: &Cube) {
    let times = cube.times().iter();
    let bytes: Vec<u8> = times
        .flat_map(|t| t.acquired.as_microsecond().to_le_bytes())
        .collect();
    let units = Text::one("microseconds since 1970-01-01T00:00:00Z");
    let shape = [cube.times().len()];
    file.plain(
        "times",
        (Kind::I64, &shape),
        &bytes,
        &[("units", Value::Text(units))],
    );
    let names: Vec<&str> = cube.times().iter().map(|t| t.scene.as_str()).collect();
    let scenes = Text::list(&names);
    file.plain("scenes", (scenes.kind(), &shape), scenes.bytes(), &[]);
}

/// Which classes occur at which time, over all class bands.
#[derive(Debug, Default)]
struct Labels {
    times: usize,
    /// Band and value, with the value's name where known, and the times at which it occurs.
    seen: BTreeMap<(String, u32), (Option<String>, BTreeSet<usize>)>,
}

impl Labels {
    fn see(&mut self, cube: &Cube) {
        self.times = cube.times().len();
        for time in 0..self.times {
            for (band, raster) in cube.bands().iter().zip(cube.planes(time)) {
                let valid = raster.validity(band.fill);
                let values = raster.samples().to_f64();
                let valid = values.iter().zip(valid).filter(|(_, valid)| *valid);
                let distinct: BTreeSet<u32> = valid.filter_map(|(v, _)| class(*v)).collect();
                for value in distinct {
                    let key = (band.name.clone(), value);
                    let named = band.classes.get(&value).cloned();
                    let entry = self.seen.entry(key).or_insert((named, BTreeSet::new()));
                    entry.1.insert(time);
                }
            }
        }
    }

    /// Adds `classes`, unless there is no class band.
    fn put(&self, file: &mut File) {
        if self.seen.is_empty() {
            return;
        }
        let flags: Vec<u8> = (0..self.times)
            .flat_map(|t| {
                self.seen
                    .values()
                    .map(move |(_, times)| u8::from(times.contains(&t)))
            })
            .collect();
        let name = |((band, value), (named, _)): (&(String, u32), &(Option<String>, _))| {
            let named = named
                .as_ref()
                .map_or_else(|| value.to_string(), Clone::clone);
            format!("{band}={named}")
        };
        let names: Vec<String> = self.seen.iter().map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let values = self.seen.keys().map(|(_, v)| f64::from(*v)).collect();
        let attributes = [
            ("names", Value::Text(Text::list(&names))),
            ("values", Value::Doubles(values)),
        ];
        let shape = [self.times, self.seen.len()];
        file.plain("classes", (Kind::U8, &shape), &flags, &attributes);
    }
}

/// Returns a class value as a whole number; `None` for what is none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range and whole by the check before"
)]
fn class(value: f64) -> Option<u32> {
    let whole = (0.0..=f64::from(u32::MAX)).contains(&value) && value.fract().abs() <= 0.0;
    whole.then_some(value as u32)
}
