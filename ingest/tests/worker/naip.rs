//! NAIP as it is delivered: bare rasters, archives of a raster with its metadata.
//!
//! *Invariants*: pixels of all containers of one raster are equal.
//!
//! *Not here*: how dates are written (the source's own tests).

use std::path::{Path, PathBuf};

use ingest::source::{self, Given, Scene, find};

use crate::place::{add, open, real};

/// Returns the numbers of a scene's bands, whole.
fn numbers(scene: &Scene) -> Vec<Vec<f64>> {
    let layers = scene.layers.iter();
    layers
        .map(|l| {
            let raster = l.image.read(l.band, l.image.georef().whole()).unwrap();
            raster.samples().to_f64()
        })
        .collect()
}

/// Writes the contents of the real archive side by side, and returns the raster.
fn unpacked(archive: &Path, into: &Path) -> PathBuf {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    zip.extract(into).unwrap();
    into.join("m_3610332_se_13_060_20200903.jp2")
}

#[test]
fn an_archive_of_jp2_and_metadata_is_the_same_scene_as_its_files_and_as_the_tif() {
    let Some(archive) = real("naip/m_3610332_se_13_060_20200903.zip") else {
        return;
    };
    let packed = open(&archive);
    assert_eq!(packed.name, "m_3610332_se_13_060_20200903");
    assert_eq!(packed.dataset.name, "naip");
    assert_eq!(packed.acquired.to_string(), "2020-09-03T00:00:00Z");
    // Its ISO metadata was delivered with the date of its template, 1990-11-03.
    assert_eq!(packed.notes.len(), 1, "{:?}", packed.notes);
    let bands: Vec<_> = packed.layers.iter().map(|l| l.common.as_deref()).collect();
    assert_eq!(
        bands,
        [Some("red"), Some("green"), Some("blue"), Some("nir")]
    );
    let folder = tempfile::tempdir().unwrap();
    let bare = open(&unpacked(&archive, folder.path()));
    assert_eq!((&bare.name, bare.acquired), (&packed.name, packed.acquired));
    let Some(tif) = real("naip/m_3610332_se_13_060_20200903-downsampled.tif") else {
        return;
    };
    let tif = open(&tif);
    assert_eq!(numbers(&packed), numbers(&bare));
    assert_eq!(numbers(&packed), numbers(&tif));
}

#[test]
fn metadata_beside_or_inside_wins_over_the_name() {
    let Some(tif) = real("naip/m_3211605_ne_11_060_20200415.tif") else {
        return;
    };
    let bytes = std::fs::read(&tif).unwrap();
    let fgdc = b"<metadata><idinfo><timeperd><timeinfo><sngdate><caldate>20200417</caldate>\
                 </sngdate></timeinfo></timeperd></idinfo></metadata>";
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("delivery.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    add(&mut zip, "d/m_3211605_ne_11_060_20200415.tif", &bytes);
    add(&mut zip, "d/m_3211605_ne_11_060_20200415.xml", fgdc);
    zip.finish().unwrap();
    let bare = folder.path().join("m_3211605_ne_11_060_20200415.tif");
    std::fs::write(&bare, &bytes).unwrap();
    let beside = "m_3211605_ne_11_060_20200415_20200730.xml";
    std::fs::write(folder.path().join(beside), fgdc).unwrap();
    for path in [&archive, &bare] {
        let scene = open(path);
        assert_eq!(scene.acquired.to_string(), "2020-04-17T00:00:00Z");
        assert!(
            scene.notes[0].contains("not that of its name"),
            "{:?}",
            scene.notes
        );
        assert_eq!(
            scene.layers.len(),
            4,
            "its fourth band is near infrared, not alpha"
        );
    }
    let found = find::scenes(&[folder.path().to_owned()], &Given::default());
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [bare]);
}

#[test]
fn an_archive_of_several_rasters_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("two.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    add(&mut zip, "a.tif", b"II*\0");
    add(&mut zip, "b.tif", b"II*\0");
    zip.finish().unwrap();
    let fault = source::open(&archive, &Given::default()).unwrap_err();
    assert!(fault.because[0].contains("2 rasters"), "{fault:?}");
    assert!(fault.try_.is_some());
}
