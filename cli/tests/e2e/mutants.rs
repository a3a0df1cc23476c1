//! Damaged imagery by the dozen: whatever a decoder does with it, the node never notices.
//!
//! Every format's real file is copied with bytes flipped, overwritten, cut out or cut off at
//! places that a seed fixes, and a folder of such copies is ingested into a running node: 50 a
//! format, 1,000 with `GLEBE_NIGHTLY`.
//!
//! *Invariants*: one ingest a format; each copy ends as a stored scene or as a failure with its
//! reason; the node's process is the same before and after, and its store verifies.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, expect, real_data, scratch, stdout};

/// Copies of each format in every run.
const MUTANTS: u64 = 50;
/// Copies of each format at night.
const MUTANTS_NIGHTLY: u64 = 1000;

/// A real file, and what a user would type to ingest it.
struct Row {
    /// The file, below the folder of real imagery.
    file: &'static str,
    /// Words of `glebe ingest`.
    words: &'static [&'static str],
}

/// Numbers that depend on a seed alone (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (end.max(1) as u64)).unwrap()
    }
}

/// Damages a file's bytes in one of five ways.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    // Half of the damage goes where headers lie.
    let length = bytes.len();
    let end = if numbers.below(2) == 0 {
        length.min(4096)
    } else {
        length
    };
    let at = numbers.below(end);
    let run = (1 + numbers.below(64)).min(length - at);
    match numbers.below(5) {
        0 => bytes.truncate(at),
        1 => bytes[at..at + run].fill(0xff),
        2 => bytes[at..at + run].fill(0),
        3 => drop(bytes.drain(at..at + run)),
        _ => {
            for _ in 0..=numbers.below(16) {
                let at = numbers.below(end);
                bytes[at] ^= 1 << numbers.below(8);
            }
        }
    }
}

/// Writes damaged copies, each in a folder of its own under the file's own name.
fn copies(original: &Path, folder: &Path, count: u64) {
    let bytes = std::fs::read(original).unwrap();
    for seed in 0..count {
        let mut copy = bytes.clone();
        mutate(&mut copy, &mut Numbers(seed));
        let own = folder.join(format!("{seed:04}"));
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join(original.file_name().unwrap()), copy).unwrap();
    }
}

fn count() -> u64 {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    if nightly { MUTANTS_NIGHTLY } else { MUTANTS }
}

/// Ingests damaged copies of a file into a node and looks at both.
fn check(original: &Path, words: &[&str]) {
    let folder = scratch();
    let folder = folder.path();
    let mutants = folder.join("mutants");
    copies(original, &mutants, count());
    let mut node = Node::start(folder, "node", &[]);
    let mut ingest = node.ask(folder);
    ingest
        .args(["ingest", "--overwrite", "-o", "json"])
        .args(words);
    let output = ingest.arg(&mutants).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        matches!(output.status.code(), Some(0 | 6)),
        "{:?}: {said}",
        output.status
    );
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let failed = report["failed"].as_array().unwrap();
    let ended = report["scenes"].as_array().unwrap().len() + failed.len();
    let skipped = report["skipped"].as_u64().unwrap();
    assert_eq!(
        ended as u64 + skipped,
        count(),
        "a scene is missing from {report}"
    );
    for failure in failed {
        let reasons = failure["fault"]["detail"].as_array().unwrap();
        assert!(!reasons.is_empty(), "no reason in {failure}");
    }
    assert!(node.lives(), "the node ended");
    expect(node.ask(folder).args(["cluster", "verify"]), 0);
    assert!(node.stop(), "the node did not stop cleanly");
}

/// Checks a real file, where there is real imagery.
fn real(row: &Row) {
    let Some(data) = real_data() else {
        return;
    };
    check(&data.join(row.file), row.words);
}

const GENERIC: [&str; 4] = ["--dataset", "generic", "--datetime", "2020-04-15"];

#[test]
fn damaged_geotiffs_never_reach_the_node() {
    real(&Row {
        file: "naip/m_3211605_ne_11_060_20200415.tif",
        words: &["--dataset", "naip", "--precision", "7"],
    });
}

#[test]
fn damaged_zips_of_jpeg_2000_never_reach_the_node() {
    real(&Row {
        file: "naip/m_3610332_se_13_060_20200903.zip",
        words: &["--precision", "5"],
    });
}

#[test]
fn damaged_hdf4_never_reaches_the_node() {
    real(&Row {
        file: "modis_hdf4/MOD09A1.A2017193.h18v04.006.2017202035302.hdf",
        words: &["--precision", "4"],
    });
}

#[test]
fn damaged_netcdf_never_reaches_the_node() {
    real(&Row {
        file: "sentinel3_olci/O_L2_0001_SNS_2017104102450_v1.0.nc",
        words: &["--precision", "4"],
    });
}

#[test]
fn damaged_imagine_files_never_reach_the_node() {
    let Some(data) = real_data() else {
        return;
    };
    let folder = data.join("nlcd_zion");
    let image = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let image = image.filter(|p| p.extension().is_some_and(|e| e == "img"));
    let image: Vec<PathBuf> = image.collect();
    check(&image[0], &["--dataset", "nlcd", "--precision", "5"]);
}

#[test]
fn damaged_products_in_zips_never_reach_the_node() {
    let Some(data) = real_data() else {
        return;
    };
    let name = "S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500";
    let folder = scratch();
    let zip = folder.path().join(format!("{name}.zip"));
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/python/bin/python");
    let mut pack = Command::new(python);
    pack.current_dir(data.join("s2_safe"));
    pack.args(["-m", "zipfile", "-c"])
        .arg(&zip)
        .arg(format!("{name}.SAFE"));
    expect(&mut pack, 0);
    check(&zip, &["--precision", "3"]);
}

#[test]
fn damaged_jpeg_2000_never_reaches_the_node() {
    let Some(data) = real_data() else {
        return;
    };
    let folder = data.join("modis_series_sinop");
    let mut images: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "jp2"))
        .collect();
    images.sort();
    let words: Vec<&str> = GENERIC.into_iter().chain(["--precision", "5"]).collect();
    check(&images[0], &words);
}
