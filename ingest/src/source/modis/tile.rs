//! The sinusoidal tiles of MODIS land products: where hNNvNN lies.
//!
//! 36 × 18 tiles of 10° of latitude on a sphere; x = R λ cos φ, y = R φ.
//!
//! Source: MODIS Land, "MODIS Grids" (sphere of radius 6,371,007.181 m).
//!
//! *Invariants*: h counts from west, v from north.
//!
//! *Not here*: the projection (`earth::crs`), pixels.

use earth::raster::georef::Georef;

/// Radius of the sphere in metres.
const RADIUS_M: f64 = 6_371_007.181;
/// Tiles from west to east and from north to south.
const TILES: (u32, u32) = (36, 18);

/// One tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    h: u32,
    v: u32,
}

impl Tile {
    /// Builds a tile from its numbers.
    pub(super) fn new(h: u32, v: u32) -> Option<Self> {
        (h < TILES.0 && v < TILES.1).then_some(Self { h, v })
    }

    /// Reads `h18v04`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (h, v) = text.strip_prefix('h')?.split_once('v')?;
        let two = |t: &str| (t.len() == 2).then(|| t.parse().ok())?;
        Self::new(two(h)?, two(v)?)
    }

    /// Returns west, south, east and north in metres.
    fn bounds(self) -> [f64; 4] {
        let side = RADIUS_M * std::f64::consts::TAU / f64::from(TILES.0);
        let west = (f64::from(self.h) - f64::from(TILES.0) / 2.0) * side;
        let north = (f64::from(TILES.1) / 2.0 - f64::from(self.v)) * side;
        [west, north - side, west + side, north]
    }

    /// Tells whether a raster lies inside the tile, half a pixel forgiven.
    pub(super) fn holds(self, raster: &Georef) -> bool {
        let [west, south, east, north] = self.bounds();
        let (width, height) = (f64::from(raster.width), f64::from(raster.height));
        let (left, top) = raster.affine.to_ground(0.0, 0.0);
        let (right, bottom) = raster.affine.to_ground(width, height);
        let half = ((right - left) / width).abs() / 2.0;
        left >= west - half && right <= east + half && bottom >= south - half && top <= north + half
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "h{:02}v{:02}", self.h, self.v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_where_the_grid_has_them() {
        // Corners as the files of h18v05 and h09v05 give them, to a centimetre.
        let near = |a: f64, b: f64| (a - b).abs() < 0.01;
        let [west, south, east, north] = Tile::parse("h09v05").unwrap().bounds();
        assert!(near(west, -10_007_554.677) && near(north, 4_447_802.078_667));
        assert!(near(east, -8_895_604.157_333) && near(south, 3_335_851.559));
        let [west, ..] = Tile::parse("h00v08").unwrap().bounds();
        assert!(near(west, -20_015_109.354));
    }

    #[test]
    fn what_is_no_tile_is_refused() {
        for text in ["h36v00", "h00v18", "h1v04", "v04h18", "h18", "h-1v04", ""] {
            assert_eq!(Tile::parse(text), None, "{text}");
        }
        assert_eq!(
            Tile::parse("h18v04").map(|t| t.to_string()).as_deref(),
            Some("h18v04")
        );
    }
}
