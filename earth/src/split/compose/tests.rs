//! Compositions of small splits, from files to the image.

use super::*;
use crate::geocode::Scheme;
use crate::raster::{Raster, Samples};
use crate::split::codec::{self, Encoded};
use crate::split::cut::{BandCut, BandLabel, Cut};
use crate::split::meta::{META_VERSION, MaskCounts};
use crate::split::placement::PlacementRule;

/// What distinguishes one small split from another.
#[derive(Clone)]
struct Small {
    scene: &'static str,
    day: u8,
    offset: f64,
    /// The stored number of every pixel; 0 is fill.
    value: fn(usize) -> u16,
    /// The scene class of every 20 m pixel, if it is delivered.
    class: Option<fn(usize) -> u8>,
    cloudy: Option<u64>,
}

fn label(name: &str, resolution_m: f64, offset: f64) -> BandLabel {
    BandLabel {
        name: name.to_owned(),
        common: (name == "B04").then(|| "red".to_owned()),
        centre_nm: None,
        resolution_m,
        scale: 0.0001,
        offset,
        categorical: name == "SCL",
        class_names: Vec::new(),
    }
}

fn band(label: BandLabel, samples: impl Fn(usize) -> Samples) -> BandCut {
    let cell = cell();
    let grid = Grid::of(&cell, label.resolution_m).unwrap();
    let samples = samples(usize::try_from(grid.pixels()).unwrap());
    let raster = Raster::new(grid.width(), grid.height(), samples).unwrap();
    let valid = raster.validity(Some(0.0));
    BandCut {
        warped: crate::raster::reproject::Warped {
            in_footprint: raster.pixels(),
            raster,
            valid,
        },
        label,
        grid,
        fill: Some(0.0),
    }
}

fn cell() -> Geocode {
    Geocode::parse(Scheme::Geohash, "9xj5k1").unwrap()
}

fn split(small: &Small) -> Encoded {
    let mut bands = vec![band(label("B04", 10.0, small.offset), |n| {
        Samples::U16((0..n).map(small.value).collect())
    })];
    if let Some(class) = small.class {
        let classes = |n| Samples::U8((0..n).map(class).collect());
        bands.push(band(label("SCL", 20.0, 0.0), classes));
    }
    let cut = Cut::assemble(bands);
    let mask = small.cloudy.map(|cloudy| MaskCounts {
        valid: 100,
        cloudy,
        shadow: None,
        snow: None,
    });
    let mut counts = cut.counts;
    counts.mask = mask;
    let meta = SplitMeta {
        version: META_VERSION,
        id: SplitId::new("c", small.scene, &cell()).unwrap(),
        dataset: "sentinel-2-l2a".to_owned(),
        platform: None,
        geocode: cell(),
        placement_key: PlacementRule::Whole.key(&cell()),
        acquired: format!("2020-06-{:02}T10:00:00Z", small.day)
            .parse()
            .unwrap(),
        assets: Vec::new(),
        bands: cut.bands.clone(),
        counts,
        cloud_source: small.class.map(|_| "scl".to_owned()),
        missing_bands: Vec::new(),
        texture: None,
        source_hash: String::new(),
        software: "test".to_owned(),
    };
    codec::encode(meta, &cut.assets).unwrap()
}

fn small(scene: &'static str, day: u8, value: fn(usize) -> u16) -> Small {
    Small {
        scene,
        day,
        offset: 0.0,
        value,
        class: None,
        cloudy: Some(10),
    }
}

fn wish(rule: Rule) -> Wish {
    Wish {
        rule,
        bands: Vec::new(),
        resolution_m: None,
        resampling: Resampling(Method::Nearest),
        limits: Limits {
            coverage_min: 1.0,
            cloud_max: None,
        },
    }
}

fn compose(wish: Wish, splits: &[Encoded]) -> Result<Composed, ComposeError> {
    let metas: Vec<SplitMeta> = splits.iter().map(|s| s.meta.clone()).collect();
    let mut composition = Composition::new(wish, &metas)?;
    for split in splits {
        let wanted = composition.reader().files(&split.meta);
        let files: SplitFiles<'_> = split
            .files
            .iter()
            .filter(|(name, _)| wanted.contains(name))
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        let read = composition.reader().read(&split.meta, &files)?;
        composition.add(&split.meta, read)?;
        if composition.is_enough() {
            break;
        }
    }
    composition.finish()
}

fn pixels(found: &Composed, band: &str) -> Vec<f64> {
    let meta = found.meta.bands.iter().find(|b| b.name == band).unwrap();
    let assets = &found.cut.assets;
    let asset = assets.iter().find(|a| a.name == meta.asset).unwrap();
    asset.rasters[meta.index as usize].samples().to_f64()
}

#[test]
fn splits_are_added_until_the_limits_are_reached() {
    let splits = [
        split(&small("a", 1, |i| if i < 500 { 7 } else { 0 })),
        split(&small("b", 2, |i| if i >= 500 { 8 } else { 0 })),
        split(&small("never", 3, |_| 9)),
    ];
    let found = compose(wish(Rule::Newest), &splits).unwrap();
    assert!(found.reached && (found.coverage - 1.0).abs() < 1e-12);
    assert_eq!(found.parts.len(), 2);
    let red = pixels(&found, "B04");
    assert_eq!((red[499], red[500]), (7.0, 8.0));
    let from = pixels(&found, PROVENANCE);
    assert_eq!((from[499], from[500]), (1.0, 2.0));
    assert_eq!(found.parts[0].used, 500);
    assert!((found.parts[1].grew.0 - found.parts[0].grew.1).abs() < 1e-12);
    assert_eq!(found.meta.id.scene(), "newest_20200601_20200602");
    let stored = codec::encode(found.meta, &found.cut.assets).unwrap();
    assert!(stored.files.iter().all(|(_, b)| codec::verify(b).is_ok()));
}

#[test]
fn limits_that_are_out_of_reach_are_said_to_be() {
    let splits = [split(&small("a", 1, |i| if i < 500 { 7 } else { 0 }))];
    let found = compose(wish(Rule::LeastCloud), &splits).unwrap();
    assert!(!found.reached && found.coverage < 1.0);
    let mut clear = wish(Rule::LeastCloud);
    clear.limits = Limits {
        coverage_min: 0.1,
        cloud_max: Some(0.05),
    };
    let found = compose(clear, &splits).unwrap();
    assert!(!found.reached, "a tenth is cloudy: {:?}", found.cloud);
    assert!((found.cloud.unwrap() - 0.1).abs() < 1e-12 && !found.sky_known);
}

#[test]
fn another_processing_baseline_is_the_same_reflectance() {
    let late = Small {
        offset: -0.1,
        ..small("late", 2, |i| if i >= 500 { 1_300 } else { 0 })
    };
    let early = small("early", 1, |i| if i < 500 { 300 } else { 0 });
    let found = compose(wish(Rule::Newest), &[split(&late), split(&early)]).unwrap();
    let red = pixels(&found, "B04");
    assert_eq!((red[0], red[600]), (1_300.0, 1_300.0));
    assert!((found.meta.bands[0].offset + 0.1).abs() < 1e-12);
}

#[test]
fn classes_of_a_coarser_band_say_what_a_pixel_sees() {
    let cloudy = Small {
        class: Some(|i| if i % 2 == 0 { 9 } else { 4 }),
        cloudy: Some(50),
        ..small("cloudy", 1, |_| 5)
    };
    let clear = Small {
        class: Some(|_| 4),
        cloudy: Some(0),
        ..small("clear", 2, |i| if i % 3 == 0 { 0 } else { 6 })
    };
    let mut asked = wish(Rule::LeastCloud);
    asked.bands = vec!["red".to_owned()];
    asked.limits.cloud_max = Some(0.0);
    let found = compose(asked, &[split(&cloudy), split(&clear)]).unwrap();
    assert!(found.sky_known && found.parts.len() == 2);
    assert_eq!(found.meta.bands.len(), 2, "red and provenance");
    let (red, from) = (pixels(&found, "B04"), pixels(&found, PROVENANCE));
    let (fine, coarse) = (&found.cut.assets[0].grid, Grid::of(&cell(), 20.0).unwrap());
    let (width, height) = (fine.width() as usize, fine.height() as usize);
    let (across, down) = (coarse.width() as usize, coarse.height() as usize);
    let under_cloud = |i: usize| {
        let column = (2 * (i % width) + 1) * across / (2 * width);
        let row = (2 * (i / width) + 1) * down / (2 * height);
        (row * across + column).is_multiple_of(2)
    };
    for i in 0..red.len() {
        let wanted = if under_cloud(i) && i % 3 != 0 {
            2.0
        } else {
            1.0
        };
        assert!((from[i] - wanted).abs() < 0.1, "pixel {i}");
        assert!((red[i] - wanted - 4.0).abs() < 0.1);
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let a = split(&small("a", 1, |_| 1));
    let mut stranger = a.clone();
    stranger.meta.dataset = "naip".to_owned();
    let refused = compose(wish(Rule::Median), &[a.clone(), stranger]);
    assert!(matches!(refused, Err(ComposeError::Stranger { .. })));
    let mut asked = wish(Rule::Median);
    asked.bands = vec!["nir".to_owned()];
    let refused = compose(asked, std::slice::from_ref(&a)).unwrap_err();
    assert!(refused.to_string().contains("B04 (red)"), "{refused}");
    let refused = compose(wish(Rule::MaxNdvi), std::slice::from_ref(&a));
    assert_eq!(refused, Err(ComposeError::Splice(SpliceError::NoNdvi)));
    let mut giant = wish(Rule::Median);
    giant.resolution_m = Some(0.01);
    let refused = compose(giant, &[a]);
    assert!(matches!(refused, Err(ComposeError::TooLarge { .. })));
}
