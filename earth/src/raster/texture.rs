//! Texture of a grey image: grey-level co-occurrence (GLCM), 18 values (S001 §II.E).
//!
//! Per distance and angle the matrix of 256 × 256 levels is symmetric and normalised; the six
//! properties of Haralick are taken and averaged over the four angles. Values equal scikit-image's
//! `graycomatrix` and `graycoprops`, of which we also take the rounding of offsets: at 45° and
//! 135° the distances 1, 2, 3 step 1, 1, 2 pixels along each axis.
//!
//! *Invariants*: a pair that touches fill is not counted.
//!
//! *Not here*: counting pairs (`tally`), grouping of textures (trainer).

mod tally;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::raster::texture::tally::{Offset, Tally};

/// Values per image: six properties at three distances.
pub const TEXTURE_VALUES: usize = PROPERTIES * DISTANCES.len();

/// Names of the properties in order of `texture`'s values, three distances each.
pub const TEXTURE_PROPERTIES: [&str; PROPERTIES] = [
    "contrast",
    "dissimilarity",
    "homogeneity",
    "asm",
    "energy",
    "correlation",
];

/// Distances in pixels (S001 §II.E).
const DISTANCES: [f64; 3] = [1.0, 2.0, 3.0];

/// Angles: 0°, 45°, 90°, 135°.
const ANGLES: [f64; 4] = [
    0.0,
    std::f64::consts::FRAC_PI_4,
    std::f64::consts::FRAC_PI_2,
    3.0 * std::f64::consts::FRAC_PI_4,
];

const PROPERTIES: usize = 6;

/// Pixels from which offsets are counted side by side: below, many images are.
const SIDE_BY_SIDE_MIN: usize = 1 << 20;

/// A grey image of which some pixels may be void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    width: usize,
    levels: Vec<u8>,
    /// 255 for fill, else 0.
    voids: Vec<u8>,
}

impl Grey {
    /// Builds an image from rows of `width` levels; `None` is fill. Levels past the last whole
    /// row are left out.
    pub fn new(width: usize, levels: impl IntoIterator<Item = Option<u8>>) -> Self {
        let (mut levels, mut voids): (Vec<u8>, Vec<u8>) = levels.into_iter().map(place).unzip();
        let rows = levels.len().checked_div(width).unwrap_or(0);
        levels.truncate(rows * width);
        voids.truncate(rows * width);
        Self {
            width,
            levels,
            voids,
        }
    }

    /// Builds an image of a width and height whose rows are written in any order.
    pub fn by_row(
        (width, height): (usize, usize),
        write: impl Fn(usize, GreyRow<'_>) + Sync,
    ) -> Self {
        let mut levels = vec![0; width * height];
        let mut voids = vec![u8::MAX; width * height];
        let rows = levels.par_chunks_mut(width.max(1));
        rows.zip(voids.par_chunks_mut(width.max(1)))
            .enumerate()
            .for_each(|(row, (levels, voids))| write(row, GreyRow { levels, voids }));
        Self {
            width,
            levels,
            voids,
        }
    }
}

/// A row of a grey image to be written.
#[derive(Debug)]
pub struct GreyRow<'a> {
    levels: &'a mut [u8],
    voids: &'a mut [u8],
}

impl GreyRow<'_> {
    /// Writes a row of levels; `None` is fill.
    pub fn write(self, row: impl Iterator<Item = Option<u8>>) {
        for ((level, void), value) in self.levels.iter_mut().zip(self.voids).zip(row) {
            (*level, *void) = place(value);
        }
    }
}

/// Returns the level and what `voids` holds of a pixel.
fn place(level: Option<u8>) -> (u8, u8) {
    level.map_or((0, u8::MAX), |level| (level, 0))
}

/// Returns the 18 values, property by property as in `TEXTURE_PROPERTIES`, each at distances
/// 1, 2, 3; `None` where some distance and angle has no pair of valid pixels.
pub fn texture(image: &Grey) -> Option<[f64; TEXTURE_VALUES]> {
    let (mut offsets, mut uses): (Vec<Offset>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    for (d, distance) in DISTANCES.iter().enumerate() {
        for angle in ANGLES {
            let (sin, cos) = angle.sin_cos();
            let offset = Offset {
                // Never negative: sines of 0..=135° are not.
                down: step(sin * distance).unsigned_abs(),
                across: step(cos * distance),
            };
            let known = offsets.iter().position(|o| *o == offset);
            uses.push((d, known.unwrap_or(offsets.len())));
            if known.is_none() {
                offsets.push(offset);
            }
        }
    }
    let found = properties(image, &offsets)?;
    let mut values = [0.0; TEXTURE_VALUES];
    for (d, offset) in uses {
        for (p, value) in found[offset].iter().enumerate() {
            values[p * DISTANCES.len() + d] += value / ANGLES.len() as f64;
        }
    }
    Some(values)
}

/// Returns the properties at each offset; of large images several are counted at a time.
fn properties(image: &Grey, offsets: &[Offset]) -> Option<Vec<[f64; PROPERTIES]>> {
    let count = |offsets: &[Offset]| {
        let mut tally = Tally::of(image)?;
        offsets.iter().map(|o| tally.properties(*o)).collect()
    };
    if image.levels.len() < SIDE_BY_SIDE_MIN {
        return count(offsets);
    }
    let found = offsets.par_chunks(1).map(count);
    let found: Option<Vec<Vec<_>>> = found.collect();
    found.map(|all| all.concat())
}

/// Rounds an offset half to even, as C's `rint` and scikit-image do; offsets are at most 3.
#[expect(clippy::cast_possible_truncation, reason = "at most 3 in size")]
fn step(offset: f64) -> isize {
    offset.round_ties_even() as isize
}

#[cfg(test)]
mod tests {
    use super::{Grey, TEXTURE_VALUES, texture};

    /// Pixels of the oracle script: a small linear congruential sequence over a ramp.
    fn scene(width: u32, height: u32, holes: bool) -> Grey {
        let mut state = 12_345_u32;
        let mut levels = Vec::new();
        for row in 0..height {
            for column in 0..width {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let level = (state >> 27) + row * 3 + column * 2;
                let hole = holes && (row * 7 + column * 5) % 11 == 0;
                levels.push((!hole).then(|| u8::try_from(level % 256).unwrap()));
            }
        }
        Grey::new(width as usize, levels)
    }

    fn check(image: &Grey, oracle: &[f64; TEXTURE_VALUES]) {
        let found = texture(image).unwrap();
        for (i, (a, b)) in found.iter().zip(oracle).enumerate() {
            assert!(
                (a - b).abs() <= 1e-6 * (1.0 + b.abs()),
                "value {i}: {a}, oracle {b}"
            );
        }
    }

    // Values printed by tests/oracles/texture.py, scikit-image 0.26.
    const WHOLE: [f64; TEXTURE_VALUES] = [
        175.876_105_536_974_45,
        185.554_211_339_763_47,
        217.242_127_585_545_92,
        10.807_139_539_204_691,
        11.057_406_199_825_941,
        12.014_930_523_483_113,
        0.088_460_457_013_348_09,
        0.089_036_773_529_697_69,
        0.074_769_180_931_625_38,
        0.000_812_736_502_035_973_1,
        0.000_801_468_973_814_630_6,
        0.000_799_881_426_669_388_1,
        0.028_507_070_558_549_334,
        0.028_306_820_273_282_934,
        0.028_277_118_207_123_773,
        0.910_201_885_883_547_2,
        0.904_118_992_626_577_1,
        0.883_822_685_623_369_5,
    ];

    const HOLED: [f64; TEXTURE_VALUES] = [
        176.279_691_625_655_91,
        179.003_452_145_668_06,
        219.088_687_331_529_83,
        10.836_837_640_265_056,
        10.894_073_273_813_103,
        11.889_355_355_622_3,
        0.086_091_519_691_483_85,
        0.086_868_378_742_902_85,
        0.081_182_783_042_636_14,
        0.001_259_594_595_010_832_2,
        0.001_249_310_473_609_966_1,
        0.001_281_207_539_592_99,
        0.035_486_429_982_020_83,
        0.035_340_187_509_062_246,
        0.035_783_998_674_785_78,
        0.881_710_280_566_284_4,
        0.878_195_417_331_213_9,
        0.846_240_410_712_038_1,
    ];

    #[test]
    fn texture_equals_scikit_image() {
        check(&scene(40, 24, false), &WHOLE);
    }

    #[test]
    fn pairs_that_touch_fill_are_not_counted() {
        check(&scene(33, 21, true), &HOLED);
    }

    #[test]
    fn a_flat_image_has_correlation_one() {
        let found = texture(&Grey::new(8, vec![Some(77); 64])).unwrap();
        assert!(found[..6].iter().all(|v| v.abs() < 1e-12), "{found:?}");
        assert!(
            found[6..].iter().all(|v| (v - 1.0).abs() < 1e-12),
            "{found:?}"
        );
    }

    #[test]
    fn an_image_without_pairs_has_no_texture() {
        assert_eq!(texture(&Grey::new(9, vec![None; 81])), None);
        assert_eq!(texture(&Grey::new(2, vec![Some(1); 4])), None);
        assert_eq!(texture(&Grey::new(0, vec![])), None);
    }
}
