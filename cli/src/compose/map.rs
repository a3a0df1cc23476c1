//! A map of answers that memory does not hold: cells' answers as they come, one raster in the end.
//!
//! *Invariants*: each cell's pixels are taken in once, whatever order cells come in, and wait on
//! disk (`spool`); the files are those that `region` would make of the same images, byte for byte;
//! memory holds one cell's image, or the rows that the tiles at hand are made of, never the map.
//!
//! *Not here*: which pixel belongs to which cell (earth's `raster::region`), tiles
//! (`export::scrolled`).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use earth::cube::CubeBand;
use earth::geotiff::{FILE_BYTES_MAX, Sheet, SheetBand};
use earth::raster::mosaic::Mosaic;
use earth::raster::pixel::{Pixel, is_fill};
use earth::raster::reproject::Kernel;
use earth::split::compose::PROVENANCE;
use earth::split::meta::{BandMeta, SampleType, SplitId};
use wire::compose::{CellImage, ComposePlan};
use wire::fault::{Fault, FaultKind};

use super::image::{self, PROVENANCE_ENDING, Set, beside};
use super::region::{Layout, numbered};
use super::spool::{STRIP_ROWS, Spool};
use crate::export::{Existing, Scrolled, Staged, nameless, unwritable};
use crate::print::bytes;

/// What stands for "no scene" in provenance.
const NO_SCENE: u16 = 0;

/// Answers of cells on their way into one raster.
#[derive(Debug)]
pub(super) struct Map {
    layout: Layout,
    out: PathBuf,
    spool: Spool,
    /// Valid pixels of each band.
    valid: Vec<u64>,
}

impl Map {
    /// Starts a map without a pixel, to be written under that name.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn new(layout: Layout, out: &Path) -> Result<Self, Fault> {
        let rows = layout.frame.georef().height;
        Ok(Self {
            spool: Spool::new(nameless(out)?, rows),
            out: out.to_owned(),
            valid: vec![0; layout.names.len()],
            layout,
        })
    }

    /// Takes one cell's image in, a band after the other; `number` tells the number of a split's
    /// scene.
    ///
    /// # Errors
    /// An image that cannot be read, a full disk.
    pub(super) fn place(
        &mut self,
        (image, files): (&CellImage, &[Bytes]),
        number: impl Fn(&SplitId) -> u16,
    ) -> Result<(), Fault> {
        let grid = image::grid(image)?;
        for meta in &image.split.bands {
            let place = self.layout.names.iter().position(|name| *name == meta.name);
            let Some(place) = place else { continue };
            let raster = image::band((image, files), meta)?;
            let raster = numbered(image, (meta, &raster), &number);
            let band = self.layout.band(meta, &raster);
            let placed = self.layout.frame.band(&grid, &band);
            let placed = placed.map_err(|e| self.layout.fault(&e))?;
            self.layout.learn(place, meta);
            let Some((window, pixels)) = placed else {
                continue;
            };
            let at = (place, window);
            let kept = match (meta.name == PROVENANCE, pixels.raster.sample_type()) {
                (false, SampleType::F32) => self.spool.keep(at, &known(&pixels, f32::NAN)),
                (true, SampleType::U16) => self.spool.keep(at, &known(&pixels, NO_SCENE)),
                (_, other) => return Err(unlike(image, meta, other)),
            };
            kept.map_err(|e| unwritable(&self.out, &e))?;
            self.valid[place] += valid(&pixels);
        }
        self.layout.date(image);
        Ok(())
    }

    /// Returns valid / all pixels of the map in percent, over bands that are no classes.
    pub(super) fn coverage(&self) -> f64 {
        let bands = self.layout.measured();
        let all = self.layout.frame.pixels() * bands.len() as u64;
        let valid: u64 = bands.iter().map(|band| self.valid[*band]).sum();
        100.0 * (valid as f64 / all.max(1) as f64)
    }

    /// Writes the map and its provenance beside their places.
    ///
    /// # Errors
    /// No cell came, a map that no file holds, a full disk, another file in the place of one.
    pub(super) fn finish(self, existing: Existing) -> Result<Set, Fault> {
        let known = 0..self.layout.names.len();
        let known = known.filter(|band| self.layout.bands[*band].is_some());
        let (from, shown): (Vec<usize>, Vec<usize>) =
            known.partition(|band| self.layout.names[*band] == PROVENANCE);
        if from.is_empty() || shown.is_empty() {
            return Err(Fault::new(FaultKind::Nothing, "no cell was composed"));
        }
        let provenance = beside(&self.out, PROVENANCE_ENDING);
        let whole = from
            .iter()
            .all(|b| self.valid[*b] == self.layout.frame.pixels());
        let fill = (!whole).then_some(f64::from(NO_SCENE));
        let image = self.write((&self.out, existing), &shown, (f32::NAN, None))?;
        let from = self.write((&provenance, existing), &from, (NO_SCENE, fill))?;
        Ok(Set::of_map(image, from))
    }

    /// Writes some bands from the top down.
    fn write<T: Pixel>(
        &self,
        (out, existing): (&Path, Existing),
        bands: &[usize],
        (void, fill): (T, Option<f64>),
    ) -> Result<Staged, Fault> {
        let georef = self.layout.frame.georef();
        let (width, height) = (georef.width as usize, georef.height as usize);
        let mut file = Scrolled::new(out, self.sheet(bands, fill))?;
        for strip in 0..self.spool.strips() {
            let rows = STRIP_ROWS.min(height - strip * STRIP_ROWS);
            let mut planes = vec![vec![void; rows * width]; bands.len()];
            let pasted = self.spool.paste(strip, (bands, &mut planes, width));
            pasted.map_err(|e| unwritable(out, &e))?;
            let planes: Vec<&[T]> = planes.iter().map(Vec::as_slice).collect();
            file.push(&planes)?;
        }
        file.stage(existing)
    }

    /// Says of a file what is known before its pixels.
    fn sheet(&self, bands: &[usize], fill: Option<f64>) -> Sheet {
        let band = |band: &CubeBand| SheetBand {
            name: band.name.clone(),
            scale: band.scale,
            offset: band.offset,
            overview: if band.categorical {
                Kernel::Nearest
            } else {
                Kernel::Bilinear
            },
        };
        let known = bands.iter().filter_map(|b| self.layout.bands[*b].as_ref());
        let items = self.layout.time.iter().flat_map(|time| {
            [
                ("ACQUISITION_TIME".to_owned(), time.acquired.to_string()),
                ("GLEBE_SCENE".to_owned(), time.scene.clone()),
            ]
        });
        Sheet {
            georef: self.layout.frame.georef().clone(),
            bands: known.map(band).collect(),
            fill,
            items: items.collect(),
        }
    }
}

/// Says that a map may be more than its file holds, before anything is computed for it.
pub(super) fn told(plan: &ComposePlan) -> Option<String> {
    let cell = |cell: &wire::compose::CellPlan| {
        let pixel: usize = cell.bands.iter().map(|(_, kind)| kind.bytes()).sum();
        u64::from(cell.width) * u64::from(cell.height) * pixel as u64
    };
    let pixels = plan.cells.iter().map(cell).fold(0, u64::saturating_add);
    // Overviews are a third of the map.
    let most = pixels.saturating_add(pixels / 3);
    (most > FILE_BYTES_MAX).then(|| {
        format!(
            "note: the map is {} before compression, and a GeoTIFF holds {}; answers that compress \
             badly want several maps, each with a --bbox of its own",
            bytes(most),
            bytes(FILE_BYTES_MAX)
        )
    })
}

/// Returns the pixels of a mosaic, those that are not valid as nothing.
fn known<T: Pixel>(pixels: &Mosaic, void: T) -> Vec<T> {
    let values = T::of(pixels.raster.samples()).unwrap_or_default();
    let known = |(value, valid): (&T, &bool)| if *valid { *value } else { void };
    values.iter().zip(&pixels.valid).map(known).collect()
}

/// Returns the number of pixels that are valid, and no NaN.
fn valid(pixels: &Mosaic) -> u64 {
    let count = |valid: &mut dyn Iterator<Item = bool>| valid.filter(|v| *v).count() as u64;
    if let Some(values) = f32::of(pixels.raster.samples()) {
        let pairs = values.iter().zip(&pixels.valid);
        return count(&mut pairs.map(|(value, valid)| *valid && !is_fill(*value, None)));
    }
    count(&mut pixels.valid.iter().copied())
}

/// Refuses numbers that no map of answers holds.
fn unlike(image: &CellImage, meta: &BandMeta, found: SampleType) -> Fault {
    let wanted = if meta.name == PROVENANCE {
        SampleType::U16
    } else {
        SampleType::F32
    };
    let why = format!("its {} holds {found:?}, not {wanted:?}", meta.name);
    image::wrong(image, why).try_("glebe --version on all nodes")
}

#[cfg(test)]
mod tests;
