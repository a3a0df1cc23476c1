//! How often pairs of grey levels lie at an offset, and the properties that follow.
//!
//! A pair is counted under its difference d and its lesser level l, at d × 256 + l, which makes the
//! matrix symmetric at once. Contrast, dissimilarity and homogeneity need the sums of its rows
//! alone, correlation their first two moments. The places of a row of pixels are computed first,
//! sixteen at a time; 16 bits cannot point outside, so that counting needs no checks.
//!
//! *Invariants*: sums are whole numbers and exact; a pair that touches fill is counted nowhere.
//!
//! *Not here*: which offsets (`texture`).

use crate::raster::texture::{Grey, PROPERTIES};

/// Grey levels of a byte, and places in a row of counts.
const LEVELS: usize = 256;

/// Places of pairs: 16 bits.
const PLACES: usize = LEVELS * LEVELS;

/// Where pairs with fill are counted: 255 levels above level 255 there is none.
const NOWHERE: u16 = u16::MAX;

/// 0..=255.
const LEVEL_NUMBERS: [u32; LEVELS] = {
    let mut numbers = [0; LEVELS];
    let mut level = 1;
    while level < LEVELS {
        numbers[level] = numbers[level - 1] + 1;
        level += 1;
    }
    numbers
};

/// Most pixels of an image: counts have 32 bits.
const PIXELS_MAX: usize = u32::MAX as usize;

/// From one pixel of a pair to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// Rows further down.
    pub(super) down: usize,
    /// Columns to the right; to the left if negative.
    pub(super) across: isize,
}

/// Counts the pairs of one image.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    image: &'a Grey,
    least: u8,
    greatest: u8,
    has_voids: bool,
    /// Places of the pairs of one row of pixels.
    places: Vec<u16>,
    counts: Box<[u32; PLACES]>,
}

/// Sums over pairs of one difference.
#[derive(Debug, Clone, Copy)]
struct Row {
    difference: u64,
    pairs: u64,
    squares: u64,
    levels: u64,
    level_squares: u64,
}

impl<'a> Tally<'a> {
    /// Makes room for the pairs of an image; `None` if all of it is fill, or it has more pixels
    /// than can be counted.
    pub(super) fn of(image: &'a Grey) -> Option<Self> {
        // Fill has level 0: it is never the greatest, and as 255 never the least.
        let (mut least, mut greatest, mut voids) = (u8::MAX, 0, 0);
        for (level, void) in image.levels.iter().zip(&image.voids) {
            least = least.min(level | void);
            greatest = greatest.max(*level);
            voids |= void;
        }
        if least > greatest || image.levels.len() > PIXELS_MAX {
            return None;
        }
        Some(Self {
            image,
            least,
            greatest,
            has_voids: voids != 0,
            places: vec![0; image.width],
            counts: vec![0; PLACES].try_into().ok()?,
        })
    }

    /// Returns the six properties of the pairs at an offset; `None` if there are none.
    pub(super) fn properties(&mut self, offset: Offset) -> Option<[f64; PROPERTIES]> {
        let (least, greatest) = (usize::from(self.least), usize::from(self.greatest));
        self.counts[..(greatest - least + 1) * LEVELS].fill(0);
        if self.has_voids {
            self.count::<true>(offset);
        } else {
            self.count::<false>(offset);
        }
        let row = |d: usize| {
            let row = d * LEVELS..(d + 1) * LEVELS;
            Row::of(d, (least, &self.counts[row][least..=greatest - d]))
        };
        let rows: Vec<Row> = (0..=greatest - least).map(row).collect();
        properties(&rows)
    }

    fn count<const VOIDS: bool>(&mut self, Offset { down, across }: Offset) {
        let width = self.image.width;
        let first = usize::try_from(-across).unwrap_or(0);
        let shift = usize::try_from(across).unwrap_or(0);
        // `here` lacks the columns without a partner, `there` begins at the first's.
        let here = first..width.saturating_sub(shift).max(first);
        let there = shift.min(width)..;
        let rows = |of: &'a [u8]| of.chunks_exact(width);
        let (levels, voids) = (&self.image.levels, &self.image.voids);
        let upper = rows(levels).zip(rows(voids));
        let lower = upper.clone().skip(down);
        for ((a, a_void), (b, b_void)) in upper.zip(lower) {
            let a = a.get(here.clone()).unwrap_or_default();
            let b = b.get(there.clone()).unwrap_or_default();
            let places = place(a, b, &mut self.places);
            if VOIDS {
                let a = a_void.get(here.clone()).unwrap_or_default();
                let b = b_void.get(there.clone()).unwrap_or_default();
                leave_out(a, b, places);
            }
            for place in places {
                self.counts[usize::from(*place)] += 1;
            }
        }
        self.counts[usize::from(NOWHERE)] = 0;
    }
}

/// Writes down the places of pairs of levels; returns those written.
fn place<'p>(a: &[u8], b: &[u8], places: &'p mut [u16]) -> &'p mut [u16] {
    let pairs = a.len().min(b.len()).min(places.len());
    let places = &mut places[..pairs];
    for (place, (a, b)) in places.iter_mut().zip(a.iter().zip(b)) {
        *place = (u16::from(a.abs_diff(*b)) << 8) | u16::from(*a.min(b));
    }
    places
}

/// Moves pairs with fill (255; 0 elsewhere) to `NOWHERE`.
fn leave_out(a: &[u8], b: &[u8], places: &mut [u16]) {
    for (place, (a, b)) in places.iter_mut().zip(a.iter().zip(b)) {
        let void = u16::from(a | b);
        *place |= (void << 8) | void;
    }
}

impl Row {
    /// Sums the counts of a difference, the first of which is that of level `least`.
    fn of(difference: usize, (least, counts): (usize, &[u32])) -> Self {
        let pairs = counts.iter().map(|c| u64::from(*c)).sum();
        let (mut squares, mut levels, mut level_squares) = (0, 0, 0);
        // Products of 32 bits, which the processor makes several at a time.
        for (level, count) in LEVEL_NUMBERS[least..].iter().zip(counts) {
            let (count, square) = (u64::from(*count), u64::from(level * level));
            squares += count * count;
            levels += u64::from(*level) * count;
            level_squares += square * count;
        }
        Self {
            difference: difference as u64,
            pairs,
            squares,
            levels,
            level_squares,
        }
    }
}

/// Returns the properties of the symmetric, normalised matrix.
///
/// A pair of unlike levels stands in two places of that matrix, one of like levels twice in one.
fn properties(rows: &[Row]) -> Option<[f64; PROPERTIES]> {
    let pairs: u64 = rows.iter().map(|r| r.pairs).sum();
    if pairs == 0 {
        return None;
    }
    let [mut contrast, mut dissimilarity, mut homogeneity, mut asm] = [0.0; 4];
    let (mut levels, mut squares, mut distances) = (0_u64, 0_u64, 0_u64);
    for row in rows {
        let d = row.difference;
        let share = row.pairs as f64 / pairs as f64;
        let (distance, square) = (d as f64, (d * d) as f64);
        contrast += share * square;
        dissimilarity += share * distance;
        homogeneity += share / (1.0 + square);
        let places = if d == 0 { 1.0 } else { 2.0 };
        asm += row.squares as f64 / places / (pairs as f64 * pairs as f64);
        // Both levels of each pair: the lesser, and the lesser and d.
        levels += 2 * row.levels + d * row.pairs;
        squares += 2 * row.level_squares + 2 * d * row.levels + d * d * row.pairs;
        distances += d * d * row.pairs;
    }
    // Exact, times (2 pairs)²: the variance of levels, and, from (a - b)² = a² + b² - 2ab, their
    // covariance.
    let (n, sum) = (2 * i128::from(pairs), i128::from(levels));
    let variance = n * i128::from(squares) - sum * sum;
    let covariance = n * i128::from(squares - distances) - sum * sum;
    let correlation = if variance == 0 {
        1.0
    } else {
        covariance as f64 / variance as f64
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
