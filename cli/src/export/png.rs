//! PNG quick-looks: true colour where red, green and blue are there, three bands in their order,
//! else one band in grey, else classes in colours of their own.
//!
//! *Invariants*: fill is transparent; pictures made with one stretch can be compared; the same
//! cube and stretch give the same bytes.
//!
//! *Not here*: where the stretch comes from beyond one cube (`get`).

mod palette;
mod stretch;

use earth::cube::{Cube, CubeBand};
use earth::split::meta::SampleType;
use png::{BitDepth, ColorType, Compression, Encoder};
use wire::fault::{Fault, FaultKind};

use crate::export::png::stretch::Tone;

pub(crate) use stretch::Stretch;

/// Which bands a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    /// Red, green and blue by their places.
    Colour([usize; 3]),
    /// One band.
    Grey(usize),
    /// One band of classes.
    Classes(usize),
}

/// Chooses what to show of bands.
fn show(bands: &[CubeBand]) -> Show {
    let common = |name: &str| bands.iter().position(|b| b.common.as_deref() == Some(name));
    if let (Some(red), Some(green), Some(blue)) = (common("red"), common("green"), common("blue")) {
        return Show::Colour([red, green, blue]);
    }
    if bands.len() == 3 && bands.iter().all(|b| !b.categorical) {
        return Show::Colour([0, 1, 2]);
    }
    match bands.iter().position(|b| !b.categorical) {
        Some(first) => Show::Grey(first),
        None => Show::Classes(0),
    }
}

/// Tells how good a picture of bands can be: true colour, then grey, then classes.
pub(crate) fn rank(bands: &[CubeBand]) -> u8 {
    match show(bands) {
        Show::Colour(_) => 2,
        Show::Grey(_) => 1,
        Show::Classes(_) => 0,
    }
}

/// Returns the picture of one time of a cube.
pub(super) fn encode(cube: &Cube, time: usize, stretch: &Stretch) -> Result<Vec<u8>, Fault> {
    let place = show(cube.bands());
    let (colour, pixels) = match place {
        Show::Colour(bands) => (ColorType::Rgba, stretched(cube, time, (&bands, stretch))),
        Show::Grey(band) => (
            ColorType::GrayscaleAlpha,
            stretched(cube, time, (&[band], stretch)),
        ),
        Show::Classes(band) => (ColorType::Rgba, classes(cube, time, band)),
    };
    picture(cube, (time, colour), &pixels).map_err(|e| {
        Fault::new(FaultKind::Data, "the pixels make no picture").because(e.to_string())
    })
}

fn picture(
    cube: &Cube,
    (time, colour): (usize, ColorType),
    pixels: &[u8],
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let georef = cube.georef();
    let mut encoder = Encoder::new(&mut bytes, georef.width, georef.height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    if let Some(time) = cube.times().get(time) {
        encoder.add_text_chunk("Title".to_owned(), latin(&time.scene))?;
        encoder.add_text_chunk("Creation Time".to_owned(), time.acquired.to_string())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Replaces what PNG's Latin-1 text lacks.
fn latin(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect()
}

/// Returns bands stretched to 8 bits and interleaved, with opacity last.
fn stretched(cube: &Cube, time: usize, (bands, stretch): (&[usize], &Stretch)) -> Vec<u8> {
    let planes: Vec<Vec<f32>> = bands
        .iter()
        .filter_map(|band| Some(cube.bands()[*band].physical(cube.raster(time, *band)?)))
        .collect();
    let pixels = planes.first().map_or(0, Vec::len);
    let mut out = Vec::with_capacity(pixels * (bands.len() + 1));
    for pixel in 0..pixels {
        let mut opaque = true;
        for plane in &planes {
            let value = plane[pixel];
            opaque &= !value.is_nan();
            out.push(stretch.to_byte(value));
        }
        out.push(if opaque { u8::MAX } else { 0 });
    }
    out
}

/// Returns the colours of classes.
fn classes(cube: &Cube, time: usize, band: usize) -> Vec<u8> {
    let Some(raster) = cube.raster(time, band) else {
        return Vec::new();
    };
    let valid = raster.validity(cube.bands()[band].fill);
    let values = raster.samples().to_f64();
    let colour = |(value, valid): (&f64, &bool)| {
        let [red, green, blue] = palette::colour(*value);
        [red, green, blue, if *valid { u8::MAX } else { 0 }]
    };
    values.iter().zip(&valid).flat_map(colour).collect()
}

impl Stretch {
    /// Takes in what a picture of each time of a cube would show.
    pub(crate) fn see(&mut self, cube: &Cube) {
        let bands = match show(cube.bands()) {
            Show::Colour(bands) => bands.to_vec(),
            Show::Grey(band) => vec![band],
            Show::Classes(_) => return,
        };
        for time in 0..cube.times().len() {
            for band in &bands {
                if let Some(raster) = cube.raster(time, *band) {
                    let band = &cube.bands()[*band];
                    let tone = if band.sample == SampleType::U8 {
                        Tone::Linear
                    } else {
                        Tone::Root
                    };
                    self.add(&band.physical(raster), tone);
                }
            }
        }
    }
}
