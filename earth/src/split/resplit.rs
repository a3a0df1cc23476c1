//! Splits of one cell made from splits of another: deeper cells cut out, finer ones put together.
//!
//! Cells below an anchor cell are exact windows of one pixel grid (`grid`), so pixels are moved,
//! never resampled: what is cut and put together again is what it was, to the last bit. What is
//! measured is measured anew from pixels. Two things cannot be:
//!
//! - Clouds, where the mask is not stored with the split (older ones of `cldprb` and `file`):
//!   put together, the counts of the parts add up; cut out, clouds are judged from reflectance as
//!   for a product without a mask (`cloud_source` then says `spectral`), or unknown without it.
//! - Pixels inside the delivered raster, `in_footprint`: cut out, all if all were inside before,
//!   else the valid ones alone; put together, the parts add up.
//!
//! *Invariants*: refuses cells that are no exact windows of their anchor's grid; the same parts in
//! any order give the same split.
//!
//! *Not here*: which cells there are (`targets`), the splits of a store (`glebe collection
//! resplit`).

mod band;

use crate::geocode::Geocode;
use crate::grid::{Grid, Window};
use crate::split::codec::{self, DecodeError};
use crate::split::cut::{BandCut, Cut};
use crate::split::measure::{Measured, measure};
use crate::split::meta::{AssetMeta, BandMeta, MaskCounts, SplitMeta};
use crate::split::resplit::band::Part;
use crate::split::sky;

/// A split with its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    meta: SplitMeta,
    bands: Vec<Part>,
}

/// A split of another cell: what is known of it but its id and placement, and its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Resplit {
    /// The pixels.
    pub cut: Cut,
    /// What was measured of them.
    pub measured: Measured,
}

/// Why cells cannot be re-split.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResplitError {
    /// Neither cell holds the other.
    #[error("cells {from} and {to} do not lie inside each other")]
    Apart {
        /// The split's cell.
        from: Geocode,
        /// The wanted cell.
        to: Geocode,
    },
    /// A cell is larger than its anchor, whose pixels are of another size.
    #[error(
        "cell {cell} is larger than the cells that fix the size of pixels (geohash of {anchor} \
         characters, quad-tile of zoom 6): its pixels are others"
    )]
    AboveAnchor {
        /// The cell.
        cell: Geocode,
        /// Precision of anchors.
        anchor: u8,
    },
    /// A cell's pixels are not whole pixels of its anchor's grid.
    #[error(
        "cell {cell} is no whole number of {resolution_m} m pixels of its anchor cell's \
         {width} x {height}: its grid rounds for itself"
    )]
    NoWindow {
        /// The cell.
        cell: Geocode,
        /// The resolution.
        resolution_m: f64,
        /// Columns of the anchor's grid.
        width: u32,
        /// Rows of the anchor's grid.
        height: u32,
    },
    /// A resolution that no grid has.
    #[error("{0} m is no resolution of a grid")]
    Resolution(f64),
    /// Parts of different scenes or with different bands.
    #[error("the parts differ in {0}")]
    Unlike(&'static str),
    /// A file of a split cannot be read.
    #[error("a file of the split cannot be read")]
    File(#[from] DecodeError),
}

impl Loaded {
    /// Reads a split from its files and checks every byte.
    ///
    /// # Errors
    /// Files that are damaged, missing or of another split.
    pub fn read(files: &[impl AsRef<[u8]>]) -> Result<Self, ResplitError> {
        let mut named = Vec::new();
        let mut known: Option<SplitMeta> = None;
        for file in files {
            let meta = codec::verify(file.as_ref())?;
            if known.as_ref().is_some_and(|k| *k != meta) {
                return Err(ResplitError::Unlike("the split that their files are of"));
            }
            named.push((codec::asset_name(file.as_ref())?, file.as_ref()));
            known = Some(meta);
        }
        let meta = known.ok_or(ResplitError::Unlike("nothing: there is no file"))?;
        let band = |band: &BandMeta| {
            let lost = ResplitError::Unlike("their files: one is missing");
            let (_, bytes) = named
                .iter()
                .find(|(name, _)| *name == band.asset)
                .ok_or(lost)?;
            let raster = codec::decode(bytes, &[band.index as usize])?.pop();
            let raster = raster.ok_or(ResplitError::Unlike("the bands of their files"))?;
            Ok(Part::new(band, raster))
        };
        let bands = meta
            .bands
            .iter()
            .map(band)
            .collect::<Result<_, ResplitError>>()?;
        Ok(Self { meta, bands })
    }

    /// Returns what is known of the split.
    pub fn meta(&self) -> &SplitMeta {
        &self.meta
    }

    /// Cuts a deeper cell out; `None` if it holds no valid pixel.
    ///
    /// # Errors
    /// A cell that is not inside this one or no exact window of it.
    pub fn deeper(&self, to: &Geocode) -> Result<Option<Resplit>, ResplitError> {
        let from = &self.meta.geocode;
        let whole = self.meta.counts.in_footprint == self.meta.counts.pixels;
        let cut_out = |part: &Part| {
            let place = placed(from, to, part.resolution_m())?;
            Ok(part.cut_out(&place.inner, (place.column, place.row), whole))
        };
        let bands = self
            .bands
            .iter()
            .map(cut_out)
            .collect::<Result<Vec<_>, ResplitError>>()?;
        Ok(measured(bands, &self.meta, None))
    }

    /// Puts splits of one scene together in a cell that holds theirs; cells without a split hold
    /// fill. `None` if no part is given.
    ///
    /// # Errors
    /// Parts of several scenes, with other bands, outside the cell or no exact windows of it.
    pub fn merged(mut parts: Vec<Self>, to: &Geocode) -> Result<Option<Resplit>, ResplitError> {
        parts.sort_by(|a, b| a.meta.id.cmp(&b.meta.id));
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        alike(&parts)?;
        let mut bands: Vec<BandCut> = Vec::new();
        for index in 0..first.bands.len() {
            let mut pieces = Vec::new();
            for part in &parts {
                let piece = &part.bands[index];
                let place = placed(&part.meta.geocode, to, piece.resolution_m())?;
                pieces.push((piece, (place.column, place.row)));
            }
            let resolution_m = first.bands[index].resolution_m();
            let grid = grid(to, resolution_m)?;
            bands.push(Part::put_together(&pieces, &grid));
        }
        let footprint = parts.iter().map(|p| p.meta.counts.in_footprint).sum();
        let masks: Option<Vec<_>> = parts.iter().map(|p| p.meta.counts.mask).collect();
        let sums = masks.map(|m| m.into_iter().fold(MaskCounts::default(), added));
        let mut found = measured(bands, &first.meta, sums);
        if let Some(found) = &mut found {
            found.measured.counts.in_footprint = footprint;
            found.cut.counts.in_footprint = footprint;
        }
        Ok(found)
    }
}

/// Returns the cells of a precision that a split's cell becomes, or becomes part of.
///
/// # Errors
/// A cell that is no exact window at one of the resolutions.
pub fn targets(
    from: &Geocode,
    precision: u8,
    resolutions: &[f64],
) -> Result<Vec<Geocode>, ResplitError> {
    let mut cells = vec![from.prefix(precision)];
    while cells.first().is_some_and(|c| c.precision() < precision) {
        cells = cells.iter().flat_map(Geocode::children).collect();
    }
    for metres in resolutions {
        // One row of cells has one shape; all cells of one anchor have.
        if let Some(to) = cells.first() {
            placed(from, to, *metres)?;
        }
    }
    Ok(cells)
}

/// Where one grid lies in another.
struct Place {
    inner: Grid,
    column: u32,
    row: u32,
}

fn grid(cell: &Geocode, resolution_m: f64) -> Result<Grid, ResplitError> {
    Grid::of(cell, resolution_m).map_err(|e| ResplitError::Resolution(e.0))
}

/// Returns the grid of the deeper cell and its place in the other's.
fn placed(a: &Geocode, b: &Geocode, resolution_m: f64) -> Result<Place, ResplitError> {
    let (outer, inner) = if a.precision() <= b.precision() {
        (a, b)
    } else {
        (b, a)
    };
    if !outer.contains(inner) {
        return Err(ResplitError::Apart { from: *a, to: *b });
    }
    let window = |cell: &Geocode| -> Result<(Grid, Window), ResplitError> {
        let grid = grid(cell, resolution_m)?;
        let anchor = Grid::anchor_precision(cell.scheme());
        if cell.precision() < anchor {
            return Err(ResplitError::AboveAnchor {
                cell: *cell,
                anchor,
            });
        }
        if let Some(window) = grid.window() {
            return Ok((grid, window));
        }
        let whole = self::grid(&cell.prefix(anchor), resolution_m)?;
        Err(ResplitError::NoWindow {
            cell: *cell,
            resolution_m,
            width: whole.width(),
            height: whole.height(),
        })
    };
    let (inner_grid, inside) = window(inner)?;
    let (_, around) = window(outer)?;
    Ok(Place {
        inner: inner_grid,
        column: inside.column - around.column,
        row: inside.row - around.row,
    })
}

/// Checks that parts are of one scene and have the same bands.
fn alike(parts: &[Loaded]) -> Result<(), ResplitError> {
    for pair in parts.windows(2) {
        let (a, b) = (&pair[0].meta, &pair[1].meta);
        if a.id.scene() != b.id.scene() || a.source_hash != b.source_hash {
            return Err(ResplitError::Unlike("the scene that they are of"));
        }
        let labels = |m: &SplitMeta| -> Vec<(String, f64)> {
            m.bands
                .iter()
                .map(|b| (b.name.clone(), b.resolution_m))
                .collect()
        };
        if labels(a) != labels(b) {
            return Err(ResplitError::Unlike("their bands"));
        }
    }
    Ok(())
}

fn added(a: MaskCounts, b: MaskCounts) -> MaskCounts {
    let both = |a: Option<u64>, b: Option<u64>| Some(a.unwrap_or(0) + b.unwrap_or(0));
    let known = |a: Option<u64>, b: Option<u64>| b.and_then(|_| both(a, b));
    MaskCounts {
        valid: a.valid + b.valid,
        cloudy: a.cloudy + b.cloudy,
        shadow: known(a.shadow, b.shadow),
        snow: known(a.snow, b.snow),
    }
}

/// Assembles and measures; `sums` are the counts of a mask that is not stored. `None` if no pixel
/// is valid.
fn measured(bands: Vec<BandCut>, meta: &SplitMeta, sums: Option<MaskCounts>) -> Option<Resplit> {
    let stored = sky::read_again(&bands, meta);
    let cut = Cut::assemble(bands);
    if !cut.has_pixels() {
        return None;
    }
    let mut measured = measure(&cut, stored.as_ref());
    let summed = meta.cloud_source.as_deref() != Some("spectral");
    if let (None, Some(sums), true) = (&stored, sums, summed) {
        measured.counts.mask = Some(sums);
        measured.cloud_source.clone_from(&meta.cloud_source);
    }
    Some(Resplit { cut, measured })
}

/// Returns the resolutions of a split's files.
pub fn resolutions(assets: &[AssetMeta]) -> Vec<f64> {
    assets.iter().map(|a| a.resolution_m).collect()
}
