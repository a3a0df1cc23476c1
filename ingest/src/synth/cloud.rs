//! Clouds over a scene with their shadows; the truth that masks are judged by.
//!
//! *Invariants*: opacity lies in 0..=1; a pixel is cloudy in truth from `CLOUDY` on; the wanted
//! share is met within a few percent.
//!
//! *Not here*: what a cloud looks like in a band (`paint`).

use rayon::prelude::*;

use super::landscape::pixel;
use super::noise::fractal;
use super::world::Shot;

/// Least opacity of a pixel that is cloudy in truth.
pub const CLOUDY: f32 = 0.2;
/// Width of a cloud's soft edge in units of the noise.
const EDGE: f32 = 0.06;
/// Width of clouds in pixels of 10 m.
const WIDTH_PX: f32 = 260.0;
/// Bins of the histogram that finds the threshold.
const BINS: usize = 1024;

/// Opacity over a scene, row by row.
#[derive(Debug)]
pub struct Sky {
    opacity: Vec<f32>,
    size: usize,
    /// Shift of shadows in pixels: right and down.
    shift: (usize, usize),
}

impl Sky {
    /// Draws the sky of a scene.
    pub fn new(shot: &Shot, size: usize) -> Self {
        let seed = shot.seed ^ 0xC10D;
        let noise = |i: usize| {
            let (x, y) = (pixel(i % size) / WIDTH_PX, pixel(i / size) / WIDTH_PX);
            fractal(seed, (x, y), 5)
        };
        let field: Vec<f32> = (0..size * size).into_par_iter().map(noise).collect();
        let threshold = threshold(&field, shot.cloud_wanted);
        let soften = |n: f32| {
            let t = ((n - threshold) / EDGE + CLOUDY).clamp(0.0, 1.0);
            if shot.cloud_wanted > 0.0 { t } else { 0.0 }
        };
        let opacity = field.into_par_iter().map(soften).collect();
        let shift = (18 + usize::from(shot.seed.to_le_bytes()[0]) % 20, 26);
        Self {
            opacity,
            size,
            shift,
        }
    }

    /// Returns the opacity over a pixel.
    pub fn opacity(&self, x: usize, y: usize) -> f32 {
        self.opacity[y * self.size + x]
    }

    /// Returns the opacity of the cloud that shades a pixel.
    pub fn shade(&self, x: usize, y: usize) -> f32 {
        let from = (x.checked_sub(self.shift.0), y.checked_sub(self.shift.1));
        match from {
            (Some(x), Some(y)) => self.opacity(x, y),
            _ => 0.0,
        }
    }
}

/// Returns the noise value above which the wanted share of pixels lies.
fn threshold(field: &[f32], share: f32) -> f32 {
    let mut bins = vec![0_usize; BINS];
    for value in field {
        bins[bin(*value)] += 1;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count of pixels"
    )]
    let wanted = (f64::from(share) * field.len() as f64) as usize;
    let mut above = 0;
    for (i, count) in bins.iter().enumerate().rev() {
        above += count;
        if above > wanted {
            return pixel(i + 1) / pixel(BINS);
        }
    }
    0.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "noise lies in 0..=1"
)]
fn bin(value: f32) -> usize {
    ((value * pixel(BINS)) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_share_of_pixels_is_cloudy() {
        for wanted in [0.0, 0.05, 0.5, 0.95] {
            let shot = Shot {
                product: String::new(),
                region: 0,
                date: 0,
                acquired: jiff::Timestamp::UNIX_EPOCH,
                cloud_wanted: wanted,
                swath_missing: 0.0,
                seed: 42,
            };
            let sky = Sky::new(&shot, 600);
            let cloudy = sky.opacity.iter().filter(|o| **o >= CLOUDY).count();
            let share = cloudy as f32 / 360_000.0;
            assert!((share - wanted).abs() < 0.03, "{wanted}: {share}");
        }
    }
}
