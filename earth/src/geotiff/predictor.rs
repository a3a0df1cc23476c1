//! Predictors of TIFF: what is stored instead of samples so that they compress well.
//!
//! *Invariants*: `undo_row` gives back the very bits that `apply` took, for every sample type.
//!
//! *Not here*: compression (`tile`).

use crate::raster::pixel::Pixel;

/// TIFF's number for horizontal differences (TIFF 6.0 §14).
const HORIZONTAL: u16 = 2;

/// TIFF's number for differences of the bytes of floats (TIFF technical note 3).
const FLOATING: u16 = 3;

/// Returns the predictor that a sample type is stored with.
pub(super) fn predictor_of(integer: bool) -> u16 {
    if integer { HORIZONTAL } else { FLOATING }
}

/// Returns the bytes stored for rows of `width` samples.
pub(super) fn apply<T: Pixel>(samples: &[T], width: usize) -> Vec<u8> {
    let size = size_of::<T>();
    let mut bytes = vec![0; size_of_val(samples)];
    let mut plain = Vec::new();
    for (row, out) in samples.chunks(width).zip(bytes.chunks_mut(width * size)) {
        if T::INTEGER {
            let mut before = T::default();
            for (sample, out) in row.iter().zip(out.chunks_exact_mut(size)) {
                sample.minus(before).put_bytes(out);
                before = *sample;
            }
        } else {
            plain.resize(out.len(), 0);
            for (sample, part) in row.iter().zip(plain.chunks_exact_mut(size)) {
                sample.put_bytes(part);
            }
            byte_differences(&plain, size, out);
        }
    }
    bytes
}

/// Undoes `apply` for one row: as many samples as `out` holds, of a row of `stored` bytes.
pub(super) fn undo_row<T: Pixel>(stored: &[u8], out: &mut [T]) {
    let size = size_of::<T>();
    if T::INTEGER {
        let mut before = T::default();
        for (part, out) in stored.chunks_exact(size).zip(out) {
            before = T::get_bytes(part).plus(before);
            *out = before;
        }
    } else {
        let plain = sum_bytes(stored, size);
        for (part, out) in plain.chunks_exact(size).zip(out) {
            *out = T::get_bytes(part);
        }
    }
}

/// Groups the bytes of floats by significance, highest first, and takes differences.
fn byte_differences(plain: &[u8], size: usize, out: &mut [u8]) {
    let count = plain.len() / size;
    let mut before = 0_u8;
    for (significance, plane) in out.chunks_exact_mut(count.max(1)).enumerate() {
        let bytes = plain.iter().skip(size - 1 - significance).step_by(size);
        for (byte, out) in bytes.zip(plane) {
            *out = byte.wrapping_sub(before);
            before = *byte;
        }
    }
}

/// Undoes `byte_differences`.
fn sum_bytes(stored: &[u8], size: usize) -> Vec<u8> {
    let count = stored.len() / size;
    let mut plain = vec![0; stored.len()];
    let mut sum = 0_u8;
    for (significance, plane) in stored.chunks_exact(count.max(1)).enumerate().take(size) {
        let places = plain.iter_mut().skip(size - 1 - significance).step_by(size);
        for (difference, place) in plane.iter().zip(places) {
            sum = sum.wrapping_add(*difference);
            *place = sum;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{apply, undo_row};
    use crate::raster::pixel::Pixel;

    fn undo<T: Pixel>(bytes: &[u8], width: usize) -> Vec<T> {
        let mut samples = vec![T::default(); bytes.len() / size_of::<T>()];
        let rows = bytes.chunks(width * size_of::<T>());
        for (row, out) in rows.zip(samples.chunks_mut(width)) {
            undo_row(row, out);
        }
        samples
    }

    proptest! {
        #[test]
        fn undo_gives_back_the_bits(
            integers in prop::collection::vec(any::<i16>(), 0..200),
            floats in prop::collection::vec(any::<u32>(), 0..200),
            width in 1_usize..40,
        ) {
            prop_assert_eq!(undo::<i16>(&apply(&integers, width), width), integers);
            let floats: Vec<f32> = floats.into_iter().map(f32::from_bits).collect();
            let back = undo::<f32>(&apply(&floats, width), width);
            let bits = |v: &[f32]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&floats));
        }
    }
}
