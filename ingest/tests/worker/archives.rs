//! Products in archives: Landsat as USGS delivers it, SEN3 in a zip, several rasters in one zip.
//!
//! *Invariants*: a product in an archive is the same scene as in its folder: name, hash, pixels.
//!
//! *Not here*: archives that are refused (`bad_input`), Sentinel-2's (`real_products`), NAIP's
//! (`naip`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::source::{self, Given, Scene, find};

use crate::bad_input::check;
use crate::place::{add, open, pack, pack_files, real};
use crate::real_products::cut_some;
use crate::tiffs;

const LANDSAT: &str = "landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1";

/// Writes the files of a folder as tar, flat as USGS does.
fn tar(folder: &Path, to: impl std::io::Write) {
    let mut tar = tar::Builder::new(to);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_owned();
        tar.append_path_with_name(&file, name).unwrap();
    }
    tar.finish().unwrap();
}

/// Numbers of every band, whole.
fn numbers(scene: &Scene) -> Vec<(String, Vec<f64>)> {
    let layers = scene.layers.iter();
    let read = |l: &source::Layer| {
        let raster = l.image.read(l.band, l.image.georef().whole()).unwrap();
        (l.name.clone(), raster.samples().to_f64())
    };
    layers.map(read).collect()
}

fn same(folder: &Scene, packed: &Scene) {
    assert_eq!(packed.name, folder.name);
    assert_eq!(packed.acquired, folder.acquired);
    assert_eq!(packed.missing, folder.missing);
    assert_eq!(packed.delivered.hash, folder.delivered.hash);
    assert_eq!(numbers(packed), numbers(folder));
    let (a, b) = (cut_some(folder, 3, |_| 4), cut_some(packed, 3, |_| 4));
    assert_eq!(a.counts, b.counts);
}

#[test]
fn landsat_in_a_tar_a_tar_gz_or_a_zip_is_the_scene_of_its_folder() {
    let Some(folder) = real(LANDSAT) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let plain = out.path().join(format!("{name}.tar"));
    tar(&folder, File::create(&plain).unwrap());
    let packed = out.path().join(format!("{name}.tar.gz"));
    let gz = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
    tar(&folder, gz);
    let zip = out.path().join("renamed.zip");
    pack(&folder, &zip);
    let whole = open(&folder);
    for archive in [&plain, &packed, &zip] {
        same(&whole, &open(archive));
        let named = source::named(archive);
        assert_eq!(
            (&named.scene, named.dataset),
            (&whole.name, Some("landsat-c2-l2"))
        );
    }
    let found = find::scenes(&[out.path().to_owned()], &Given::default());
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [plain, packed, zip]);
}

#[test]
fn a_tar_gz_of_any_name_is_known_by_its_first_files() {
    let Some(folder) = real(LANDSAT) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let packed = out.path().join("order-0815.tar.gz");
    let gz = |path: &Path| GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    tar(&folder, gz(&packed));
    same(&open(&folder), &open(&packed));
    let other = out.path().join("other.tgz");
    tar(&real("naip").unwrap(), gz(&other));
    check(&other, &[], "m_3008501_ne_16_1_20110815.tif");
    let found = find::scenes(&[out.path().to_owned()], &Given::default());
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [packed]);
}

#[test]
fn tar_archives_that_are_cut_short_or_hostile_are_refused() {
    let Some(folder) = real(LANDSAT) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let plain = out.path().join(format!("{name}.tar"));
    tar(&folder, File::create(&plain).unwrap());
    let bytes = fs::read(&plain).unwrap();
    fs::write(&plain, &bytes[..bytes.len() / 2]).unwrap();
    check(&plain, &[], "cut short");
    let packed = out.path().join(format!("{name}.tar.gz"));
    let mut gz = Vec::new();
    tar(&folder, GzEncoder::new(&mut gz, Compression::fast()));
    fs::write(&packed, &gz[..gz.len() / 2]).unwrap();
    check(&packed, &[], "no readable archive");
    // 100 MB of zeros in 100 kB.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let mut header = tar::Header::new_ustar();
    header.set_path(format!("{name}_SR_B4.TIF")).unwrap();
    header.set_size(100 << 20);
    header.set_cksum();
    std::io::Write::write_all(&mut bomb, header.as_bytes()).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 100 << 20),
        &mut bomb,
    )
    .unwrap();
    fs::write(&packed, bomb.finish().unwrap()).unwrap();
    check(&packed, &[], "too much is packed into it");
    for (name, kind, says) in [
        ("../evil", tar::EntryType::Regular, "leads out"),
        ("/etc/evil", tar::EntryType::Regular, "absolute"),
        ("a_MTL.txt", tar::EntryType::Symlink, "is a link"),
    ] {
        fs::write(&plain, evil(name, kind)).unwrap();
        check(&plain, &[], says);
    }
}

/// A tar archive of one entry of any name and kind.
fn evil(name: &str, kind: tar::EntryType) -> Vec<u8> {
    let mut header = tar::Header::new_old();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(0);
    header.set_entry_type(kind);
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 1024]].concat()
}

#[test]
fn every_raster_of_an_archive_is_a_scene_with_its_own_side_car() {
    let out = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (i, name) in ["b", "a"].iter().enumerate() {
        let file = out.path().join(format!("{name}.tif"));
        tiffs::write::<u8>(&file, |v| v + i as f64);
        let said = out.path().join(format!("{name}.json"));
        let text = format!(
            r#"{{"dataset": "generic", "datetime": "2020-06-0{}T00:00:00Z"}}"#,
            i + 1
        );
        fs::write(&said, text).unwrap();
        files.extend([file, said]);
    }
    let zip = out.path().join("two.zip");
    pack_files(&zip, &files);
    let found = find::scenes(std::slice::from_ref(&zip), &Given::default());
    let found: Vec<PathBuf> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        found,
        ["two.zip#0", "two.zip#1"].map(|n| out.path().join(n))
    );
    for (path, name) in found.iter().zip(["a", "b"]) {
        let (packed, plain) = (open(path), open(&out.path().join(format!("{name}.tif"))));
        assert_eq!(
            (&packed.name, packed.acquired),
            (&plain.name, plain.acquired)
        );
        assert_eq!(packed.delivered.bytes, plain.delivered.bytes);
        assert_eq!(numbers(&packed), numbers(&plain));
        assert_eq!(source::named(path).scene, name);
    }
    check(
        &zip,
        &["--dataset", "generic", "--datetime", "2020-01-01"],
        "it holds 2 rasters",
    );
}

#[test]
fn a_damaged_archive_keeps_the_name_of_its_product() {
    let out = tempfile::tempdir().unwrap();
    let names = [
        (
            "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE.zip",
            "sentinel-2-l2a",
        ),
        (
            "S3A_OL_1_EFR____20211021T073827_20211021T074112_20211021T091357_0164_077_334_4320_LN1\
             _O_NR_002.zip",
            "sentinel-3-olci-l1",
        ),
        (
            "LC08_L2SP_005009_20150710_20200908_02_T2.tar",
            "landsat-c2-l2",
        ),
        (
            "LC08_L1TP_014031_20180106_20180119_01_T1.tar.gz",
            "landsat-c1-l1",
        ),
    ];
    for (name, dataset) in names {
        let path = out.path().join(name);
        fs::write(&path, b"no archive at all").unwrap();
        check(&path, &[], "archive");
        let named = source::named(&path);
        assert_eq!(named.dataset, Some(dataset), "{name}");
        assert!(
            name.starts_with(&named.scene) && !named.scene.contains("SAFE"),
            "{named:?}"
        );
    }
    let path = out.path().join("x.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    add(&mut zip, "S2B_MSIL1C_1.SAFE/MTD_MSIL1C.xml", b"<a/>");
    zip.finish().unwrap();
    let named = source::named(&path);
    assert_eq!(
        (named.scene.as_str(), named.dataset),
        ("S2B_MSIL1C_1", Some("sentinel-2-l1c"))
    );
}
