//! Re-splitting is the identity on pixels; what it measures is what a direct cut measures.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up must fail")]

use earth::dataset::sentinel2::SCENE_CLASSES;
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::Raster;
use earth::raster::cloud::meaning::NON_ZERO;
use earth::raster::cloud::{CloudMask, Sky};
use earth::raster::pixel::Pixel;
use earth::raster::reproject::Warped;
use earth::split::codec::{Encoded, encode};
use earth::split::cut::{BandCut, BandLabel, Cut};
use earth::split::measure::measure;
use earth::split::meta::{META_VERSION, SplitId, SplitMeta};
use earth::split::placement::PlacementRule;
use earth::split::resplit::{Loaded, Resplit, ResplitError, resolutions, targets};
use earth::split::sky::kept;

/// How pixels of a band come about.
#[derive(Clone, Copy)]
enum Pattern {
    /// Noise over a slope, valid everywhere.
    Whole,
    /// The same with a corner of fill and holes.
    Holed,
    /// Scene classes 1..=11 with 0 in the corner.
    Classes,
}

fn values<T: Pixel>(grid: &Grid, pattern: Pattern) -> Vec<T> {
    let mut state = 5_u32;
    let value = |i: u64| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 24);
        let (column, row) = (i % u64::from(grid.width()), i / u64::from(grid.width()));
        // The north-western third of both sides, where a whole row of deeper cells is void.
        let corner = 3 * column < u64::from(grid.width()) && 3 * row < u64::from(grid.height());
        let hole = corner || i.is_multiple_of(37);
        T::nearest(match pattern {
            Pattern::Whole => noise + 1.0,
            Pattern::Holed => f64::from(u8::from(!hole)) * (noise + column as f64 + 1.0),
            Pattern::Classes if corner => 0.0,
            Pattern::Classes => noise % 11.0 + 1.0,
        })
    };
    (0..grid.pixels()).map(value).collect()
}

fn band<T: Pixel>(name: &str, metres: f64, cell: &Geocode, pattern: Pattern) -> BandCut {
    let grid = Grid::of(cell, metres).unwrap();
    let samples = T::into_samples(values(&grid, pattern));
    let raster = Raster::new(grid.width(), grid.height(), samples).unwrap();
    let fill = (!matches!(pattern, Pattern::Whole)).then_some(0.0);
    let commons = [("B02", "blue"), ("B03", "green"), ("B04", "red")];
    let common = commons.iter().find(|(n, _)| *n == name);
    let categorical = matches!(pattern, Pattern::Classes);
    BandCut {
        label: BandLabel {
            name: name.to_owned(),
            common: common.map(|(_, c)| (*c).to_owned()),
            centre_nm: None,
            resolution_m: metres,
            scale: if categorical { 1.0 } else { 1e-4 },
            offset: 0.0,
            categorical,
            class_names: Vec::new(),
        },
        warped: Warped {
            valid: raster.validity(fill),
            in_footprint: grid.pixels(),
            raster,
        },
        grid,
        fill,
    }
}

fn meta_of(cell: &Geocode) -> SplitMeta {
    SplitMeta {
        version: META_VERSION,
        id: SplitId::new("s2", "scene", cell).unwrap(),
        dataset: "sentinel-2-l2a".to_owned(),
        platform: None,
        geocode: *cell,
        placement_key: PlacementRule::Whole.key(cell),
        acquired: "2022-10-05T11:54:11Z".parse().unwrap(),
        assets: Vec::new(),
        bands: Vec::new(),
        counts: earth::split::meta::PixelCounts::default(),
        cloud_source: None,
        missing_bands: Vec::new(),
        texture: None,
        source_hash: "0".repeat(64),
        software: "glebe test".to_owned(),
    }
}

fn encoded(cell: &Geocode, found: Resplit) -> Encoded {
    let meta = SplitMeta {
        bands: found.measured.bands,
        counts: found.measured.counts,
        cloud_source: found.measured.cloud_source,
        texture: found.measured.texture,
        ..meta_of(cell)
    };
    encode(meta, &found.cut.assets).unwrap()
}

fn load(split: &Encoded) -> Loaded {
    let files: Vec<&Vec<u8>> = split.files.iter().map(|(_, bytes)| bytes).collect();
    Loaded::read(&files).unwrap()
}

fn deeper(split: &Encoded, precision: u8) -> Vec<Encoded> {
    let whole = load(split);
    let metres = resolutions(&whole.meta().assets);
    let cells = targets(&whole.meta().geocode, precision, &metres).unwrap();
    let cut = |cell: &Geocode| Some(encoded(cell, whole.deeper(cell).unwrap()?));
    cells.iter().filter_map(cut).collect()
}

#[test]
fn cut_and_put_together_again_is_the_same_split() {
    let codes = [
        (Scheme::Geohash, "gc6", 4),
        (Scheme::QuadTile, "0313131", 9),
    ];
    for (scheme, code, precision) in codes {
        let cell = Geocode::parse(scheme, code).unwrap();
        let void = coarse(&cell);
        let solid = with(
            &cell,
            vec![band::<i16>("B05", 240.0, &cell, Pattern::Whole)],
        );
        let all = targets(&cell, precision, &[120.0]).unwrap().len();
        assert!(deeper(&void, precision).len() < all);
        assert_eq!(deeper(&solid, precision).len(), all);
        for split in [void, solid] {
            let parts = deeper(&split, precision);
            let again = Loaded::merged(parts.iter().rev().map(load).collect(), &cell);
            let again = encoded(&cell, again.unwrap().unwrap());
            assert_eq!(again.meta.assets, split.meta.assets, "pixels differ");
            let mut found = again.meta.clone();
            assert!(found.counts.in_footprint <= split.meta.counts.in_footprint);
            found.counts.in_footprint = split.meta.counts.in_footprint;
            assert_eq!(found, split.meta);
        }
    }
}

/// A split as ingest makes them, with few pixels: bands at 120 m, classes at 240 m.
fn coarse(cell: &Geocode) -> Encoded {
    with(cell, Vec::new())
}

/// The same with more bands.
fn with(cell: &Geocode, more: Vec<BandCut>) -> Encoded {
    let classes = band::<u8>("SCL", 240.0, cell, Pattern::Classes);
    let mask = CloudMask::read(&classes.warped, &SCENE_CLASSES);
    let mut bands = vec![
        band::<u16>("B02", 120.0, cell, Pattern::Holed),
        band::<u16>("B03", 120.0, cell, Pattern::Holed),
        band::<u16>("B04", 120.0, cell, Pattern::Holed),
        band::<f32>("B06", 240.0, cell, Pattern::Holed),
        classes,
    ];
    bands.extend(more);
    let cut = Cut::assemble(bands);
    let measured = measure(&cut, Some(&mask));
    encoded(cell, Resplit { cut, measured })
}

/// A split under a user's mask, which is stored as a band.
fn masked(cell: &Geocode) -> Encoded {
    let red = band::<u16>("B04", 120.0, cell, Pattern::Holed);
    let pixels = usize::try_from(red.grid.pixels()).unwrap();
    let sky = |i: usize| match i % 5 {
        0 => Sky::Cloud,
        _ => Sky::Clear,
    };
    let mask = CloudMask::new(&NON_ZERO, (0..pixels).map(sky).collect()).only(&red.warped.valid);
    let stored = kept(&mask, (&red.grid, 120.0), red.grid.pixels()).unwrap();
    let cut = Cut::assemble(vec![red, stored]);
    let measured = measure(&cut, Some(&mask));
    encoded(cell, Resplit { cut, measured })
}

#[test]
fn a_users_mask_is_cut_and_put_together_with_the_pixels_it_judges() {
    let cell = Geocode::parse(Scheme::Geohash, "gc6").unwrap();
    let split = masked(&cell);
    let counted = split.meta.counts.mask.unwrap();
    assert!(0 < counted.cloudy && 4 * counted.cloudy < counted.valid);
    let parts = deeper(&split, 4);
    let from_file = |p: &Encoded| p.meta.cloud_source.as_deref() == Some("file");
    assert!(parts.iter().all(from_file), "judged anew from reflectance");
    let sums = parts.iter().map(|p| p.meta.counts.mask.unwrap().cloudy);
    assert_eq!(sums.sum::<u64>(), counted.cloudy);
    let again = Loaded::merged(parts.iter().map(load).collect(), &cell);
    let again = encoded(&cell, again.unwrap().unwrap());
    assert_eq!(again.meta.assets, split.meta.assets, "pixels differ");
    assert_eq!(again.meta.counts.mask, Some(counted));
    assert_eq!(again.meta.cloud_source.as_deref(), Some("file"));
}

#[test]
fn statistics_of_parts_merge_to_those_of_the_whole() {
    let cell = Geocode::parse(Scheme::Geohash, "gc6").unwrap();
    let split = with(
        &cell,
        vec![band::<i16>("B05", 240.0, &cell, Pattern::Whole)],
    );
    let parts = deeper(&split, 4);
    for (index, whole) in split.meta.bands.iter().enumerate() {
        let stats = parts
            .iter()
            .filter_map(|p| p.meta.bands[index].stats.clone());
        let merged = stats.reduce(|a, b| a.merge(&b)).unwrap();
        let wanted = whole.stats.clone().unwrap();
        assert_eq!(merged.histogram, wanted.histogram, "{}", whole.name);
        assert_eq!(merged.count, wanted.count);
        assert!((merged.mean - wanted.mean).abs() <= 1e-9 * wanted.mean.abs());
        assert!((merged.m2 - wanted.m2).abs() <= 1e-9 * wanted.m2);
    }
    let sum = |of: fn(&SplitMeta) -> u64| parts.iter().map(|p| of(&p.meta)).sum::<u64>();
    assert_eq!(sum(|m| m.counts.valid), split.meta.counts.valid);
    let cloudy = |m: &SplitMeta| m.counts.mask.unwrap().cloudy;
    assert_eq!(sum(cloudy), cloudy(&split.meta));
}

#[test]
fn cells_that_are_no_windows_are_refused_with_the_reason() {
    let cell = |code| Geocode::parse(Scheme::Geohash, code).unwrap();
    let error = targets(&cell("gc6"), 2, &[10.0]).unwrap_err();
    assert!(matches!(error, ResplitError::AboveAnchor { .. }), "{error}");
    // 2^10 pixels and more halve ten times; fourteen bits deeper nothing is whole.
    let error = targets(&cell("gc6drxx"), 8, &[10.0]).unwrap_err();
    assert!(matches!(error, ResplitError::NoWindow { .. }), "{error}");
    assert!(error.to_string().contains("gc6drxx"), "{error}");
    let parts = deeper(&coarse(&cell("gc6")), 4);
    let error = Loaded::merged(vec![load(&parts[0])], &cell("gc7")).unwrap_err();
    assert!(matches!(error, ResplitError::Apart { .. }), "{error}");
}

#[test]
fn damaged_and_mixed_files_are_refused() {
    let cell = |code| Geocode::parse(Scheme::Geohash, code).unwrap();
    let (a, b) = (coarse(&cell("gc6")), coarse(&cell("gc7")));
    let mixed = [&a.files[0].1, &b.files[1].1];
    assert!(Loaded::read(&mixed).is_err());
    assert!(Loaded::read(&a.files[..1].iter().map(|f| &f.1).collect::<Vec<_>>()).is_err());
    let mut broken = a.files[0].1.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(Loaded::read(&[&broken]).is_err());
    assert!(Loaded::read(&[] as &[Vec<u8>]).is_err());
}
