//! The bands of a scene: ground, season, law and weather as digital numbers.
//!
//! *Invariants*: red, green, blue and NIR of clear ground obey the region's law up to the sensor's
//! noise; no-data is 0 in every band and nothing else is 0; both baselines hold the same
//! reflectance.
//!
//! *Not here*: files (`safe`).

use rayon::prelude::*;

use super::cloud::{CLOUDY, Sky};
use super::landscape::{Ground, pixel};
use super::noise::at;
use super::world::{Baseline, Level, Region, Shot};

/// Greatest digital number: Sentinel-2 images have 15 bits.
pub const DN_MAX: u16 = 32_767;
/// Digital number per unit of reflectance.
pub const QUANTIFICATION: f32 = 10_000.0;
/// Standard noise of the sensor in reflectance.
const NOISE: f32 = 0.002;
/// Classes of the scene classification (SCL) that are used.
const SCL_SHADOW: u8 = 3;
const SCL_PLANTS: u8 = 4;
const SCL_BARE: u8 = 5;
const SCL_CLOUD_MEDIUM: u8 = 8;
const SCL_CLOUD_HIGH: u8 = 9;

/// Reflectances of one pixel of 10 m: red, green, blue, NIR, SWIR; `None` is no-data.
type Colours = Option<[f32; 5]>;

/// One scene before it becomes files.
#[derive(Debug)]
pub struct Painting {
    size: usize,
    pixels: Vec<Colours>,
    sky: Sky,
}

/// How a band follows from the five painted colours: weights of red, green, blue, NIR, SWIR and
/// a constant.
#[derive(Debug, Clone, Copy)]
pub struct BandLaw {
    /// Band name.
    pub name: &'static str,
    /// Pixels of 10 m that one pixel of the band is wide.
    pub step: usize,
    weights: [f32; 5],
    constant: f32,
}

const fn law(name: &'static str, step: usize, weights: [f32; 5], constant: f32) -> BandLaw {
    BandLaw {
        name,
        step,
        weights,
        constant,
    }
}

/// Returns the bands of a product, each at its native resolution; level 2A has no cirrus band.
pub fn bands(level: Level) -> impl Iterator<Item = &'static BandLaw> {
    let there = move |band: &&BandLaw| level == Level::L1C || band.name != "B10";
    BANDS.iter().filter(there)
}

const BANDS: &[BandLaw] = &[
    law("B01", 6, [0.0, 0.0, 0.9, 0.0, 0.0], 0.004),
    law("B02", 1, [0.0, 0.0, 1.0, 0.0, 0.0], 0.0),
    law("B03", 1, [0.0, 1.0, 0.0, 0.0, 0.0], 0.0),
    law("B04", 1, [1.0, 0.0, 0.0, 0.0, 0.0], 0.0),
    law("B05", 2, [0.75, 0.0, 0.0, 0.25, 0.0], 0.0),
    law("B06", 2, [0.35, 0.0, 0.0, 0.65, 0.0], 0.0),
    law("B07", 2, [0.15, 0.0, 0.0, 0.85, 0.0], 0.0),
    law("B08", 1, [0.0, 0.0, 0.0, 1.0, 0.0], 0.0),
    law("B8A", 2, [0.0, 0.0, 0.0, 1.02, 0.0], 0.0),
    law("B09", 6, [0.0, 0.0, 0.0, 0.9, 0.0], 0.0),
    // Water vapour hides the ground; a little of high cloud shines through.
    law("B10", 6, [0.01, 0.0, 0.0, 0.0, 0.01], 0.001),
    law("B11", 2, [0.0, 0.0, 0.0, 0.0, 1.0], 0.0),
    law("B12", 2, [0.0, 0.0, 0.0, 0.0, 0.7], 0.01),
];

impl Painting {
    /// Paints a scene over the region's ground.
    pub fn new(region: &Region, shot: &Shot, ground: &[Ground], size: usize) -> Self {
        let sky = Sky::new(shot, size);
        let swath = Swath::new(shot, size);
        let paint = |i: usize| {
            let (x, y) = (i % size, i / size);
            swath.sees(x, y).then(|| {
                let clear = clear(region, shot, ground[i]);
                let seen = weather(clear, sky.opacity(x, y), sky.shade(x, y));
                noisy(seen, shot.seed, x, y)
            })
        };
        let pixels = (0..size * size).into_par_iter().map(paint).collect();
        Self { size, pixels, sky }
    }

    /// Returns the digital numbers of a band, row by row.
    pub fn band(&self, band: BandLaw, offset: i32) -> Vec<u16> {
        self.coarse(band.step, |cell| {
            let mut sum = 0.0;
            for (x, y) in &cell {
                let Some(colours) = self.pixels[y * self.size + x] else {
                    return 0;
                };
                sum += band.constant;
                sum += colours
                    .iter()
                    .zip(band.weights)
                    .map(|(c, w)| c * w)
                    .sum::<f32>();
            }
            number(sum / pixel(cell.len()), offset)
        })
    }

    /// Returns the scene classification at 20 m.
    pub fn classes(&self) -> Vec<u8> {
        self.coarse(2, |cell| {
            let mean = |of: &dyn Fn(usize, usize) -> f32| {
                cell.iter().map(|(x, y)| of(*x, *y)).sum::<f32>() / pixel(cell.len())
            };
            if self.unseen(&cell) {
                return 0;
            }
            let opacity = mean(&|x, y| self.sky.opacity(x, y));
            let green = mean(&|x, y| self.pixels[y * self.size + x].map_or(0.0, |c| c[3] - c[0]));
            match opacity {
                o if o >= 0.6 => SCL_CLOUD_HIGH,
                o if o >= CLOUDY => SCL_CLOUD_MEDIUM,
                _ if mean(&|x, y| self.sky.shade(x, y)) >= CLOUDY => SCL_SHADOW,
                _ if green > 0.12 => SCL_PLANTS,
                _ => SCL_BARE,
            }
        })
    }

    /// Returns the cloud probability at 20 m in percent; 50 and more is cloudy.
    pub fn cloud_probability(&self) -> Vec<u8> {
        self.coarse(2, |cell| {
            if self.unseen(&cell) {
                return 0;
            }
            let sum: f32 = cell.iter().map(|(x, y)| self.sky.opacity(*x, *y)).sum();
            let opacity = sum / pixel(cell.len());
            let percent = if opacity < CLOUDY {
                49.0 * opacity / CLOUDY
            } else {
                50.0 + 50.0 * (opacity - CLOUDY) / (1.0 - CLOUDY)
            };
            byte(percent)
        })
    }

    fn unseen(&self, cell: &[(usize, usize)]) -> bool {
        cell.iter()
            .any(|(x, y)| self.pixels[y * self.size + x].is_none())
    }

    /// Computes one value for each `step` × `step` pixels of 10 m.
    fn coarse<T: Send>(
        &self,
        step: usize,
        value: impl Fn(Vec<(usize, usize)>) -> T + Sync,
    ) -> Vec<T> {
        let side = self.size / step;
        let cell = |i: usize| {
            let (left, top) = (i % side * step, i / side * step);
            let inner = (0..step * step).map(|k| (left + k % step, top + k / step));
            value(inner.collect())
        };
        (0..side * side).into_par_iter().map(cell).collect()
    }
}

/// The part of a tile that the satellite saw: all but one corner.
#[derive(Debug)]
struct Swath {
    missing: f32,
    size: f32,
}

impl Swath {
    fn new(shot: &Shot, size: usize) -> Self {
        Self {
            missing: shot.swath_missing,
            size: pixel(size),
        }
    }

    /// A slanted edge, as descending orbits leave it on the east side.
    fn sees(&self, x: usize, y: usize) -> bool {
        let edge = self.size * (1.0 - self.missing) + 0.2 * (self.size / 2.0 - pixel(y));
        self.missing <= 0.0 || pixel(x) < edge
    }
}

/// Returns the colours of ground at a date under a clear sky.
fn clear(region: &Region, shot: &Shot, ground: Ground) -> [f32; 5] {
    let season = (pixel(usize::try_from(shot.date).unwrap_or(0)) * 16.0 / 180.0 + ground.phase)
        * std::f32::consts::TAU;
    let green = (ground.growth * (0.72 + 0.28 * season.sin())).clamp(0.0, 1.0);
    let light = 0.8 + 0.4 * ground.bright;
    let mix = |i: usize| region.soil[i] * light * (1.0 - green) + region.plant[i] * green;
    let rgb = [mix(0), mix(1), mix(2)];
    let ndvi = region.law.ndvi(rgb);
    let nir = rgb[0] * (1.0 + ndvi) / (1.0 - ndvi);
    let swir = 0.34 * light * (1.0 - 0.6 * green) * (1.0 - 0.5 * ground.wet);
    [rgb[0], rgb[1], rgb[2], nir, swir]
}

/// Lays cloud and shadow over clear colours.
fn weather(clear: [f32; 5], opacity: f32, shade: f32) -> [f32; 5] {
    let cloud = [0.62, 0.63, 0.66, 0.64, 0.38];
    let dim = 1.0 - 0.5 * shade;
    std::array::from_fn(|i| clear[i] * dim * (1.0 - opacity) + cloud[i] * opacity)
}

fn noisy(seen: [f32; 5], seed: u64, x: usize, y: usize) -> [f32; 5] {
    let (ix, iy) = (i32::try_from(x).unwrap_or(0), i32::try_from(y).unwrap_or(0));
    let mut salt = seed;
    seen.map(|c| {
        salt = salt.wrapping_add(0x5EED);
        // Uniform noise of that deviation has a half-width of √3 deviations.
        c + NOISE * 1.732 * (2.0 * at(salt, ix, iy) - 1.0)
    })
}

/// Returns a reflectance as a digital number; never 0, which means no-data.
///
/// The darkest is 1 above the offset, so that every baseline tells the same reflectances.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1..=32,767 before"
)]
fn number(reflectance: f32, offset: i32) -> u16 {
    let most = i32::from(DN_MAX) + Baseline::N0400.offset();
    let rounded = (reflectance * QUANTIFICATION).round() as i32;
    (rounded.clamp(1, most) - offset) as u16
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "percent, clamped by the cast itself"
)]
fn byte(percent: f32) -> u8 {
    percent.round() as u8
}
