//! What a split's pixels see: the class band that says it, and how its values are read.
//!
//! One rule for whoever looks at pixels (compositions, training, re-splitting): the band that the
//! split's cloud share was counted from. A product's own quality band is stored as delivered; a
//! mask that is none of its bands (a user's file, a cloud probability) is stored as the band
//! `CLOUD`: 0 clear, 1 cloud, 255 not judged.
//!
//! *Invariants*: another band never stands in for the one that was counted, nor does a guess by
//! reflectance; fill sees nothing, and nothing is no clear ground.
//!
//! *Not here*: what a product's values mean (`dataset`), counts (`measure`).

use crate::dataset;
use crate::grid::Grid;
use crate::raster::classes::ClassName;
use crate::raster::cloud::meaning::NON_ZERO;
use crate::raster::cloud::{CloudMask, Meaning, Sky};
use crate::raster::pixel::{Pixel, is_fill};
use crate::raster::reproject::Warped;
use crate::raster::{Raster, Samples, each_sample_type};
use crate::split::cut::{BandCut, BandLabel};
use crate::split::meta::{BandMeta, SplitMeta};

/// Name of the band that holds a mask which is no band of its product.
pub const KEPT: &str = "CLOUD";
/// Its values.
const KEPT_CLEAR: u8 = 0;
const KEPT_CLOUD: u8 = 1;
const KEPT_FILL: u8 = u8::MAX;
/// What they are called: a product's own band of that name has others, or none.
const KEPT_CLASSES: [(u32, &str); 2] = [(0, "clear"), (1, "cloud")];

/// The band that says what a split's pixels see.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The band.
    pub band: &'a BandMeta,
    meaning: &'static Meaning,
}

impl<'a> Judge<'a> {
    /// Returns the band that a split's cloud share was counted from; `None` where it is not stored.
    pub fn of(split: &'a SplitMeta) -> Option<Self> {
        let counted = dataset::meaning(split.cloud_source.as_deref()?)?;
        split.bands.iter().find_map(|band| {
            let told = (&*band.name, band.categorical, &*band.class_names);
            let meaning = reading(counted, told)?;
            Some(Self { band, meaning })
        })
    }

    /// Returns what each pixel of the band sees, row by row.
    pub fn sky(&self, raster: &Raster) -> Vec<Sky> {
        each_sample_type!(raster.samples(), values => {
            let fill = fill_of(values, self.band.fill);
            let sky = |value: &_| {
                if is_fill(*value, fill) {
                    Sky::Void
                } else {
                    (self.meaning.sky)(u32::nearest(value.to_f64()))
                }
            };
            values.iter().map(sky).collect()
        })
    }
}

fn fill_of<T: Pixel>(_values: &[T], fill: Option<f64>) -> Option<T> {
    fill.and_then(T::exactly)
}

/// Returns how the values of a band (its name, whether it is of classes, and their names) are read
/// where clouds were counted by that meaning; `None` if they were not counted from this band.
fn reading(
    counted: &'static Meaning,
    (name, categorical, classes): (&str, bool, &[ClassName]),
) -> Option<&'static Meaning> {
    if !categorical {
        return None;
    }
    if !counted.band.is_empty() && counted.band == name {
        return Some(counted);
    }
    let is_kept = name == KEPT && classes == ClassName::table(&KEPT_CLASSES);
    is_kept.then_some(&NON_ZERO)
}

/// Reads the mask of a split again from those of its bands that were cut anew; `None` if none of
/// them holds it.
pub(crate) fn read_again(bands: &[BandCut], split: &SplitMeta) -> Option<CloudMask> {
    let counted = dataset::meaning(split.cloud_source.as_deref()?)?;
    let (band, read) = bands.iter().find_map(|band| {
        let label = &band.label;
        let told = (&*label.name, label.categorical, &*label.class_names);
        Some((band, reading(counted, told)?))
    })?;
    let mask = CloudMask::read(&band.warped, read);
    if band.label.name == KEPT || counted.tells_void {
        return Some(CloudMask::new(counted, mask.pixels().to_vec()));
    }
    // As in ingest: what was seen is said by the finest pixels.
    let finest = bands
        .iter()
        .filter(|b| !b.label.categorical)
        .min_by(|a, b| a.label.resolution_m.total_cmp(&b.label.resolution_m))?;
    let same = finest.grid == band.grid;
    same.then(|| mask.only(&finest.warped.valid))
}

/// Returns the band that a mask is stored as which is no band of its product: on the grid that it
/// was judged on, of `resolution_m` metres, with as many pixels `in_footprint` as what it judges.
///
/// `None` if the mask has not one pixel for each of the grid's.
pub fn kept(
    mask: &CloudMask,
    (grid, resolution_m): (&Grid, f64),
    in_footprint: u64,
) -> Option<BandCut> {
    let value = |sky: &Sky| match sky {
        Sky::Void => KEPT_FILL,
        Sky::Cloud => KEPT_CLOUD,
        Sky::Clear | Sky::Shadow | Sky::Snow => KEPT_CLEAR,
    };
    let values: Vec<u8> = mask.pixels().iter().map(value).collect();
    let valid = values.iter().map(|v| *v != KEPT_FILL).collect();
    let raster = Raster::new(grid.width(), grid.height(), Samples::U8(values)).ok()?;
    Some(BandCut {
        label: BandLabel {
            name: KEPT.to_owned(),
            common: None,
            centre_nm: None,
            resolution_m,
            scale: 1.0,
            offset: 0.0,
            categorical: true,
            class_names: ClassName::table(&KEPT_CLASSES),
        },
        grid: grid.clone(),
        warped: Warped {
            raster,
            valid,
            in_footprint,
        },
        fill: Some(f64::from(KEPT_FILL)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Judge, KEPT, KEPT_CLASSES, kept, reading};
    use crate::dataset::landsat::QA_PIXEL;
    use crate::dataset::sentinel2::{CLOUD_PROBABILITY, SCENE_CLASSES};
    use crate::geocode::{Geocode, Scheme};
    use crate::grid::Grid;
    use crate::raster::classes::ClassName;
    use crate::raster::cloud::meaning::{NON_ZERO, SPECTRAL};
    use crate::raster::cloud::{CloudMask, Sky};
    use crate::raster::{Raster, Samples};
    use crate::split::cut::Cut;

    #[test]
    fn only_the_band_that_clouds_were_counted_from_is_read() {
        let classes = ClassName::table(&KEPT_CLASSES);
        let quality = ("QA_PIXEL", true, &[][..]);
        assert_eq!(reading(&QA_PIXEL, quality), Some(&QA_PIXEL));
        assert_eq!(reading(&SCENE_CLASSES, quality), None);
        assert_eq!(reading(&NON_ZERO, quality), None, "a user knows better");
        assert_eq!(reading(&SPECTRAL, quality), None, "a guess judges nothing");
        assert_eq!(reading(&QA_PIXEL, ("QA_PIXEL", false, &[])), None);
        let own = (KEPT, true, &classes[..]);
        assert_eq!(reading(&NON_ZERO, own), Some(&NON_ZERO));
        assert_eq!(reading(&CLOUD_PROBABILITY, own), Some(&NON_ZERO));
        assert_eq!(
            reading(&NON_ZERO, (KEPT, true, &[])),
            None,
            "a scene's own band of that name"
        );
        assert_eq!(reading(&NON_ZERO, ("", true, &classes)), None);
    }

    #[test]
    fn a_mask_that_is_kept_is_read_as_it_was() {
        let cell = Geocode::parse(Scheme::Geohash, "9xj5k1").unwrap();
        let grid = Grid::of(&cell, 60.0).unwrap();
        let pixels = usize::try_from(grid.pixels()).unwrap();
        let sees = [Sky::Cloud, Sky::Clear, Sky::Void];
        let sky: Vec<Sky> = (0..pixels).map(|i| sees[i % 3]).collect();
        let mask = CloudMask::new(&NON_ZERO, sky.clone());
        let band = kept(&mask, (&grid, 60.0), 7).unwrap();
        let cut = Cut::assemble(vec![band]);
        let (band, asset) = (&cut.bands[0], &cut.assets[0]);
        assert_eq!((&*band.name, band.fill), ("CLOUD", Some(255.0)));
        let judge = Judge {
            band,
            meaning: &NON_ZERO,
        };
        assert_eq!(judge.sky(&asset.rasters[0]), sky);
        let short = CloudMask::new(&NON_ZERO, vec![Sky::Clear]);
        assert!(kept(&short, (&grid, 60.0), 7).is_none());
    }

    #[test]
    fn fill_sees_nothing_whatever_it_would_mean() {
        let cell = Geocode::parse(Scheme::Geohash, "9xj5k1").unwrap();
        let grid = Grid::of(&cell, 60.0).unwrap();
        let pixels = usize::try_from(grid.pixels()).unwrap();
        let mask = CloudMask::new(&NON_ZERO, vec![Sky::Clear; pixels]);
        let cut = Cut::assemble(vec![kept(&mask, (&grid, 60.0), 0).unwrap()]);
        let mut band = cut.bands[0].clone();
        (band.name, band.fill) = ("QA_PIXEL".to_owned(), Some(1.0));
        let judge = Judge {
            band: &band,
            meaning: &QA_PIXEL,
        };
        let bits = Raster::new(5, 1, Samples::U16(vec![1, 0, 1 << 3, 1 << 4, 1 << 5]));
        let wanted = [Sky::Void, Sky::Clear, Sky::Cloud, Sky::Shadow, Sky::Snow];
        assert_eq!(judge.sky(&bits.unwrap()), wanted);
        band.fill = Some(8.0);
        let judge = Judge {
            band: &band,
            meaning: &QA_PIXEL,
        };
        let bits = Raster::new(1, 1, Samples::U16(vec![1 << 3])).unwrap();
        assert_eq!(judge.sky(&bits), [Sky::Void]);
    }
}
