//! Bad input: each row fails with exit code 6, says why and what to try, and leaves nothing.
//!
//! *Invariants*: every row goes through the real process, under its limits.
//!
//! *Not here*: wrong flags (the command line's own checks).

use std::fs;
use std::path::{Path, PathBuf};

use ingest::synth::world::Baseline;

use crate::place::{add, copy, pack, products, real, supervise, t29unu, worker, world};

/// Cuts a scene and checks that it fails as data errors do.
pub(crate) fn check(scene: &Path, flags: &[&str], says: &str) {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("splits");
    let mut args = vec![
        "cut",
        scene.to_str().unwrap(),
        "-O",
        target.to_str().unwrap(),
    ];
    args.extend(flags);
    let output = worker(&args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{}: {text}", scene.display());
    assert!(
        text.starts_with("error: ") && text.contains("\n  because "),
        "{text}"
    );
    assert!(text.contains(says), "'{says}' is not in: {text}");
    assert!(
        !target.exists(),
        "something was stored of {}",
        scene.display()
    );
}

/// A small product in a folder that is kept as long as the value lives.
fn small() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), (1, 1), Baseline::N0400);
    let product = products(folder.path()).remove(0);
    (folder, product)
}

fn image(product: &Path, name: &str) -> PathBuf {
    let granule = fs::read_dir(product.join("GRANULE"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let metres = &name[4..];
    let folder = granule.join("IMG_DATA").join(format!("R{metres}"));
    let mut files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    files
        .find(|p| p.to_str().unwrap().ends_with(&format!("_{name}.jp2")))
        .unwrap()
}

#[test]
fn a_truncated_jpeg_2000_fails_the_scene() {
    let (_keep, product) = small();
    let file = image(&product, "B04_10m");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    check(&product, &[], "B04_10m.jp2");
}

#[test]
fn a_jpeg_2000_that_is_damaged_inside_fails_the_scene() {
    let (_keep, product) = small();
    let file = image(&product, "B08_10m");
    let mut bytes = fs::read(&file).unwrap();
    // The end marker stays; the stream ends too early inside.
    let (from, to) = (bytes.len() / 3, bytes.len() - 2);
    bytes.drain(from..to);
    fs::write(&file, bytes).unwrap();
    check(&product, &[], "B08_10m.jp2");
}

#[test]
fn an_empty_image_or_file_fails() {
    let (keep, product) = small();
    fs::write(image(&product, "B04_10m"), []).unwrap();
    check(&product, &[], "B04_10m.jp2");
    for name in ["x.tif", "x.zip", "x.jp2", "x.SAFE"] {
        let empty = keep.path().join(name);
        fs::write(&empty, []).unwrap();
        check(
            &empty,
            &["--dataset", "generic", "--datetime", "2020-01-01"],
            "0 bytes",
        );
    }
}

#[test]
fn a_product_without_its_metadata_fails() {
    let (_keep, product) = small();
    fs::remove_file(product.join("MTD_MSIL2A.xml")).unwrap();
    check(&product, &[], "MTD_MSIL2A.xml");
}

#[test]
fn metadata_that_is_cut_short_fails() {
    let (_keep, product) = small();
    let file = product.join("MTD_MSIL2A.xml");
    let text = fs::read(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    check(&product, &[], "MTD_MSIL2A.xml");
}

#[test]
fn real_metadata_without_pixels_fails() {
    let Some(folder) = real("s2_safe_metadata_only") else {
        return;
    };
    for product in products(&folder) {
        check(&product, &[], "no pixels");
    }
}

#[test]
fn a_real_truncated_product_stores_nothing() {
    let Some(product) = t29unu() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(product.file_name().unwrap());
    copy(&product, &own);
    let file = image(&own, "B11_60m");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..1_000_000]).unwrap();
    check(&own, &[], "B11_60m.jp2");
}

#[test]
fn a_geotiff_without_a_system_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain.tif");
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    driver
        .create_with_band_type::<u8, _>(&file, 10, 10, 1)
        .unwrap()
        .close()
        .unwrap();
    let flags = ["--dataset", "generic", "--datetime", "2020-01-01"];
    check(&file, &flags, "no coordinate reference system");
}

#[test]
fn a_truncated_geotiff_stores_nothing() {
    let Some(whole) = real("naip/m_4709963_se_14_1_20150926.tif") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m_4709963_se_14_1_20150926.tif");
    let bytes = fs::read(whole).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    check(&file, &[], "cannot be decoded");
}

#[test]
fn a_geotiff_that_says_neither_dataset_nor_time_fails() {
    let Some(file) = real("s2_timeseries_slovenia/geotiff/S2_L1C_20150731T100009.tif") else {
        return;
    };
    check(&file, &[], "--dataset");
    check(&file, &["--dataset", "sentinel-2-l1c"], "--datetime");
}

#[test]
fn archives_with_names_that_lead_out_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "../evil.txt",
        "/etc/evil",
        "a\\b",
        "X.SAFE/../../evil",
        "C:/evil",
    ];
    for (i, name) in names.iter().enumerate() {
        let path = folder.path().join(format!("{i}.zip"));
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        add(&mut zip, "X.SAFE/MTD_MSIL2A.xml", b"<a/>");
        add(&mut zip, name, b"x");
        zip.finish().unwrap();
        check(&path, &[], "is refused");
    }
}

#[test]
fn links_and_bombs_in_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.add_symlink("X.SAFE/MTD_MSIL2A.xml", "/etc/passwd", options)
        .unwrap();
    zip.finish().unwrap();
    check(&path, &[], "is a link");

    let path = folder.path().join("bomb.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    add(&mut zip, "X.SAFE/MTD_MSIL2A.xml", &vec![b' '; 8 << 20]);
    zip.finish().unwrap();
    check(&path, &[], "times; at most");

    let path = folder.path().join("many.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for i in 0..=ingest::source::guard::ENTRIES_MAX {
        add(&mut zip, &format!("{i}"), b"");
    }
    zip.finish().unwrap();
    check(&path, &[], "entries; at most");
}

#[test]
fn archives_that_are_damaged_or_hold_two_products_are_refused() {
    let (keep, product) = small();
    let archive = keep.path().join("whole.zip");
    pack(&product, &archive);
    let bytes = fs::read(&archive).unwrap();
    let cut = keep.path().join("cut.zip");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    check(&cut, &[], "no readable archive");

    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let path = keep.path().join("flipped.zip");
    fs::write(&path, flipped).unwrap();
    check(&path, &[], "cannot be read");

    let path = keep.path().join("two.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    add(&mut zip, "A.SAFE/MTD_MSIL2A.xml", b"<a/>");
    add(&mut zip, "B.SAFE/MTD_MSIL1C.xml", b"<a/>");
    zip.finish().unwrap();
    check(&path, &[], "more than one product");
}

#[test]
fn an_archive_that_holds_one_name_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    add(&mut zip, "X.SAFE/MTD_MSIL2A.xml", b"<a/>");
    add(&mut zip, "X.SAFE/MTD_MSIL2B.xml", b"<b/>");
    zip.finish().unwrap();
    // Writers refuse to write a name twice; a byte in each of its two places makes it so.
    let mut bytes = fs::read(&path).unwrap();
    let name = b"MTD_MSIL2B";
    while let Some(at) = bytes.windows(name.len()).position(|w| w == name) {
        bytes[at + name.len() - 1] = b'A';
    }
    fs::write(&path, bytes).unwrap();
    check(&path, &[], "the same name twice");
}

#[test]
fn an_archive_of_other_things_is_told_what_was_looked_for_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holiday.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["a.txt", "b/c.png", "b/d.csv"] {
        add(&mut zip, name, b"x");
    }
    zip.finish().unwrap();
    for says in ["MTD_MSIL2A.xml", "xfdumanifest.xml", "*_MTL.txt", "b/c.png"] {
        check(&path, &[], says);
    }
    // In a folder that is searched it merely lies there; a damaged one may have been a scene.
    let given = ingest::source::Given::default();
    let find = || ingest::source::find::scenes(&[folder.path().to_owned()], &given);
    assert!(
        find()[0]
            .as_ref()
            .unwrap_err()
            .1
            .what
            .contains("holds no scene")
    );
    fs::write(&path, b"PK\x03\x04 and no more").unwrap();
    assert_eq!(*find()[0].as_ref().unwrap(), path);
    check(&path, &[], "no readable archive");
    let packed = folder.path().join("orders.tar.gz");
    fs::write(&packed, b"\x1f\x8b").unwrap();
    check(&packed, &[], "Landsat product");
}

#[test]
fn what_nobody_reads_and_what_is_not_there_fail() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "hello").unwrap();
    check(&text, &[], "no scene");
    let out = folder.path().join("o");
    let gone = folder.path().join("gone.tif");
    let args = ["cut", gone.to_str().unwrap(), "-O", out.to_str().unwrap()];
    assert_eq!(worker(&args).status.code(), Some(6));
    let args = [
        "cut",
        "/vsicurl/http://127.0.0.1:9/x.tif",
        "-O",
        out.to_str().unwrap(),
    ];
    assert_eq!(worker(&args).status.code(), Some(6));
}

#[test]
fn wrong_flags_are_usage_errors() {
    let args = ["cut", "x.tif", "-O", "o", "--dataset", "sentinel-9"];
    assert_eq!(worker(&args).status.code(), Some(2));
    let args = ["cut", "x.tif", "-O", "o", "--datetime", "2015-02-30"];
    assert_eq!(worker(&args).status.code(), Some(2));
    // No flag names the node, and nobody does on standard input.
    assert_eq!(supervise(&["x.tif"]).status.code(), Some(2));
}

/// A crop of 0.6 m in one geohash-4 cell: 3 GB of pixels broke the process, which said nothing of
/// cells.
#[test]
fn cells_that_fit_into_no_memory_are_refused_with_a_precision_that_does() {
    let Some(crop) = real("naip/m_3211605_ne_11_060_20200415.tif") else {
        return;
    };
    check(&crop, &["--precision", "4"], "at most 256 MiB make a split");
    check(&crop, &["--precision", "4"], "--precision 5");
    check(
        &crop,
        &["--scheme", "quadtile", "--precision", "6"],
        "--precision 13",
    );
}
