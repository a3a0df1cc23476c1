//! A band of one cell brought to another shape of the same cell: 20 m to 10 m and back.
//!
//! *Invariants*: both shapes span the same ground edge to edge; kernels are those of `reproject`.
//!
//! *Not here*: other systems or cells (`reproject`), combining splits (`splice`).

use crate::crs::Crs;
use crate::raster::Raster;
use crate::raster::georef::{Affine, AffineError, Georef};
use crate::raster::reproject::{Kernel, SourceBand, Warp, WarpError, Warped};

/// Why a band could not be resampled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResampleError {
    /// A side is 0.
    #[error("a raster without pixels has no other shape")]
    Empty(#[from] AffineError),
    /// The reprojection refused.
    #[error("resampling failed")]
    Warp(#[from] WarpError),
}

/// Returns the band in the shape of columns × rows.
///
/// # Errors
/// A shape without pixels.
pub fn resample(
    raster: &Raster,
    fill: Option<f64>,
    (width, height): (u32, u32),
    kernel: Kernel,
) -> Result<Warped, ResampleError> {
    let source = unit_square(raster.width(), raster.height())?;
    let target = unit_square(width, height)?;
    let empty = ResampleError::Empty(AffineError([0.0; 6]));
    // Both systems are the same, so planning cannot fail but for want of pixels.
    let Ok(Some(warp)) = Warp::plan(&source, &target, kernel) else {
        return Err(empty);
    };
    Ok(warp.run(&SourceBand {
        raster,
        window: source.whole(),
        fill,
    })?)
}

/// Returns a raster over the unit square.
fn unit_square(width: u32, height: u32) -> Result<Georef, AffineError> {
    let (across, down) = (1.0 / f64::from(width), -1.0 / f64::from(height));
    let affine = Affine::new([0.0, across, 0.0, 0.0, 0.0, down])?;
    Ok(Georef {
        crs: Crs::wgs84(),
        affine,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::resample;
    use crate::raster::reproject::Kernel;
    use crate::raster::{Raster, Samples};

    #[test]
    fn doubling_by_the_nearest_pixel_repeats_each() {
        let raster = Raster::new(2, 1, Samples::U8(vec![7, 9])).unwrap();
        let found = resample(&raster, None, (4, 2), Kernel::Nearest).unwrap();
        let wanted = Samples::U8(vec![7, 7, 9, 9, 7, 7, 9, 9]);
        assert_eq!(found.raster.samples(), &wanted);
    }

    #[test]
    fn fill_has_no_weight_when_halved() {
        let raster = Raster::new(4, 1, Samples::I16(vec![10, 20, -1, 40])).unwrap();
        let found = resample(&raster, Some(-1.0), (4, 1), Kernel::Bilinear).unwrap();
        assert_eq!(found.raster.samples(), &Samples::I16(vec![10, 20, -1, 40]));
        assert_eq!(found.valid, [true, true, false, true]);
        let none = Raster::new(0, 0, Samples::U8(vec![])).unwrap();
        assert!(resample(&none, None, (4, 4), Kernel::Nearest).is_err());
    }
}
