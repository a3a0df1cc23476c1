//! The ground of a region: what grows where, before any date and weather.
//!
//! *Invariants*: a pure function of the region; every value lies in 0..=1.
//!
//! *Not here*: colours and bands (`paint`), clouds (`cloud`).

use rayon::prelude::*;

use super::noise::{at, floor, fractal, value};
use super::world::{Cover, Region};

/// What is known of one pixel of ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    /// How much can grow, 0..=1.
    pub growth: f32,
    /// When in the year it grows, as a share of the year.
    pub phase: f32,
    /// Brightness of the soil around its mean, 0..=1.
    pub bright: f32,
    /// Moisture, 0..=1.
    pub wet: f32,
}

/// Returns the ground of a region, row by row, `size` pixels of 10 m a side.
pub fn ground(region: &Region, size: usize) -> Vec<Ground> {
    let (sin, cos) = region.angle.sin_cos();
    let row = |y: usize| {
        (0..size).map(move |x| {
            let (px, py) = (pixel(x), pixel(y));
            let u = (px * cos + py * sin) / region.feature_px;
            let v = (py * cos - px * sin) / region.feature_px;
            pixel_ground(region, (px, py), (u, v))
        })
    };
    (0..size).into_par_iter().flat_map_iter(row).collect()
}

/// Returns a pixel index as a coordinate.
pub fn pixel(index: usize) -> f32 {
    f32::from(u16::try_from(index).unwrap_or(u16::MAX))
}

fn pixel_ground(region: &Region, (px, py): (f32, f32), (u, v): (f32, f32)) -> Ground {
    let seed = region.seed;
    let broad = fractal(seed ^ 0xB, (px / 300.0, py / 300.0), 3);
    let fine = value(seed ^ 0xC, px / region.grain_px, py / region.grain_px);
    let (growth, phase) = match region.cover {
        Cover::Fields => parcel(seed, u, v * 0.6),
        Cover::Blocks => parcel(seed, u, v),
        Cover::Pivots => pivot(seed, u, v),
        Cover::Orchards => orchard(seed, u, v),
        Cover::Forest => forest(seed, u, v),
        Cover::Dryland => (fractal(seed, (u, v), 5).powi(3) * 1.6, 0.3 * broad),
    };
    let grain = region.grain.unwrap_or(match region.cover {
        Cover::Forest => 0.30,
        Cover::Dryland => 0.20,
        Cover::Orchards => 0.10,
        Cover::Fields | Cover::Pivots | Cover::Blocks => 0.12,
    });
    Ground {
        growth: (growth + grain * (fine - 0.5) + 0.3 * (broad - 0.5)).clamp(0.0, 1.0),
        phase,
        bright: (0.7 * broad + 0.3 * fine).clamp(0.0, 1.0),
        wet: fractal(seed ^ 0xD, (px / 150.0, py / 150.0), 2),
    }
}

/// A field of its own growth and season inside a skewed lattice.
fn parcel(seed: u64, u: f32, v: f32) -> (f32, f32) {
    let column = floor(u);
    // Every column of fields starts elsewhere, as fields do.
    let row = floor(v + at(seed ^ 1, column, 0));
    let bare = at(seed ^ 2, column, row) < 0.2;
    let growth = if bare {
        0.05
    } else {
        0.35 + 0.65 * at(seed ^ 3, column, row)
    };
    (growth, at(seed ^ 4, column, row))
}

/// A green circle on dry ground, some of them cut like a cake.
fn pivot(seed: u64, u: f32, v: f32) -> (f32, f32) {
    let (column, row) = (floor(u), floor(v));
    let (dx, dy) = (u - u.floor() - 0.5, v - v.floor() - 0.5);
    let inside = dx * dx + dy * dy < 0.22;
    if !inside || at(seed ^ 5, column, row) < 0.15 {
        return (0.12, 0.5);
    }
    let half = i32::from(dx > dy * (at(seed ^ 6, column, row) - 0.5));
    (
        0.45 + 0.55 * at(seed ^ 7, column * 2 + half, row),
        at(seed ^ 8, column * 2 + half, row),
    )
}

/// Stands of one age each, with crowns inside.
fn forest(seed: u64, u: f32, v: f32) -> (f32, f32) {
    let (age, phase) = parcel(seed, u / 8.0, v / 8.0);
    (
        (0.3 + 0.7 * age) * (0.6 + 0.4 * fractal(seed, (u, v), 4)),
        0.2 * phase,
    )
}

/// Rows of crowns inside large plots.
fn orchard(seed: u64, u: f32, v: f32) -> (f32, f32) {
    let (growth, phase) = parcel(seed, u / 9.0, v / 9.0);
    let row = 0.5 + 0.5 * (u * std::f32::consts::TAU).sin();
    (growth * (0.35 + 0.65 * row), 0.3 * phase)
}
