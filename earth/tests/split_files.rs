//! The files of a split: what is written is read back, any damage is found.
//!
//! What GDAL makes of them: `tests/gdal/files.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up must fail")]

use earth::geocode::{Geocode, Scheme};
use earth::geotiff::GeoTiff;
use earth::grid::Grid;
use earth::raster::pixel::Pixel;
use earth::raster::reproject::Warped;
use earth::raster::{Raster, Samples};
use earth::split::codec::{
    DecodeError, Encoded, SEAL_END, asset_name, decode, encode, head_length, read_meta, verify,
};
use earth::split::cut::{BandCut, BandLabel, Cut};
use earth::split::measure::measure;
use earth::split::meta::{META_VERSION, SplitId, SplitMeta};
use earth::split::placement::PlacementRule;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

/// A split made by this test with version 1 of the format; never written anew.
const GOLDEN: &[u8] = include_bytes!("golden/split-v1-r10.tif");

fn pattern<T: Pixel>(count: usize, void: Option<f64>) -> Vec<T> {
    let mut state = 99_u32;
    (0..count)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f64::from(state >> 24) + (i % 251) as f64 / 2.0;
            T::nearest(void.filter(|_| i % 13 == 0).unwrap_or(value))
        })
        .collect()
}

fn band(name: &str, common: &str, resolution_m: f64, cell: &Geocode) -> BandCut {
    let grid = Grid::of(cell, resolution_m).unwrap();
    let categorical = common.is_empty();
    let count = usize::try_from(grid.pixels()).unwrap();
    let samples = if categorical {
        Samples::U8(pattern(count, Some(0.0)))
    } else {
        Samples::U16(pattern(count, Some(0.0)))
    };
    let raster = Raster::new(grid.width(), grid.height(), samples).unwrap();
    let valid = raster.validity(Some(0.0));
    let in_footprint = grid.pixels();
    let label = BandLabel {
        name: name.to_owned(),
        common: (!categorical).then(|| common.to_owned()),
        centre_nm: None,
        resolution_m,
        scale: if categorical { 1.0 } else { 1e-4 },
        offset: if categorical { 0.0 } else { -0.1 },
        categorical,
        class_names: Vec::new(),
    };
    BandCut {
        label,
        grid,
        warped: Warped {
            raster,
            valid,
            in_footprint,
        },
        fill: Some(0.0),
    }
}

fn split(code: &str) -> Encoded {
    let cell = Geocode::parse(Scheme::Geohash, code).unwrap();
    let cut = Cut::assemble(vec![
        band("B01", "coastal", 60.0, &cell),
        band("B02", "blue", 10.0, &cell),
        band("B03", "green", 10.0, &cell),
        band("B04", "red", 10.0, &cell),
        band("SCL", "", 60.0, &cell),
    ]);
    let measured = measure(&cut, None);
    let meta = SplitMeta {
        version: META_VERSION,
        id: SplitId::new("s2", "S2A_20221005T115411_T29UNU", &cell).unwrap(),
        dataset: "sentinel-2-l2a".to_owned(),
        platform: Some("sentinel-2a".to_owned()),
        geocode: cell,
        placement_key: PlacementRule::Whole.key(&cell),
        acquired: "2022-10-05T11:54:11Z".parse().unwrap(),
        assets: Vec::new(),
        bands: measured.bands,
        counts: measured.counts,
        cloud_source: measured.cloud_source,
        missing_bands: vec!["B06".to_owned()],
        texture: measured.texture,
        source_hash: "0".repeat(64),
        software: "glebe test".to_owned(),
    };
    encode(meta, &cut.assets).unwrap()
}

#[test]
fn a_split_is_read_back_as_it_was_written() {
    let written = split("gc6dr");
    let names: Vec<_> = written
        .files
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["r10.tif", "r60.tif", "r60-u8.tif"]);
    for (name, bytes) in &written.files {
        assert_eq!(verify(bytes).unwrap(), written.meta);
        assert_eq!(asset_name(bytes).unwrap(), *name);
        let head = head_length(&bytes[..SEAL_END]).unwrap();
        assert_eq!(read_meta(&bytes[..head]).unwrap(), written.meta);
    }
    let cell = written.meta.geocode;
    let wanted = band("B04", "red", 10.0, &cell).warped.raster;
    assert_eq!(decode(&written.files[0].1, &[2, 0]).unwrap()[0], wanted);
    let classes = band("SCL", "", 60.0, &cell).warped.raster;
    assert_eq!(decode(&written.files[2].1, &[0]).unwrap(), [classes]);
    assert!(matches!(
        decode(&written.files[0].1, &[3]),
        Err(DecodeError::File(_))
    ));
}

#[test]
fn the_same_split_gives_the_same_bytes() {
    assert_eq!(split("gc6dr"), split("gc6dr"));
}

#[test]
fn files_of_version_1_stay_readable() {
    if std::env::var_os("GLEBE_WRITE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/split-v1-r10.tif");
        std::fs::write(path, &split("gc6drx").files[0].1).unwrap();
    }
    let meta = verify(GOLDEN).unwrap();
    assert_eq!(meta.id.as_str(), "s2/S2A_20221005T115411_T29UNU~gc6drx");
    assert_eq!(meta.bands.len(), 5);
    let size = (meta.assets[0].width, meta.assets[0].height);
    let count = size.0 as usize * size.1 as usize;
    let found = decode(GOLDEN, &[0, 1, 2]).unwrap();
    assert_eq!(found[1].samples(), &Samples::U16(pattern(count, Some(0.0))));
}

#[test]
fn foreign_bytes_are_refused() {
    for bytes in [
        &b""[..],
        b"II",
        b"II\x2a\x00\x08\x00\x00\x00",
        &[0; 4096],
        b"MM\x00\x2a",
    ] {
        assert!(read_meta(bytes).is_err() && verify(bytes).is_err());
        assert!(decode(bytes, &[0]).is_err());
    }
    // Directories that point at themselves, behind a valid header.
    let mut looped = b"II\x2a\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00".to_vec();
    assert!(decode(&looped, &[0]).is_err());
    looped[10..14].copy_from_slice(&[0; 4]);
    assert!(decode(&looped, &[0]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_byte_is_found_and_never_panics(at in any::<usize>(), flip in 1..=255_u8) {
        let mut bytes = GOLDEN.to_vec();
        // Half of the changes fall into the head.
        let head = head_length(GOLDEN).unwrap();
        let at = if at % 2 == 0 { at / 2 % head } else { at / 2 % bytes.len() };
        bytes[at] ^= flip;
        prop_assert!(verify(&bytes).is_err(), "byte {at}");
        drop(decode(&bytes, &[0, 1, 2]));
        if at < head {
            prop_assert!(read_meta(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_shortened_or_lengthened_file_is_found(at in any::<usize>(), more in 1..9_usize) {
        let cut = &GOLDEN[..at % GOLDEN.len()];
        prop_assert!(verify(cut).is_err());
        drop((read_meta(cut), decode(cut, &[0, 1])));
        let longer = [GOLDEN, &vec![0; more]].concat();
        prop_assert!(verify(&longer).is_err());
    }

    #[test]
    fn garbage_never_panics(garbage: Vec<u8>, from in any::<usize>()) {
        let from = from % GOLDEN.len();
        let mut bytes = GOLDEN.to_vec();
        for (byte, new) in bytes[from..].iter_mut().zip(&garbage) {
            *byte = *new;
        }
        drop((decode(&bytes, &[0]), GeoTiff::open(&bytes), GeoTiff::open(&garbage)));
    }
}
