//! Neighbouring cells' images in one raster (S001 §I.C: contiguous regions).
//!
//! The raster's grid is that of one of the cells, carried on beyond its edges ([`Frame`]). Cells of
//! one anchor, and of anchors beside each other, are windows of the same grid: their pixels are
//! copied. Where anchors have other pixel sizes (another latitude), a cell is resampled onto the
//! frame. Across the antimeridian a frame goes on eastward, past 180 degrees.
//!
//! *Invariants*: a pixel of the frame belongs to the one cell that its centre lies in, so that a
//! seam has neither a gap nor a doubled pixel; copied pixels are the cell's to the bit.
//!
//! *Not here*: one cell's pixels on another lattice (`mosaic`), the cells' images
//! (`split::compose`), files (cli).

use crate::crs::{Crs, CrsError, Transformer};
use crate::extent::LonLatBox;
use crate::grid::Grid;
use crate::raster::georef::{Affine, AffineError, Georef, PixelWindow};
use crate::raster::lattice::turn;
use crate::raster::mosaic::{Mosaic, MosaicError, Piece, mosaic};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::resample::Method;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::cut::settle_fill;
use crate::split::meta::SampleType;

/// Edges nearer than this to a pixel's edge, in pixels, lie on it: far more than rounding of
/// coordinates takes, far less than any kernel sees.
const SLACK: f64 = 1e-6;

/// Greatest side of a frame: what GeoTIFF files are written of.
const SIDE_MAX: f64 = crate::geotiff::SIDE_MAX as f64;

/// Points on each side of a box by which its outline in another system is found.
const OUTLINE: u32 = 32;

/// Why cells cannot be brought into one raster.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegionError {
    /// There is no cell.
    #[error("there is no cell to make a mosaic of")]
    Empty,
    /// Cells of two schemes.
    #[error("cells of geohash and quad-tile cannot lie in one raster")]
    Schemes,
    /// More pixels than a raster may have on a side.
    #[error("{width:.0} x {height:.0} pixels pass the {SIDE_MAX:.0} that a side may have")]
    TooLarge {
        /// Columns.
        width: f64,
        /// Rows.
        height: f64,
    },
    /// Coordinates cannot be brought to the system of the cells.
    #[error(transparent)]
    Crs(#[from] CrsError),
    /// The frame has no pixels.
    #[error(transparent)]
    Affine(#[from] AffineError),
    /// A cell cannot be brought onto the frame.
    #[error(transparent)]
    Mosaic(#[from] MosaicError),
    /// An image of another number of bands.
    #[error("an image has {0} bands, the region {1}")]
    Bands(usize, usize),
    /// An image that is not on its cell's grid.
    #[error("an image of {0} x {1} pixels is not on the grid of its cell")]
    Shape(u32, u32),
}

/// Where a region lies: a window, as large as needed, of one cell's grid carried on.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    georef: Georef,
    west: f64,
    north: f64,
    pixel: (f64, f64),
}

/// One band of a cell's image.
#[derive(Debug, Clone, Copy)]
pub struct CellBand<'a> {
    /// The pixels, on the cell's grid.
    pub raster: &'a Raster,
    /// The value that means "nothing".
    pub fill: Option<f64>,
    /// How it is resampled where it must be.
    pub method: Method,
}

/// Bands of many cells in one raster.
#[derive(Debug)]
pub struct Region {
    frame: Frame,
    bands: Vec<(Raster, Vec<bool>)>,
}

impl Frame {
    /// Returns the frame of cells, given by their grids of one resolution: all of them, or the box
    /// where one is given, which may lie beyond them.
    ///
    /// The pixel size is that of the cell whose centre lies nearest to the middle, so that as few
    /// cells as possible are resampled. Cells on both sides of the antimeridian are joined there
    /// where that makes the frame narrower.
    ///
    /// # Errors
    /// No cell, cells of two schemes, too many pixels.
    pub fn of(grids: &[Grid], area: Option<&LonLatBox>) -> Result<Self, RegionError> {
        let first = grids.first().ok_or(RegionError::Empty)?;
        if grids.iter().any(|g| g.crs() != first.crs()) {
            return Err(RegionError::Schemes);
        }
        let edges = match area {
            Some(area) => box_edges(area, first.crs())?,
            None => all_edges(grids),
        };
        let middle = centre(edges);
        let distance = |g: &&Grid| {
            let (x, y) = centre(g.edges());
            (x + eastward(first.crs(), x, middle.0) - middle.0).hypot(y - middle.1)
        };
        let nearest = grids
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        Self::over(edges, nearest.unwrap_or(first))
    }

    /// Carries a grid on over an area.
    fn over(edges: [f64; 4], grid: &Grid) -> Result<Self, RegionError> {
        let [west, south, east, north] = edges;
        let transform = grid.transform();
        let moved = eastward(grid.crs(), centre(grid.edges()).0, centre(edges).0);
        let (left, top) = transform.to_pixel(west - moved, north);
        let (right, bottom) = transform.to_pixel(east - moved, south);
        let (left, top) = ((left + SLACK).floor(), (top + SLACK).floor());
        let (width, height) = ((right - SLACK).ceil() - left, (bottom - SLACK).ceil() - top);
        let sides = 1.0..=SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(RegionError::TooLarge { width, height });
        }
        let (west, north) = transform.to_ground(left, top);
        let west = west + moved;
        let pixel = (transform.pixel_width, transform.pixel_height);
        Ok(Self {
            georef: Georef {
                crs: grid.crs().clone(),
                affine: Affine::new([west, pixel.0, 0.0, north, 0.0, -pixel.1])?,
                width: u32::nearest(width),
                height: u32::nearest(height),
            },
            west,
            north,
            pixel,
        })
    }

    /// Returns where the raster lies.
    pub fn georef(&self) -> &Georef {
        &self.georef
    }

    /// Returns the number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.georef.width) * u64::from(self.georef.height)
    }

    /// Returns the pixels whose centres lie in the cell of a grid; `None` if there is none.
    pub fn window(&self, grid: &Grid) -> Option<PixelWindow> {
        let [west, south, east, north] = grid.edges();
        let middle = self.west + 0.5 * self.pixel.0 * f64::from(self.georef.width);
        let moved = eastward(grid.crs(), f64::midpoint(west, east), middle);
        let (west, east) = (west + moved, east + moved);
        let place = |edge: f64, size: u32| {
            // The first pixel whose centre lies behind the edge; neighbours find the same one.
            let first = (edge - 0.5 - SLACK).ceil().clamp(0.0, f64::from(size));
            u32::nearest(first)
        };
        let (width, height) = (self.georef.width, self.georef.height);
        let left = place((west - self.west) / self.pixel.0, width);
        let right = place((east - self.west) / self.pixel.0, width);
        let top = place((self.north - north) / self.pixel.1, height);
        let bottom = place((self.north - south) / self.pixel.1, height);
        (right > left && bottom > top).then(|| PixelWindow {
            column: left,
            row: top,
            width: right - left,
            height: bottom - top,
        })
    }

    /// Returns the pixels of the frame that belong to a cell, taken from a band of its image, and
    /// where they lie; `None` if the frame has none of them.
    ///
    /// # Errors
    /// An image of another shape than its grid.
    pub fn band(
        &self,
        grid: &Grid,
        given: &CellBand<'_>,
    ) -> Result<Option<(PixelWindow, Mosaic)>, RegionError> {
        let Some(window) = self.window(grid) else {
            return Ok(None);
        };
        let (width, height) = (given.raster.width(), given.raster.height());
        if (width, height) != (grid.width(), grid.height()) {
            return Err(RegionError::Shape(width, height));
        }
        let piece = Piece {
            georef: &Georef::from(grid),
            raster: given.raster,
            fill: given.fill,
        };
        let placed = mosaic(&[piece], &self.part(window)?, given.method)?;
        Ok(Some((window, placed)))
    }

    /// Returns where a window lies.
    fn part(&self, window: PixelWindow) -> Result<Georef, AffineError> {
        let west = self.west + f64::from(window.column) * self.pixel.0;
        let north = self.north - f64::from(window.row) * self.pixel.1;
        Ok(Georef {
            crs: self.georef.crs.clone(),
            affine: Affine::new([west, self.pixel.0, 0.0, north, 0.0, -self.pixel.1])?,
            width: window.width,
            height: window.height,
        })
    }
}

impl Region {
    /// Starts with a raster without a valid pixel for each band.
    pub fn new(frame: Frame, bands: &[SampleType]) -> Self {
        let (width, height) = (frame.georef.width, frame.georef.height);
        let band = |sample: &SampleType| {
            let pixels = width as usize * height as usize;
            let samples = zeros(*sample, pixels);
            (Raster::counted(width, height, samples), vec![false; pixels])
        };
        Self {
            bands: bands.iter().map(band).collect(),
            frame,
        }
    }

    /// Places a cell's image; `None` for a band that it does not have.
    ///
    /// # Errors
    /// An image of another number of bands or another shape than its grid.
    pub fn place(
        &mut self,
        grid: &Grid,
        image: &[Option<CellBand<'_>>],
    ) -> Result<(), RegionError> {
        if image.len() != self.bands.len() {
            return Err(RegionError::Bands(image.len(), self.bands.len()));
        }
        for (band, given) in self.bands.iter_mut().zip(image) {
            let Some(given) = given else { continue };
            if let Some((window, placed)) = self.frame.band(grid, given)? {
                paste_valid(band, (&placed.raster, &placed.valid), window);
            }
        }
        Ok(())
    }

    /// Returns where the region lies.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Returns valid / all pixels, pooled over the bands that are named by their places.
    pub fn coverage(&self, bands: impl Iterator<Item = usize>) -> f64 {
        let (mut valid, mut all) = (0_usize, 0_usize);
        for (_, known) in bands.filter_map(|b| self.bands.get(b)) {
            valid += known.iter().filter(|v| **v).count();
            all += known.len();
        }
        valid as f64 / all.max(1) as f64
    }

    /// Ends the region: each band with the value that means "nothing" in it, where it is needed.
    /// Bands of one sample type have the same value.
    pub fn finish(self) -> Vec<(Raster, Option<f64>)> {
        let kinds: Vec<SampleType> = self.bands.iter().map(|(r, _)| r.sample_type()).collect();
        let mut open: Vec<Option<(Raster, Vec<bool>)>> = self.bands.into_iter().map(Some).collect();
        let mut done: Vec<Option<(Raster, Option<f64>)>> = kinds.iter().map(|_| None).collect();
        for (first, kind) in kinds.iter().enumerate() {
            let alike: Vec<usize> = (first..kinds.len())
                .filter(|i| kinds[*i] == *kind && open[*i].is_some())
                .collect();
            let bands = alike.iter().filter_map(|i| open[*i].take()).collect();
            let (rasters, fill) = settle_fill(bands);
            for (place, raster) in alike.into_iter().zip(rasters) {
                done[place] = Some((raster, fill));
            }
        }
        done.into_iter().flatten().collect()
    }
}

/// Edges of nothing: joined with any they are those.
const NOTHING: [f64; 4] = [
    f64::INFINITY,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NEG_INFINITY,
];

fn joined(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

fn centre([west, south, east, north]: [f64; 4]) -> (f64, f64) {
    (f64::midpoint(west, east), f64::midpoint(south, north))
}

/// Returns how far east to move a place so that it lies within half a turn of another.
fn eastward(crs: &Crs, x: f64, near: f64) -> f64 {
    turn(crs).map_or(0.0, |turn| ((near - x) / turn).round() * turn)
}

/// Returns the edges of all cells: joined at the antimeridian where that is narrower.
fn all_edges(grids: &[Grid]) -> [f64; 4] {
    let from = |west_of: f64, turn: f64| {
        let moved = grids
            .iter()
            .map(Grid::edges)
            .map(|[west, south, east, north]| {
                let turn = if east <= west_of { turn } else { 0.0 };
                [west + turn, south, east + turn, north]
            });
        moved.fold(NOTHING, joined)
    };
    let plain = from(f64::NEG_INFINITY, 0.0);
    let across = grids.first().and_then(|g| turn(g.crs()));
    let across = across.map_or(plain, |turn| from(0.0, turn));
    let width = |[west, _, east, _]: [f64; 4]| east - west;
    if width(across) < width(plain) {
        across
    } else {
        plain
    }
}

/// Returns the edges of a box in a system; past 180 degrees where it crosses the antimeridian.
fn box_edges(area: &LonLatBox, crs: &Crs) -> Result<[f64; 4], RegionError> {
    let mut edges = NOTHING;
    for (part, turns) in area.parts().iter().zip([0.0, 1.0]) {
        let [west, south, east, north] = part_edges(part, crs)?;
        let moved = turns * turn(crs).unwrap_or(0.0);
        edges = joined(edges, [west + moved, south, east + moved, north]);
    }
    Ok(edges)
}

/// Returns the edges of a box that does not cross the antimeridian.
fn part_edges(area: &LonLatBox, crs: &Crs) -> Result<[f64; 4], RegionError> {
    let [west, south, east, north] = [area.west(), area.south(), area.east(), area.north()];
    if crs.is_geographic() {
        return Ok([west, south, east, north]);
    }
    let along = |a: f64, b: f64, step: u32| a + (b - a) * f64::from(step) / f64::from(OUTLINE);
    let mut points: Vec<(f64, f64)> = (0..=OUTLINE)
        .flat_map(|i| {
            let (x, y) = (along(west, east, i), along(south, north, i));
            [(x, south), (x, north), (west, y), (east, y)]
        })
        .collect();
    Transformer::new(&Crs::wgs84(), crs)?.transform_defined(&mut points);
    let finite = points
        .into_iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite());
    Ok(finite.fold(NOTHING, |edges, (x, y)| joined(edges, [x, y, x, y])))
}

fn zeros(sample: SampleType, pixels: usize) -> Samples {
    match sample {
        SampleType::U8 => Samples::U8(vec![0; pixels]),
        SampleType::U16 => Samples::U16(vec![0; pixels]),
        SampleType::I16 => Samples::I16(vec![0; pixels]),
        SampleType::U32 => Samples::U32(vec![0; pixels]),
        SampleType::I32 => Samples::I32(vec![0; pixels]),
        SampleType::F32 => Samples::F32(vec![f32::NAN; pixels]),
        SampleType::F64 => Samples::F64(vec![f64::NAN; pixels]),
    }
}

/// Writes valid pixels into a window of the region; a wider sample type widens the band.
fn paste_valid(
    (raster, known): &mut (Raster, Vec<bool>),
    (given, valid): (&Raster, &[bool]),
    window: PixelWindow,
) {
    let (width, height) = (raster.width(), raster.height());
    let kind = raster.sample_type().wider(given.sample_type());
    let nothing = Raster::counted(0, 0, Samples::U8(Vec::new()));
    let before = std::mem::replace(raster, nothing).into_samples();
    let before = before.converted(kind);
    let given = given.samples().clone().converted(kind);
    let samples = each_sample_type!(before, values => {
        let mut values = values;
        if let Some(given) = Pixel::of(&given) {
            let place = (width as usize, window);
            write(&mut values, known, (given, valid), place);
        }
        Pixel::into_samples(values)
    });
    *raster = Raster::counted(width, height, samples);
}

fn write<T: Pixel>(
    values: &mut [T],
    known: &mut [bool],
    (given, valid): (&[T], &[bool]),
    (width, window): (usize, PixelWindow),
) {
    let columns = window.width as usize;
    let lines = given.chunks_exact(columns).zip(valid.chunks_exact(columns));
    for (row, (given, valid)) in (window.row as usize..).zip(lines) {
        let start = row * width + window.column as usize;
        let out = values[start..start + columns].iter_mut();
        let known = known[start..start + columns].iter_mut();
        for (((out, known), given), valid) in out.zip(known).zip(given).zip(valid) {
            if *valid && !is_fill(*given, None) {
                (*out, *known) = (*given, true);
            }
        }
    }
}

#[cfg(test)]
mod tests;
