//! One band of a split: windows cut out of it, and windows put together.
//!
//! *Invariants*: numbers of valid pixels never change; validity neither.
//!
//! *Not here*: where windows lie (`resplit`), files and statistics.

use crate::grid::Grid;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::Warped;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::cut::{BandCut, BandLabel};
use crate::split::meta::{BandMeta, SampleType};

/// Column and row of a window's first pixel.
type Corner = (u32, u32);

/// A band with its pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    label: BandLabel,
    fill: Option<f64>,
    raster: Raster,
}

impl Part {
    pub(super) fn new(band: &BandMeta, raster: Raster) -> Self {
        let label = BandLabel {
            name: band.name.clone(),
            common: band.common.clone(),
            centre_nm: band.centre_nm,
            resolution_m: band.resolution_m,
            scale: band.scale,
            offset: band.offset,
            categorical: band.categorical,
            class_names: band.class_names.clone(),
        };
        Self {
            label,
            fill: band.fill,
            raster,
        }
    }

    pub(super) fn resolution_m(&self) -> f64 {
        self.label.resolution_m
    }

    /// Cuts a window out; `whole` says that all pixels lie inside the delivered raster.
    pub(super) fn cut_out(&self, grid: &Grid, (column, row): Corner, whole: bool) -> BandCut {
        let (width, height) = (grid.width() as usize, grid.height() as usize);
        let stride = self.raster.width() as usize;
        let first = row as usize * stride + column as usize;
        let samples = each_sample_type!(self.raster.samples(), values => {
            let rows = values.get(first..).unwrap_or_default().chunks(stride).take(height);
            Pixel::into_samples(rows.flat_map(|r| r.iter().take(width).copied()).collect())
        });
        let raster = Raster::counted(grid.width(), grid.height(), samples);
        let valid = raster.validity(self.fill);
        let seen = valid.iter().filter(|v| **v).count() as u64;
        BandCut {
            label: self.label.clone(),
            grid: grid.clone(),
            warped: Warped {
                in_footprint: if whole { raster.pixels() } else { seen },
                raster,
                valid,
            },
            fill: self.fill,
        }
    }

    /// Puts windows together on a grid; what none covers is void. All have the first one's label.
    pub(super) fn put_together(pieces: &[(&Self, Corner)], grid: &Grid) -> BandCut {
        let kinds = pieces.iter().map(|(p, _)| p.raster.sample_type());
        let kind = kinds.max_by_key(|k| (k.bytes(), !k.is_integer()));
        let warped = match kind.unwrap_or(SampleType::U8) {
            SampleType::U8 => joined::<u8>(pieces, grid),
            SampleType::U16 => joined::<u16>(pieces, grid),
            SampleType::I16 => joined::<i16>(pieces, grid),
            SampleType::U32 => joined::<u32>(pieces, grid),
            SampleType::I32 => joined::<i32>(pieces, grid),
            SampleType::F32 => joined::<f32>(pieces, grid),
            SampleType::F64 => joined::<f64>(pieces, grid),
        };
        let (label, fill) = match pieces {
            [(first, _), ..] => (first.label.clone(), common_fill(pieces)),
            [] => unreachable!("pieces are windows of at least one split"),
        };
        BandCut {
            label,
            grid: grid.clone(),
            warped,
            fill,
        }
    }

    /// Tells whether a valid pixel holds a value.
    fn holds(&self, value: f64) -> bool {
        each_sample_type!(self.raster.samples(), values => holds(values, self.fill, value))
    }
}

fn holds<T: Pixel>(values: &[T], fill: Option<f64>, value: f64) -> bool {
    let fill = fill.and_then(T::exactly);
    T::exactly(value).is_some_and(|wanted| {
        let mut valid = values.iter().filter(|v| !is_fill(**v, fill));
        valid.any(|v| *v == wanted)
    })
}

/// Returns the fill value of those that have one, if it can be that of all.
fn common_fill(pieces: &[(&Part, Corner)]) -> Option<f64> {
    let fill = pieces.iter().find_map(|(p, _)| p.fill)?;
    let fits = |part: &Part| {
        let same = part.fill.map(f64::to_bits) == Some(fill.to_bits());
        same || !part.holds(fill)
    };
    pieces.iter().all(|(p, _)| fits(p)).then_some(fill)
}

fn joined<T: Pixel>(pieces: &[(&Part, Corner)], grid: &Grid) -> Warped {
    let (width, height) = (grid.width() as usize, grid.height() as usize);
    let void = common_fill(pieces).or(Some(f64::NAN)).and_then(T::exactly);
    let void = void.unwrap_or_default();
    let mut out = vec![void; width * height];
    let mut valid = vec![false; width * height];
    let mut in_footprint = 0;
    for (piece, (column, row)) in pieces {
        let samples = piece.raster.samples();
        let own = T::of(samples).map_or_else(|| converted(samples), <[T]>::to_vec);
        let seen = piece.raster.validity(piece.fill);
        let stride = piece.raster.width() as usize;
        let rows = own.chunks_exact(stride).zip(seen.chunks_exact(stride));
        for (line, (values, seen)) in (*row as usize..).zip(rows) {
            let first = line * width + *column as usize;
            let pixels = out.iter_mut().zip(&mut valid).skip(first);
            for ((to, is_valid), (value, seen)) in pixels.zip(values.iter().zip(seen)) {
                *to = if *seen || value.is_nan() {
                    *value
                } else {
                    void
                };
                *is_valid = *seen;
                in_footprint += u64::from(*seen);
            }
        }
    }
    let raster = Raster::counted(grid.width(), grid.height(), T::into_samples(out));
    Warped {
        raster,
        valid,
        in_footprint,
    }
}

/// Converts to a wider type, which holds every number of the narrower.
fn converted<T: Pixel>(samples: &Samples) -> Vec<T> {
    samples.to_f64().into_iter().map(T::nearest).collect()
}
