//! A window of a raster put together from the parts that are in memory.
//!
//! *Invariants*: every pixel is copied, none is changed; a window that the parts do not cover is
//! refused.
//!
//! *Not here*: reading parts (ingest), bringing rasters onto other grids (`reproject`).

use crate::raster::georef::PixelWindow;
use crate::raster::pixel::Pixel;
use crate::raster::{Raster, each_sample_type};

/// Returns a window of the raster that parts belong to; `None` unless parts of one sample type
/// cover it.
pub fn join(window: PixelWindow, parts: &[(PixelWindow, &Raster)]) -> Option<Raster> {
    let (_, first) = parts.first()?;
    each_sample_type!(first.samples(), like => join_like(like, window, parts))
}

fn join_like<T: Pixel>(
    _like: &[T],
    window: PixelWindow,
    parts: &[(PixelWindow, &Raster)],
) -> Option<Raster> {
    let (width, height) = (window.width as usize, window.height as usize);
    let mut out = vec![T::default(); width * height];
    let mut copied = 0;
    for (place, raster) in parts {
        let values = T::of(raster.samples())?;
        let own = (raster.width() == place.width).then_some(place.width as usize)?;
        let (columns, rows) = (
            overlap((window.column, window.width), (place.column, place.width)),
            overlap((window.row, window.height), (place.row, place.height)),
        );
        for row in 0..rows.length {
            let from = (rows.theirs + row) * own + columns.theirs;
            let to = (rows.ours + row) * width + columns.ours;
            out[to..to + columns.length].copy_from_slice(values.get(from..from + columns.length)?);
        }
        copied += rows.length * columns.length;
    }
    // Parts do not overlap: a piece is named by its place.
    (copied == out.len())
        .then(|| Raster::counted(window.width, window.height, T::into_samples(out)))
}

/// Where two intervals meet.
struct Overlap {
    ours: usize,
    theirs: usize,
    length: usize,
}

fn overlap(ours: (u32, u32), theirs: (u32, u32)) -> Overlap {
    let start = ours.0.max(theirs.0);
    let end = (ours.0 + ours.1).min(theirs.0 + theirs.1).max(start);
    Overlap {
        ours: (start - ours.0) as usize,
        theirs: (start - theirs.0) as usize,
        length: (end - start) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::join;
    use crate::raster::georef::PixelWindow;
    use crate::raster::{Raster, Samples};

    fn window(column: u32, row: u32, width: u32, height: u32) -> PixelWindow {
        PixelWindow {
            column,
            row,
            width,
            height,
        }
    }

    /// Part of a raster whose samples tell their place.
    fn part(place: PixelWindow) -> Raster {
        let samples = (place.row..place.row + place.height)
            .flat_map(|r| (place.column..place.column + place.width).map(move |c| r * 100 + c));
        Raster::new(place.width, place.height, Samples::U32(samples.collect())).unwrap()
    }

    #[test]
    fn a_window_over_four_parts_holds_every_pixel_once() {
        let places = [
            window(0, 0, 10, 8),
            window(10, 0, 5, 8),
            window(0, 8, 10, 3),
            window(10, 8, 5, 3),
        ];
        let rasters = places.map(part);
        let parts: Vec<_> = places.into_iter().zip(&rasters).collect();
        let wanted = window(7, 5, 6, 5);
        assert_eq!(join(wanted, &parts), Some(part(wanted)));
    }

    #[test]
    fn a_window_that_is_not_covered_is_refused() {
        let place = window(0, 0, 4, 4);
        let raster = part(place);
        assert_eq!(join(window(2, 2, 3, 2), &[(place, &raster)]), None);
        assert_eq!(join(window(2, 2, 3, 2), &[]), None);
    }
}
