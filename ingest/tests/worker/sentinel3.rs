//! Sentinel-3: real OLCI scenes in netCDF against numpy's numbers and GDAL's own geolocation, SEN3
//! folders written for the test around real manifests.
//!
//! *Invariants*: expected numbers come from the oracle files, from GDAL or from the law that wrote
//! the fixture.
//!
//! *Not here*: the search in a swath (`earth/tests/geo/swath.rs`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use earth::extent::LonLat;
use earth::raster::swath::{Place, Swath};
use ingest::source::Scene;
use serde_json::Value;

use crate::bad_input::check;
use crate::place::{open, real};
use crate::real_products::{cut_some, oracles};

const SCENES: [&str; 2] = [
    "sentinel3_olci/O_L2_0001_SNS_2017104102450_v1.0.nc",
    "sentinel3_olci/O_L2_0001_SNS_2017105095839_v1.0.nc",
];

/// Returns the real OLCI scenes with what numpy says of them.
fn scenes() -> Vec<(PathBuf, Value)> {
    let Some(oracles) = oracles() else {
        return Vec::new();
    };
    let all = SCENES
        .iter()
        .filter_map(|name| Some((real(name)?, oracles[*name].clone())));
    all.collect()
}

fn number(facts: &Value, key: &str) -> f64 {
    facts[key].as_f64().unwrap()
}

fn swath(scene: &Scene) -> Arc<Swath> {
    match scene.layers[0].image.georef() {
        Place::Swath(swath) => Arc::clone(swath),
        Place::Mapped(_) => panic!("it has a map"),
    }
}

#[test]
fn a_real_olci_scene_is_cut_with_the_clouds_and_reflectances_that_numpy_counts() {
    for (path, facts) in scenes() {
        let scene = open(&path);
        assert_eq!(scene.dataset.name, "sentinel-3-olci");
        assert_eq!((scene.measured().count(), scene.missing.len()), (21, 0));
        assert_eq!(scene.mask.as_ref().unwrap().meaning.name, "idepix");
        assert!(
            scene
                .layers
                .iter()
                .all(|l| (l.resolution_m - 300.0).abs() < 1e-9)
        );
        let (day, time) = (scene.acquired.to_string(), facts["start"].as_str().unwrap());
        // `15-APR-2017 10:01:35.533860`
        assert_eq!(day[8..10], time[..2], "{day} {time}");
        assert_eq!(day[11..19], time[12..20], "{day} {time}");
        for precision in [3, 4] {
            let done = cut_some(&scene, precision, |_| 1);
            let mask = done.counts.mask.unwrap();
            let cloud = 100.0 * mask.cloudy as f64 / mask.valid as f64;
            let wanted = 100.0 * number(&facts, "cloud_flag2");
            assert!(
                (cloud - wanted).abs() < 0.5,
                "{cloud} % at {precision}, {wanted} % by numpy"
            );
            assert!(mask.shadow.is_some() && mask.snow.is_some());
            // Every pixel of the raster has data, so all that is in the footprint is valid.
            assert_eq!(done.counts.valid, done.counts.in_footprint);
            for (band, key) in [("Oa08", "rtoa_8_mean"), ("Oa17", "rtoa_17_mean")] {
                let mut sums = (0.0, 0.0);
                for split in &done.splits {
                    let band = split.meta.bands.iter().find(|b| b.name == band).unwrap();
                    if let Some(stats) = &band.stats {
                        let count = stats.count as f64;
                        sums = (sums.0 + stats.mean * count, sums.1 + count);
                    }
                }
                let (mean, wanted) = (sums.0 / sums.1, number(&facts, key));
                assert!(
                    (mean - wanted).abs() < 0.004,
                    "{band}: {mean}, {wanted} by numpy"
                );
            }
        }
    }
}

#[test]
fn the_corners_of_a_real_olci_scene_lie_where_its_arrays_say() {
    for (path, facts) in scenes() {
        let swath = swath(&open(&path));
        let whole = swath.whole();
        let centres = (0..whole.width * whole.height).map(|i| {
            let centre = |n: u32| f64::from(n) + 0.5;
            swath
                .to_ground(centre(i % whole.width), centre(i / whole.width))
                .unwrap()
        });
        let centres: Vec<LonLat> = centres.collect();
        let span = |part: fn(&LonLat) -> f64, key: &str| {
            let low = centres.iter().map(part).fold(f64::INFINITY, f64::min);
            let high = centres.iter().map(part).fold(f64::NEG_INFINITY, f64::max);
            for (found, i) in [(low, 0), (high, 1)] {
                let wanted = facts[key][i].as_f64().unwrap();
                assert!((found - wanted).abs() < 1e-6, "{key}: {found} {wanted}");
            }
        };
        span(|p| p.lon, "lon");
        span(|p| p.lat, "lat");
    }
}

/// Writes rasters of column and row numbers that lie where a scene's arrays say, as GDAL reads it.
fn ramps(scene: &Path, whole: (u32, u32), out: &Path) -> PathBuf {
    let (width, height) = whole;
    let values = |value: fn(u32, u32) -> u32| {
        let all = (0..width * height).map(|i| f64::from(value(i % width, i / width)));
        all.flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
    };
    std::fs::write(out.join("columns.raw"), values(|c, _| c)).unwrap();
    std::fs::write(out.join("rows.raw"), values(|_, r| r)).unwrap();
    let line = |key: &str, value: &str| format!("<MDI key=\"{key}\">{value}</MDI>");
    let array = |name: &str| format!("NETCDF:&quot;{}&quot;:{name}", scene.display());
    let geolocation = [
        line("X_DATASET", &array("lon")),
        line("Y_DATASET", &array("lat")),
        line("X_BAND", "1"),
        line("Y_BAND", "1"),
        line("PIXEL_OFFSET", "0"),
        line("LINE_OFFSET", "0"),
        line("PIXEL_STEP", "1"),
        line("LINE_STEP", "1"),
        line("GEOREFERENCING_CONVENTION", "PIXEL_CENTER"),
        line("SRS", "EPSG:4326"),
    ];
    let band = |number: u32, file: &str| {
        format!(
            "<VRTRasterBand dataType=\"Float64\" band=\"{number}\" subClass=\"VRTRawRasterBand\">\
             <SourceFilename relativetoVRT=\"1\">{file}</SourceFilename>\
             <ByteOrder>LSB</ByteOrder><PixelOffset>8</PixelOffset>\
             <LineOffset>{}</LineOffset></VRTRasterBand>",
            8 * width
        )
    };
    let text = format!(
        "<VRTDataset rasterXSize=\"{width}\" rasterYSize=\"{height}\">\
         <Metadata domain=\"GEOLOCATION\">{}</Metadata>{}{}</VRTDataset>",
        geolocation.concat(),
        band(1, "columns.raw"),
        band(2, "rows.raw"),
    );
    let path = out.join("ramps.vrt");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn pixels_of_a_real_swath_lie_where_gdalwarp_finds_them_by_geolocation_arrays() {
    if Command::new("gdalwarp").arg("--version").output().is_err() {
        eprintln!("SKIPPED: gdalwarp is absent (gdal-bin)");
        return;
    }
    for (path, _) in scenes() {
        let scene = open(&path);
        let swath = swath(&scene);
        let whole = swath.whole();
        let folder = tempfile::tempdir().unwrap();
        let ramps = ramps(&path, (whole.width, whole.height), folder.path());
        let target = folder.path().join("warped.tif");
        let mut command = Command::new("gdalwarp");
        command.env("GDAL_NETCDF_BOTTOMUP", "NO");
        command.args([
            "-q",
            "-geoloc",
            "-et",
            "0",
            "-r",
            "bilinear",
            "-t_srs",
            "EPSG:4326",
        ]);
        command.args(["-tr", "0.004", "0.0027", "-dstnodata", "-1"]);
        assert!(command.arg(&ramps).arg(&target).status().unwrap().success());
        let dataset = gdal::Dataset::open(&target).unwrap();
        let transform = dataset.geo_transform().unwrap();
        let band = |number: usize| {
            let band = dataset.rasterband(number).unwrap();
            band.read_band_as::<f64>().unwrap().into_shape_and_vec()
        };
        let (((width, _), columns), (_, rows)) = (band(1), band(2));
        let mut off = Vec::new();
        for (i, (column, row)) in columns.iter().zip(&rows).enumerate() {
            let centre = |n: usize| n as f64 + 0.5;
            let lon = transform[0] + centre(i % width) * transform[1];
            let lat = transform[3] + centre(i / width) * transform[5];
            let inner = |p: &(f64, f64)| {
                (1.0..f64::from(whole.width) - 1.0).contains(&p.0)
                    && (1.0..f64::from(whole.height) - 1.0).contains(&p.1)
            };
            let found = swath.to_pixel(LonLat { lon, lat }).filter(inner);
            if let Some((x, y)) = found.filter(|_| *column >= 0.0) {
                off.push((x - 0.5 - column).hypot(y - 0.5 - row));
            }
        }
        off.sort_by(f64::total_cmp);
        let (count, middle, most) = (off.len(), off[off.len() / 2], off[off.len() * 99 / 100]);
        eprintln!(
            "{count} pixels: half within {middle:.4} px of gdalwarp's, 99 % within {most:.4}"
        );
        // GDAL, too, solves for the place in a quad; only where its search ends may differ.
        assert!(
            count > 7_000 && middle < 1e-3 && most < 0.05,
            "{count} {middle} {most}"
        );
    }
}

#[test]
fn a_real_netcdf_that_is_cut_short_or_damaged_says_what_is_wrong() {
    let Some(whole) = real(SCENES[0]) else {
        return;
    };
    let whole = std::fs::read(whole).unwrap();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("O_L2.nc");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    check(
        &file,
        &[],
        &format!("it has {} bytes of {}", whole.len() / 2, whole.len()),
    );
    let mut damaged = whole;
    damaged[2000..60_000].fill(0x5a);
    std::fs::write(&file, damaged).unwrap();
    check(&file, &[], "what its header points to is damaged");
    std::fs::write(&file, b"<html>404 not found</html>").unwrap();
    check(&file, &[], "it is no netCDF file");
}
