//! One damaged scene of every format in one folder: each fails alone, and its ledger keeps why.
//!
//! *Invariants*: the sound scene among them is stored; the list at the end and
//! `collection scenes --failed` name the same scenes.
//!
//! *Not here*: damage by the dozen (`mutants`), single cases (`bad_input`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{expect, glebe, real_data, scratch, stderr, stdout, world};

/// Real files that are cut short, the name of the copy, and the scene that fails.
const CUT: [(&str, &str, &str); 9] = [
    (
        "naip/m_4709963_se_14_1_20150926.tif",
        "m_4709963_se_14_1_20150926.tif",
        "m_4709963_se_14_1_20150926",
    ),
    (
        "naip/m_3610332_se_13_060_20200903.zip",
        "m_3610332_se_13_060_20200903.zip",
        "m_3610332_se_13_060_20200903",
    ),
    (
        "nlcd_zion/nlcd2011_zion.img",
        "nlcd2011_zion.img",
        "nlcd2011_zion",
    ),
    (
        "modis_hdf4/MOD10A2.A2022033.h09v05.061.2022042050729.hdf",
        "MOD10A2.A2022033.h09v05.061.2022042050729.hdf",
        "MOD10A2.A2022033.h09v05.061.2022042050729",
    ),
    (
        "modis_hdf4/MOD09A1.A2017193.h18v04.006.2017202035302.hdf.zip",
        "MOD09A1.A2017193.h18v04.006.2017202035302.hdf.zip",
        "MOD09A1.A2017193.h18v04.006.2017202035302",
    ),
    (
        "modis_cog/MYD13A1.A2020153.h30v10.006.2020170024036_NDVI_B01.TIF",
        "MYD13A1.A2020153.h30v10.006.2020170024036_NDVI_B01.TIF",
        "MYD13A1.A2020153.h30v10.006.2020170024036",
    ),
    (
        "landsat_c2/LC08_L2SP_008059_20191201_20200825_02_T1/\
         LC08_L2SP_008059_20191201_20200825_02_T1_SR_B4.TIF",
        "LC08_L2SP_008059_20191201_20200825_02_T1_SR_B4.TIF",
        "LC08_L2SP_008059_20191201_20200825_02_T1",
    ),
    (
        "modis_series_lecco/NDVI.zip",
        "LC09_L2SP_008059_20211201_20220825_02_T1.tar.gz",
        "LC09_L2SP_008059_20211201_20220825_02_T1",
    ),
    (
        "sentinel3_metadata_only/S3A_SL_1_RBT____20210930T220914_20210930T221214_\
         20211002T102150_0180_077_043_5400_LN2_O_NT_004.SEN3/xfdumanifest.xml",
        "S3A_SL_1_RBT____20210930T220914_20210930T221214_20211002T102150_0180_077_043_5400_LN2_O\
         _NT_004.SEN3/xfdumanifest.xml",
        "S3A_SL_1_RBT____20210930T220914_20210930T221214_20211002T102150_0180_077_043_5400_LN2_O\
         _NT_004",
    ),
];

/// The real netCDF file, whose name tells no dataset, and the scene in it.
const OLCI: &str = "O_L2_0001_SNS_2017104102450_v1.0.nc";
const OLCI_SCENE: &str = "O_L2_0001_SNS_2017104102450_v1.0";

/// Fills a folder with the first halves of real files; returns the scenes that will fail.
fn cut_short(data: &Path, folder: &Path) -> BTreeSet<String> {
    let olci = format!("sentinel3_olci/{OLCI}");
    for (from, to, _) in CUT.into_iter().chain([(olci.as_str(), OLCI, OLCI_SCENE)]) {
        let bytes = fs::read(data.join(from)).unwrap();
        let to = folder.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, &bytes[..bytes.len() / 2]).unwrap();
    }
    let names = CUT.iter().map(|(_, _, scene)| *scene);
    names.chain([OLCI_SCENE]).map(str::to_owned).collect()
}

/// Cuts an image of one of two products short; returns its name.
fn broken_product(world: &Path) -> String {
    let product = fs::read_dir(world).unwrap().map(|e| e.unwrap().path());
    let product = product.filter(|p| p.extension().is_some_and(|e| e == "SAFE"));
    let product: PathBuf = product.min().unwrap();
    let metadata = product.join("MTD_MSIL2A.xml");
    let text = fs::read(&metadata).unwrap();
    fs::write(&metadata, &text[..text.len() / 2]).unwrap();
    product.file_stem().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_damaged_scene_of_every_format_fails_alone_and_its_ledger_keeps_the_reason() {
    let Some(data) = real_data() else {
        return;
    };
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 2, 300);
    let mut scenes = cut_short(&data, &world);
    scenes.insert(broken_product(&world));
    let mut ingest = glebe(folder);
    let output = expect(ingest.args(["ingest", "--precision", "5"]).arg(&world), 6);
    let (said, told) = (stdout(&output), stderr(&output));
    let failed = scenes.len();
    assert!(
        said.contains(&format!("{failed} scenes failed")),
        "{said}{told}"
    );
    let listed = expect(
        glebe(folder).args(["collection", "scenes", "--failed", "-o", "json"]),
        0,
    );
    let ledgers: Vec<Value> = serde_json::from_str(&stdout(&listed)).unwrap();
    let mut kept = BTreeSet::new();
    for line in ledgers {
        let reason = line["outcome"]["failed"]["reason"].as_str().unwrap();
        assert!(reason.contains(": ") && reason.len() < 500, "{line}");
        kept.insert(line["scene"].as_str().unwrap().to_owned());
    }
    assert_eq!(kept, scenes);
    // The sound one is there.
    expect(glebe(folder).args(["search", "-o", "id"]), 0);
    // Once what is wrong was mended, the next ingest takes the reason away.
    for (from, to, _) in CUT.iter().filter(|(from, _, _)| from.starts_with("nlcd")) {
        fs::copy(data.join(from), world.join(to)).unwrap();
    }
    let mut again = glebe(folder);
    expect(
        again
            .args(["ingest", "--precision", "5"])
            .arg(world.join("nlcd2011_zion.img")),
        0,
    );
    let failed = |collection: &str| {
        let scenes = ["collection", "scenes", collection, "--failed"];
        stdout(&expect(glebe(folder).args(scenes), 0))
    };
    assert_eq!(failed("nlcd"), "");
    // So does that of a scene which had told no collection before.
    assert!(!failed("unknown").is_empty());
    let olci = data.join("sentinel3_olci").join(OLCI);
    let mut again = glebe(folder);
    expect(again.args(["ingest", "--precision", "5"]).arg(olci), 0);
    assert_eq!(failed("unknown"), "");
}

#[test]
fn what_no_ledger_keeps_is_not_said_to_be_in_one() {
    let folder = scratch();
    let folder = folder.path();
    let world = world(folder, 1, 1, 300);
    expect(glebe(folder).arg("ingest").arg(&world), 0);
    let fails = |code, args: &[&str]| {
        let mut ingest = glebe(folder);
        stderr(&expect(ingest.arg("ingest").args(args), code))
    };
    // What stops every scene is no scene's fault.
    let said = fails(2, &["--precision", "6", world.to_str().unwrap()]);
    assert!(!said.contains("collection scenes"), "{said}");
    // A folder of rasters that say nothing of themselves holds no scene, and says what to do.
    fs::create_dir(folder.join("rasters")).unwrap();
    fs::write(folder.join("rasters/B04.tif"), b"II*\0").unwrap();
    let said = fails(6, &["rasters"]);
    assert!(!said.contains("collection scenes"), "{said}");
    assert!(
        said.contains("'B04.tif'") && said.contains("--dataset generic --datetime"),
        "{said}"
    );
    for way in ["side-car", "B04.json", "STAC Item"] {
        assert!(said.contains(way), "no {way}: {said}");
    }
}
