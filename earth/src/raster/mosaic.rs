//! Pixels of several rasters in one window: a cell with its surroundings.
//!
//! *Invariants*: pieces on the window's lattice are copied, bit for bit; others are resampled;
//! where pieces overlap the first valid pixel stays; longitudes and Mercator eastings wrap.
//!
//! *Not here*: which pieces (cli), several dates (`splice`, `cube`).

use crate::crs::Crs;
use crate::geocode::quadtile::HALF_SIDE;
use crate::raster::georef::{Affine, AffineError, Georef, PixelWindow};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::resample::{Alignment, Axis, Method, ResampleError, Source, resample_onto};
use crate::raster::{Raster, each_sample_type};
use crate::split::meta::SampleType;

/// Lattices that differ by less, in pixels, are one: far below a pixel, far above rounding.
const SAME: f64 = 1e-6;

/// A raster that may have a part in a window.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Where it lies.
    pub georef: &'a Georef,
    /// Its pixels.
    pub raster: &'a Raster,
    /// The value that means "nothing", where one is declared; NaN always does.
    pub fill: Option<f64>,
}

/// A window filled from pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct Mosaic {
    /// The pixels; void ones hold the fill value, else NaN or 0.
    pub raster: Raster,
    /// Which pixels are valid, row by row.
    pub valid: Vec<bool>,
    /// Pieces whose pixels lie on another lattice.
    pub resampled: usize,
}

/// Why pieces make no window.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum MosaicError {
    /// No piece.
    #[error("there is nothing to put together")]
    Empty,
    /// A piece stores samples of another type.
    #[error("pieces store {0:?} and {1:?}; bring them to one type")]
    Types(SampleType, SampleType),
    /// A piece cannot be brought onto the lattice.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// Fills a window from pieces of one sample type and fill; those on another lattice are resampled.
///
/// # Errors
/// No pieces; pieces of different types, systems or with rotated axes.
pub fn mosaic(
    pieces: &[Piece<'_>],
    window: &Georef,
    method: Method,
) -> Result<Mosaic, MosaicError> {
    let first = pieces.first().ok_or(MosaicError::Empty)?;
    let kind = first.raster.sample_type();
    if let Some(other) = pieces.iter().find(|p| p.raster.sample_type() != kind) {
        return Err(MosaicError::Types(kind, other.raster.sample_type()));
    }
    each_sample_type!(first.raster.samples(), values => fill_in(values, pieces, window, method))
}

fn fill_in<T: Pixel>(
    _kind: &[T],
    pieces: &[Piece<'_>],
    window: &Georef,
    method: Method,
) -> Result<Mosaic, MosaicError> {
    let fill = { pieces.first() }.and_then(|p| p.fill).and_then(T::exactly);
    let void = fill.or_else(|| T::exactly(f64::NAN)).unwrap_or_default();
    let pixels = window.width as usize * window.height as usize;
    let (mut out, mut valid) = (vec![void; pixels], vec![false; pixels]);
    let mut resampled = 0;
    for piece in pieces {
        let near = moved_near(piece.georef, window);
        let alignment = Alignment::between(&near, window).map_err(ResampleError::from)?;
        if let Some((column, row)) = on_lattice(&alignment) {
            let source = T::of(piece.raster.samples()).unwrap_or_default();
            let own = piece.fill.and_then(T::exactly);
            copy(
                (source, near.width, own),
                (column, row),
                (&mut out, &mut valid, window.width),
            );
            continue;
        }
        let source = Source {
            raster: piece.raster,
            fill: piece.fill,
        };
        let warped = resample_onto(source, &alignment, method)?;
        resampled += 1;
        let values = T::of(warped.raster.samples()).unwrap_or_default();
        let target = out.iter_mut().zip(&mut valid);
        for ((out, known), (value, found)) in target.zip(values.iter().zip(&warped.valid)) {
            if *found && !*known {
                (*out, *known) = (*value, true);
            }
        }
    }
    Ok(Mosaic {
        raster: Raster::counted(window.width, window.height, T::into_samples(out)),
        valid,
        resampled,
    })
}

/// Copies the valid pixels of a piece that begins at a column and row of the window.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends are cut to the window and to the piece"
)]
fn copy<T: Pixel>(
    (source, width, fill): (&[T], u32, Option<T>),
    (column, row): (i64, i64),
    (out, valid, out_width): (&mut [T], &mut [bool], u32),
) {
    let right = i64::from(out_width);
    let first = column.clamp(0, right);
    let last = (column + i64::from(width)).clamp(first, right);
    let out_width = out_width as usize;
    let lines = out
        .chunks_exact_mut(out_width)
        .zip(valid.chunks_exact_mut(out_width));
    for (line, (out, valid)) in (0_i64..).zip(lines) {
        let Ok(from) = usize::try_from(line - row) else {
            continue;
        };
        let start = from * width as usize + (first - column) as usize;
        let length = (last - first) as usize;
        let Some(samples) = source.get(start..start + length) else {
            continue;
        };
        let target = first as usize..last as usize;
        let pairs = out[target.clone()].iter_mut().zip(&mut valid[target]);
        for ((out, known), sample) in pairs.zip(samples) {
            if !*known && !is_fill(*sample, fill) {
                (*out, *known) = (*sample, true);
            }
        }
    }
}

/// Returns the column and row of the window at which a piece on its lattice begins.
#[expect(
    clippy::cast_possible_truncation,
    reason = "pixel positions on the Earth stay far below 2^53"
)]
fn on_lattice(alignment: &Alignment) -> Option<(i64, i64)> {
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

/// Returns the raster moved by whole turns of the Earth to where the window is.
fn moved_near(georef: &Georef, window: &Georef) -> Georef {
    let turn = if georef.crs == Crs::wgs84() {
        360.0
    } else if georef.crs == Crs::web_mercator() {
        2.0 * HALF_SIDE
    } else {
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
    use super::{Piece, covering, grown, mosaic, overlap, part};
    use crate::crs::Crs;
    use crate::raster::georef::{Affine, Georef};
    use crate::raster::resample::Method;
    use crate::raster::{Raster, Samples};

    /// A row of one-degree pixels from a longitude on.
    fn row(west: f64, step: f64, width: u32) -> Georef {
        Georef {
            crs: Crs::wgs84(),
            affine: Affine::new([west, step, 0.0, 1.0, 0.0, -1.0]).unwrap(),
            width,
            height: 1,
        }
    }

    fn check(pieces: &[(Georef, Vec<u8>)], window: &Georef, wanted: &[u8], resampled: usize) {
        let rasters: Vec<_> = { pieces.iter() }
            .map(|(g, v)| Raster::new(g.width, 1, Samples::U8(v.clone())).unwrap())
            .collect();
        let pieces: Vec<_> = { pieces.iter().zip(&rasters) }
            .map(|((georef, _), raster)| Piece {
                georef,
                raster,
                fill: Some(0.0),
            })
            .collect();
        let found = mosaic(&pieces, window, Method::Nearest).unwrap();
        assert_eq!(found.raster.samples(), &Samples::U8(wanted.to_vec()));
        assert_eq!(found.resampled, resampled);
        assert_eq!(found.valid, found.raster.validity(Some(0.0)));
    }

    #[test]
    fn the_first_valid_pixel_stays_and_gaps_are_fill() {
        let window = row(10.0, 1.0, 5);
        let pieces = [
            (row(8.0, 1.0, 4), vec![1, 2, 3, 0]),
            (row(10.0, 1.0, 3), vec![9, 8, 7]),
        ];
        check(&pieces, &window, &[3, 8, 7, 0, 0], 0);
    }

    #[test]
    fn another_lattice_is_resampled_and_said() {
        let pieces = [(row(10.0, 2.0, 2), vec![4, 6])];
        check(&pieces, &row(9.0, 1.0, 5), &[0, 4, 4, 6, 6], 1);
    }

    #[test]
    fn a_neighbour_across_the_antimeridian_is_beside_its_window() {
        let pieces = [
            (row(-180.0, 1.0, 2), vec![5, 6]),
            (row(178.0, 1.0, 2), vec![3, 4]),
        ];
        check(&pieces, &row(179.0, 1.0, 2), &[4, 5], 0);
        check(&pieces, &row(-181.0, 1.0, 2), &[4, 5], 0);
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
