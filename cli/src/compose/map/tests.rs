//! A map from disk against the same map made in memory, byte for byte.

use std::collections::BTreeMap;

use earth::extent::LonLatBox;
use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::splice::Rule;
use earth::raster::{Raster, Samples};
use earth::split::codec;
use earth::split::cut::AssetRaster;
use earth::split::meta::{META_VERSION, PixelCounts, SplitMeta};
use earth::split::placement::PlacementRule;
use wire::compose::{CellPlan, CellReport, PartReport, Provenance};

use super::*;
use crate::compose::Target;
use crate::compose::image::Decoded;
use crate::compose::region::{Region, Verb};
use crate::export::Format;

/// Bands of answers, and whether they are classes.
const BANDS: [(&str, bool); 2] = [("answer", false), ("outside", true)];

fn band((name, categorical): (&str, bool), asset: &str, resolution_m: f64) -> BandMeta {
    let is_answer = asset == "answers.tif";
    BandMeta {
        name: name.to_owned(),
        common: None,
        centre_nm: None,
        asset: asset.to_owned(),
        index: u32::from(name == BANDS[1].0),
        resolution_m,
        sample: if is_answer {
            SampleType::F32
        } else {
            SampleType::U16
        },
        fill: (!is_answer).then_some(0.0),
        scale: 1.0,
        offset: 0.0,
        categorical,
        stats: None,
        classes: None,
        class_names: Vec::new(),
    }
}

fn part(id: &str) -> PartReport {
    PartReport {
        id: SplitId::parse(id).unwrap(),
        acquired: "2026-07-01T00:00:00Z".parse().unwrap(),
        pixel_coverage: 100.0,
        cloud_cover: None,
        pixels_used: 1,
        coverage_before: 0.0,
        coverage_after: 100.0,
    }
}

/// Answers of a cell that differ from pixel to pixel; `void` says which are fill.
fn image(
    cell: &Geocode,
    resolution_m: f64,
    void: impl Fn(usize) -> bool,
) -> (CellImage, Vec<Bytes>) {
    let grid = Grid::of(cell, resolution_m).unwrap();
    let pixels = usize::try_from(grid.pixels()).unwrap();
    let floats = |seed: f32| {
        let value = |i: usize| {
            if void(i) {
                f32::NAN
            } else {
                (i as f32 * 0.37).sin() + seed
            }
        };
        Samples::F32((0..pixels).map(value).collect())
    };
    let from = |i: usize| u16::from(!void(i)) * u16::try_from(1 + i % 2).unwrap();
    let raster = |samples| Raster::new(grid.width(), grid.height(), samples).unwrap();
    let asset = |name: &str, fill, rasters| AssetRaster {
        name: name.to_owned(),
        resolution_m,
        grid: grid.clone(),
        fill,
        rasters,
    };
    let assets = [
        asset(
            "answers.tif",
            None,
            vec![raster(floats(0.0)), raster(floats(3.0))],
        ),
        asset(
            "provenance.tif",
            Some(0.0),
            vec![raster(Samples::U16((0..pixels).map(from).collect()))],
        ),
    ];
    let meta = meta(cell, resolution_m);
    let encoded = codec::encode(meta, &assets).unwrap();
    let files = encoded.files.into_iter();
    let files: Vec<(String, Bytes)> = files.map(|(n, b)| (n, Bytes::from(b))).collect();
    let image = CellImage {
        report: report(cell),
        split: encoded.meta,
        files: CellImage::entries(&files),
    };
    (image, files.into_iter().map(|(_, bytes)| bytes).collect())
}

/// Returns what is known of a cell's answers before they are encoded.
fn meta(cell: &Geocode, resolution_m: f64) -> SplitMeta {
    let id = SplitId::new("c", &format!("newest_{cell}"), cell).unwrap();
    let mut bands = BANDS.map(|b| band(b, "answers.tif", resolution_m)).to_vec();
    bands.push(band((PROVENANCE, true), "provenance.tif", resolution_m));
    SplitMeta {
        version: META_VERSION,
        id,
        dataset: "naip".to_owned(),
        platform: None,
        geocode: *cell,
        placement_key: PlacementRule::Whole.key(cell),
        acquired: "2026-07-01T00:00:00Z".parse().unwrap(),
        assets: Vec::new(),
        bands,
        counts: PixelCounts::default(),
        cloud_source: None,
        missing_bands: Vec::new(),
        texture: None,
        source_hash: String::new(),
        software: String::new(),
    }
}

fn report(cell: &Geocode) -> CellReport {
    CellReport {
        geocode: cell.to_string(),
        dataset: "naip".to_owned(),
        rule: Rule::Newest,
        reached: true,
        pixel_coverage: 100.0,
        cloud_cover: None,
        cloud_by_pixel: false,
        provenance: Provenance::Part,
        parts: vec![
            part(&format!("c/one~{cell}")),
            part(&format!("c/two~{cell}")),
        ],
        node: String::new(),
        predicted: None,
    }
}

/// Scenes have one number everywhere; "one" is the third, "two" the first.
fn number(id: &SplitId) -> u16 {
    BTreeMap::from([("one", 3), ("two", 1)])[id.scene()]
}

fn plan(images: &[(CellImage, Vec<Bytes>)]) -> ComposePlan {
    let cell = |(image, _): &(CellImage, Vec<Bytes>)| {
        let resolution_m = image.split.bands[0].resolution_m;
        let grid = Grid::of(&image.split.geocode, resolution_m).unwrap();
        CellPlan {
            geocode: image.split.geocode.to_string(),
            scheme: image.split.geocode.scheme(),
            dataset: "naip".to_owned(),
            resolution_m,
            width: grid.width(),
            height: grid.height(),
            bands: BANDS.map(|(n, _)| (n.to_owned(), SampleType::F32)).to_vec(),
            splits: Vec::new(),
            expected: 1,
            bytes: 0,
            owners: Vec::new(),
        }
    };
    let mut cells: Vec<CellPlan> = images.iter().map(cell).collect();
    cells.sort_by(|a, b| a.geocode.cmp(&b.geocode));
    ComposePlan { cells }
}

/// Returns the files that a set put in its place, and the folder's names.
fn placed(set: Set, folder: &Path) -> (Vec<Vec<u8>>, usize) {
    let files = set.files();
    let report = crate::export::stage_file(&folder.join("map.json"), Existing::Keep, b"{}");
    set.place(report.unwrap()).unwrap();
    let read = files.iter().map(|path| std::fs::read(path).unwrap());
    (read.collect(), std::fs::read_dir(folder).unwrap().count())
}

fn check(images: &[(CellImage, Vec<Bytes>)], area: Option<&LonLatBox>) {
    let layout = || Layout::new(&plan(images), area, Verb::Predict).unwrap();
    let [disk, memory] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let mut map = Map::new(layout(), &disk.path().join("map.tif")).unwrap();
    // What a killed command leaves: no name was ever there.
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0);
    for (image, files) in images.iter().rev() {
        map.place((image, files), number).unwrap();
    }
    let mut region = Region::new(layout()).unwrap();
    for (image, files) in images {
        let decoded = Decoded::of(image, files).unwrap();
        region.place(image, &decoded, number).unwrap();
    }
    let coverage = map.coverage();
    assert!((coverage - region.coverage()).abs() < 1e-12, "{coverage}");
    assert!(coverage > 5.0, "{coverage}");
    let target = Target {
        path: memory.path().join("map.tif"),
        whole: true,
        format: Format::Cog,
        existing: Existing::Keep,
    };
    let whole = Set::of(&region.finish().unwrap(), &target.path, &target).unwrap();
    let (whole, _) = placed(whole, memory.path());
    let (strips, names) = placed(map.finish(Existing::Keep).unwrap(), disk.path());
    assert_eq!((strips.len(), names), (2, 3));
    for (strips, whole) in strips.iter().zip(&whole) {
        assert!(strips == whole, "{} {}", strips.len(), whole.len());
    }
}

fn cells(codes: &[&str]) -> Vec<Geocode> {
    let parse = |code: &&str| Geocode::parse(Scheme::Geohash, code).unwrap();
    codes.iter().map(parse).collect()
}

#[test]
fn a_map_made_of_strips_is_the_one_that_is_made_in_one_piece() {
    // Four cells of several rows of tiles, one lacking: pixels of no cell are fill.
    let cells = cells(&["9xj5k", "9xj5s", "9xj5m"]);
    let images: Vec<_> = { cells.iter().zip(2..) }
        .map(|(cell, holes)| image(cell, 10.0, |i| i % 97 < holes))
        .collect();
    check(&images, None);
    let bounds = cells[0].bounds();
    let (wide, high) = (
        bounds.east() - bounds.west(),
        bounds.north() - bounds.south(),
    );
    let inner = LonLatBox::new(
        bounds.west() + 0.3 * wide,
        bounds.south() + 0.2 * high,
        bounds.east() + 0.4 * wide,
        bounds.north() + 0.3 * high,
    );
    check(&images, Some(&inner.unwrap()));
}

#[test]
fn cells_of_other_pixels_are_brought_onto_strips_as_onto_the_whole() {
    // 9xj lies in one row of anchors, 9xh below it, whose pixels are wider.
    let above = cells(&["9xj0"])[0];
    let below = above.neighbours().into_iter().find(|n| {
        n.centre().lat < above.centre().lat && (n.centre().lon - above.centre().lon).abs() < 1e-9
    });
    let images = [(above, 60.0), (below.unwrap(), 120.0)];
    let images = images.map(|(cell, resolution_m)| image(&cell, resolution_m, |i| i % 31 == 7));
    check(&images, None);
}

#[test]
fn a_map_without_a_hole_has_no_fill_in_its_provenance() {
    let cells = cells(&["9xj5k"]);
    let whole = [image(&cells[0], 30.0, |_| false)];
    check(&whole, None);
}

#[test]
fn answers_of_another_kind_are_refused_and_leave_nothing() {
    let cells = cells(&["9xj5k"]);
    let (mut image, files) = image(&cells[0], 60.0, |_| false);
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&[(image.clone(), Vec::new())]);
    let layout = Layout::new(&plan, None, Verb::Predict).unwrap();
    let mut map = Map::new(layout, &folder.path().join("map.tif")).unwrap();
    image.split.bands[2].name = "answer".to_owned();
    let fault = map.place((&image, &files), number).unwrap_err();
    let why = fault.because.join("; ");
    assert!(why.contains("U16, not F32"), "{why}");
    drop(map);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
