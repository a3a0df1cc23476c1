//! Where a delivered raster lies: its system, its affine map, its shape, and windows of it.
//!
//! *Invariants*: the affine map can be inverted; pixel (0, 0) begins at the outer corner, so a
//! centre lies at +0.5; a window lies inside its raster and has at least one pixel.
//!
//! *Not here*: the fixed grids of cells (`grid`).

use serde::{Deserialize, Serialize};

use crate::crs::Crs;
use crate::grid::Grid;

/// Six numbers in GDAL's order: x = a\[0\] + column·a\[1\] + row·a\[2\],
/// y = a\[3\] + column·a\[4\] + row·a\[5\].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 6]", into = "[f64; 6]")]
pub struct Affine {
    forward: [f64; 6],
    inverse: [f64; 6],
}

/// Why six numbers are no usable affine map.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("geotransform {0:?} cannot be inverted")]
pub struct AffineError(pub [f64; 6]);

impl Affine {
    /// Builds the map from GDAL's six numbers.
    ///
    /// # Errors
    /// Numbers that are not finite or map all pixels onto a line.
    pub fn new(forward: [f64; 6]) -> Result<Self, AffineError> {
        let inverse = invert(forward).ok_or(AffineError(forward))?;
        Ok(Self { forward, inverse })
    }

    /// Returns GDAL's six numbers.
    pub fn to_gdal(&self) -> [f64; 6] {
        self.forward
    }

    /// Returns the ground position of a pixel position.
    pub fn to_ground(&self, column: f64, row: f64) -> (f64, f64) {
        apply(&self.forward, column, row)
    }

    /// Returns the pixel position of a ground position.
    pub fn to_pixel(&self, x: f64, y: f64) -> (f64, f64) {
        apply(&self.inverse, x, y)
    }
}

impl TryFrom<[f64; 6]> for Affine {
    type Error = AffineError;

    fn try_from(numbers: [f64; 6]) -> Result<Self, AffineError> {
        Self::new(numbers)
    }
}

impl From<Affine> for [f64; 6] {
    fn from(affine: Affine) -> Self {
        affine.forward
    }
}

fn apply(a: &[f64; 6], u: f64, v: f64) -> (f64, f64) {
    (a[0] + u * a[1] + v * a[2], a[3] + u * a[4] + v * a[5])
}

/// Inverts an affine map; the unrotated case keeps its exact quotients, as GDAL does.
fn invert(a: [f64; 6]) -> Option<[f64; 6]> {
    let [x0, xu, xv, y0, yu, yv] = a;
    let inverse = if xv.abs() == 0.0 && yu.abs() == 0.0 {
        [-x0 / xu, 1.0 / xu, 0.0, -y0 / yv, 0.0, 1.0 / yv]
    } else {
        let det = xu * yv - xv * yu;
        [
            (xv * y0 - x0 * yv) / det,
            yv / det,
            -xv / det,
            (x0 * yu - xu * y0) / det,
            -yu / det,
            xu / det,
        ]
    };
    a.iter()
        .chain(&inverse)
        .all(|n| n.is_finite())
        .then_some(inverse)
}

/// A rectangle of pixels inside a raster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelWindow {
    /// First column.
    pub column: u32,
    /// First row.
    pub row: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// System, affine map and shape of a whole delivered raster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Georef {
    /// The coordinate reference system.
    pub crs: Crs,
    /// From pixels to the ground.
    pub affine: Affine,
    /// Columns of the whole raster.
    pub width: u32,
    /// Rows of the whole raster.
    pub height: u32,
}

impl Georef {
    /// Returns the whole raster as a window.
    pub fn whole(&self) -> PixelWindow {
        PixelWindow {
            column: 0,
            row: 0,
            width: self.width,
            height: self.height,
        }
    }
}

impl From<&Grid> for Georef {
    fn from(grid: &Grid) -> Self {
        let forward = grid.transform().to_gdal();
        // Grid pixels have a positive size, so the map has an inverse.
        let inverse = invert(forward).unwrap_or(forward);
        let affine = Affine { forward, inverse };
        Self {
            crs: grid.crs().clone(),
            affine,
            width: grid.width(),
            height: grid.height(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Affine;

    #[test]
    fn a_rotated_map_inverts_to_itself() {
        let affine = Affine::new([500_000.0, 9.0, 2.0, 4e6, 1.5, -10.0]).unwrap();
        let (x, y) = affine.to_ground(123.25, 77.5);
        let (column, row) = affine.to_pixel(x, y);
        assert!((column - 123.25).abs() < 1e-6 && (row - 77.5).abs() < 1e-6);
    }

    #[test]
    fn a_map_onto_a_line_is_refused() {
        assert!(Affine::new([0.0, 1.0, 2.0, 0.0, 2.0, 4.0]).is_err());
        assert!(Affine::new([0.0, 0.0, 0.0, 0.0, 0.0, -1.0]).is_err());
    }
}
