//! Where a scene's rasters lie on the globe: outlines for the cover, pixel sizes in metres.
//!
//! *Invariants*: outlines follow the raster's edges closely (their points lie at most 1/32 of an
//! edge apart) and are continuous across the antimeridian; they end where the projection does: a
//! sinusoidal tile at the map's edge also holds pixels that lie nowhere on Earth.
//!
//! *Not here*: which cells an outline touches (`earth::geocode::cover`).

use earth::crs::{Crs, Transformer};
use earth::polygon::Polygon;
use earth::raster::georef::Georef;
use earth::raster::swath::Place;

use super::Layer;
use super::degrees::{centre, to_degrees};

/// Points along one edge: an edge of 110 km bends by 40 m between points 3.4 km apart, at most.
const STEPS: u32 = 32;
/// Halvings of one of 32 steps: a border is found to a billionth of a raster's width.
const HALVINGS: u32 = 25;
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
    let mut points = edge(georef);
    if !georef.crs.is_geographic() {
        let globe = Globe::of(georef)?;
        if !points.iter().all(|p| globe.has(*p)) {
            points = globe.edge_inside(georef);
        }
    }
    to_degrees(georef, &mut points)?;
    let mut ring: Vec<[f64; 2]> = Vec::with_capacity(points.len() + 1);
    for (lon, lat) in points {
        let before = ring.last().map_or(lon, |p| p[0]);
        let turns = ((before - lon) / 360.0).round();
        ring.push([lon + 360.0 * turns, lat]);
    }
    let (Some(first), Some(last)) = (ring.first().copied(), ring.last().copied()) else {
        return Ok(ring);
    };
    if (first[0] - last[0]).abs() > 180.0 {
        return Ok(around_a_pole(&ring));
    }
    ring.push(first);
    Ok(ring)
}

/// Returns all that lies poleward of a ring that goes once around a pole, and the parallel that
/// the ring nowhere passes: cells that the raster does not reach are found empty.
fn around_a_pole(ring: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let lats = || ring.iter().map(|p| p[1]);
    let north = lats().sum::<f64>() > 0.0;
    let (edge, pole) = if north {
        (lats().fold(90.0, f64::min), 90.0)
    } else {
        (lats().fold(-90.0, f64::max), -90.0)
    };
    let sides = [[-180.0, edge], [180.0, edge], [180.0, pole], [-180.0, pole]];
    sides.into_iter().chain([sides[0]]).collect()
}

/// Returns points along the edges of a raster, on the ground of its own system.
fn edge(georef: &Georef) -> Vec<(f64, f64)> {
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
    points
}

/// Which positions of a projected system lie on the globe: those that come back when they go to
/// degrees and return.
struct Globe {
    out: Transformer,
    back: Transformer,
    /// Greatest distance of a position that came back: a hundredth of a pixel.
    near: f64,
}

impl Globe {
    fn of(georef: &Georef) -> Result<Self, String> {
        let transformer = |from, to| Transformer::new(from, to).map_err(|e| e.to_string());
        let (x, y) = centre(georef);
        let (a, b) = (
            georef.affine.to_ground(x, y),
            georef.affine.to_ground(x + 1.0, y),
        );
        Ok(Self {
            out: transformer(&georef.crs, &Crs::wgs84())?,
            back: transformer(&Crs::wgs84(), &georef.crs)?,
            near: (b.0 - a.0).hypot(b.1 - a.1) / 100.0,
        })
    }

    fn has(&self, (x, y): (f64, f64)) -> bool {
        let mut point = [(x, y)];
        let lost = self.out.transform_defined(&mut point) + self.back.transform_defined(&mut point);
        let [(u, v)] = point;
        lost == 0 && (u - x).hypot(v - y) < self.near
    }

    /// Returns the outline of what lies on the globe: row by row down the right, up the left.
    fn edge_inside(&self, georef: &Georef) -> Vec<(f64, f64)> {
        let (width, height) = (f64::from(georef.width), f64::from(georef.height));
        let row = |at: f64| move |share: f64| georef.affine.to_ground(width * share, height * at);
        let touches = |at: f64| self.inside(&row(at)).is_some();
        let mut rows: Vec<f64> = Vec::new();
        let steps: Vec<f64> = shares().collect();
        for pair in steps.windows(2) {
            match (touches(pair[0]), touches(pair[1])) {
                (true, true) => rows.extend(pair),
                (true, false) => rows.extend([pair[0], border(&touches, (pair[0], pair[1]))]),
                (false, true) => rows.extend([border(&touches, (pair[1], pair[0])), pair[1]]),
                (false, false) => {}
            }
        }
        let ends = |at: &f64| {
            let place = row(*at);
            let (left, right) = self.inside(&place)?;
            Some((place(left), place(right)))
        };
        let (left, mut right): (Vec<_>, Vec<_>) = rows.iter().filter_map(ends).unzip();
        right.extend(left.into_iter().rev());
        right
    }

    /// Returns where a row enters the globe and leaves it, as shares of the row.
    fn inside(&self, row: &dyn Fn(f64) -> (f64, f64)) -> Option<(f64, f64)> {
        let on = |share: f64| self.has(row(share));
        let mut inside = shares().filter(|s| on(*s));
        let first = inside.next()?;
        let last = inside.last().unwrap_or(first);
        let step = 1.0 / f64::from(STEPS);
        let left = border(&on, (first, (first - step).max(0.0)));
        Some((left, border(&on, (last, (last + step).min(1.0)))))
    }
}

/// Returns the ends of `STEPS` equal parts of 0..=1.
fn shares() -> impl Iterator<Item = f64> {
    (0..=STEPS).map(|s| f64::from(s) / f64::from(STEPS))
}

/// Returns the last place that is on the globe, between one that is and one that may not be.
fn border(on: &dyn Fn(f64) -> bool, (mut inside, mut outside): (f64, f64)) -> f64 {
    if on(outside) {
        return outside;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if on(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use earth::raster::georef::Affine;

    use super::*;

    const SIDE: f64 = 1_111_950.519_667;

    fn tile(h: f64, v: f64) -> Georef {
        let crs = Crs::from_proj_string("+proj=sinu +R=6371007.181 +units=m").unwrap();
        let pixel = SIDE / 2400.0;
        let (west, north) = ((h - 18.0) * SIDE, (9.0 - v) * SIDE);
        Georef {
            crs,
            affine: Affine::new([west, pixel, 0.0, north, 0.0, -pixel]).unwrap(),
            width: 2400,
            height: 2400,
        }
    }

    fn span(ring: &[[f64; 2]], axis: usize) -> (f64, f64) {
        let values = ring.iter().map(|p| p[axis]);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        (low, values.fold(f64::NEG_INFINITY, f64::max))
    }

    #[test]
    fn a_tile_at_the_edge_of_the_map_ends_at_the_antimeridian() {
        let ring = ring(&tile(0.0, 8.0)).unwrap();
        let (west, east) = span(&ring, 0);
        assert!(
            (west + 180.0).abs() < 1e-3 && (east + 170.0).abs() < 1e-3,
            "{west} {east}"
        );
        let (south, north) = span(&ring, 1);
        assert!(
            south.abs() < 1e-9 && (north - 10.0).abs() < 1e-6,
            "{south} {north}"
        );
    }

    #[test]
    fn a_tile_inside_the_map_keeps_its_leaning_corners() {
        let (west, east) = span(&ring(&tile(9.0, 5.0)).unwrap(), 0);
        // As GDAL gives them: 117d29'12"W at the upper left, 92d22'34"W at the lower right.
        assert!(
            (west + 117.4867).abs() < 1e-3 && (east + 92.376).abs() < 1e-3,
            "{west} {east}"
        );
    }

    #[test]
    fn a_raster_around_a_pole_covers_that_pole_and_nothing_beyond_its_corners() {
        for (epsg, north) in [(3413, true), (3031, false)] {
            let half = 500_000.0;
            let georef = Georef {
                crs: Crs::from_epsg(epsg).unwrap(),
                affine: Affine::new([-half, 1000.0, 0.0, half, 0.0, -1000.0]).unwrap(),
                width: 1000,
                height: 1000,
            };
            let (south_most, north_most) = span(&ring(&georef).unwrap(), 1);
            let (pole, edge) = if north {
                (north_most, south_most)
            } else {
                (-south_most, -north_most)
            };
            assert!((pole - 90.0).abs() < 1e-9, "EPSG:{epsg} {pole}");
            // Corners lie 707 km from the pole, some 6.4 degrees.
            assert!((83.0..84.5).contains(&edge), "EPSG:{epsg} {edge}");
        }
    }
}
