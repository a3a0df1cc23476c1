//! How good each pixel of a scene is, before any rule is asked.
//!
//! *Invariants*: the lesser is the better; classes and masks have no say unless there is nothing
//! else; a pixel is `Void` if and only if no band that has a say is valid.
//!
//! *Not here*: how masks are read (`raster::cloud`).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::{Plan, Role, STRETCH, Scene, ScenePlane};
use crate::raster::cloud::Sky;
use crate::raster::each_sample_type;
use crate::raster::pixel::{Pixel, is_fill};

/// How good a pixel is; the lesser is the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Quality {
    /// Valid in all bands, and the ground is seen as far as is known.
    Whole,
    /// Valid in some bands, the ground is seen.
    Part,
    /// Valid in all bands; cloud, shadow, or not judged by the scene's mask.
    VeiledWhole,
    /// Valid in some bands; cloud, shadow, or not judged by the scene's mask.
    VeiledPart,
    /// Valid in no band.
    Void,
}

impl Quality {
    /// Tells whether cloud or shadow lies over it.
    pub fn is_veiled(self) -> bool {
        matches!(self, Self::VeiledWhole | Self::VeiledPart)
    }

    /// Tells whether all bands are valid.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Whole | Self::VeiledWhole)
    }
}

/// In how many of the bands looked at a pixel is valid.
#[derive(Debug, Clone, Copy)]
struct Seen {
    any: bool,
    all: bool,
}

/// Returns how good each pixel of a scene is.
pub(super) fn of(plan: &Plan, scene: &Scene) -> Vec<Quality> {
    let classes_only = plan.bands.iter().all(|b| b.role == Role::Class);
    let has_a_say = |role| classes_only || role != Role::Class;
    let planes: Vec<Option<&ScenePlane>> = scene
        .planes
        .iter()
        .zip(&plan.bands)
        .filter(|(_, band)| has_a_say(band.role))
        .map(|(plane, _)| plane.as_ref())
        .collect();
    let mut quality = vec![Quality::Void; plan.pixels()];
    quality
        .par_chunks_mut(STRETCH)
        .enumerate()
        .for_each(|(number, out)| {
            let start = number * STRETCH;
            let mut seen = vec![
                Seen {
                    any: false,
                    all: true
                };
                out.len()
            ];
            for plane in &planes {
                see(*plane, start, &mut seen);
            }
            let sky = scene.sky.as_deref().map(|s| &s[start..start + out.len()]);
            judge(&seen, sky, out);
        });
    quality
}

/// Notes where one band is valid.
fn see(plane: Option<&ScenePlane>, start: usize, seen: &mut [Seen]) {
    let Some(ScenePlane { raster, fill }) = plane else {
        for pixel in seen {
            pixel.all = false;
        }
        return;
    };
    each_sample_type!(raster.samples(), values => {
        see_values(&values[start..start + seen.len()], *fill, seen);
    });
}

fn see_values<T: Pixel>(values: &[T], fill: Option<f64>, seen: &mut [Seen]) {
    let fill = fill.and_then(T::exactly);
    for (value, seen) in values.iter().zip(seen) {
        let valid = !is_fill(*value, fill);
        seen.any |= valid;
        seen.all &= valid;
    }
}

fn judge(seen: &[Seen], sky: Option<&[Sky]>, out: &mut [Quality]) {
    for (i, (seen, out)) in seen.iter().zip(out).enumerate() {
        let clear = sky.is_none_or(|s| s[i].shows_ground());
        *out = match (seen.any, seen.all, clear) {
            (false, ..) => Quality::Void,
            (true, true, true) => Quality::Whole,
            (true, false, true) => Quality::Part,
            (true, true, false) => Quality::VeiledWhole,
            (true, false, false) => Quality::VeiledPart,
        };
    }
}
