//! Rasters as they come: sample types, tiles and strips, byte orders, compressions, predictors,
//! fill values, masks. Each variant is written by gdal_translate and read back.
//!
//! *Invariants*: what a variant only packs otherwise gives the very same numbers; pixels that a
//! file calls void in any way are void in the split.
//!
//! *Not here*: where pixels fall (`conformance`).

use std::path::{Path, PathBuf};
use std::process::Command;

use earth::raster::pixel::Pixel;
use earth::split::codec;
use earth::split::meta::SampleType;
use gdal::DriverManager;
use gdal::raster::{Buffer, GdalType};
use ingest::cutting::CutScene;
use ingest::limits;
use ingest::source::{self, Given, Scene};

use crate::real_products::cut_some;

/// Columns and rows of the rasters written.
const SIZE: (usize, usize) = (61, 47);

/// Numbers that differ everywhere, every seventh of them 0.
fn number(i: usize) -> f64 {
    if i.is_multiple_of(7) {
        0.0
    } else {
        (i % 120) as f64 + 1.0
    }
}

/// Writes a raster of two bands at 0.0005 degrees; the second holds twice the first's numbers.
pub(crate) fn write<T: GdalType + Pixel>(file: &Path, value: impl Fn(f64) -> f64) {
    limits::set_gdal().unwrap();
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let (width, height) = SIZE;
    let mut raster = driver
        .create_with_band_type::<T, _>(file, width, height, 2)
        .unwrap();
    let srs = gdal::spatial_ref::SpatialRef::from_epsg(4326).unwrap();
    raster.set_spatial_ref(&srs).unwrap();
    raster
        .set_geo_transform(&[10.01, 0.0005, 0.0, 50.03, 0.0, -0.0005])
        .unwrap();
    for (band, factor) in [(1, 1.0), (2, 2.0)] {
        let numbers = (0..width * height).map(|i| T::nearest(value(factor * number(i))));
        let numbers: Vec<T> = numbers.collect();
        let mut buffer = Buffer::new(SIZE, numbers);
        let mut band = raster.rasterband(band).unwrap();
        band.write((0, 0), SIZE, &mut buffer).unwrap();
    }
    raster.close().unwrap();
}

/// Writes a variant of a raster.
fn translate(from: &Path, to: &str, flags: &[&str]) -> PathBuf {
    let target = from.with_file_name(to);
    let done = Command::new("gdal_translate")
        .args(["-q"])
        .args(flags)
        .args([from, &target])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{flags:?}: {said}");
    target
}

fn given() -> Given {
    Given {
        dataset: Some("generic".to_owned()),
        acquired: Some("2020-06-01T00:00:00Z".parse().unwrap()),
        ..Given::default()
    }
}

fn open(file: &Path) -> Scene {
    limits::set_gdal().unwrap();
    source::open(file, &given()).unwrap()
}

/// Returns the numbers of a scene's bands, whole, as its files hold them.
fn read(scene: &Scene) -> Vec<Vec<u64>> {
    let layers = scene.layers.iter();
    layers
        .map(|layer| {
            let raster = layer.image.read(layer.band, layer.image.georef().whole());
            let numbers = raster.unwrap().samples().to_f64();
            numbers.into_iter().map(f64::to_bits).collect()
        })
        .collect()
}

/// Returns the numbers of every band of every split, void ones as `None`.
fn cells(cut: &CutScene) -> Vec<Vec<Option<f64>>> {
    let mut found = Vec::new();
    for split in &cut.splits {
        let files = cut.spool.read(&split.files).unwrap();
        for band in &split.meta.bands {
            let (_, bytes) = files.iter().find(|(name, _)| *name == band.asset).unwrap();
            let raster = codec::decode(bytes, &[band.index as usize])
                .unwrap()
                .remove(0);
            let valid = raster.validity(band.fill);
            let numbers = raster.samples().to_f64().into_iter().zip(valid);
            found.push(numbers.map(|(n, v)| v.then_some(n)).collect());
        }
    }
    found
}

#[test]
fn however_a_geotiff_is_packed_its_numbers_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tif");
    write::<u16>(&plain, |v| v * 100.0);
    let wanted = read(&open(&plain));
    let variants: [&[&str]; 14] = [
        &[
            "-co",
            "TILED=YES",
            "-co",
            "BLOCKXSIZE=16",
            "-co",
            "BLOCKYSIZE=32",
        ],
        &["-co", "BLOCKYSIZE=1"],
        &["-co", "BLOCKYSIZE=47", "-co", "INTERLEAVE=BAND"],
        &["-co", "ENDIANNESS=BIG"],
        &[
            "-co",
            "ENDIANNESS=BIG",
            "-co",
            "COMPRESS=LZW",
            "-co",
            "PREDICTOR=2",
        ],
        &["-co", "BIGTIFF=YES", "-co", "TILED=YES"],
        &["-co", "COMPRESS=LZW"],
        &["-co", "COMPRESS=LZW", "-co", "PREDICTOR=2"],
        &[
            "-co",
            "COMPRESS=DEFLATE",
            "-co",
            "PREDICTOR=2",
            "-co",
            "TILED=YES",
        ],
        &["-co", "COMPRESS=ZSTD", "-co", "PREDICTOR=2"],
        &["-co", "COMPRESS=LZMA"],
        &["-co", "COMPRESS=PACKBITS", "-co", "INTERLEAVE=BAND"],
        &["-co", "NBITS=15"],
        &["-of", "COG", "-co", "BLOCKSIZE=128"],
    ];
    for (i, flags) in variants.into_iter().enumerate() {
        let variant = translate(&plain, &format!("{i}.tif"), flags);
        assert!(
            read(&open(&variant)) == wanted,
            "{flags:?} changed the numbers"
        );
    }
    let jp2 = [
        "-of",
        "JP2OpenJPEG",
        "-co",
        "QUALITY=100",
        "-co",
        "REVERSIBLE=YES",
    ];
    let jp2 = translate(&plain, "plain.jp2", &jp2);
    assert!(read(&open(&jp2)) == wanted, "JPEG 2000 changed the numbers");
}

#[test]
fn every_sample_type_is_kept_with_its_numbers() {
    fn check<T: GdalType + Pixel>(folder: &Path, to: SampleType, value: impl Fn(f64) -> f64) {
        let file = folder.join(format!("{to:?}.tif"));
        write::<T>(&file, value);
        let flags = ["-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=3"];
        let float = matches!(to, SampleType::F32 | SampleType::F64);
        let packed = float.then(|| translate(&file, &format!("{to:?}-3.tif"), &flags));
        let whole = read(&open(&file));
        for file in packed.iter().chain([&file]) {
            let scene = open(file);
            assert!(scene.layers.iter().all(|l| l.sample == to), "{to:?}");
            assert!(read(&scene) == whole, "{to:?}");
            let cut = cut_some(&scene, 4, |_| 1);
            assert!(!cut.splits.is_empty());
            for split in &cut.splits {
                assert!(split.meta.bands.iter().all(|b| b.sample == to), "{to:?}");
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    check::<u8>(folder, SampleType::U8, |v| v);
    check::<u16>(folder, SampleType::U16, |v| v * 250.0);
    check::<i16>(folder, SampleType::I16, |v| v - 100.0);
    check::<u32>(folder, SampleType::U32, |v| v * 1e7);
    check::<i32>(folder, SampleType::I32, |v| v * -8e6);
    check::<f32>(folder, SampleType::F32, |v| v / 7.0);
    check::<f64>(folder, SampleType::F64, |v| v * 1e-300);
}

#[test]
fn signed_bytes_are_negative_numbers_and_complex_or_64_bit_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tif");
    write::<u8>(&plain, |v| v);
    let signed = translate(&plain, "signed.tif", &["-co", "PIXELTYPE=SIGNEDBYTE"]);
    let scene = open(&signed);
    assert_eq!(scene.layers[1].sample, SampleType::I16);
    let numbers: Vec<f64> = read(&scene)[1].iter().map(|b| f64::from_bits(*b)).collect();
    let wanted: Vec<f64> = (0..SIZE.0 * SIZE.1)
        .map(|i| 2.0 * number(i))
        .map(|v| if v > 127.0 { v - 256.0 } else { v })
        .collect();
    assert!(numbers == wanted);
    let complex = translate(&plain, "complex.tif", &["-ot", "CFloat32"]);
    let fault = source::open(&complex, &given()).unwrap_err();
    assert!(
        fault.because[0].contains("complex") && fault.try_.is_some(),
        "{fault:?}"
    );
    for kind in ["Int64", "UInt64"] {
        let long = translate(&plain, &format!("{kind}.tif"), &["-ot", kind]);
        let fault = source::open(&long, &given()).unwrap_err();
        assert!(
            fault.because[0].contains(kind) && fault.try_.is_some(),
            "{fault:?}"
        );
    }
}

#[test]
fn what_a_file_calls_void_in_any_way_is_void_in_its_splits() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tif");
    write::<u8>(&plain, |v| v);
    let filled = translate(&plain, "fill.tif", &["-a_nodata", "0"]);
    let wanted = cells(&cut_some(&open(&filled), 4, |_| 1));
    assert!(wanted.iter().flatten().any(Option::is_none));
    let mask = [
        "-b",
        "1",
        "-b",
        "2",
        "-mask",
        "1",
        "--config",
        "GDAL_TIFF_INTERNAL_MASK",
        "YES",
    ];
    let masked = translate(&plain, "mask.tif", &mask);
    let alpha = ["-b", "1", "-b", "2", "-b", "1", "-colorinterp_3", "alpha"];
    let alpha = translate(&plain, "alpha.tif", &alpha);
    let rgba = [
        "-b",
        "1",
        "-b",
        "2",
        "-b",
        "2",
        "-b",
        "1",
        "-colorinterp_4",
        "alpha",
    ];
    let rgba = open(&translate(&plain, "rgba.tif", &rgba));
    let void = |scene: &Scene| {
        cells(&cut_some(scene, 4, |_| 1))
            .iter()
            .flatten()
            .any(Option::is_none)
    };
    assert!(rgba.layers.len() == 3 && void(&rgba));
    for file in [&masked, &alpha] {
        let scene = open(file);
        assert_eq!(scene.layers.len(), 2, "an alpha band is no layer");
        let found = cells(&cut_some(&scene, 4, |_| 1));
        assert!(found == wanted, "{} differs", file.display());
    }
    // Floats: NaN, and a fill value.
    let float = folder.path().join("float.tif");
    write::<f32>(&float, |v| if v > 0.0 { v } else { f64::NAN });
    let nan = cells(&cut_some(&open(&float), 4, |_| 1));
    let other = folder.path().join("other.tif");
    write::<f32>(&other, |v| if v > 0.0 { v } else { -3.4e38 });
    let other = translate(&other, "low.tif", &["-a_nodata", "-3.4e38"]);
    assert!(cells(&cut_some(&open(&other), 4, |_| 1)) == nan);
}

#[test]
fn bands_have_fill_values_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tif");
    write::<u8>(&plain, |v| v);
    let bands = r#"{"bands": [{"name": "a", "fill": 0}, {"name": "b", "fill": 14}]}"#;
    std::fs::write(folder.path().join("plain.json"), bands).unwrap();
    let scene = open(&plain);
    assert_eq!(
        [scene.layers[0].fill, scene.layers[1].fill],
        [Some(0.0), Some(14.0)]
    );
    let cut = cut_some(&scene, 4, |_| 1);
    for split in &cut.splits {
        let fills: Vec<_> = split.meta.bands.iter().map(|b| b.fill).collect();
        assert_eq!(fills, [Some(0.0), Some(14.0)]);
        let (a, b) = (&split.meta.bands[0], &split.meta.bands[1]);
        assert!(a.stats.as_ref().unwrap().min > 0.0);
        assert!(
            b.stats.as_ref().unwrap().min.abs() <= 0.0,
            "0 is a number in band b"
        );
    }
}

#[test]
fn bands_of_palettes_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.tif");
    write::<u8>(&plain, |v| v);
    let colours = folder.path().join("p.vrt");
    let text = format!(
        "<VRTDataset rasterXSize=\"{}\" rasterYSize=\"{}\"><SRS>EPSG:4326</SRS><GeoTransform>10.01, \
         0.0005, 0, 50.03, 0, -0.0005</GeoTransform><VRTRasterBand dataType=\"Byte\" band=\"1\">\
         <ColorInterp>Palette</ColorInterp><ColorTable><Entry c1=\"1\" c2=\"2\" c3=\"3\"/></ColorTable>\
         <SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>\
         </VRTRasterBand></VRTDataset>",
        SIZE.0,
        SIZE.1,
        plain.display()
    );
    std::fs::write(&colours, text).unwrap();
    let palette = translate(&colours, "palette.tif", &[]);
    assert!(open(&palette).layers[0].categorical);
    let source: Vec<_> = read(&open(&palette)).remove(0);
    let cut = cut_some(&open(&palette), 4, |_| 1);
    let held: Vec<f64> = source.into_iter().map(f64::from_bits).collect();
    for number in cells(&cut).iter().flatten().flatten() {
        assert!(
            held.iter().any(|h| (h - number).abs() <= 0.0),
            "{number} is between classes"
        );
    }
}
