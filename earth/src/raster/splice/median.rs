//! The median of each band over the best observations of each pixel; of classes the majority.
//!
//! Observations of a stretch of pixels lie date after date, invalid ones as the greatest value;
//! a sorting network sorts all its pixels at a time, and the middle of the valid ones is taken.
//!
//! *Invariants*: integers are never taken for floats; equal to numpy's `nanmedian`, halves rounded
//! up for integers.
//!
//! *Not here*: the rules that choose one scene (`choice`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::network::comparisons;
use super::{Plan, Plane, Quality, Role, STRETCH, Scene, Spliced, blank};
use crate::raster::cloud::Sky;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, each_sample_type};

/// Pixels sorted at a time: the observations of a dozen dates stay in the nearest cache.
const LANE: usize = 256;

/// Dates up to which a network is faster than selecting pixel by pixel.
const NETWORK_MAX: usize = 64;

/// One band of one scene.
struct Dates<'a, T> {
    values: &'a [T],
    fill: Option<T>,
    /// What each pixel sees, where that is known.
    sky: Option<&'a [Sky]>,
}

/// Observations of a stretch of pixels.
struct Work<T> {
    /// Dates × `LANE` values.
    lanes: Vec<T>,
    /// Valid observations of each pixel.
    counts: [u16; LANE],
    /// How good the best observation of each pixel is: 0 clear, 1 veiled, 2 none.
    best: [u8; LANE],
}

pub(super) fn combine(plan: &Plan, scenes: &[Scene], quality: &[Vec<Quality>]) -> Spliced {
    let plane = |(i, band): (usize, &super::Band)| {
        let mut plane = blank(plan, band);
        let (width, height) = (plan.width, plan.height);
        let samples = each_sample_type!(plane.raster.into_samples(), out => {
            let mut out = out;
            let dates = dates(scenes, i);
            fill_plane((&mut out, &mut plane.valid), &dates, band.role == Role::Class);
            Pixel::into_samples(out)
        });
        Plane {
            raster: Raster::counted(width, height, samples),
            valid: plane.valid,
        }
    };
    let planes = plan.bands.iter().enumerate().map(plane).collect();
    observed(plan, scenes, quality, planes)
}

/// Returns one band of all scenes that have it.
fn dates<T: Pixel>(scenes: &[Scene], band: usize) -> Vec<Dates<'_, T>> {
    let one = |scene| {
        let scene: &Scene = scene;
        let plane = scene.planes.get(band)?.as_ref()?;
        Some(Dates {
            values: T::of(plane.raster.samples())?,
            fill: plane.fill.and_then(T::exactly),
            sky: scene.sky.as_deref(),
        })
    };
    scenes.iter().filter_map(one).collect()
}

fn fill_plane<T: Pixel>(
    (out, valid): (&mut [T], &mut [bool]),
    dates: &[Dates<'_, T>],
    classes: bool,
) {
    let network = if dates.len() <= NETWORK_MAX {
        comparisons(dates.len())
    } else {
        Vec::new()
    };
    out.par_chunks_mut(STRETCH)
        .zip(valid.par_chunks_mut(STRETCH))
        .enumerate()
        .for_each(|(number, (out, valid))| {
            let mut work = Work::new(dates.len());
            let lanes = out.chunks_mut(LANE).zip(valid.chunks_mut(LANE));
            for (lane, (out, valid)) in lanes.enumerate() {
                let start = number * STRETCH + lane * LANE;
                work.load(dates, start, out.len());
                if classes {
                    work.majority(dates.len(), out, valid);
                } else if dates.len() <= NETWORK_MAX {
                    work.sort(&network);
                    work.middle(out, valid);
                } else {
                    work.select(dates.len(), out, valid);
                }
            }
        });
}

impl<T: Pixel> Work<T> {
    fn new(dates: usize) -> Self {
        Self {
            lanes: vec![T::GREATEST; dates * LANE],
            counts: [0; LANE],
            best: [0; LANE],
        }
    }

    /// Loads the observations of `length` pixels; those not to be used become the greatest value.
    fn load(&mut self, dates: &[Dates<'_, T>], start: usize, length: usize) {
        self.counts = [0; LANE];
        let known = dates.iter().any(|d| d.sky.is_some());
        if known {
            self.find_best(dates, start, length);
        }
        for (date, lane) in dates.iter().zip(self.lanes.chunks_exact_mut(LANE)) {
            let values = &date.values[start..start + length];
            let pixels = lane.iter_mut().zip(values).zip(&mut self.counts);
            match date.sky.map(|s| &s[start..start + length]) {
                // Where something is known of others, what is not known to be veiled is clear.
                None if known => {
                    for (i, ((out, value), count)) in pixels.enumerate() {
                        let usable = !is_fill(*value, date.fill) && self.best[i] == 0;
                        *out = if usable { *value } else { T::GREATEST };
                        *count += u16::from(usable);
                    }
                }
                None => {
                    for ((out, value), count) in pixels {
                        let usable = !is_fill(*value, date.fill);
                        *out = if usable { *value } else { T::GREATEST };
                        *count += u16::from(usable);
                    }
                }
                Some(sky) => {
                    for (i, ((out, value), count)) in pixels.enumerate() {
                        let level = veil(sky[i]);
                        let usable = !is_fill(*value, date.fill) && self.best[i] == level;
                        *out = if usable { *value } else { T::GREATEST };
                        *count += u16::from(usable);
                    }
                }
            }
        }
    }

    fn find_best(&mut self, dates: &[Dates<'_, T>], start: usize, length: usize) {
        self.best = [2; LANE];
        for date in dates {
            let values = &date.values[start..start + length];
            for (i, value) in values.iter().enumerate() {
                if !is_fill(*value, date.fill) {
                    let level = date.sky.map_or(0, |s| veil(s[start + i]));
                    self.best[i] = self.best[i].min(level);
                }
            }
        }
    }

    fn sort(&mut self, network: &[(usize, usize)]) {
        for &(a, b) in network {
            let (low, high) = self.lanes.split_at_mut(b * LANE);
            let low = &mut low[a * LANE..(a + 1) * LANE];
            for (x, y) in low.iter_mut().zip(&mut high[..LANE]) {
                let (lesser, greater) = if *y < *x { (*y, *x) } else { (*x, *y) };
                *x = lesser;
                *y = greater;
            }
        }
    }

    /// Takes the middle of sorted observations.
    fn middle(&self, out: &mut [T], valid: &mut [bool]) {
        for (i, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
            let count = usize::from(self.counts[i]);
            *valid = count > 0;
            if count > 0 {
                let low = self.lanes[(count - 1) / 2 * LANE + i];
                let high = self.lanes[count / 2 * LANE + i];
                *out = low.midway(high);
            }
        }
    }

    /// Takes the class that is observed most often, the least of equals.
    fn majority(&self, dates: usize, out: &mut [T], valid: &mut [bool]) {
        let mut column = vec![T::GREATEST; dates];
        for (i, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
            let count = usize::from(self.counts[i]);
            *valid = count > 0;
            let lane = self.lanes.iter().skip(i).step_by(LANE);
            column.iter_mut().zip(lane).for_each(|(c, v)| *c = *v);
            column.sort_unstable_by(ordered);
            let mut most = 0;
            for run in column[..count].chunk_by(|a, b| a == b) {
                if run.len() > most {
                    (most, *out) = (run.len(), run[0]);
                }
            }
        }
    }

    /// Finds the middle of unsorted observations, pixel by pixel.
    fn select(&self, dates: usize, out: &mut [T], valid: &mut [bool]) {
        let mut column = vec![T::GREATEST; dates];
        for (i, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
            let count = usize::from(self.counts[i]);
            *valid = count > 0;
            if count > 0 {
                let lane = self.lanes.iter().skip(i).step_by(LANE);
                column.iter_mut().zip(lane).for_each(|(c, v)| *c = *v);
                let (before, high, _) = column.select_nth_unstable_by(count / 2, ordered);
                let high = *high;
                let least = |a: T, b: &T| if *b > a { *b } else { a };
                let low = if count % 2 == 1 {
                    high
                } else {
                    before.iter().skip(1).fold(before[0], least)
                };
                *out = low.midway(high);
            }
        }
    }
}

/// Orders samples of which none is NaN.
fn ordered<T: Pixel>(a: &T, b: &T) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}

/// Counts the scenes that were looked at for each pixel, and says what is seen there.
fn observed(
    plan: &Plan,
    scenes: &[Scene],
    quality: &[Vec<Quality>],
    planes: Vec<Plane>,
) -> Spliced {
    let mut provenance = vec![0_u16; plan.pixels()];
    let mut sky = vec![Sky::Void; plan.pixels()];
    let none = || vec![0; scenes.len()];
    let sum = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(b).map(|(a, b)| a + b).collect();
    let used = provenance
        .par_chunks_mut(STRETCH)
        .zip(sky.par_chunks_mut(STRETCH))
        .enumerate()
        .map(|(number, out)| observe(scenes, quality, number * STRETCH, out))
        .reduce(none, sum);
    Spliced {
        planes,
        provenance,
        sky,
        used,
    }
}

/// Counts the scenes looked at in a stretch of pixels; returns how often each was.
fn observe(
    scenes: &[Scene],
    quality: &[Vec<Quality>],
    start: usize,
    (provenance, sky): (&mut [u16], &mut [Sky]),
) -> Vec<u64> {
    let stretch = start..start + provenance.len();
    let mut best = vec![2; provenance.len()];
    for quality in quality {
        for (best, found) in best.iter_mut().zip(&quality[stretch.clone()]) {
            *best = level(*found).min(*best);
        }
    }
    let mut used = Vec::with_capacity(scenes.len());
    for (scene, quality) in scenes.iter().zip(quality) {
        let seen = scene.sky.as_ref().map(|s| &s[stretch.clone()]);
        let mut count = 0;
        for (i, found) in quality[stretch.clone()].iter().enumerate() {
            let taken = level(*found) == best[i] && *found != Quality::Void;
            provenance[i] += u16::from(taken);
            count += u64::from(taken);
            if let Some(seen) = seen.filter(|_| taken)
                && (provenance[i] == 1 || sky[i] == Sky::Shadow)
            {
                sky[i] = seen[i];
            }
        }
        used.push(count);
    }
    used
}

/// Returns 0 where the ground is seen, else 1.
fn veil(sky: Sky) -> u8 {
    u8::from(!sky.shows_ground())
}

/// Returns 0 for a clear pixel, 1 for a veiled one, 2 for none.
fn level(quality: Quality) -> u8 {
    match quality {
        Quality::Whole | Quality::Part => 0,
        Quality::VeiledWhole | Quality::VeiledPart => 1,
        Quality::Void => 2,
    }
}
