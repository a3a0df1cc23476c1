//! Texture of a grey image: grey-level co-occurrence (GLCM), 18 values (S001 §II.E).
//!
//! Per distance and angle the matrix of 256 × 256 levels is symmetric and normalised; the six
//! properties of Haralick are taken and averaged over the four angles. Values equal scikit-image's
//! `graycomatrix` and `graycoprops`, of which we also take the rounding of offsets: at 45° and
//! 135° the distances 1, 2, 3 step 1, 1, 2 pixels along each axis.
//!
//! *Invariants*: a pair that touches fill is not counted.
//!
//! *Not here*: grouping of textures (trainer).

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

/// Grey levels of a byte.
const LEVELS: usize = 256;

/// Below this product of deviations the image is flat and its correlation is 1 (scikit-image).
const FLAT: f64 = 1e-15;

/// A grey image of which some pixels may be void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    width: usize,
    levels: Vec<Option<u8>>,
}

impl Grey {
    /// Builds an image from rows of `width` levels; `None` is fill. Levels past the last whole
    /// row are left out.
    pub fn new(width: usize, mut levels: Vec<Option<u8>>) -> Self {
        let rows = levels.len().checked_div(width).unwrap_or(0);
        levels.truncate(rows * width);
        Self { width, levels }
    }

    fn rows(&self) -> usize {
        self.levels.len().checked_div(self.width).unwrap_or(0)
    }
}

/// Returns the 18 values, property by property as in `TEXTURE_PROPERTIES`, each at distances
/// 1, 2, 3; `None` where some distance and angle has no pair of valid pixels.
pub fn texture(image: &Grey) -> Option<[f64; TEXTURE_VALUES]> {
    let mut values = [0.0; TEXTURE_VALUES];
    for (d, distance) in DISTANCES.iter().enumerate() {
        for angle in ANGLES {
            let (sin, cos) = angle.sin_cos();
            let matrix = co_occurrence(image, step(sin * distance), step(cos * distance));
            let found = properties(&matrix)?;
            for (p, value) in found.iter().enumerate() {
                values[p * DISTANCES.len() + d] += value / ANGLES.len() as f64;
            }
        }
    }
    Some(values)
}

/// Rounds an offset half to even, as C's `rint` and scikit-image do; offsets are at most 3.
#[expect(clippy::cast_possible_truncation, reason = "at most 3 in size")]
fn step(offset: f64) -> isize {
    offset.round_ties_even() as isize
}

/// Counts pairs (pixel, pixel `down` rows and `across` columns further), one direction only.
fn co_occurrence(image: &Grey, down: isize, across: isize) -> Vec<u32> {
    let mut matrix = vec![0_u32; LEVELS * LEVELS];
    let width = image.width;
    // `down` is never negative: sines of 0..=135° are not.
    let down = down.unsigned_abs();
    let (first, last) = (
        usize::try_from(-across).unwrap_or(0),
        width.saturating_sub(usize::try_from(across).unwrap_or(0)),
    );
    for row in 0..image.rows().saturating_sub(down) {
        let here = &image.levels[row * width..(row + 1) * width];
        let there = &image.levels[(row + down) * width..(row + down + 1) * width];
        let here = here.get(first..last).unwrap_or_default();
        let there = there
            .get(first.wrapping_add_signed(across)..)
            .unwrap_or_default();
        for (a, b) in here.iter().zip(there) {
            if let (Some(a), Some(b)) = (a, b) {
                matrix[usize::from(*a) * LEVELS + usize::from(*b)] += 1;
            }
        }
    }
    matrix
}

/// Returns the six properties of the symmetric, normalised matrix; `None` if it is empty.
fn properties(matrix: &[u32]) -> Option<[f64; PROPERTIES]> {
    let marginal = marginal(matrix);
    let total: u64 = marginal.iter().sum();
    if total == 0 {
        return None;
    }
    let share = |count: u64| count as f64 / total as f64;
    let levels = || {
        marginal
            .iter()
            .enumerate()
            .map(|(i, count)| (i as f64, share(*count)))
    };
    // Symmetric: rows and columns have one mean and one variance.
    let weighted: u64 = marginal
        .iter()
        .zip(0_u64..)
        .map(|(count, i)| count * i)
        .sum();
    let mean = share(weighted);
    let variance: f64 = levels().map(|(x, p)| p * (x - mean) * (x - mean)).sum();
    let [
        mut contrast,
        mut dissimilarity,
        mut homogeneity,
        mut asm,
        mut product,
    ] = [0.0; 5];
    for i in 0..LEVELS {
        for j in i..LEVELS {
            let count = matrix[i * LEVELS + j] + matrix[j * LEVELS + i];
            if count == 0 {
                continue;
            }
            let (x, y, d) = (i as f64, j as f64, (j - i) as f64);
            let cell = share(u64::from(count));
            // The cell (j, i) below the diagonal is the same again.
            let p = if i == j { cell } else { 2.0 * cell };
            contrast += p * d * d;
            dissimilarity += p * d;
            homogeneity += p / (1.0 + d * d);
            asm += p * cell;
            product += p * (x - mean) * (y - mean);
        }
    }
    let correlation = if variance < FLAT {
        1.0
    } else {
        product / variance
    };
    Some([
        contrast,
        dissimilarity,
        homogeneity,
        asm,
        asm.sqrt(),
        correlation,
    ])
}

/// Returns how often each level occurs in pairs, both places counted.
fn marginal(matrix: &[u32]) -> [u64; LEVELS] {
    let mut marginal = [0; LEVELS];
    for (i, row) in matrix.chunks_exact(LEVELS).enumerate() {
        for (j, count) in row.iter().enumerate() {
            marginal[i] += u64::from(*count);
            marginal[j] += u64::from(*count);
        }
    }
    marginal
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
