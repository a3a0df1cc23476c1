//! The land of the small world: how strong its noise is, what lies on it, and clouds above it.
//!
//! *Invariants*: all of it follows from words and places, the same on every date but clouds.
//!
//! *Not here*: bands and files (`world`).

use trainer::seed::Dice;

use super::Sky;

/// Patches along each side of the land: more than the cell's 480 pixels need.
const LAND_PATCHES: usize = 24;
/// Metres over which clouds change, and those over which a picture does.
const CLOUD_M: f64 = 300.0;
const PICTURE_M: f64 = 60.0;
/// Patches of a picture along each side: more than the cell's 4,800 metres need.
const PICTURE_PATCHES: usize = 96;
/// Reflectance of cloud, in every band.
const CLOUD: f64 = 0.6;

/// Clouds of one date.
pub(super) struct Clouds {
    sky: Sky,
    shape: Land,
}

impl Clouds {
    pub(super) fn new(sky: Sky, name: &str) -> Self {
        let shape = Land::seeded(name, LAND_PATCHES, LAND_PATCHES);
        Self { sky, shape }
    }

    /// Returns the opacity at a place: half of the land lies under some.
    pub(super) fn opacity(&self, (x, y): (f64, f64)) -> f64 {
        let thick = self.shape.strength(x / CLOUD_M, y / CLOUD_M);
        self.sky.opacity * ((thick - 0.5) / 0.2).clamp(0.0, 1.0)
    }

    /// Lays clouds over a reflectance.
    pub(super) fn over(&self, ground: f64, metres: (f64, f64)) -> f64 {
        let opacity = self.opacity(metres);
        ground * (1.0 - opacity) + CLOUD * opacity
    }
}

/// What lies under clouds: the same on every date.
pub(super) struct Picture(Land);

impl Picture {
    pub(super) fn new() -> Self {
        Self(Land::seeded("picture", PICTURE_PATCHES, PICTURE_PATCHES))
    }

    /// Returns a band's reflectance at a place.
    pub(super) fn colour(&self, common: &str, (x, y): (f64, f64)) -> f64 {
        let bright = self.0.strength(x / PICTURE_M, y / PICTURE_M);
        match common {
            "red" => 0.05 + 0.15 * bright,
            "green" => 0.06 + 0.10 * bright,
            "blue" => 0.04 + 0.06 * bright,
            _ => 0.40 - 0.20 * bright,
        }
    }
}

/// Strength of the noise, 0..=1, at the corners of patches: a smooth field of the land.
pub(super) struct Land {
    columns: usize,
    corners: Vec<f64>,
}

impl Land {
    pub(super) fn new() -> Self {
        Self::seeded("land", LAND_PATCHES, LAND_PATCHES)
    }

    fn seeded(word: &str, columns: usize, rows: usize) -> Self {
        let mut dice = Dice::new(0, &[word]);
        let corners = (0..columns * rows).map(|_| dice.unit()).collect();
        Self { columns, corners }
    }

    /// Returns the class of land cover at a place, counted in patches, by how strong the noise is:
    /// 1 to 3, as 0 is fill.
    pub(super) fn cover(&self, x: f64, y: f64) -> u8 {
        let strength = self.strength(x, y);
        1 + u8::from(strength > 0.4) + u8::from(strength > 0.6)
    }

    /// Returns the strength at a place, counted in patches.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places of a small cell, not negative"
    )]
    pub(super) fn strength(&self, x: f64, y: f64) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let at = top as usize * self.columns + left as usize;
        let across = |i: usize| self.corners[i] * (1.0 - u) + self.corners[i + 1] * u;
        across(at) * (1.0 - v) + across(at + self.columns) * v
    }
}
