//! An image to which scenes are added one by one, in the order of preference.
//!
//! *Invariants*: adding scenes gives what `combine` gives by an ordering rule; one scene is in
//! memory at a time beside the image; a pixel that is clear in all bands is never looked at again.
//!
//! *Not here*: when to stop (`split::compose`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::{
    Plan, Plane, Quality, SCENES_MAX, STRETCH, Scene, ScenePlane, SpliceError, Spliced, blank,
    quality,
};
use crate::raster::cloud::Sky;
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::{Raster, Samples, each_sample_type};

/// An image to which scenes are added one by one.
#[derive(Debug)]
pub struct Overlay {
    plan: Plan,
    planes: Vec<Plane>,
    quality: Vec<Quality>,
    provenance: Vec<u16>,
    sky: Vec<Sky>,
    scenes: usize,
}

impl Overlay {
    /// Starts with an image without a valid pixel.
    pub fn new(plan: Plan) -> Self {
        let pixels = plan.pixels();
        Self {
            planes: plan.bands.iter().map(|b| blank(&plan, b)).collect(),
            quality: vec![Quality::Void; pixels],
            provenance: vec![0; pixels],
            sky: vec![Sky::Void; pixels],
            scenes: 0,
            plan,
        }
    }

    /// Takes from a scene what is better than what there is; returns how many pixels it gave.
    ///
    /// # Errors
    /// A scene that does not fit the plan, or one too many.
    pub fn add(&mut self, scene: &Scene) -> Result<u64, SpliceError> {
        if self.scenes == SCENES_MAX {
            return Err(SpliceError::Scenes(self.scenes + 1));
        }
        self.plan.check(scene, self.scenes + 1)?;
        self.scenes += 1;
        let found = quality::of(&self.plan, scene);
        let number = u16::try_from(self.scenes).unwrap_or(u16::MAX);
        let take: Vec<bool> = found
            .iter()
            .zip(&self.quality)
            .map(|(f, q)| f < q)
            .collect();
        let given = take.iter().filter(|t| **t).count() as u64;
        if given == 0 {
            return Ok(0);
        }
        for (i, _) in take.iter().enumerate().filter(|(_, taken)| **taken) {
            self.quality[i] = found[i];
            self.provenance[i] = number;
            self.sky[i] = scene.sky.as_ref().map_or(Sky::Void, |s| s[i]);
        }
        for (plane, given) in self.planes.iter_mut().zip(&scene.planes) {
            overlay(plane, given.as_ref(), &take);
        }
        Ok(given)
    }

    /// Returns the image as it stands.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Returns what each pixel sees.
    pub fn sky(&self) -> &[Sky] {
        &self.sky
    }

    /// Returns the scene of each pixel, from 1.
    pub fn provenance(&self) -> &[u16] {
        &self.provenance
    }

    /// Returns the pixels that each scene has in the image as it stands.
    pub fn used(&self) -> Vec<u64> {
        let mut used = vec![0; self.scenes];
        for scene in &self.provenance {
            if let Some(count) = usize::from(*scene)
                .checked_sub(1)
                .and_then(|s| used.get_mut(s))
            {
                *count += 1;
            }
        }
        used
    }

    /// Gives up the image.
    pub fn finish(self) -> Spliced {
        Spliced {
            used: self.used(),
            planes: self.planes,
            provenance: self.provenance,
            sky: self.sky,
        }
    }
}

/// Writes the pixels to take over those of a plane.
fn overlay(plane: &mut Plane, scene: Option<&ScenePlane>, take: &[bool]) {
    let (width, height) = (plane.raster.width(), plane.raster.height());
    let nothing = Raster::counted(0, 0, Samples::U8(Vec::new()));
    let raster = std::mem::replace(&mut plane.raster, nothing);
    let samples = each_sample_type!(raster.into_samples(), out => {
        let mut out = out;
        let from = scene.and_then(|s| Some((Pixel::of(s.raster.samples())?, s.fill)));
        overlay_values((&mut out, &mut plane.valid), from, take);
        Pixel::into_samples(out)
    });
    plane.raster = Raster::counted(width, height, samples);
}

fn overlay_values<T: Pixel>(
    (out, valid): (&mut [T], &mut [bool]),
    from: Option<(&[T], Option<f64>)>,
    take: &[bool],
) {
    let Some((values, fill)) = from else {
        let taken = valid.iter_mut().zip(take).filter(|(_, taken)| **taken);
        taken.for_each(|(valid, _)| *valid = false);
        return;
    };
    let fill = fill.and_then(T::exactly);
    out.par_chunks_mut(STRETCH)
        .zip(valid.par_chunks_mut(STRETCH))
        .enumerate()
        .for_each(|(number, (out, valid))| {
            let start = number * STRETCH;
            for (i, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
                if take[start + i] {
                    let value = values[start + i];
                    *valid = !is_fill(value, fill);
                    *out = value;
                }
            }
        });
}
