//! Zarr v3 cubes: dims time, y, x; a variable for each band; CF attributes that xarray reads.
//!
//! Drawn in `docs/FORMATS.md`, "Zarr cubes".
//!
//! *Invariants*: stored numbers with scale, offset and fill as CF has them; chunks of nothing but
//! fill are left out, as Zarr allows; metadata of all variables stand in the group's file too, so
//! that a cube opens with one read.
//!
//! *Not here*: reading; sharding.

mod attributes;
mod chunks;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use earth::cube::Cube;
use earth::split::meta::SampleType;
use serde_json::{Value, json};
use wire::fault::{Fault, FaultKind};

use crate::export::zarr::chunks::Grid3;

/// The variable that says where the cube lies.
const PLACE: &str = "spatial_ref";

/// Names that are taken by coordinates.
const TAKEN: [&str; 4] = ["time", "y", "x", PLACE];

/// ZSTD's level: past it files shrink by some percent and writing takes several times as long.
const LEVEL: i32 = 3;

/// Refuses cubes whose rows and columns have no coordinates of their own.
pub(super) fn check(cube: &Cube) -> Result<(), Fault> {
    let [_, _, turned_x, _, turned_y, _] = cube.georef().affine.to_gdal();
    let what = if turned_x.abs() > 0.0 || turned_y.abs() > 0.0 {
        "the cube lies askew to its coordinate system".to_owned()
    } else if let Some(band) = cube.bands().iter().find(|b| is_taken(&b.name)) {
        format!("band '{}' cannot be a variable's name", band.name)
    } else {
        return Ok(());
    };
    Err(Fault::new(FaultKind::Data, what)
        .because("Zarr cubes have coordinates time, y and x, and a folder for each variable")
        .try_("--format cog"))
}

fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || name.contains(['/', '\\']) || name.starts_with(['.', '_'])
}

/// Writes the cube into an empty folder.
pub(super) fn fill(cube: &Cube, folder: &Path) -> io::Result<()> {
    let mut arrays = BTreeMap::new();
    for (place, band) in cube.bands().iter().enumerate() {
        let grid = Grid3::of(cube);
        for (time, plane) in
            (0..cube.times().len()).filter_map(|t| Some((t, cube.raster(t, place)?)))
        {
            grid.write(&folder.join(&band.name), (time, band.fill), plane)?;
        }
        arrays.insert(band.name.clone(), variable(cube, place, grid));
    }
    for (name, coordinate) in coordinates(cube) {
        chunks::write_line(&folder.join(name), &coordinate.bytes)?;
        arrays.insert(name.to_owned(), coordinate.array);
    }
    for (name, array) in &arrays {
        write_json(&folder.join(name), array)?;
    }
    write_json(folder, &group(cube, &arrays))
}

fn write_json(folder: &Path, value: &Value) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("zarr.json"), serde_json::to_vec_pretty(value)?)
}

/// Returns the group's metadata, with those of all arrays.
fn group(cube: &Cube, arrays: &BTreeMap<String, Value>) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes::of_cube(cube),
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": false,
            "metadata": arrays,
        },
    })
}

/// Returns the metadata of an array.
fn array(shape: &[usize], chunk: &[usize], kind: &str, fill: &Value) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": kind,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunk } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": fill,
        "codecs": [
            { "name": "bytes", "configuration": { "endian": "little" } },
            { "name": "zstd", "configuration": { "level": LEVEL, "checksum": false } },
        ],
        "storage_transformers": [],
    })
}

fn variable(cube: &Cube, place: usize, grid: Grid3) -> Value {
    let band = &cube.bands()[place];
    let fill = match band.fill {
        Some(fill) if band.sample.is_integer() => whole(fill),
        Some(fill) => json!(fill),
        None if band.sample.is_integer() => json!(0),
        None => json!("NaN"),
    };
    let mut made = array(&grid.shape, &grid.chunk, kind(band.sample), &fill);
    made["dimension_names"] = json!(["time", "y", "x"]);
    made["attributes"] = attributes::of_band(band);
    made
}

/// Returns a whole number without a point, as integer types need it.
fn whole(value: f64) -> Value {
    let text = format!("{value:.0}");
    text.parse::<i64>().map_or(Value::Null, Value::from)
}

/// Returns Zarr's name of a sample type.
fn kind(sample: SampleType) -> &'static str {
    match sample {
        SampleType::U8 => "uint8",
        SampleType::U16 => "uint16",
        SampleType::I16 => "int16",
        SampleType::U32 => "uint32",
        SampleType::I32 => "int32",
        SampleType::F32 => "float32",
        SampleType::F64 => "float64",
    }
}

/// A coordinate: metadata and values.
struct Coordinate {
    array: Value,
    bytes: Vec<u8>,
}

/// Returns time, y, x and the variable that says where the cube lies.
fn coordinates(cube: &Cube) -> [(&'static str, Coordinate); 4] {
    let georef = cube.georef();
    let centre = |pixel: u32| f64::from(pixel) + 0.5;
    let x = (0..georef.width).map(|c| georef.affine.to_ground(centre(c), 0.5).0);
    let y = (0..georef.height).map(|r| georef.affine.to_ground(0.5, centre(r)).1);
    let times = cube.times().iter().map(|t| t.acquired.as_microsecond());
    let line = |name: &str, kind: &str, bytes: Vec<u8>| {
        let length = bytes.len() / size_of::<f64>();
        let mut array = array(&[length], &[length], kind, &json!(0));
        array["dimension_names"] = json!([name]);
        array["attributes"] = attributes::of_axis(cube, name);
        Coordinate { array, bytes }
    };
    let mut place = array(&[], &[], "int64", &json!(0));
    place["dimension_names"] = json!([]);
    place["attributes"] = attributes::of_place(georef);
    let place = Coordinate {
        array: place,
        bytes: 0_i64.to_le_bytes().to_vec(),
    };
    [
        (
            "time",
            line("time", "int64", times.flat_map(i64::to_le_bytes).collect()),
        ),
        (
            "y",
            line("y", "float64", y.flat_map(f64::to_le_bytes).collect()),
        ),
        (
            "x",
            line("x", "float64", x.flat_map(f64::to_le_bytes).collect()),
        ),
        (PLACE, place),
    ]
}
