//! Stacking: decoded splits of one grid become a cube.
//!
//! *Invariants*: bands are the union of the slices'; what a slice lacks is fill. Where slices store
//! a band in different ways (another offset, another fill), the band is given as 32-bit physical
//! values with NaN, so that one scale and one fill hold for all times.
//!
//! *Not here*: decoding (`split::codec`), which splits (cli).

use crate::cube::{Cube, CubeBand, CubeError, CubeTime};
use crate::raster::georef::Georef;
use crate::raster::pixel::Pixel;
use crate::raster::{Raster, Samples};
use crate::split::meta::SampleType;

/// Bands of one split on one grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// When, and which scene.
    pub time: CubeTime,
    /// Where it lies.
    pub georef: Georef,
    /// Bands with their pixels, in the dataset's order.
    pub bands: Vec<(CubeBand, Raster)>,
}

/// Builds a cube of slices of one grid, in the order of their times.
///
/// # Errors
/// Slices of different grids; a band that some slice lacks and that has no fill; classes coded in
/// two ways.
pub fn stack(mut slices: Vec<Slice>) -> Result<Cube, CubeError> {
    slices.sort_by(|a, b| a.time.cmp(&b.time));
    let first = slices.first().ok_or(CubeError::Empty)?;
    if let Some(other) = slices.iter().find(|s| s.georef != first.georef) {
        return Err(CubeError::Grid {
            first: first.time.scene.clone(),
            scene: other.time.scene.clone(),
        });
    }
    let georef = first.georef.clone();
    let bands = bands(&slices)?;
    let times = slices.iter().map(|s| s.time.clone()).collect();
    let mut rasters = Vec::with_capacity(slices.len() * bands.len());
    for slice in &mut slices {
        for band in &bands {
            rasters.push(plane(slice, band, &georef)?);
        }
    }
    Cube::new(georef, bands, times, rasters)
}

/// Returns the union of the bands, in the order of the slice that has most.
fn bands(slices: &[Slice]) -> Result<Vec<CubeBand>, CubeError> {
    let mut order: Vec<&Slice> = slices.iter().collect();
    order.sort_by_key(|s| std::cmp::Reverse(s.bands.len()));
    let mut union: Vec<CubeBand> = Vec::new();
    for slice in order {
        for (band, _) in &slice.bands {
            match union.iter_mut().find(|b| b.name == band.name) {
                None => union.push(band.clone()),
                Some(known) if stored_alike(known, band) || is_physical(known) => {}
                Some(known) if known.categorical || band.categorical => {
                    return Err(CubeError::Classes {
                        band: band.name.clone(),
                        scene: slice.time.scene.clone(),
                    });
                }
                Some(known) => make_physical(known),
            }
        }
    }
    Ok(union)
}

/// Tells whether two bands store the same value as the same sample.
fn stored_alike(a: &CubeBand, b: &CubeBand) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= f64::EPSILON * a.abs();
    a.sample == b.sample
        && a.fill.map(f64::to_bits) == b.fill.map(f64::to_bits)
        && a.categorical == b.categorical
        && near(a.scale, b.scale)
        && near(a.offset, b.offset)
}

fn is_physical(band: &CubeBand) -> bool {
    let plain = (band.scale - 1.0).abs() <= 0.0 && band.offset.abs() <= 0.0;
    band.sample == SampleType::F32 && band.fill.is_none() && plain && !band.categorical
}

fn make_physical(band: &mut CubeBand) {
    band.sample = SampleType::F32;
    band.fill = None;
    (band.scale, band.offset) = (1.0, 0.0);
}

/// Takes a slice's pixels as the cube stores them.
fn plane(slice: &mut Slice, band: &CubeBand, georef: &Georef) -> Result<Raster, CubeError> {
    let Some(at) = slice.bands.iter().position(|(b, _)| b.name == band.name) else {
        return fill_plane(band, georef).ok_or_else(|| CubeError::NoFill {
            band: band.name.clone(),
            scene: slice.time.scene.clone(),
        });
    };
    let (own, raster) = slice.bands.swap_remove(at);
    if stored_alike(&own, band) {
        return Ok(raster);
    }
    let values = own.physical(&raster);
    Ok(Raster::counted(
        raster.width(),
        raster.height(),
        Samples::F32(values),
    ))
}

/// Returns a raster of fill; `None` for integers that have none.
fn fill_plane(band: &CubeBand, georef: &Georef) -> Option<Raster> {
    let pixels = georef.width as usize * georef.height as usize;
    let samples = match band.sample {
        SampleType::U8 => filled::<u8>(band.fill, pixels),
        SampleType::U16 => filled::<u16>(band.fill, pixels),
        SampleType::I16 => filled::<i16>(band.fill, pixels),
        SampleType::U32 => filled::<u32>(band.fill, pixels),
        SampleType::I32 => filled::<i32>(band.fill, pixels),
        SampleType::F32 => filled::<f32>(band.fill.or(Some(f64::NAN)), pixels),
        SampleType::F64 => filled::<f64>(band.fill.or(Some(f64::NAN)), pixels),
    }?;
    Some(Raster::counted(georef.width, georef.height, samples))
}

fn filled<T: Pixel>(fill: Option<f64>, pixels: usize) -> Option<Samples> {
    let fill = fill.and_then(T::exactly)?;
    Some(T::into_samples(vec![fill; pixels]))
}

#[cfg(test)]
mod tests {
    use super::{Slice, stack};
    use crate::cube::tests::{band, georef, raster, time};
    use crate::cube::{CubeBand, CubeError};
    use crate::raster::Raster;
    use crate::split::meta::SampleType;

    fn slice(day: u8, bands: Vec<(CubeBand, Raster)>) -> Slice {
        Slice {
            time: time(day),
            georef: georef(),
            bands,
        }
    }

    #[test]
    fn slices_are_ordered_by_time_and_what_one_lacks_is_fill() {
        let late = slice(
            9,
            vec![(band("B04"), raster(10)), (band("B03"), raster(20))],
        );
        let early = slice(2, vec![(band("B03"), raster(30))]);
        let cube = stack(vec![late, early]).unwrap();
        let days: Vec<_> = cube.times().iter().map(|t| t.scene.as_str()).collect();
        assert_eq!(days, ["day2", "day9"]);
        let names: Vec<_> = cube.bands().iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["B04", "B03"]);
        let empty = cube.raster(0, 0).unwrap();
        assert!(empty.validity(Some(0.0)).iter().all(|valid| !valid));
        assert_eq!(cube.raster(0, 1), Some(&raster(30)));
        assert_eq!(cube.raster(1, 0), Some(&raster(10)));
    }

    #[test]
    fn another_offset_makes_the_band_physical_so_that_equal_ground_reads_equal() {
        let before = CubeBand {
            offset: 0.0,
            ..band("B04")
        };
        let shifted = band("B04");
        // 1000 more in the new baseline, which takes 0.1 off again.
        let (old, new) = (raster(2000), raster(3000));
        let cube = stack(vec![
            slice(1, vec![(before, old)]),
            slice(2, vec![(shifted, new)]),
        ])
        .unwrap();
        assert_eq!(cube.bands()[0].sample, SampleType::F32);
        for pixel in 0..6 {
            let at = |time| cube.raster(time, 0).unwrap().samples().get(pixel).unwrap();
            assert!((at(0) - at(1)).abs() < 1e-6, "{} {}", at(0), at(1));
        }
    }

    #[test]
    fn other_grids_other_classes_and_missing_fill_are_refused() {
        let mut elsewhere = slice(2, vec![(band("B04"), raster(1))]);
        elsewhere.georef.affine =
            crate::raster::georef::Affine::new([11.0, 0.5, 0.0, 50.0, 0.0, -0.5]).unwrap();
        let here = slice(1, vec![(band("B04"), raster(1))]);
        let mixed = stack(vec![here.clone(), elsewhere]);
        assert!(matches!(mixed, Err(CubeError::Grid { .. })), "{mixed:?}");

        let classes = CubeBand {
            categorical: true,
            ..band("B04")
        };
        let recoded = stack(vec![here.clone(), slice(3, vec![(classes, raster(1))])]);
        assert!(matches!(recoded, Err(CubeError::Classes { .. })));

        let bare = CubeBand {
            fill: None,
            ..band("B03")
        };
        let lacking = stack(vec![here, slice(3, vec![(bare, raster(1))])]);
        assert!(matches!(lacking, Err(CubeError::NoFill { .. })));
        assert_eq!(stack(vec![]), Err(CubeError::Empty));
    }
}
