//! Rules that take each pixel from one scene, in all bands.
//!
//! *Invariants*: only the best observations of a pixel are looked at; of equal ones the first in
//! the order of the scenes is taken.
//!
//! *Not here*: how good an observation is (`quality`), the median (`median`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::{Plan, Plane, Quality, Role, STRETCH, Scene, SpliceError, Spliced, blank};
use crate::raster::cloud::Sky;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, each_sample_type};

/// Pixels whose distances are computed at a time: a dozen dates of a dozen bands stay in cache.
const LANE: usize = 64;

/// Takes the first of the best observations; 0 for none, else the scene from 1.
pub(super) fn first(quality: &[Vec<Quality>]) -> Vec<u16> {
    choose(quality, |_, candidates, chosen| {
        candidates.first_of_each(chosen);
    })
}

/// Takes the observation with the greatest NDVI; one without an NDVI only if there is no other.
pub(super) fn max_ndvi(
    plan: &Plan,
    scenes: &[Scene],
    quality: &[Vec<Quality>],
) -> Result<Vec<u16>, SpliceError> {
    let of = |role| plan.bands.iter().position(|b| b.role == role);
    let (Some(red), Some(nir)) = (of(Role::Red), of(Role::Nir)) else {
        return Err(SpliceError::NoNdvi);
    };
    Ok(choose(quality, |start, candidates, chosen| {
        let mut best = vec![f64::NEG_INFINITY; chosen.len()];
        candidates.first_of_each(chosen);
        for (number, scene) in (1_u16..).zip(scenes) {
            let (mut r, mut n) = (vec![f64::NAN; chosen.len()], vec![f64::NAN; chosen.len()]);
            physical(plan, scene, (red, start), &mut r);
            physical(plan, scene, (nir, start), &mut n);
            for (i, chosen) in chosen.iter_mut().enumerate() {
                let ndvi = (n[i] - r[i]) / (n[i] + r[i]);
                if candidates.holds(number, i) && ndvi.is_finite() && ndvi > best[i] {
                    (best[i], *chosen) = (ndvi, number);
                }
            }
        }
    }))
}

/// Takes the observation that lies nearest to all others; where no scene is valid in all bands,
/// distances would say nothing and the first is taken.
pub(super) fn medoid(plan: &Plan, scenes: &[Scene], quality: &[Vec<Quality>]) -> Vec<u16> {
    let measured = |(i, b): (usize, &super::Band)| (b.role != Role::Class).then_some(i);
    let bands: Vec<usize> = plan.bands.iter().enumerate().filter_map(measured).collect();
    choose(quality, |start, candidates, chosen| {
        candidates.first_of_each(chosen);
        for (lane, chosen) in chosen.chunks_mut(LANE).enumerate() {
            let offset = lane * LANE;
            let mut vectors = vec![0.0; scenes.len() * bands.len() * chosen.len()];
            let rows = vectors.chunks_exact_mut(chosen.len().max(1));
            let pairs = scenes
                .iter()
                .flat_map(|s| bands.iter().map(move |b| (s, *b)));
            for ((scene, band), row) in pairs.zip(rows) {
                physical(plan, scene, (band, start + offset), row);
            }
            let sums = sums(&vectors, (scenes.len(), bands.len()), (candidates, offset));
            nearest(&sums, (candidates, offset), chosen);
        }
    })
}

/// Returns the sums of distances of each scene (rows) to all other candidates of each pixel.
fn sums(
    vectors: &[f64],
    (scenes, bands): (usize, usize),
    (candidates, offset): (&Candidates<'_>, usize),
) -> Vec<f64> {
    let width = vectors.len() / (scenes * bands).max(1);
    let row = |scene: usize, band: usize| &vectors[(scene * bands + band) * width..][..width];
    let mut sums = vec![0.0; scenes * width];
    let mut squares = vec![0.0; width];
    for a in 0..scenes {
        for b in a + 1..scenes {
            squares.fill(0.0);
            for band in 0..bands {
                let pairs = row(a, band).iter().zip(row(b, band));
                for (sum, (x, y)) in squares.iter_mut().zip(pairs) {
                    *sum += (x - y) * (x - y);
                }
            }
            for (i, square) in squares.iter().enumerate() {
                if candidates.whole(a, offset + i) && candidates.whole(b, offset + i) {
                    let distance = square.sqrt();
                    sums[a * width + i] += distance;
                    sums[b * width + i] += distance;
                }
            }
        }
    }
    sums
}

/// Takes the candidate with the least sum.
fn nearest(sums: &[f64], (candidates, offset): (&Candidates<'_>, usize), chosen: &mut [u16]) {
    let width = chosen.len();
    for (i, chosen) in chosen.iter_mut().enumerate() {
        let mut least = f64::INFINITY;
        for (number, row) in (1_u16..).zip(sums.chunks_exact(width.max(1))) {
            let whole = candidates.whole(usize::from(number) - 1, offset + i);
            if whole && row[i] < least {
                (least, *chosen) = (row[i], number);
            }
        }
    }
}

/// The best observations of a stretch of pixels.
struct Candidates<'a> {
    /// How good each scene's pixels are.
    quality: Vec<&'a [Quality]>,
    /// The best of all scenes.
    best: Vec<Quality>,
}

impl Candidates<'_> {
    /// Tells whether the scene, from 1, has one of the best observations of a pixel.
    fn holds(&self, number: u16, pixel: usize) -> bool {
        let found = self.quality[usize::from(number) - 1][pixel];
        found == self.best[pixel] && found != Quality::Void
    }

    /// Tells whether the scene, from 0, has one of the best observations, in all bands.
    fn whole(&self, scene: usize, pixel: usize) -> bool {
        let found = self.quality[scene][pixel];
        found == self.best[pixel] && found.is_whole()
    }

    fn first_of_each(&self, chosen: &mut [u16]) {
        for (number, quality) in (1_u16..).zip(&self.quality) {
            for ((chosen, found), best) in chosen.iter_mut().zip(*quality).zip(&self.best) {
                if *chosen == 0 && found == best && *found != Quality::Void {
                    *chosen = number;
                }
            }
        }
    }
}

/// Runs a choice over all stretches of pixels at a time.
fn choose(
    quality: &[Vec<Quality>],
    rule: impl Fn(usize, &Candidates<'_>, &mut [u16]) + Sync,
) -> Vec<u16> {
    let pixels = quality.first().map_or(0, Vec::len);
    let mut chosen = vec![0; pixels];
    chosen
        .par_chunks_mut(STRETCH)
        .enumerate()
        .for_each(|(number, chosen)| {
            let start = number * STRETCH;
            let quality: Vec<&[Quality]> = quality
                .iter()
                .map(|q| &q[start..start + chosen.len()])
                .collect();
            let mut best = vec![Quality::Void; chosen.len()];
            for scene in &quality {
                for (best, found) in best.iter_mut().zip(*scene) {
                    *best = (*best).min(*found);
                }
            }
            rule(start, &Candidates { quality, best }, chosen);
        });
    chosen
}

/// Writes physical values of a stretch of a band; fill becomes NaN.
fn physical(plan: &Plan, scene: &Scene, (band, start): (usize, usize), out: &mut [f64]) {
    let Some(plane) = scene.planes.get(band).and_then(Option::as_ref) else {
        out.fill(f64::NAN);
        return;
    };
    let (scale, offset) = plan
        .bands
        .get(band)
        .map_or((1.0, 0.0), |b| (b.scale, b.offset));
    each_sample_type!(plane.raster.samples(), values => {
        let values = &values[start..start + out.len()];
        let fill = fill_of(values, plane.fill);
        for (value, out) in values.iter().zip(out) {
            *out = if is_fill(*value, fill) {
                f64::NAN
            } else {
                value.to_f64() * scale + offset
            };
        }
    });
}

fn fill_of<T: Pixel>(_values: &[T], fill: Option<f64>) -> Option<T> {
    fill.and_then(T::exactly)
}

/// Copies each pixel from its scene.
pub(super) fn gather(plan: &Plan, scenes: &[Scene], chosen: Vec<u16>) -> Spliced {
    let plane = |(i, band): (usize, &super::Band)| {
        let mut plane = blank(plan, band);
        let samples = each_sample_type!(plane.raster.into_samples(), out => {
            let mut out = out;
            gather_plane(&mut out, &mut plane.valid, (scenes, i), &chosen);
            Pixel::into_samples(out)
        });
        Plane {
            raster: Raster::counted(plan.width, plan.height, samples),
            valid: plane.valid,
        }
    };
    let planes = plan.bands.iter().enumerate().map(plane).collect();
    let mut used = vec![0; scenes.len()];
    let mut sky = vec![Sky::Void; chosen.len()];
    for (i, number) in chosen.iter().enumerate() {
        let Some(scene) = usize::from(*number).checked_sub(1) else {
            continue;
        };
        used[scene] += 1;
        if let Some(seen) = scenes[scene].sky.as_ref() {
            sky[i] = seen[i];
        }
    }
    Spliced {
        planes,
        provenance: chosen,
        sky,
        used,
    }
}

fn gather_plane<T: Pixel>(
    out: &mut [T],
    valid: &mut [bool],
    (scenes, band): (&[Scene], usize),
    chosen: &[u16],
) {
    let planes: Vec<Option<(&[T], Option<T>)>> = scenes
        .iter()
        .map(|scene| {
            let plane = scene.planes.get(band)?.as_ref()?;
            Some((
                T::of(plane.raster.samples())?,
                plane.fill.and_then(T::exactly),
            ))
        })
        .collect();
    out.par_chunks_mut(STRETCH)
        .zip(valid.par_chunks_mut(STRETCH))
        .enumerate()
        .for_each(|(number, (out, valid))| {
            let start = number * STRETCH;
            for (i, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
                let scene = usize::from(chosen[start + i]).checked_sub(1);
                let Some((values, fill)) = scene.and_then(|s| planes[s]) else {
                    continue;
                };
                let value = values[start + i];
                *valid = !is_fill(value, fill);
                if *valid {
                    *out = value;
                }
            }
        });
}
