//! NumPy's array file (NEP 1, version 1.0): the stored numbers of a cube.
//!
//! *Invariants*: always four axes, time × band × row × column, in C order; little-endian.
//!
//! *Not here*: what the numbers mean (`npz` says it; a bare array cannot).

use earth::cube::Cube;
use earth::split::meta::SampleType;

/// The header's length, magic included, is a multiple of this.
const HEADER_STEP: usize = 64;

/// Magic, version and the length of the header.
const LEAD_BYTES: usize = 10;

/// Returns the file of a united cube's samples.
pub(super) fn encode(cube: &Cube) -> Vec<u8> {
    let kind = cube.bands().first().map_or(SampleType::U8, |b| b.sample);
    let mut bytes = header(descr(kind), &shape(cube));
    for raster in cube.rasters() {
        raster.samples().append_bytes(&mut bytes);
    }
    bytes
}

/// Returns time × band × row × column.
pub(super) fn shape(cube: &Cube) -> [usize; 4] {
    let georef = cube.georef();
    let sides = [georef.height, georef.width].map(|s| s as usize);
    [cube.times().len(), cube.bands().len(), sides[0], sides[1]]
}

/// Returns everything before the samples; `descr` is NumPy's name of the sample type.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let tuple = sides.join(", ") + comma;
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({tuple}), }}");
    let end = (LEAD_BYTES + text.len() + 1).next_multiple_of(HEADER_STEP);
    text += &" ".repeat(end - LEAD_BYTES - text.len() - 1);
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Returns NumPy's name of a sample type.
fn descr(kind: SampleType) -> &'static str {
    match kind {
        SampleType::U8 => "|u1",
        SampleType::U16 => "<u2",
        SampleType::I16 => "<i2",
        SampleType::U32 => "<u4",
        SampleType::I32 => "<i4",
        SampleType::F32 => "<f4",
        SampleType::F64 => "<f8",
    }
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn the_header_is_what_numpy_writes() {
        // np.save of np.zeros((1, 2, 3, 4), "u2") and np.zeros(7, "M8[us]"), NumPy 2.3.
        let four = header("<u2", &[1, 2, 3, 4]);
        let text = "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2, 3, 4), }";
        assert_eq!(&four[10..10 + text.len()], text.as_bytes());
        assert_eq!((four.len(), four.last()), (128, Some(&b'\n')));
        let one = header("<M8[us]", &[7]);
        assert!(one.windows(4).any(|w| w == b"(7,)"));
    }
}
