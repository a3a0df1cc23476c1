//! The land of the small world: how strong its noise is, what lies on it, and clouds above it.
//!
//! *Invariants*: all of it follows from words and places, the same on every date but clouds; a
//! place is where a pixel's centre lies in its cell, whatever the grid: sides of grids of two
//! resolutions are no multiples of one another.
//!
//! *Not here*: bands and files (`world`).

use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use trainer::seed::Dice;

use super::{CELL, Sky};

/// Resolution in metres of the grid whose pixels places are counted in.
const FINE_M: f64 = 10.0;
/// Fine pixels over which the strength of the noise changes.
const PATCH_PX: f64 = 24.0;

/// Patches along each side of the land: more than the cell's 480 pixels need.
const LAND_PATCHES: usize = 24;
/// Metres over which clouds change, and those over which a picture does.
const CLOUD_M: f64 = 300.0;
const PICTURE_M: f64 = 60.0;
/// Patches of a picture along each side: more than the cell's 4,800 metres need.
const PICTURE_PATCHES: usize = 96;
/// Reflectance of cloud, in every band.
const CLOUD: f64 = 0.6;

/// A land, and where cells lie on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    /// The word that the land follows from.
    pub(crate) word: &'static str,
    /// Cells by which all cells are shifted to the east: by one half, what two cells part at their
    /// border lies in the middle of one.
    pub(crate) east: f64,
}

impl Default for Ground {
    fn default() -> Self {
        let (word, east) = ("land", 0.0);
        Self { word, east }
    }
}

impl Ground {
    /// Returns where the pixels of a cell's grid lie.
    pub(super) fn lie(&self, geocode: &Geocode, grid: &Grid) -> Lie {
        let home = Geocode::parse(Scheme::Geohash, CELL).expect("a cell");
        let columns = [geocode, &home].map(|cell| f64::from(cell.index().column));
        let fine = Grid::of(geocode, FINE_M).expect("a grid");
        let ratio = |fine: u32, own: u32| f64::from(fine) / f64::from(own);
        Lie {
            east: columns[0] - columns[1] + self.east,
            width: f64::from(fine.width()),
            step: (
                ratio(fine.width(), grid.width()),
                ratio(fine.height(), grid.height()),
            ),
            size: (grid.width() as usize, grid.height() as usize),
        }
    }
}

/// Where the pixels of a grid lie, in fine pixels of their cell.
pub(super) struct Lie {
    /// Cells east of `CELL`.
    east: f64,
    /// Fine pixels from a cell's west to its east.
    width: f64,
    /// Fine pixels from one pixel to the next.
    step: (f64, f64),
    /// Columns and rows.
    size: (usize, usize),
}

impl Lie {
    /// Of a cell's fine grid on the usual land.
    pub(super) fn fine(cell: &str) -> Self {
        let geocode = Geocode::parse(Scheme::Geohash, cell).expect("a cell");
        let grid = Grid::of(&geocode, FINE_M).expect("a grid");
        Ground::default().lie(&geocode, &grid)
    }

    /// Returns all pixels, row by row.
    pub(super) fn pixels(&self) -> impl Iterator<Item = (usize, usize)> {
        let (columns, rows) = self.size;
        (0..rows).flat_map(move |y| (0..columns).map(move |x| (x, y)))
    }

    /// Returns a pixel's place in its cell in metres.
    pub(super) fn metres(&self, x: usize, y: usize) -> (f64, f64) {
        let (x, y) = self.place(x, y);
        (x * FINE_M, y * FINE_M)
    }

    /// Returns a column's place in cells east of `CELL`.
    pub(super) fn cells_east(&self, x: usize) -> f64 {
        self.east + self.place(x, 0).0 / self.width
    }

    /// Returns a pixel's place on the land, counted in patches; every other width of a cell mirrors
    /// the one before: so that it is one land across borders.
    pub(super) fn patches(&self, x: usize, y: usize) -> (f64, f64) {
        let (x, y) = self.place(x, y);
        let at = (x + self.east * self.width).rem_euclid(2.0 * self.width);
        let at = at.min(2.0 * self.width - 1.0 - at).max(0.0);
        (at / PATCH_PX, y / PATCH_PX)
    }

    /// Returns where a pixel's centre lies among those of fine pixels.
    fn place(&self, x: usize, y: usize) -> (f64, f64) {
        let centre = |at: usize, step: f64| ((at as f64 + 0.5) * step - 0.5).max(0.0);
        (centre(x, self.step.0), centre(y, self.step.1))
    }
}

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
        let thick = self.shape.strength((x / CLOUD_M, y / CLOUD_M));
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
        let bright = self.0.strength((x / PICTURE_M, y / PICTURE_M));
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
    /// The land that follows from a word.
    pub(super) fn of(word: &str) -> Self {
        Self::seeded(word, LAND_PATCHES, LAND_PATCHES)
    }

    fn seeded(word: &str, columns: usize, rows: usize) -> Self {
        let mut dice = Dice::new(0, &[word]);
        let corners = (0..columns * rows).map(|_| dice.unit()).collect();
        Self { columns, corners }
    }

    /// Returns the class of land cover at a place, counted in patches, by how strong the noise is:
    /// 1 to 3, as 0 is fill.
    pub(super) fn cover(&self, patches: (f64, f64)) -> u8 {
        let strength = self.strength(patches);
        1 + u8::from(strength > 0.4) + u8::from(strength > 0.6)
    }

    /// Returns the strength at a place, counted in patches.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places of a small cell, not negative"
    )]
    pub(super) fn strength(&self, (x, y): (f64, f64)) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let at = top as usize * self.columns + left as usize;
        let across = |i: usize| self.corners[i] * (1.0 - u) + self.corners[i + 1] * u;
        across(at) * (1.0 - v) + across(at + self.columns) * v
    }
}
