//! Attributes of a Zarr cube: CF-1.11 for axes and bands, STAC's `proj:` names for the place.
//!
//! *Invariants*: xarray reads times, physical values and masks from them; rioxarray the place.
//!
//! *Not here*: arrays.

use earth::cube::{Cube, CubeBand};
use earth::raster::georef::Georef;
use serde_json::{Map, Value, json};

use crate::export::zarr::PLACE;

/// Well-known text of the systems that cells have; others are named by code or PROJ string.
const WKT_4326: &str = "GEOGCRS[\"WGS 84\",ENSEMBLE[\"World Geodetic System 1984 ensemble\",\
    MEMBER[\"World Geodetic System 1984 (Transit)\"],MEMBER[\"World Geodetic System 1984 (G2139)\"],\
    ELLIPSOID[\"WGS 84\",6378137,298.257223563,LENGTHUNIT[\"metre\",1]],ENSEMBLEACCURACY[2.0]],\
    PRIMEM[\"Greenwich\",0,ANGLEUNIT[\"degree\",0.0174532925199433]],CS[ellipsoidal,2],\
    AXIS[\"geodetic latitude (Lat)\",north,ORDER[1],ANGLEUNIT[\"degree\",0.0174532925199433]],\
    AXIS[\"geodetic longitude (Lon)\",east,ORDER[2],ANGLEUNIT[\"degree\",0.0174532925199433]],\
    ID[\"EPSG\",4326]]";

/// See `WKT_4326`.
const WKT_3857: &str = "PROJCRS[\"WGS 84 / Pseudo-Mercator\",BASEGEOGCRS[\"WGS 84\",\
    DATUM[\"World Geodetic System 1984\",\
    ELLIPSOID[\"WGS 84\",6378137,298.257223563,LENGTHUNIT[\"metre\",1]]],\
    PRIMEM[\"Greenwich\",0,ANGLEUNIT[\"degree\",0.0174532925199433]],ID[\"EPSG\",4326]],\
    CONVERSION[\"Popular Visualisation Pseudo-Mercator\",\
    METHOD[\"Popular Visualisation Pseudo Mercator\",ID[\"EPSG\",1024]],\
    PARAMETER[\"Latitude of natural origin\",0,ANGLEUNIT[\"degree\",0.0174532925199433]],\
    PARAMETER[\"Longitude of natural origin\",0,ANGLEUNIT[\"degree\",0.0174532925199433]],\
    PARAMETER[\"False easting\",0,LENGTHUNIT[\"metre\",1]],\
    PARAMETER[\"False northing\",0,LENGTHUNIT[\"metre\",1]]],CS[Cartesian,2],\
    AXIS[\"easting (X)\",east,ORDER[1],LENGTHUNIT[\"metre\",1]],\
    AXIS[\"northing (Y)\",north,ORDER[2],LENGTHUNIT[\"metre\",1]],ID[\"EPSG\",3857]]";

/// Returns the attributes of the whole.
pub(super) fn of_cube(cube: &Cube) -> Value {
    let georef = cube.georef();
    let [x, xu, xv, y, yu, yv] = georef.affine.to_gdal();
    let scenes: Vec<&str> = cube.times().iter().map(|t| t.scene.as_str()).collect();
    let bands: Vec<&str> = cube.bands().iter().map(|b| b.name.as_str()).collect();
    let mut made = json!({
        "Conventions": "CF-1.11",
        // What xarray takes as a coordinate though it is no axis.
        "coordinates": PLACE,
        "bands": bands,
        "source": concat!("glebe ", env!("CARGO_PKG_VERSION")),
        "scenes": scenes,
        "proj:shape": [georef.height, georef.width],
        "proj:transform": [xu, xv, x, yu, yv, y],
    });
    if let Some(code) = georef.crs.epsg() {
        made["proj:code"] = json!(format!("EPSG:{code}"));
    }
    for (name, text) in cube.notes() {
        made[name.as_str()] = json!(text);
    }
    made
}

/// Returns the attributes of a band.
pub(super) fn of_band(band: &CubeBand) -> Value {
    let mut made = Map::new();
    made.insert("grid_mapping".to_owned(), json!(PLACE));
    made.insert("long_name".to_owned(), json!(band.name));
    if let Some(common) = &band.common {
        made.insert("common_name".to_owned(), json!(common));
    }
    if let Some(centre) = band.centre_nm {
        made.insert("center_wavelength_nm".to_owned(), json!(centre));
    }
    if let Some(fill) = band.fill {
        made.insert("_FillValue".to_owned(), fill_attribute(band, fill));
    }
    let plain = (band.scale - 1.0).abs() <= 0.0 && band.offset.abs() <= 0.0;
    if band.categorical {
        if !band.classes.is_empty() {
            let values: Vec<u32> = band.classes.keys().copied().collect();
            let names: Vec<String> = band.classes.values().map(|n| n.replace(' ', "_")).collect();
            made.insert("flag_values".to_owned(), json!(values));
            made.insert("flag_meanings".to_owned(), json!(names.join(" ")));
        }
    } else if !plain {
        made.insert("scale_factor".to_owned(), json!(band.scale));
        made.insert("add_offset".to_owned(), json!(band.offset));
    }
    Value::Object(made)
}

/// Returns fill as xarray reads it from Zarr v3: numbers for integers, base64 of the eight bytes
/// for floats.
fn fill_attribute(band: &CubeBand, fill: f64) -> Value {
    if band.sample.is_integer() {
        return super::whole(fill);
    }
    json!(base64(fill.to_le_bytes()))
}

/// Returns eight bytes in base64 (RFC 4648): ten and two thirds digits, padded to twelve.
fn base64(bytes: [u8; 8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut padded = [0_u8; 16];
    padded[4..12].copy_from_slice(&bytes);
    let bits = u128::from_be_bytes(padded);
    // Eleven digits of six bits hold 64 bits and two zeros; one `=` fills the last group.
    let digit = |place: u32| {
        let shift = 32 + 64 - 6 * (place + 1);
        let six = usize::try_from((bits >> shift) & 63).unwrap_or_default();
        char::from(DIGITS[six])
    };
    (0..11).map(digit).chain(['=']).collect()
}

/// Returns the attributes of an axis.
pub(super) fn of_axis(cube: &Cube, name: &str) -> Value {
    let geographic = cube.georef().crs.is_geographic();
    match (name, geographic) {
        ("time", _) => json!({
            "standard_name": "time",
            "units": "microseconds since 1970-01-01 00:00:00",
            "calendar": "proleptic_gregorian",
        }),
        ("x", true) => {
            json!({ "standard_name": "longitude", "units": "degrees_east", "axis": "X" })
        }
        ("y", true) => {
            json!({ "standard_name": "latitude", "units": "degrees_north", "axis": "Y" })
        }
        ("x", false) => {
            json!({ "standard_name": "projection_x_coordinate", "units": "m", "axis": "X" })
        }
        _ => json!({ "standard_name": "projection_y_coordinate", "units": "m", "axis": "Y" }),
    }
}

/// Returns the attributes that say where the cube lies.
pub(super) fn of_place(georef: &Georef) -> Value {
    let numbers = georef.affine.to_gdal().map(|n| n.to_string());
    let mut made = json!({ "GeoTransform": numbers.join(" ") });
    let known = match georef.crs.epsg() {
        Some(4326) => Some(WKT_4326),
        Some(3857) => Some(WKT_3857),
        _ => None,
    };
    if let Some(wkt) = known {
        made["crs_wkt"] = json!(wkt);
        made["spatial_ref"] = json!(wkt);
    } else {
        made["spatial_ref"] = json!(georef.crs.to_string());
        made["proj4"] = json!(georef.crs.proj_string());
    }
    if georef.crs.epsg() == Some(4326) {
        made["grid_mapping_name"] = json!("latitude_longitude");
        made["semi_major_axis"] = json!(6_378_137.0);
        made["inverse_flattening"] = json!(298.257_223_563);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_what_python_writes() {
        // base64.standard_b64encode(struct.pack("<d", v))
        assert_eq!(base64((-9999.0_f64).to_le_bytes()), "AAAAAICHw8A=");
        assert_eq!(base64(1.5_f64.to_le_bytes()), "AAAAAAAA+D8=");
    }
}
