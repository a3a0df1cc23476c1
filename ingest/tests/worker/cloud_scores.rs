//! The likelihood of cloud from reflectance alone, scored against the masks that real products
//! deliver: a table by sensor on standard error, and the least that each must reach.
//!
//! *Invariants*: the likelihood was not fitted to these scenes: its middles are those of the
//! literature; masks are read as `earth::dataset` means them; pixels without data are not judged.
//!
//! *Not here*: products without a mask.

use std::path::{Path, PathBuf};

use earth::dataset::landsat::QA_PIXEL;
use earth::dataset::sentinel2::SCENE_CLASSES;
use earth::dataset::sentinel3::IDEPIX;
use earth::raster::cloud::Sky;
use earth::raster::cloud::spectral::{LIKELIHOOD_MIN, Reflectances, likelihood};
use gdal::raster::ResampleAlg;
use gdal::{Dataset, Metadata};
use ingest::limits;

use crate::place::real;

/// Where one scene's bands and mask are: each a file that GDAL opens and a band of it.
struct Scene {
    sensor: &'static str,
    /// Blue, green, red, near infrared, 1.6 µm, 1.38 µm; empty where there is none.
    bands: [(String, usize); 6],
    /// Reflectance = number × scale + offset.
    scale: (f64, f64),
    /// Numbers that are measured.
    valid: (f64, f64),
    mask: (String, fn(u32) -> Sky),
}

/// What is known of one pixel.
#[derive(Clone, Copy)]
struct Judged {
    likelihood: f64,
    cloud: bool,
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn open(path: &str) -> Dataset {
    Dataset::open(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Reads a band onto a raster of another size of the same place, nearest.
fn read(path: &str, band: usize, size: (usize, usize)) -> Vec<f64> {
    let dataset = open(path);
    let own = dataset.raster_size();
    let band = dataset.rasterband(band).unwrap();
    let near = Some(ResampleAlg::NearestNeighbour);
    let buffer = band.read_as::<f64>((0, 0), own, size, near).unwrap();
    buffer.into_shape_and_vec().1
}

/// Judges every pixel that has data and a mask.
fn judge(scene: &Scene) -> Vec<Judged> {
    let (mask, sky) = &scene.mask;
    let size = open(mask).raster_size();
    let mask = read(mask, 1, size);
    let bands = scene.bands.each_ref().map(|(path, band)| {
        let there = !path.is_empty();
        there.then(|| read(path, *band, size))
    });
    let value = |band: usize, i: usize| {
        let number = bands[band].as_ref()?[i];
        let measured = number >= scene.valid.0 && number <= scene.valid.1;
        measured.then_some(number * scene.scale.0 + scene.scale.1)
    };
    let pixel = |i: usize| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "flags"
        )]
        let seen = sky(mask[i] as u32);
        let likelihood = likelihood(&Reflectances {
            blue: value(0, i),
            green: value(1, i),
            red: value(2, i),
            nir: value(3, i),
            swir: value(4, i),
            cirrus: value(5, i),
        })?;
        (seen != Sky::Void).then_some(Judged {
            likelihood,
            cloud: seen == Sky::Cloud,
        })
    };
    (0..mask.len()).filter_map(pixel).collect()
}

/// Precision and recall at the threshold, and the area under the curve (by ranks); NaN where
/// there is nothing to tell apart.
fn score(pixels: &mut [Judged]) -> (f64, f64, f64) {
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let called = |p: &&Judged| p.likelihood >= LIKELIHOOD_MIN;
    let clouds = pixels.iter().filter(|p| p.cloud).count();
    let found = pixels.iter().filter(called);
    let (all, right) = (found.clone().count(), found.filter(|p| p.cloud).count());
    pixels.sort_by(|a, b| a.likelihood.total_cmp(&b.likelihood));
    let (mut ranks, mut at) = (0.0, 0);
    let equal = |a: &Judged, b: &Judged| a.likelihood.total_cmp(&b.likelihood).is_eq();
    for tie in pixels.chunk_by(equal) {
        let rank = at as f64 + f64::midpoint(tie.len() as f64, 1.0);
        ranks += rank * tie.iter().filter(|p| p.cloud).count() as f64;
        at += tie.len();
    }
    let (yes, no) = (clouds as f64, (pixels.len() - clouds) as f64);
    let area = (ranks - yes * (yes + 1.0) / 2.0) / (yes * no);
    (share(right, all), share(right, clouds), area)
}

fn slovenia() -> Vec<Scene> {
    let Some(folder) = real("s2_timeseries_slovenia/geotiff") else {
        return Vec::new();
    };
    let dates = ["20150711T100008", "20150731T100009", "20150909T100017"];
    let scene = |date: &str| {
        let path = text(&folder.join(format!("S2_L1C_{date}.tif")));
        Scene {
            sensor: "Sentinel-2 L1C, Slovenia",
            bands: [2, 3, 4, 8, 12, 11].map(|band| (path.clone(), band)),
            scale: (1e-4, 0.0),
            valid: (1.0, f64::MAX),
            mask: (text(&folder.join(format!("CLM_{date}.tif"))), |value| {
                if value == 1 { Sky::Cloud } else { Sky::Clear }
            }),
        }
    };
    dates.iter().map(|d| scene(d)).collect()
}

fn olci() -> Vec<Scene> {
    let names = ["2017104102450", "2017105095839"];
    let path = |n: &str| real(&format!("sentinel3_olci/O_L2_0001_SNS_{n}_v1.0.nc"));
    let scene = |path: PathBuf| {
        let variable = |name: &str| format!("NETCDF:\"{}\":{name}", path.display());
        let band = |n: u32| (variable(&format!("rtoa_{n}")), 1);
        Scene {
            sensor: "Sentinel-3 OLCI",
            bands: [
                band(4),
                band(6),
                band(8),
                band(17),
                (String::new(), 0),
                (String::new(), 0),
            ],
            scale: (1.0, 0.0),
            valid: (f64::MIN, f64::MAX),
            mask: (variable("pixel_classif_flags"), IDEPIX.sky),
        }
    };
    names.iter().filter_map(|n| path(n)).map(scene).collect()
}

/// Returns the files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Returns the only file below a folder whose name ends so.
fn ends(folder: &Path, end: &str) -> String {
    let mut found = Vec::new();
    files(folder, &mut found);
    found.sort();
    let path = found.iter().find(|p| text(p).ends_with(end));
    path.map(|p| text(p)).unwrap_or_default()
}

fn sentinel2() -> Vec<Scene> {
    let Some(folder) = real("s2_safe") else {
        return Vec::new();
    };
    let products = ["T29UNU", "T22HBD", "T07HFE"];
    let scene = |tile: &str| {
        let mut all: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        all.retain(|p| text(p).contains(tile));
        let band = |name: &str| (ends(&all[0], &format!("_{name}_60m.jp2")), 1);
        Scene {
            sensor: "Sentinel-2 L2A",
            bands: [
                band("B02"),
                band("B03"),
                band("B04"),
                band("B8A"),
                band("B11"),
                (String::new(), 0),
            ],
            scale: (1e-4, if tile == "T29UNU" { -0.1 } else { 0.0 }),
            valid: (1.0, f64::MAX),
            mask: (ends(&all[0], "_SCL_60m.jp2"), SCENE_CLASSES.sky),
        }
    };
    let scenes = products.iter().map(|p| scene(p));
    scenes.filter(|s| !s.mask.0.is_empty()).collect()
}

fn landsat() -> Vec<Scene> {
    let Some(folder) = real("landsat_l8ny18") else {
        return Vec::new();
    };
    let products = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let scene = |product: PathBuf| {
        let band = |n: u32| (ends(&product, &format!("_B{n}.TIF")), 1);
        Scene {
            sensor: "Landsat 8 L1, collection 1",
            bands: [
                band(2),
                band(3),
                band(4),
                band(5),
                band(6),
                (String::new(), 0),
            ],
            // As the MTL of every Landsat 8 product has it, the sun's height left out.
            scale: (2e-5, -0.1),
            valid: (1.0, f64::MAX),
            // Collection 1: bit 0 fill, bit 4 cloud.
            mask: (ends(&product, "_BQA.TIF"), |bits| match bits {
                b if b & 1 != 0 => Sky::Void,
                b if b & 16 != 0 => Sky::Cloud,
                _ => Sky::Clear,
            }),
        }
    };
    products.map(scene).collect()
}

/// Collection 2 of these files lacks the blue band: nothing may be judged.
fn landsat_without_blue() -> Vec<Scene> {
    let Some(folder) = real("landsat_c2") else {
        return Vec::new();
    };
    let products = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let scene = |product: PathBuf| {
        let band = |n: u32| (ends(&product, &format!("_SR_B{n}.TIF")), 1);
        let none = (String::new(), 0);
        Scene {
            sensor: "Landsat 8 L2, without blue",
            bands: [band(2), band(3), band(4), band(5), band(6), none],
            scale: (2.75e-5, -0.2),
            valid: (1.0, f64::MAX),
            mask: (ends(&product, "_QA_PIXEL.TIF"), QA_PIXEL.sky),
        }
    };
    products.map(scene).collect()
}

fn cbers() -> Vec<Scene> {
    let Some(folder) = real("cbers_clouds") else {
        return Vec::new();
    };
    let file = |band: &str| text(&folder.join(format!("CBERS-4_AWFI_{band}_2017-11-17.tif")));
    let band = |name: &str| (file(name), 1);
    let none = || (String::new(), 0);
    vec![Scene {
        sensor: "CBERS-4 AWFI",
        bands: [
            band("B13"),
            band("B14"),
            band("B15"),
            band("B16"),
            none(),
            none(),
        ],
        scale: (1e-4, 0.0),
        valid: (1.0, 10_000.0),
        // 4 stands on the clouded pixels, 0 where nothing was judged.
        mask: (file("CMASK"), |value| {
            if value == 4 { Sky::Cloud } else { Sky::Void }
        }),
    }]
}

fn modis() -> Vec<Scene> {
    let Some(path) = real("modis_hdf4/MOD09A1.A2017193.h18v04.006.2017202035302.hdf") else {
        return Vec::new();
    };
    let lists = open(&text(&path))
        .metadata_domain("SUBDATASETS")
        .unwrap_or_default();
    let field = |name: &str| {
        let line = lists
            .iter()
            .find(|l| l.contains("_NAME=") && l.contains(name));
        line.and_then(|l| Some(l.split_once('=')?.1.to_owned()))
            .unwrap_or_default()
    };
    let band = |n: u32| (field(&format!("refl_b0{n}")), 1);
    vec![Scene {
        sensor: "MODIS MOD09A1",
        bands: [
            band(3),
            band(4),
            band(1),
            band(2),
            band(6),
            (String::new(), 0),
        ],
        scale: (1e-4, 0.0),
        valid: (-100.0, 16_000.0),
        // Bits 0 and 1: clear, cloudy, mixed, not set.
        mask: (field("state"), |bits| match bits & 3 {
            0 => Sky::Clear,
            3 => Sky::Void,
            _ => Sky::Cloud,
        }),
    }]
}

/// Judges the scenes of one sensor together; returns the area, NaN where there is none.
fn row(scenes: &[Scene]) -> Option<(f64, f64, f64)> {
    let sensor = scenes.first()?.sensor;
    let mut pixels: Vec<Judged> = scenes.iter().flat_map(judge).collect();
    let clouds = pixels.iter().filter(|p| p.cloud).count();
    let share = 100.0 * clouds as f64 / pixels.len() as f64;
    let (precision, recall, area) = score(&mut pixels);
    eprintln!(
        "{sensor:28} {:2} scenes {:8} pixels {share:5.1} % cloud: precision {precision:.3}, \
         recall {recall:.3}, AUC {area:.4}",
        scenes.len(),
        pixels.len(),
    );
    Some((precision, recall, area))
}

#[test]
fn clouds_judged_by_reflectance_are_those_of_delivered_masks_on_every_real_scene_that_has_one() {
    limits::set_gdal().unwrap();
    for (scenes, least) in [
        (slovenia(), (0.97, 0.85, 0.99)),
        (olci(), (0.88, 0.97, 0.97)),
        (sentinel2(), (0.97, 0.80, 0.96)),
        (landsat(), (0.75, 0.55, 0.92)),
        (modis(), (0.70, 0.50, 0.98)),
    ] {
        if let Some((precision, recall, area)) = row(&scenes) {
            let sensor = scenes[0].sensor;
            assert!(area > least.2, "{sensor}: AUC {area}");
            assert!(
                precision > least.0 && recall > least.1,
                "{sensor}: {precision} {recall}"
            );
        }
    }
    // Only clouds are marked here, so that nothing can be told apart.
    if let Some((_, recall, _)) = row(&cbers()) {
        assert!(recall > 0.85, "CBERS-4: {recall}");
    }
}

#[test]
fn what_lacks_a_visible_band_is_not_judged_and_never_clear() {
    limits::set_gdal().unwrap();
    for scene in landsat_without_blue() {
        assert!(judge(&scene).is_empty());
    }
}
