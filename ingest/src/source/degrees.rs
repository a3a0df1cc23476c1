//! Rasters in degrees: their positions as longitude and latitude, their pixels in metres.
//!
//! *Invariants*: what is no longitude and latitude is an error, never a number.
//!
//! *Not here*: outlines (`footprint`).

use earth::crs::{Crs, Transformer};
use earth::extent::LonLat;
use earth::raster::georef::Georef;

/// Mean radius of the Earth in metres; two digits of a pixel size need no ellipsoid.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Returns the ground size of the central pixel in metres: the root of its area.
pub(super) fn pixel_metres(georef: &Georef) -> Result<f64, String> {
    let (x, y) = centre(georef);
    let offsets = [(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)];
    let mut points = offsets.map(|(dx, dy)| georef.affine.to_ground(x + dx, y + dy));
    to_degrees(georef, &mut points)?;
    let [west, east, north, south] = points;
    let (across, down) = (way(west, east), way(north, south));
    let metres = (across.0 * down.1 - across.1 * down.0).abs().sqrt();
    if metres.is_finite() && metres > 0.0 {
        Ok(metres)
    } else {
        Err("its pixels have no size".to_owned())
    }
}

/// Transforms ground positions to degrees in place.
pub(super) fn to_degrees(georef: &Georef, points: &mut [(f64, f64)]) -> Result<(), String> {
    let transformer = Transformer::new(&georef.crs, &Crs::wgs84()).map_err(|e| e.to_string())?;
    transformer.transform(points).map_err(|e| e.to_string())?;
    match points.iter().find(|p| lon_lat(**p).is_none()) {
        Some((lon, lat)) => Err(format!("({lon}, {lat}) is no longitude and latitude")),
        None => Ok(()),
    }
}

/// Returns the way from one point to another near it: metres to the east and to the north.
fn way(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let turns = ((b.0 - a.0) / 360.0).round();
    let east =
        (b.0 - a.0 - 360.0 * turns).to_radians() * f64::midpoint(a.1, b.1).to_radians().cos();
    let north = (b.1 - a.1).to_radians();
    (east * EARTH_RADIUS_M, north * EARTH_RADIUS_M)
}

/// Returns the centre of a raster in pixels.
pub(super) fn centre(georef: &Georef) -> (f64, f64) {
    (
        f64::from(georef.width) / 2.0,
        f64::from(georef.height) / 2.0,
    )
}

/// Returns a ground position as longitude and latitude if it is one.
fn lon_lat((lon, lat): (f64, f64)) -> Option<LonLat> {
    (lon.is_finite() && (-90.0..=90.0).contains(&lat)).then_some(LonLat { lon, lat })
}

#[cfg(test)]
mod tests {
    use earth::raster::georef::Affine;

    use super::*;

    #[test]
    fn a_sheared_pixel_has_the_size_of_its_area() {
        // Far from the central meridian a sinusoidal pixel leans by 60° and keeps its area.
        let side = 1_111_950.519_667;
        let pixel = side / 2400.0;
        for (h, v) in [(18.0, 4.0), (22.0, 2.0), (12.0, 2.0), (2.0, 9.0)] {
            let (west, north) = ((h - 18.0) * side, (9.0 - v) * side);
            let metres = pixel_metres(&Georef {
                crs: Crs::from_proj_string("+proj=sinu +R=6371007.181 +units=m").unwrap(),
                affine: Affine::new([west, pixel, 0.0, north, 0.0, -pixel]).unwrap(),
                width: 2400,
                height: 2400,
            });
            let metres = metres.unwrap();
            assert!((metres - 463.3).abs() < 1.0, "h{h} v{v}: {metres}");
        }
    }
}
