//! Pixels of several rasters in one window: a cell with its surroundings.
//!
//! *Invariants*: pieces on the window's lattice are copied, bit for bit; others are resampled;
//! where pieces overlap the first valid pixel stays; longitudes and Mercator eastings wrap.
//!
//! *Not here*: which pieces (cli), whose pixel is whose where cells meet (`region`), several dates
//! (`splice`, `cube`).

use crate::raster::georef::Georef;
use crate::raster::lattice::{moved_near, on_lattice};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::resample::{Alignment, Method, ResampleError, Source, resample_onto};
use crate::raster::{Raster, each_sample_type};
use crate::split::meta::SampleType;

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

#[cfg(test)]
mod tests {
    use super::{Piece, mosaic};
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
}
