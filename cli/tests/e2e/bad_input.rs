//! Bad input: a clear error that names the cause and the next step, and nothing half-stored.

use std::path::{Path, PathBuf};

use crate::harness::{expect, glebe, scratch, stderr, stdout, world};

/// Ingests a path that must fail with exit 6, saying `cause`; nothing may be stored.
fn refused(folder: &Path, path: &Path, cause: &str) {
    let said = stderr(&expect(
        glebe(folder).args(["ingest", "--precision", "6"]).arg(path),
        6,
    ));
    let lower = said.to_lowercase();
    assert!(lower.contains(cause), "does not say '{cause}': {said}");
    assert!(said.contains("because") && said.contains("try:"), "{said}");
    let said = stderr(&expect(glebe(folder).arg("search"), 1));
    assert!(said.contains("empty"), "something was stored: {said}");
}

/// The first file below a folder whose name ends so.
pub(crate) fn find(folder: &Path, end: &str) -> PathBuf {
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(next)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                return path;
            }
        }
    }
    panic!("no {end} below {}", folder.display());
}

pub(crate) fn scene(world: &Path) -> PathBuf {
    let mut scenes: Vec<_> = std::fs::read_dir(world)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "SAFE"))
        .collect();
    scenes.sort();
    scenes.into_iter().next().unwrap()
}

#[test]
fn a_truncated_jp2_stops_its_scene_only() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 1, 300);
    let scene = scene(&world);
    let band = find(&scene, "B04_10m.jp2");
    let bytes = std::fs::read(&band).unwrap();
    std::fs::write(&band, &bytes[..bytes.len() / 2]).unwrap();
    refused(folder, &scene, "b04");
}

#[test]
fn a_safe_without_its_xml_is_refused() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 1, 300);
    let scene = scene(&world);
    std::fs::remove_file(scene.join("MTD_MSIL2A.xml")).unwrap();
    refused(folder, &scene, "mtd_msil2a.xml");
}

#[test]
fn a_geotiff_without_crs_is_refused() {
    let folder = scratch();
    let folder = folder.path();
    let Some(real) = crate::harness::real_data() else {
        return;
    };
    let source = real.join("naip/m_3607717_sw_18_1_20160620_subset.tif");
    let bare = folder.join("m_3607717_sw_18_1_20160620.tif");
    let mut translate = std::process::Command::new("gdal_translate");
    translate
        .args(["-q", "-co", "PROFILE=BASELINE"])
        .arg(source)
        .arg(&bare);
    expect(&mut translate, 0);
    for sidecar in ["tfw", "tif.aux.xml"] {
        drop(std::fs::remove_file(bare.with_extension(sidecar)));
    }
    refused(folder, &bare, "coordinate reference system");
}

#[test]
fn a_zip_that_climbs_out_is_refused() {
    let folder = scratch();
    let folder = folder.path();
    let zip = folder.join("S2A_MSIL2A_20240101T000000_N0510_R001_T31UFU_20240101T000000.zip");
    let script = "import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1],'w')\n\
                  z.writestr('../escaped.txt','out')\nz.close()";
    let mut python = std::process::Command::new("python3");
    expect(python.args(["-c", script]).arg(&zip), 0);
    refused(folder, &zip, "..");
    assert!(!folder.parent().unwrap().join("escaped.txt").exists());
    assert!(!folder.join("escaped.txt").exists());
}

#[test]
fn a_zero_byte_file_is_refused() {
    let folder = scratch();
    let path = folder.path().join("m_4709963_se_14_1_20150926.tif");
    std::fs::write(&path, b"").unwrap();
    refused(folder.path(), &path, "empty");
}

#[test]
fn one_bad_scene_of_several_stops_nothing() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 2, 300);
    std::fs::remove_file(scene(&world).join("MTD_MSIL2A.xml")).unwrap();
    let output = expect(
        glebe(folder)
            .args(["ingest", "--precision", "6"])
            .arg(&world),
        6,
    );
    assert!(
        stdout(&output).contains("1 scenes failed"),
        "{}",
        stdout(&output)
    );
    expect(glebe(folder).args(["search", "-o", "id"]), 0);
}

#[test]
fn wrong_words_end_with_exit_2_and_a_next_step() {
    let folder = scratch();
    let wrong: [(&[&str], &str); 8] = [
        (&["search", "--datetime", "2019-13"], "--datetime"),
        (&["search", "--datetime", "yesterday"], "--datetime"),
        (&["search", "--bbox", "1,50,2,40"], "south"),
        (&["search", "--bbox", "-10,-95,10,0"], "-95"),
        (&["search", "--bbox", "1,2,3"], "--bbox"),
        (&["search", "--dataset", "sentinal-2-l2a"], "sentinel-2-l2a"),
        (&["search", "--geocode", "9xa!"], "--geocode"),
        (&["train", "ndvi-cn"], "ndvi-cnn"),
    ];
    for (args, cause) in wrong {
        let said = stderr(&expect(glebe(folder.path()).args(args), 2));
        assert!(
            said.contains(cause),
            "{args:?} does not say '{cause}': {said}"
        );
        assert!(said.contains("try:"), "{args:?} names no next step: {said}");
    }
    assert!(
        !folder.path().join(".glebe").exists(),
        "a wrong word made a store"
    );
    let args = ["ingest", ".", "--dataset", "landsat-99"];
    let said = stderr(&expect(glebe(folder.path()).args(args), 2));
    assert!(said.contains("no dataset 'landsat-99'"), "{said}");
    let args = ["ingest", ".", "--datetime", "31.7.2015"];
    assert!(stderr(&expect(glebe(folder.path()).args(args), 2)).contains("--datetime"));
}

#[test]
fn an_unreachable_cluster_ends_with_exit_3() {
    let folder = scratch();
    let mut command = glebe(folder.path());
    command.args(["--cluster", "http://127.0.0.1:9", "search"]);
    let said = stderr(&expect(&mut command, 3));
    assert!(
        said.contains("127.0.0.1:9") && said.contains("try:"),
        "{said}"
    );
}
