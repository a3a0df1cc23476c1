//! Maps of several cells in one raster.
//!
//! Cells of one precision and resolution under the same anchor are exact windows of one grid, so
//! that their pixels are copied. Others are sampled at the centre of each pixel of the mosaic.
//!
//! *Invariants*: the mosaic has the pixel size and alignment of its first map; what no map covers
//! is NaN; its size is bounded before anything is kept.
//!
//! *Not here*: the file (`earth`'s GeoTIFF).

use earth::grid::{GeoTransform, Grid};

/// Most numbers of a mosaic: 1 GiB of 32-bit floats, six Sentinel-2 scenes in one band.
pub const PIXELS_MAX: f64 = (1 << 28) as f64;
/// Greatest difference from a whole pixel that still counts as aligned.
const ALIGNMENT_PX: f64 = 1e-3;

/// A map on its cell's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The grid.
    pub grid: Grid,
    /// Values, row by row, one plane a band.
    pub bands: Vec<Vec<f32>>,
}

/// Several maps in one raster.
#[derive(Debug, Clone, PartialEq)]
pub struct Mosaic {
    /// Position and pixel size.
    pub transform: GeoTransform,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Values, row by row, one plane a band; NaN where there is none.
    pub bands: Vec<Vec<f32>>,
    /// Maps whose pixels had to be sampled, since their grid is not the mosaic's.
    pub sampled: u64,
}

/// Why there is no mosaic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MosaicError {
    /// No map.
    #[error("there is no map")]
    None,
    /// Maps of several recipes.
    #[error("the models answer {0} and {1} bands; predict with models of one recipe at a time")]
    Bands(usize, usize),
    /// The cells lie too far apart.
    #[error(
        "one raster over all cells would have {columns:.0} x {rows:.0} pixels; \
         predict fewer or nearer cells at a time"
    )]
    Large {
        /// Columns.
        columns: f64,
        /// Rows.
        rows: f64,
    },
}

/// Puts maps into one raster.
pub fn mosaic(maps: &[Placed]) -> Result<Mosaic, MosaicError> {
    let first = maps.first().ok_or(MosaicError::None)?;
    let bands = first.bands.len();
    if let Some(other) = maps.iter().map(|m| m.bands.len()).find(|n| *n != bands) {
        return Err(MosaicError::Bands(bands, other));
    }
    let mut mosaic = frame(first.grid.transform(), maps)?;
    for map in maps {
        mosaic.put(map);
    }
    Ok(mosaic)
}

/// Opens an empty raster over all maps, aligned with `like`.
fn frame(like: GeoTransform, maps: &[Placed]) -> Result<Mosaic, MosaicError> {
    // Edges in pixels of `like`: left, top, right, bottom.
    let mut edges = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    for map in maps {
        let [west, south, east, north] = map.grid.edges();
        let (left, top) = like.to_pixel(west, north);
        let (right, bottom) = like.to_pixel(east, south);
        edges = [
            edges[0].min(down(left)),
            edges[1].min(down(top)),
            edges[2].max(up(right)),
            edges[3].max(up(bottom)),
        ];
    }
    let [columns, rows] = [edges[2] - edges[0], edges[3] - edges[1]];
    let bands = maps.first().map_or(0, |m| m.bands.len());
    if columns * rows * bands as f64 > PIXELS_MAX {
        return Err(MosaicError::Large { columns, rows });
    }
    let (west, north) = like.to_ground(edges[0], edges[1]);
    let (width, height) = (whole(columns), whole(rows));
    Ok(Mosaic {
        transform: GeoTransform {
            west,
            north,
            ..like
        },
        width,
        height,
        bands: vec![vec![f32::NAN; index(width) * index(height)]; bands],
        sampled: 0,
    })
}

impl Mosaic {
    /// Puts one map in: each pixel of the mosaic whose centre lies in it takes its value there.
    fn put(&mut self, map: &Placed) {
        let [west, south, east, north] = map.grid.edges();
        let (left, top) = self.transform.to_pixel(west, north);
        let (right, bottom) = self.transform.to_pixel(east, south);
        let whole_edges = [left, top].into_iter().all(|e| is_same(e, e.round()));
        let same_size = is_same(right - left, f64::from(map.grid.width()))
            && is_same(bottom - top, f64::from(map.grid.height()));
        self.sampled += u64::from(!(whole_edges && same_size));
        for row in whole(down(top))..whole(up(bottom)).min(self.height) {
            for column in whole(down(left))..whole(up(right)).min(self.width) {
                let centre = (f64::from(column) + 0.5, f64::from(row) + 0.5);
                let (x, y) = self.transform.to_ground(centre.0, centre.1);
                let Some(from) = map.at(x, y) else { continue };
                let to = index(row) * index(self.width) + index(column);
                for (ours, theirs) in self.bands.iter_mut().zip(&map.bands) {
                    if !theirs[from].is_nan() {
                        ours[to] = theirs[from];
                    }
                }
            }
        }
    }
}

impl Placed {
    /// Returns the index of the pixel at a ground position, if there is one.
    fn at(&self, x: f64, y: f64) -> Option<usize> {
        let (column, row) = self.grid.transform().to_pixel(x, y);
        let inside = (0.0..f64::from(self.grid.width())).contains(&column)
            && (0.0..f64::from(self.grid.height())).contains(&row);
        let at =
            || index(whole(row.floor())) * index(self.grid.width()) + index(whole(column.floor()));
        inside.then(at)
    }
}

/// Rounds down, but not by a rounding error.
fn down(pixels: f64) -> f64 {
    (pixels + ALIGNMENT_PX).floor()
}

/// Rounds up, but not by a rounding error.
fn up(pixels: f64) -> f64 {
    (pixels - ALIGNMENT_PX).ceil()
}

/// Tells whether two positions are the same but for rounding.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() < ALIGNMENT_PX
}

/// Turns a whole number of pixels into an integer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole, not negative and below PIXELS_MAX wherever it is called; the cast saturates"
)]
fn whole(pixels: f64) -> u32 {
    pixels.round() as u32
}

/// Widens a count.
fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use earth::geocode::{Geocode, Scheme};
    use earth::grid::Grid;

    use super::{MosaicError, Placed, mosaic};

    fn map(code: &str, resolution_m: f64, value: f32) -> Placed {
        let geocode = Geocode::parse(Scheme::Geohash, code).expect("a geohash");
        let grid = Grid::of(&geocode, resolution_m).expect("a grid");
        let pixels = usize::try_from(grid.pixels()).expect("small");
        Placed {
            grid,
            bands: vec![vec![value; pixels]],
        }
    }

    #[test]
    fn neighbours_under_one_anchor_are_copied_side_by_side() {
        // u33dc and u33df share an edge: c is west or south of f.
        let (one, other) = (map("u33dc", 60.0, 1.0), map("u33df", 60.0, 2.0));
        let all = mosaic(&[one.clone(), other.clone()]).expect("small");
        assert_eq!(all.sampled, 0);
        let count = |v: f32| {
            all.bands[0]
                .iter()
                .filter(|x| (**x - v).abs() < 1e-6)
                .count()
        };
        assert_eq!(count(1.0), one.bands[0].len());
        assert_eq!(count(2.0), other.bands[0].len());
        let pixels = u64::from(all.width) * u64::from(all.height);
        assert_eq!(all.bands[0].len() as u64, pixels);
    }

    #[test]
    fn cells_under_another_anchor_are_sampled_and_counted() {
        let all = mosaic(&[map("u33db", 60.0, 1.0), map("u36d8", 60.0, 2.0)]);
        match all {
            Ok(all) => assert!(all.sampled <= 1),
            Err(error) => assert!(matches!(error, MosaicError::Large { .. }), "{error}"),
        }
    }

    #[test]
    fn maps_of_one_band_and_of_three_are_not_mixed() {
        let one = map("u33dc", 60.0, 1.0);
        let mut three = map("u33df", 60.0, 2.0);
        three.bands = vec![three.bands[0].clone(); 3];
        let mixed = mosaic(&[one, three]);
        assert!(matches!(mixed, Err(MosaicError::Bands(1, 3))), "{mixed:?}");
    }

    #[test]
    fn cells_of_two_continents_are_refused() {
        let far = mosaic(&[map("9xj5k", 10.0, 1.0), map("u33dc", 10.0, 2.0)]);
        assert!(matches!(far, Err(MosaicError::Large { .. })), "{far:?}");
        assert_eq!(mosaic(&[]), Err(MosaicError::None));
    }
}
