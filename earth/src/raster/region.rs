//! Neighbouring cells' images in one raster (S001 §I.C: contiguous regions).
//!
//! The raster's grid is that of one of the cells, carried on beyond its edges ([`Frame`]). Cells of
//! one anchor, and of anchors beside each other, are windows of the same grid: their pixels are
//! copied. Where anchors have other pixel sizes (another latitude), a cell is reprojected onto the
//! frame.
//!
//! *Invariants*: a pixel of the frame belongs to the one cell that its centre lies in, so that a
//! seam has neither a gap nor a doubled pixel; copied pixels are the cell's to the bit.
//!
//! *Not here*: the cells' images (`split::compose`), files (cli).

use crate::crs::{Crs, CrsError, Transformer};
use crate::extent::LonLatBox;
use crate::grid::Grid;
use crate::raster::georef::{Affine, AffineError, Georef, PixelWindow};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::{Kernel, SourceBand, Warp, WarpError};
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
pub enum MosaicError {
    /// There is no cell.
    #[error("there is no cell to make a mosaic of")]
    Empty,
    /// Cells of two schemes.
    #[error("cells of geohash and quad-tile cannot lie in one raster")]
    Schemes,
    /// The box crosses the antimeridian, where the grids of cells end.
    #[error("the box crosses the antimeridian, where grids end")]
    Antimeridian,
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
    /// A cell cannot be reprojected.
    #[error(transparent)]
    Warp(#[from] WarpError),
    /// An image of another number of bands.
    #[error("an image has {0} bands, the mosaic {1}")]
    Bands(usize, usize),
}

/// Where a mosaic lies: a window, as large as needed, of one cell's grid carried on.
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
    /// How it is reprojected where it must be.
    pub kernel: Kernel,
}

/// Bands of many cells in one raster.
#[derive(Debug)]
pub struct Mosaic {
    frame: Frame,
    bands: Vec<(Raster, Vec<bool>)>,
}

impl Frame {
    /// Returns the frame of cells, given by their grids of one resolution: all of them, or the box
    /// where one is given, which may lie beyond them.
    ///
    /// The pixel size is that of the cell whose centre lies nearest to the middle, so that as few
    /// cells as possible are reprojected.
    ///
    /// # Errors
    /// No cell, cells of two schemes, a box across the antimeridian, too many pixels.
    pub fn of(grids: &[Grid], area: Option<&LonLatBox>) -> Result<Self, MosaicError> {
        let first = grids.first().ok_or(MosaicError::Empty)?;
        if grids.iter().any(|g| g.crs() != first.crs()) {
            return Err(MosaicError::Schemes);
        }
        let edges = match area {
            Some(area) => box_edges(area, first.crs())?,
            None => grids.iter().map(Grid::edges).fold(NOTHING, joined),
        };
        let middle = centre(edges);
        let distance = |g: &&Grid| {
            let (x, y) = centre(g.edges());
            (x - middle.0).hypot(y - middle.1)
        };
        let nearest = grids
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        Self::over(edges, nearest.unwrap_or(first))
    }

    /// Carries a grid on over an area.
    fn over([west, south, east, north]: [f64; 4], grid: &Grid) -> Result<Self, MosaicError> {
        let transform = grid.transform();
        let (left, top) = transform.to_pixel(west, north);
        let (right, bottom) = transform.to_pixel(east, south);
        let (left, top) = ((left + SLACK).floor(), (top + SLACK).floor());
        let (width, height) = ((right - SLACK).ceil() - left, (bottom - SLACK).ceil() - top);
        let sides = 1.0..=SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(MosaicError::TooLarge { width, height });
        }
        let (west, north) = transform.to_ground(left, top);
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

    /// Returns the pixel of the cell's grid at the upper left of its window, where both grids are
    /// one; `None` where the cell must be reprojected.
    fn aligned(&self, grid: &Grid, window: PixelWindow) -> Option<(u32, u32)> {
        let transform = grid.transform();
        let same = |a: f64, b: f64, pixels: u32| ((a - b) / b).abs() * f64::from(pixels) < SLACK;
        let sizes = same(transform.pixel_width, self.pixel.0, grid.width())
            && same(transform.pixel_height, self.pixel.1, grid.height());
        let (x, y) = (
            self.west + f64::from(window.column) * self.pixel.0,
            self.north - f64::from(window.row) * self.pixel.1,
        );
        let (column, row) = transform.to_pixel(x, y);
        let whole = |p: f64| (p - p.round()).abs() < SLACK && p > -0.5;
        let found = (u32::nearest(column.max(0.0)), u32::nearest(row.max(0.0)));
        let inside =
            found.0 + window.width <= grid.width() && found.1 + window.height <= grid.height();
        (sizes && whole(column) && whole(row) && inside).then_some(found)
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

impl Mosaic {
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
    ) -> Result<(), MosaicError> {
        if image.len() != self.bands.len() {
            return Err(MosaicError::Bands(image.len(), self.bands.len()));
        }
        let Some(window) = self.frame.window(grid) else {
            return Ok(());
        };
        let corner = self.frame.aligned(grid, window);
        for (band, given) in self.bands.iter_mut().zip(image) {
            let Some(given) = given else { continue };
            if (given.raster.width(), given.raster.height()) != (grid.width(), grid.height()) {
                return Err(WarpError::Shape {
                    width: given.raster.width(),
                    height: given.raster.height(),
                    window,
                }
                .into());
            }
            if let Some(corner) = corner {
                paste(band, given.raster, (given.fill, corner), window);
                continue;
            }
            let part = self.frame.part(window)?;
            let source = Georef::from(grid);
            let Some(warp) = Warp::plan(&source, &part, given.kernel)? else {
                continue;
            };
            let needed = SourceBand {
                raster: given.raster,
                window: source.whole(),
                fill: given.fill,
            };
            let warped = warp.run(&needed)?;
            paste_valid(band, (&warped.raster, &warped.valid), window);
        }
        Ok(())
    }

    /// Returns where the mosaic lies.
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

    /// Ends the mosaic: each band with the value that means "nothing" in it, where it is needed.
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

/// Returns the edges of a box in a system.
fn box_edges(area: &LonLatBox, crs: &Crs) -> Result<[f64; 4], MosaicError> {
    if area.crosses_antimeridian() {
        return Err(MosaicError::Antimeridian);
    }
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

/// Copies a window of a cell's raster.
fn paste(
    band: &mut (Raster, Vec<bool>),
    raster: &Raster,
    (fill, (column, row)): (Option<f64>, (u32, u32)),
    window: PixelWindow,
) {
    let (from, given) = (raster.width() as usize, raster.validity(fill));
    let columns = column as usize..(column + window.width) as usize;
    let mut valid = Vec::with_capacity(window.width as usize * window.height as usize);
    let cut = each_sample_type!(raster.samples(), values => {
        let mut cut = Vec::with_capacity(valid.capacity());
        for line in row as usize..(row + window.height) as usize {
            let line = line * from + columns.start..line * from + columns.end;
            cut.extend_from_slice(&values[line.clone()]);
            valid.extend_from_slice(&given[line]);
        }
        Pixel::into_samples(cut)
    });
    let cut = Raster::counted(window.width, window.height, cut);
    paste_valid(band, (&cut, &valid), window);
}

/// Writes valid pixels into a window of the mosaic; a wider sample type widens the band.
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
