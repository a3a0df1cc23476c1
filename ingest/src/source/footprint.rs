//! Where a scene's rasters lie on the globe: outlines for the cover, pixel sizes in metres.
//!
//! *Invariants*: outlines follow the raster's edges closely (their points lie at most 1/32 of an
//! edge apart) and are continuous across the antimeridian.
//!
//! *Not here*: which cells an outline touches (`earth::geocode::cover`).

use earth::crs::{Crs, Transformer};
use earth::polygon::Polygon;
use earth::raster::georef::Georef;
use earth::raster::swath::Place;

use super::Layer;
use super::image::{centre, lon_lat};

/// Points along one edge: an edge of 110 km bends by 40 m between points 3.4 km apart, at most.
const STEPS: u32 = 32;
/// Mean radius of the Earth in metres; two digits of a pixel size need no ellipsoid.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Returns the area of all rasters of a scene's layers; the error says what is wrong.
pub fn outline<'a>(layers: impl Iterator<Item = &'a Layer>) -> Result<Polygon, String> {
    let mut seen: Vec<&Place> = Vec::new();
    for layer in layers {
        if !seen.contains(&layer.image.georef()) {
            seen.push(layer.image.georef());
        }
    }
    let mut parts = Vec::new();
    for place in seen {
        match place {
            Place::Mapped(georef) => parts.push(vec![ring(georef)?]),
            Place::Swath(swath) => parts.extend(swath.rings().into_iter().map(|r| vec![r])),
        }
    }
    Polygon::new(&parts).map_err(|e| e.to_string())
}

/// Returns the closed outline of one raster in degrees.
fn ring(georef: &Georef) -> Result<Vec<[f64; 2]>, String> {
    let (width, height) = (f64::from(georef.width), f64::from(georef.height));
    let corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let mut points = Vec::new();
    for (i, (x, y)) in corners.into_iter().enumerate() {
        let (to_x, to_y) = corners[(i + 1) % 4];
        for step in 0..STEPS {
            let t = f64::from(step) / f64::from(STEPS);
            points.push(
                georef
                    .affine
                    .to_ground(x + (to_x - x) * t, y + (to_y - y) * t),
            );
        }
    }
    to_degrees(georef, &mut points)?;
    let mut ring: Vec<[f64; 2]> = Vec::with_capacity(points.len() + 1);
    for (lon, lat) in points {
        let before = ring.last().map_or(lon, |p| p[0]);
        let turns = ((before - lon) / 360.0).round();
        ring.push([lon + 360.0 * turns, lat]);
    }
    ring.extend(ring.first().copied());
    Ok(ring)
}

/// Returns the ground size of the central pixel in metres: the root of its area.
pub fn pixel_metres(georef: &Georef) -> Result<f64, String> {
    let (x, y) = centre(georef);
    let offsets = [(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)];
    let mut points = offsets.map(|(dx, dy)| georef.affine.to_ground(x + dx, y + dy));
    to_degrees(georef, &mut points)?;
    let [west, east, north, south] = points;
    let metres = (distance(west, east) * distance(north, south)).sqrt();
    if metres.is_finite() && metres > 0.0 {
        Ok(metres)
    } else {
        Err("its pixels have no size".to_owned())
    }
}

/// Transforms ground positions to degrees in place.
fn to_degrees(georef: &Georef, points: &mut [(f64, f64)]) -> Result<(), String> {
    let transformer = Transformer::new(&georef.crs, &Crs::wgs84()).map_err(|e| e.to_string())?;
    transformer.transform(points).map_err(|e| e.to_string())?;
    match points.iter().find(|p| lon_lat(**p).is_none()) {
        Some((lon, lat)) => Err(format!("({lon}, {lat}) is no longitude and latitude")),
        None => Ok(()),
    }
}

/// Returns the ground distance of two near points in metres.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let turns = ((b.0 - a.0) / 360.0).round();
    let east =
        (b.0 - a.0 - 360.0 * turns).to_radians() * f64::midpoint(a.1, b.1).to_radians().cos();
    let north = (b.1 - a.1).to_radians();
    east.hypot(north) * EARTH_RADIUS_M
}
