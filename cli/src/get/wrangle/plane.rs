//! One band on one grid, from however many splits have a part of it.
//!
//! *Invariants*: pixels on the target's lattice are taken bit for bit; where parts store the same
//! band in different ways, or leave pixels void that nothing stands for, the band becomes 32-bit
//! physical values with NaN.
//!
//! *Not here*: which splits (`around`), files (`files`).

use earth::cube::CubeBand;
use earth::raster::georef::Georef;
use earth::raster::lattice::{covering, same_lattice};
use earth::raster::mosaic::{Piece, mosaic};
use earth::raster::resample::{Alignment, Method, Source, resample_onto};
use earth::raster::{Raster, Samples};
use earth::split::meta::{BandMeta, SampleType};
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::files::{Files, Part, Role, lattice};
use crate::print::bytes;

/// Most bytes of one band on its own pixels below a target: beside the cube, what a laptop holds.
const PLANE_BYTES_MAX: u64 = 2 << 30;

/// A split that has a band, and whether it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'h> {
    pub(super) hit: &'h Hit,
    pub(super) band: &'h BandMeta,
    pub(super) role: Role,
}

/// A band brought onto a target.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) band: CubeBand,
    pub(super) raster: Raster,
    /// Parts of another lattice than the first's.
    pub(super) resampled: usize,
}

/// Brings a band onto a target; the first holder's lattice is the band's, and where several have a
/// pixel the first one's stays.
pub(super) async fn plane(
    files: &mut Files<'_>,
    holders: &[Holder<'_>],
    (target, method): (&Georef, Option<Method>),
) -> Result<Plane, Fault> {
    let first = holders.first().ok_or_else(|| nothing("a band"))?;
    let lattice = lattice(first.hit, first.band)?;
    let unaligned = |e: String| {
        let what = format!("{} cannot be brought onto the grid", first.hit.id);
        Fault::new(FaultKind::Data, what).because(e)
    };
    let alignment =
        { Alignment::between(&lattice, target) }.map_err(|e| unaligned(e.to_string()))?;
    let kernel = kernel(first.band, &alignment, method);
    let margin = if same_lattice(&lattice, target) {
        0
    } else {
        reach(alignment.ratio())
    };
    let window = covering(&lattice, target, margin).map_err(|e| unaligned(e.to_string()))?;
    check_size(first, &window)?;
    let mut parts = Vec::new();
    for holder in holders {
        let found = files.part((holder.hit, holder.role), holder.band, &window);
        parts.extend(found.await?);
    }
    let join = || join(parts, (&window, target), kernel);
    tokio::task::block_in_place(join)?.ok_or_else(|| nothing(&first.band.name))
}

/// Refuses more pixels of a finer sensor than fit: a cell of 500 m pixels holds millions of 10 m.
fn check_size(first: &Holder<'_>, window: &Georef) -> Result<(), Fault> {
    let (width, height) = (window.width, window.height);
    let pixel = first.band.sample.bytes() as u64 + 1;
    let size = (u64::from(width) * u64::from(height)).saturating_mul(pixel);
    if size <= PLANE_BYTES_MAX {
        return Ok(());
    }
    let what = format!("{} has too many pixels there", first.hit.collection);
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!(
            "{width} x {height} pixels of {} lie below the cell: {}, {} at most",
            first.band.name,
            bytes(size),
            bytes(PLANE_BYTES_MAX)
        ))
        .try_(format!(
            "the other way round: --collection {} --with the coarser one",
            first.hit.collection
        )))
}

fn nothing(what: &str) -> Fault {
    let what = format!("no split has pixels of {what} here");
    Fault::new(FaultKind::Nothing, what).try_("glebe search with the same selectors")
}

/// Returns the kernel for a band: what was asked for, as far as classes allow it.
fn kernel(band: &BandMeta, alignment: &Alignment, asked: Option<Method>) -> Method {
    let ratio = alignment.ratio();
    let coarser = ratio > 1.0 + 1e-6;
    let usual = if coarser {
        Method::Average
    } else {
        Method::Bilinear
    };
    let method = asked.unwrap_or(usual);
    if band.categorical {
        asked.unwrap_or(Method::Average).for_classes(ratio)
    } else {
        method
    }
}

/// Returns how far beyond the target any kernel can reach, in pixels of the band.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the ratio of two grids of one cell is positive and far below 2^32"
)]
fn reach(ratio: f64) -> u32 {
    (2.0 * ratio.max(1.0)).ceil() as u32 + 1
}

/// Puts parts together in a window and brings it onto the target.
fn join(
    parts: Vec<Part>,
    (window, target): (&Georef, &Georef),
    kernel: Method,
) -> Result<Option<Plane>, Fault> {
    let parts = alike(parts);
    let Some(band) = parts.first().map(|p| p.band.clone()) else {
        return Ok(None);
    };
    let failed = |e: String| {
        Fault::new(
            FaultKind::Data,
            format!("{} cannot be put together", band.name),
        )
        .because(e)
    };
    let pieces: Vec<_> = { parts.iter() }
        .map(|part| Piece {
            georef: &part.georef,
            raster: &part.raster,
            fill: band.fill,
        })
        .collect();
    let along = if band.categorical {
        Method::Nearest
    } else {
        Method::Bilinear
    };
    let joined = mosaic(&pieces, window, along).map_err(|e| failed(e.to_string()))?;
    let resampled = joined.resampled;
    let (raster, valid) = if same_lattice(window, target) && window.width == target.width {
        (joined.raster, joined.valid)
    } else {
        // Void pixels of a type without a fill would count as valid: make them NaN first.
        let (band, raster) = voided(band.clone(), joined.raster, &joined.valid);
        let source = Source {
            raster: &raster,
            fill: band.fill,
        };
        let alignment = Alignment::between(window, target).map_err(|e| failed(e.to_string()))?;
        let warped =
            resample_onto(source, &alignment, kernel).map_err(|e| failed(e.to_string()))?;
        let (band, raster) = voided(band, warped.raster, &warped.valid);
        return Ok(Some(Plane {
            band,
            raster,
            resampled,
        }));
    };
    let (band, raster) = voided(band, raster, &valid);
    Ok(Some(Plane {
        band,
        raster,
        resampled,
    }))
}

/// Returns parts that store the band in one way: the common one, or physical values.
fn alike(parts: Vec<Part>) -> Vec<Part> {
    let key = |b: &CubeBand| {
        let fill = b.fill.map(f64::to_bits);
        (b.sample, fill, b.scale.to_bits(), b.offset.to_bits())
    };
    let all = parts.windows(2).all(|p| key(&p[0].band) == key(&p[1].band));
    if all {
        return parts;
    }
    let physical = |part: Part| {
        let (band, raster) = physical(part.band, &part.raster);
        Part {
            georef: part.georef,
            band,
            raster,
        }
    };
    parts.into_iter().map(physical).collect()
}

/// Returns the band as 32-bit physical values with NaN for fill.
pub(super) fn physical(band: CubeBand, raster: &Raster) -> (CubeBand, Raster) {
    let values = band.physical(raster);
    let made = Raster::new(raster.width(), raster.height(), Samples::F32(values))
        .expect("a value for each sample");
    let band = CubeBand {
        sample: SampleType::F32,
        fill: None,
        scale: 1.0,
        offset: 0.0,
        ..band
    };
    (band, made)
}

/// Makes void pixels recognisable: as they are where the band has a fill or is a float, else by
/// making the band physical.
fn voided(band: CubeBand, raster: Raster, valid: &[bool]) -> (CubeBand, Raster) {
    let known = band.fill.is_some() || !band.sample.is_integer();
    if known || valid.iter().all(|v| *v) {
        return (band, raster);
    }
    let (band, raster) = physical(band, &raster);
    let (width, height) = (raster.width(), raster.height());
    let mut samples = raster.into_samples();
    if let Samples::F32(values) = &mut samples {
        for (value, valid) in values.iter_mut().zip(valid) {
            *value = if *valid { *value } else { f32::NAN };
        }
    }
    let raster = Raster::new(width, height, samples).expect("as many samples as before");
    (band, raster)
}
