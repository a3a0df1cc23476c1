//! SEN3 folders of SLSTR and OLCI at level 1: real manifests around netCDF files written here,
//! since no real one is at hand. They are netCDF classic; real ones are netCDF-4, which the real
//! OLCI scenes of `sentinel3` are too.
//!
//! *Invariants*: every expected value is the law that wrote the fixture.
//!
//! *Not here*: real scenes (`sentinel3`).

use std::path::{Path, PathBuf};

use earth::raster::georef::Georef;
use earth::split::codec;
use ingest::plan;
use ingest::source::{self, Given, Scene};

use crate::classic::{Numbers, Variable, write};
use crate::place::{open, pack, real};
use crate::real_products::cut_some;

const SLSTR: &str = "S3A_SL_1_RBT____20210930T220914_\
    20210930T221214_20211002T102150_0180_077_043_5400_LN2_O_NT_004";
const OLCI: &str = "S3A_OL_1_EFR____20211021T073827_\
    20211021T074112_20211021T091357_0164_077_334_4320_LN1_O_NR_002";

/// Makes a folder with the real manifest of a product.
fn folder(out: &Path, name: &str) -> Option<PathBuf> {
    let manifest = real("sentinel3_metadata_only")?.join(format!("{name}.SEN3/xfdumanifest.xml"));
    let folder = out.join(format!("{name}.SEN3"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("xfdumanifest.xml"),
        std::fs::read(manifest).unwrap(),
    )
    .unwrap();
    Some(folder)
}

/// Columns and rows of a grid of that many metres.
fn size(metres: f64) -> (usize, usize) {
    if metres < 600.0 { (160, 120) } else { (80, 60) }
}

/// Where a pixel position of a grid lies: a turned swath across the antimeridian; longitudes
/// count on past 180.
fn ground(metres: f64, column: f64, row: f64) -> (f64, f64) {
    let (east, south) = (column * metres / 111_320.0, row * metres / 110_570.0);
    let (sin, cos) = 12_f64.to_radians().sin_cos();
    (
        179.7 + east * cos - south * sin,
        -9.0 - east * sin - south * cos,
    )
}

/// What bands measure at a place: number `band` of its product.
fn law(band: f64, (lon, lat): (f64, f64)) -> f64 {
    let lon = if lon < 0.0 { lon + 360.0 } else { lon };
    20.0 * band + 40.0 * (lon - 179.0) + 9.0 * (lat + 10.0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the laws stay within the types"
)]
fn grid(metres: f64, value: impl Fn((f64, f64), (usize, usize)) -> f64) -> Vec<i32> {
    let (width, height) = size(metres);
    let at = |i: usize| {
        let (column, row) = (i % width, i / width);
        let place = ground(metres, column as f64 + 0.5, row as f64 + 0.5);
        value(place, (column, row)).round() as i32
    };
    (0..width * height).map(at).collect()
}

fn positions(path: &Path, metres: f64, (lat, lon): (&str, &str)) {
    let wrapped = |lon: f64| if lon > 180.0 { lon - 360.0 } else { lon };
    let variable = |name: &str, numbers| Variable {
        name: name.to_owned(),
        numbers: Numbers::Int(numbers),
        attributes: vec![("scale_factor", Numbers::Double(vec![1e-6]))],
    };
    let lats = grid(metres, |p, _| p.1 * 1e6);
    let lons = grid(metres, |p, _| wrapped(p.0) * 1e6);
    write(
        path,
        size(metres),
        &[variable(lat, lats), variable(lon, lons)],
    );
}

/// Writes a band: stored = (value - offset) / scale; the first row is missing.
fn band(folder: &Path, metres: f64, (variable, number): (&str, f64), (scale, offset): (f64, f64)) {
    let stored = grid(metres, |p, (_, row)| {
        if row == 0 {
            -32_768.0
        } else {
            (law(number, p) - offset) / scale
        }
    });
    let numbers = stored.iter().map(|n| i16::try_from(*n).unwrap()).collect();
    let variable = Variable {
        name: variable.to_owned(),
        numbers: Numbers::Short(numbers),
        attributes: vec![
            ("scale_factor", Numbers::Double(vec![scale])),
            ("add_offset", Numbers::Double(vec![offset])),
            ("_FillValue", Numbers::Short(vec![-32_768])),
        ],
    };
    let path = folder.join(format!("{}.nc", variable.name));
    write(&path, size(metres), &[variable]);
}

/// Writes the confidence word: the left half is cloud, the last two rows are not filled.
fn confidence(folder: &Path, meanings: &str) {
    let (width, height) = size(500.0);
    let numbers = grid(500.0, |_, (column, row)| match (row, column) {
        (r, _) if r + 2 >= height => 32.0,
        (_, c) if c < width / 2 => 16_384.0 + 2.0,
        _ => 2.0,
    });
    let masks = (0..15).map(|bit| 1_i16 << bit).chain([i16::MIN]);
    let variable = Variable {
        name: "confidence_an".to_owned(),
        numbers: Numbers::Short(numbers.iter().map(|n| i16::try_from(*n).unwrap()).collect()),
        attributes: vec![
            ("flag_masks", Numbers::Short(masks.collect())),
            ("flag_meanings", Numbers::Text(meanings.to_owned())),
        ],
    };
    write(&folder.join("flags_an.nc"), size(500.0), &[variable]);
}

const CONFIDENCE: &str = "coastline ocean tidal land inland_water unfilled spare spare cosmetic \
                          duplicate day twilight sun_glint snow summary_cloud summary_pointing";

fn slstr(out: &Path) -> Option<PathBuf> {
    let folder = folder(out, SLSTR)?;
    positions(
        &folder.join("geodetic_an.nc"),
        500.0,
        ("latitude_an", "longitude_an"),
    );
    positions(
        &folder.join("geodetic_in.nc"),
        1000.0,
        ("latitude_in", "longitude_in"),
    );
    for n in 1..=9 {
        let number = f64::from(n);
        if n <= 6 {
            band(
                &folder,
                500.0,
                (&format!("S{n}_radiance_an"), number),
                (0.01, 0.0),
            );
        } else {
            band(
                &folder,
                1000.0,
                (&format!("S{n}_BT_in"), number),
                (0.01, 283.73),
            );
        }
    }
    confidence(&folder, CONFIDENCE);
    Some(folder)
}

/// Compares every valid pixel of every split with the law; returns how many there are.
fn check(scene: &Scene, number: impl Fn(&str) -> f64) -> usize {
    let done = cut_some(scene, 4, |_| 1);
    let mut pixels = 0;
    for waiting in &done.splits {
        let files = done.spool.read(&waiting.files).unwrap();
        for band in waiting.meta.bands.iter().filter(|b| !b.categorical) {
            let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
            let raster = codec::decode(bytes, &[band.index as usize])
                .unwrap()
                .remove(0);
            let grid = Georef::from(&plan::grid(&waiting.meta.geocode, band.resolution_m).unwrap());
            for (i, valid) in raster.validity(band.fill).iter().enumerate() {
                let (column, row) = (i % grid.width as usize, i / grid.width as usize);
                let centre = grid.affine.to_ground(column as f64 + 0.5, row as f64 + 0.5);
                let value = raster.samples().get(i).unwrap() * band.scale + band.offset;
                // A pixel of 1 km is 0.36 of the law; outermost ones have fewer neighbours.
                let off = (value - law(number(&band.name), centre)).abs();
                assert!(
                    !valid || off < 0.37,
                    "{} {}: {off}",
                    waiting.meta.geocode,
                    band.name
                );
                pixels += usize::from(*valid && off < 0.03);
            }
        }
    }
    pixels
}

#[test]
fn a_slstr_folder_across_the_antimeridian_is_cut_into_nine_channels_that_obey_their_law() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = slstr(out.path()) else {
        return;
    };
    let scene = open(&folder);
    assert_eq!(
        (scene.name.as_str(), scene.dataset.name),
        (SLSTR, "sentinel-3-slstr")
    );
    assert_eq!(scene.platform.as_deref(), Some("sentinel-3a"));
    assert_eq!(scene.acquired.to_string(), "2021-09-30T22:09:13.843538Z");
    assert!(scene.missing.is_empty(), "{:?}", scene.missing);
    let resolutions: Vec<_> = scene.measured().map(|l| l.resolution_m).collect();
    assert_eq!(
        resolutions,
        [
            500.0, 500.0, 500.0, 500.0, 500.0, 500.0, 1000.0, 1000.0, 1000.0
        ]
    );
    let pixels = check(&scene, |name| name[1..].parse().unwrap());
    // Six bands of 160 × 120 and three of 80 × 60 pixels, less the row that is missing.
    assert!(pixels > 110_000, "{pixels} pixels obey the law");
    let mask = cut_some(&scene, 4, |_| 1).counts.mask.unwrap();
    let cloud = 100.0 * mask.cloudy as f64 / mask.valid as f64;
    assert!((cloud - 50.0).abs() < 0.5, "{cloud} %");
    assert_eq!((mask.shadow, mask.snow), (None, None));
    // Pixels of a cell are up to a tenth smaller than nominal: sides are whole multiples.
    let filled = mask.valid as f64 / (160.0 * 118.0);
    assert!(
        (filled - 1.0).abs() < 0.1,
        "{filled} of the filled pixels are judged"
    );
}

#[test]
fn a_zipped_folder_is_the_scene_of_the_folder() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = slstr(out.path()) else {
        return;
    };
    let zip = out.path().join("renamed.zip");
    pack(&folder, &zip);
    let (plain, packed) = (open(&folder), open(&zip));
    assert_eq!((&packed.name, packed.dataset), (&plain.name, plain.dataset));
    assert_eq!(packed.delivered.hash, plain.delivered.hash);
    assert_eq!(source::named(&zip), source::named(&folder));
    let (a, b) = (cut_some(&plain, 4, |_| 1), cut_some(&packed, 4, |_| 1));
    assert_eq!((a.counts, a.splits.len()), (b.counts, b.splits.len()));
    assert!(check(&packed, |name| name[1..].parse().unwrap()) > 110_000);
    // A file of it that is cut short is missed before the netCDF library fills it with zeros.
    let whole = std::fs::read(folder.join("S3_radiance_an.nc")).unwrap();
    let band = folder.join("S3_radiance_an.nc");
    std::fs::write(&band, &whole[..whole.len() - 2000]).unwrap();
    let fault = source::open(&folder, &Given::default()).unwrap_err();
    assert!(fault.what.contains("S3_radiance_an.nc"), "{fault:?}");
    assert!(
        fault.because[0].contains("cut short") && fault.try_.is_some(),
        "{fault:?}"
    );
}

#[test]
fn flags_whose_attributes_name_other_bits_are_no_mask() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = slstr(out.path()) else {
        return;
    };
    confidence(
        &folder,
        &CONFIDENCE.replace("snow summary_cloud", "summary_cloud snow"),
    );
    let scene = open(&folder);
    assert!(scene.mask.is_none());
    // Radiances and temperatures are no reflectances either: clouds stay unknown.
    assert!(cut_some(&scene, 4, |_| 1).counts.mask.is_none());
}

#[test]
fn an_olci_folder_lacks_what_is_not_there_and_its_radiances_are_no_reflectances() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = folder(out.path(), OLCI) else {
        return;
    };
    positions(
        &folder.join("geo_coordinates.nc"),
        300.0,
        ("latitude", "longitude"),
    );
    for number in [4, 6, 8] {
        let variable = format!("Oa{number:02}_radiance");
        band(
            &folder,
            300.0,
            (&variable, f64::from(number)),
            (0.0135, 0.0),
        );
    }
    let scene = open(&folder);
    assert_eq!(scene.dataset.name, "sentinel-3-olci-l1");
    assert_eq!(scene.acquired.to_string(), "2021-10-21T07:38:27.254946Z");
    assert_eq!((scene.measured().count(), scene.missing.len()), (3, 18));
    assert!(
        scene
            .measured()
            .all(|l| (l.resolution_m - 300.0).abs() < 1e-9 && l.common.is_none())
    );
    let pixels = check(&scene, |name| name[2..].parse().unwrap());
    assert!(pixels > 50_000, "{pixels} pixels obey the law");
    assert!(cut_some(&scene, 4, |_| 1).counts.mask.is_none());
}

#[test]
fn an_olci_folder_of_level_2_over_water_has_reflectances_that_judge_no_clouds() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = folder(out.path(), OLCI) else {
        return;
    };
    let manifest = folder.join("xfdumanifest.xml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(">OL_1_EFR___<", ">OL_2_WFR___<")).unwrap();
    positions(
        &folder.join("geo_coordinates.nc"),
        300.0,
        ("latitude", "longitude"),
    );
    for number in [4, 6, 16] {
        let variable = format!("Oa{number:02}_reflectance");
        band(&folder, 300.0, (&variable, f64::from(number)), (0.02, 0.0));
    }
    let scene = open(&folder);
    assert_eq!(scene.dataset.name, "sentinel-3-olci-l2-water");
    assert_eq!((scene.measured().count(), scene.missing.len()), (3, 13));
    let pixels = check(&scene, |name| name[2..].parse().unwrap());
    assert!(pixels > 50_000, "{pixels} pixels obey the law");
    assert!(cut_some(&scene, 4, |_| 1).counts.mask.is_none());
}

/// Writes two bands of one file.
fn twins(path: &Path, metres: f64, bands: [(&str, f64); 2]) {
    let variable = |(name, number): (&str, f64)| {
        let stored = grid(metres, |p, _| law(number, p) / 0.02);
        Variable {
            name: name.to_owned(),
            numbers: Numbers::Short(stored.iter().map(|n| i16::try_from(*n).unwrap()).collect()),
            attributes: vec![("scale_factor", Numbers::Double(vec![0.02]))],
        }
    };
    write(path, size(metres), &bands.map(variable));
}

/// fAPAR had another name before, and two reflectances share a file.
#[test]
fn an_olci_folder_of_level_2_over_land_is_read_in_either_baselines_names() {
    let number = |name: &str| match name {
        "GIFAPAR" => 1.0,
        "RC681" => 10.0,
        "RC865" => 17.0,
        _ => panic!("{name}"),
    };
    for (vegetation, reflectances) in [("GIFAPAR", "rc_gifapar.nc"), ("OGVI", "rc_ogvi.nc")] {
        let out = tempfile::tempdir().unwrap();
        let Some(folder) = folder(out.path(), OLCI) else {
            return;
        };
        let manifest = folder.join("xfdumanifest.xml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace(">OL_1_EFR___<", ">OL_2_LFR___<")).unwrap();
        positions(
            &folder.join("geo_coordinates.nc"),
            300.0,
            ("latitude", "longitude"),
        );
        band(&folder, 300.0, (vegetation, 1.0), (0.02, 0.0));
        let lower = format!("{}.nc", vegetation.to_ascii_lowercase());
        std::fs::rename(folder.join(format!("{vegetation}.nc")), folder.join(lower)).unwrap();
        let two = [("RC681", 10.0), ("RC865", 17.0)];
        twins(&folder.join(reflectances), 300.0, two);
        let scene = open(&folder);
        assert_eq!(scene.dataset.name, "sentinel-3-olci-l2-land");
        assert_eq!(scene.missing, ["OTCI", "IWV"]);
        let pixels = check(&scene, number);
        assert!(pixels > 50_000, "{pixels} pixels obey the law");
        assert!(cut_some(&scene, 4, |_| 1).counts.mask.is_none());
    }
}

#[test]
fn folders_that_are_not_whole_are_refused_with_the_reason() {
    let out = tempfile::tempdir().unwrap();
    let Some(folder) = slstr(out.path()) else {
        return;
    };
    let fault = |what: &str| {
        let fault = source::open(&folder, &Given::default()).unwrap_err();
        let text = format!("{fault:?}");
        assert!(text.contains(what), "{text}");
    };
    let geodetic = folder.join("geodetic_in.nc");
    let whole = std::fs::read(&geodetic).unwrap();
    std::fs::write(&geodetic, &whole[..100]).unwrap();
    fault("geodetic_in.nc");
    // Positions of another grid than the pixels'.
    std::fs::copy(folder.join("geodetic_an.nc"), &geodetic).unwrap();
    fault("latitude_in");
    std::fs::remove_file(&geodetic).unwrap();
    fault("lacks geodetic_in.nc");
    std::fs::write(&geodetic, whole).unwrap();
    let manifest = folder.join("xfdumanifest.xml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(">SL_1_RBT___<", ">SL_2_LST___<")).unwrap();
    fault("SL_2_LST");
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    fault("xfdumanifest.xml");
}
