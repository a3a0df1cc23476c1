//! Lattices of pixels: whether two rasters share one, and windows on it.
//!
//! *Invariants*: pixels keep their size; longitudes and Mercator eastings wrap, so that a raster
//! east of the antimeridian lies beside one west of it.
//!
//! *Not here*: samples (`mosaic`, `resample`).

use crate::crs::Crs;
use crate::geocode::quadtile::HALF_SIDE;
use crate::raster::georef::{Affine, AffineError, Georef, PixelWindow};
use crate::raster::resample::{Alignment, Axis, ResampleError};

/// Lattices that differ by less, in pixels, are one: far below a pixel, far above rounding.
const SAME: f64 = 1e-6;

/// Returns the column and row of the window at which a piece on its lattice begins.
#[expect(
    clippy::cast_possible_truncation,
    reason = "pixel positions on the Earth stay far below 2^53"
)]
pub(super) fn on_lattice(alignment: &Alignment) -> Option<(i64, i64)> {
    let whole = |axis: &Axis| {
        let start = axis.start();
        let same = (axis.step() - 1.0).abs() * f64::from(axis.target()) < SAME
            && (start - start.round()).abs() < SAME;
        same.then(|| -(start.round() as i64))
    };
    Some((whole(&alignment.across)?, whole(&alignment.down)?))
}

/// Tells whether pixels of two rasters coincide wherever both have one.
pub fn same_lattice(a: &Georef, b: &Georef) -> bool {
    let near = moved_near(a, b);
    Alignment::between(&near, b).is_ok_and(|alignment| on_lattice(&alignment).is_some())
}

/// Returns how far east the same place is met again, in systems where it is.
pub(super) fn turn(crs: &Crs) -> Option<f64> {
    if *crs == Crs::wgs84() {
        Some(360.0)
    } else if *crs == Crs::web_mercator() {
        Some(2.0 * HALF_SIDE)
    } else {
        None
    }
}

/// Returns the raster moved by whole turns of the Earth to where the window is.
pub(super) fn moved_near(georef: &Georef, window: &Georef) -> Georef {
    let Some(turn) = turn(&georef.crs) else {
        return georef.clone();
    };
    let middle = |g: &Georef| g.affine.to_ground(f64::from(g.width) / 2.0, 0.0).0;
    let turns = ((middle(window) - middle(georef)) / turn).round();
    if turns.abs() < 0.5 {
        return georef.clone();
    }
    let mut numbers = georef.affine.to_gdal();
    numbers[0] += turns * turn;
    moved(georef, numbers, (georef.width, georef.height))
}

/// Returns a raster of another origin and shape; pixels keep their size.
fn moved(georef: &Georef, numbers: [f64; 6], (width, height): (u32, u32)) -> Georef {
    // Only the origin is another one: the map can be inverted as before.
    let affine = Affine::new(numbers).unwrap_or(georef.affine);
    Georef {
        crs: georef.crs.clone(),
        affine,
        width,
        height,
    }
}

/// Returns a raster with so many pixels more on every side.
#[must_use]
pub fn grown(georef: &Georef, pixels: u32) -> Georef {
    let mut numbers = georef.affine.to_gdal();
    let (x, y) = { georef.affine }.to_ground(-f64::from(pixels), -f64::from(pixels));
    (numbers[0], numbers[3]) = (x, y);
    let size = (georef.width + 2 * pixels, georef.height + 2 * pixels);
    moved(georef, numbers, size)
}

/// Returns the part of a raster that a window of it spans.
#[must_use]
pub fn part(georef: &Georef, window: PixelWindow) -> Georef {
    let mut numbers = georef.affine.to_gdal();
    let (column, row) = (f64::from(window.column), f64::from(window.row));
    (numbers[0], numbers[3]) = georef.affine.to_ground(column, row);
    moved(georef, numbers, (window.width, window.height))
}

/// Returns the window of a raster that lies in another one, with a margin in pixels; `None` where
/// they do not meet.
///
/// # Errors
/// Rasters of different systems or with rotated axes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends are cut to the raster"
)]
pub fn overlap(
    georef: &Georef,
    window: &Georef,
    margin: u32,
) -> Result<Option<PixelWindow>, ResampleError> {
    let near = moved_near(georef, window);
    let alignment = Alignment::between(&near, window).map_err(ResampleError::from)?;
    let cut = |axis: &Axis| {
        let margin = f64::from(margin);
        let end = axis.start() + axis.step() * f64::from(axis.target());
        let all = f64::from(axis.source());
        let first = (axis.start() + SAME - margin).floor().clamp(0.0, all) as u32;
        let end = (end - SAME + margin).ceil().clamp(0.0, all) as u32;
        (end > first).then(|| (first, end - first))
    };
    let Some(((column, width), (row, height))) = cut(&alignment.across).zip(cut(&alignment.down))
    else {
        return Ok(None);
    };
    Ok(Some(PixelWindow {
        column,
        row,
        width,
        height,
    }))
}

/// Returns a raster on another's lattice that covers a target, with a margin in pixels.
///
/// # Errors
/// Different systems, rotated axes, a lattice that would pass 2^31 pixels a side.
pub fn covering(lattice: &Georef, target: &Georef, margin: u32) -> Result<Georef, AffineError> {
    let near = moved_near(lattice, target);
    let mut numbers = near.affine.to_gdal();
    let wrong = AffineError(numbers);
    let alignment = Alignment::between(&near, target).map_err(|_| wrong)?;
    let cut = |axis: &Axis| {
        let margin = f64::from(margin);
        let end = axis.start() + axis.step() * f64::from(axis.target());
        let first = (axis.start() + SAME).floor() - margin;
        (first, (end - SAME).ceil() + margin - first)
    };
    let ((column, width), (row, height)) = (cut(&alignment.across), cut(&alignment.down));
    let side = |pixels: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked"
        )]
        let side = (1.0..f64::from(i32::MAX))
            .contains(&pixels)
            .then_some(pixels as u32);
        side.ok_or(wrong)
    };
    let size = (side(width)?, side(height)?);
    (numbers[0], numbers[3]) = near.affine.to_ground(column, row);
    Ok(moved(&near, numbers, size))
}

#[cfg(test)]
mod tests {
    use super::{covering, grown, overlap, part};
    use crate::crs::Crs;
    use crate::raster::georef::{Affine, Georef};

    /// A row of one-degree pixels from a longitude on.
    fn row(west: f64, step: f64, width: u32) -> Georef {
        Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([west, step, 0.0, 1.0, 0.0, -1.0]).unwrap(),
            width,
            height: 1,
        }
    }

    #[test]
    fn windows_grow_overlap_and_cover() {
        let near = |a: &Georef, b: &Georef| {
            let pairs = a.affine.to_gdal().into_iter().zip(b.affine.to_gdal());
            (a.width, a.height) == (b.width, b.height) && { pairs }
                .all(|(a, b)| (a - b).abs() < 1e-9)
        };
        let cell = row(10.0, 1.0, 4);
        let with_halo = grown(&cell, 2);
        assert_eq!((with_halo.width, with_halo.height), (8, 5));
        let neighbour = row(14.0, 1.0, 4);
        let window = overlap(&neighbour, &with_halo, 0).unwrap().unwrap();
        assert_eq!((window.column, window.width), (0, 2));
        assert!(near(&part(&neighbour, window), &row(14.0, 1.0, 2)));
        assert!(
            overlap(&row(20.0, 1.0, 4), &with_halo, 0)
                .unwrap()
                .is_none()
        );
        let coarse = covering(&row(0.0, 3.0, 4), &cell, 1).unwrap();
        assert!((coarse.affine.to_gdal()[0] - 6.0).abs() < 1e-9);
        assert_eq!(coarse.width, 4);
    }
}
