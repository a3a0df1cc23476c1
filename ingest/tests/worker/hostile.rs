//! Files made to hurt: XML that grows or quarrels, archives that lie.
//!
//! *Invariants*: every row goes through the real process, under its limits, and is refused within
//! a time that only a reader of linear cost keeps.
//!
//! *Not here*: files that are merely damaged (`bad_input`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bad_input::check;
use crate::memory::peak;
use crate::place::add;

/// Names in one element: a million, as far as the limit on a text's bytes lets them.
const NAMES: usize = 600_000;
/// Longest a refusal may take: a second of one free core, and room for a busy machine. What costs
/// the square of its length takes hours.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

/// Longest that refusing a list of a million files may take: some five seconds of one core, and
/// room for a busy machine.
const LISTED_WITHIN: Duration = Duration::from_mins(1);
/// Most memory that such a list may take: an eighth of what a scene's process may.
const LIST_BYTES_MAX: u64 = 384 << 20;

/// Packs a text as a product's metadata and checks that it is refused in time.
#[expect(clippy::disallowed_methods, reason = "a test that times has a limit")]
fn metadata(text: &str, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let product = folder.path().join("S2A_X.SAFE");
    fs::create_dir_all(&product).unwrap();
    fs::write(product.join("MTD_MSIL2A.xml"), text).unwrap();
    let started = Instant::now();
    check(&product, &[], says);
    let took = started.elapsed();
    assert!(took < REFUSED_WITHIN, "refused after {took:?}");
}

fn element_with(name: impl Fn(usize) -> String) -> String {
    let mut text = String::from("<a ");
    for i in 0..NAMES {
        write!(text, "{}=\"\" ", name(i)).unwrap();
    }
    text + "/>"
}

#[test]
fn a_document_type_of_nested_entities_is_refused() {
    let mut text = String::from("<!DOCTYPE a [<!ENTITY b0 \"ha\">");
    for i in 1..40 {
        let before = format!("&b{};", i - 1).repeat(10);
        write!(text, "<!ENTITY b{i} \"{before}\">").unwrap();
    }
    metadata(&(text + "]><a>&b39;</a>"), "document type");
}

#[test]
fn hundreds_of_thousands_of_attributes_cost_no_more_than_their_bytes() {
    metadata(&element_with(|i| format!("n{i:07}")), "MTD_MSIL2A.xml");
}

#[test]
fn hundreds_of_thousands_of_namespaces_cost_no_more_than_their_bytes() {
    metadata(
        &element_with(|i| format!("xmlns:n{i:07}")),
        "MTD_MSIL2A.xml",
    );
}

#[test]
fn elements_without_end_are_refused() {
    metadata(&"<a>".repeat(1_000_000), "nested");
}

#[test]
fn a_text_past_the_limit_is_refused() {
    metadata(&" ".repeat(17 << 20), "bytes");
}

/// Writes a product's archive whose metadata claims another unpacked size.
fn lying(path: &Path, claimed: u32) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let text = vec![b'x'; 5000];
    add(&mut zip, "S2A_X.SAFE/MTD_MSIL2A.xml", &text);
    zip.finish().unwrap();
    let mut bytes = fs::read(path).unwrap();
    // The size stands in the local header and in the central one, after the packed size.
    let size = 5000_u32.to_le_bytes();
    for at in 0..bytes.len() - size.len() {
        if bytes[at..at + size.len()] == size {
            bytes[at..at + size.len()].copy_from_slice(&claimed.to_le_bytes());
        }
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_archive_that_lies_about_sizes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, claimed) in [("less", 10), ("more", 900_000), ("huge", u32::MAX - 1)] {
        let path = folder.path().join(format!("{name}.zip"));
        lying(&path, claimed);
        check(&path, &[], name_or_refused(claimed));
    }
}

/// What is said: too much by the list alone, or not what the list says.
fn name_or_refused(claimed: u32) -> &'static str {
    if claimed > 1 << 20 {
        "is refused"
    } else {
        "MTD_MSIL2A.xml"
    }
}

#[test]
fn an_archive_inside_an_archive_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&inner).unwrap());
    add(&mut zip, "S2A_X.SAFE/MTD_MSIL2A.xml", b"<a/>");
    zip.finish().unwrap();
    let path = folder.path().join("outer.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    add(&mut zip, "inner.zip", &fs::read(&inner).unwrap());
    zip.finish().unwrap();
    check(&path, &[], "outer.zip");
}

/// Writes a zip of so many empty files; crates that write zips take minutes for it.
fn million_files(path: &Path, many: u32) {
    let out = fs::File::create(path).unwrap();
    let mut out = BufWriter::new(out);
    // Names of one length, so that every header lies where it is counted to lie.
    let name = |i: u32| format!("{i:08x}");
    let (local, central) = (30 + 8, 46 + 8);
    for i in 0..many {
        out.write_all(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0")
            .unwrap();
        out.write_all(&[0; 12]).unwrap();
        out.write_all(b"\x08\0\0\0").unwrap();
        out.write_all(name(i).as_bytes()).unwrap();
    }
    for i in 0..many {
        out.write_all(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\x21\0")
            .unwrap();
        out.write_all(&[0; 12]).unwrap();
        out.write_all(b"\x08\0").unwrap();
        out.write_all(&[0; 12]).unwrap();
        out.write_all(&(i * local).to_le_bytes()).unwrap();
        out.write_all(name(i).as_bytes()).unwrap();
    }
    let (count, start) = (u64::from(many), u64::from(many * local));
    let length = u64::from(many * central);
    // So many have an end of 64 bits, the place where it stands, and an end that defers to it.
    out.write_all(b"PK\x06\x06").unwrap();
    out.write_all(&44_u64.to_le_bytes()).unwrap();
    out.write_all(b"\x2d\0\x2d\0\0\0\0\0\0\0\0\0").unwrap();
    for number in [count, count, length, start] {
        out.write_all(&number.to_le_bytes()).unwrap();
    }
    out.write_all(b"PK\x06\x07\0\0\0\0").unwrap();
    out.write_all(&(start + length).to_le_bytes()).unwrap();
    out.write_all(&1_u32.to_le_bytes()).unwrap();
    out.write_all(b"PK\x05\x06\0\0\0\0").unwrap();
    out.write_all(&[0xff; 12]).unwrap();
    out.write_all(&[0, 0]).unwrap();
    out.flush().unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that times has a limit")]
fn a_zip_of_a_million_files_is_refused_at_a_bounded_cost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("million.zip");
    million_files(&path, 1_000_000);
    let started = Instant::now();
    check(&path, &[], "it has 1000000 entries; at most 10000");
    let took = started.elapsed();
    assert!(took < LISTED_WITHIN, "refused after {took:?}");
    // What lists it in this process is what lists it in the real one.
    let held = peak();
    let refused = ingest::source::open(&path, &ingest::source::Given::default());
    assert!(refused.is_err());
    let grown = peak() - held;
    eprintln!("refused after {took:?}; its list takes {} MiB", grown >> 20);
    assert!(grown <= LIST_BYTES_MAX, "{} MiB", grown >> 20);
}

/// Every path below a folder.
fn below(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

/// A gzipped tar of a product's first file and of one whose name leads elsewhere.
fn leading(name: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut put = |name: &str| {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(4);
        header.set_cksum();
        tar.append(&header, &b"evil"[..]).unwrap();
    };
    put("LC08_L2SP_008059_20191201_20200825_02_T1_MTL.txt");
    put(name);
    tar.into_inner().unwrap().finish().unwrap()
}

/// A `.tar.gz` has no list: it is unpacked until it is found out.
#[test]
fn of_an_archive_that_leads_out_no_file_is_left_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("a/b/spool");
    fs::create_dir_all(&spool).unwrap();
    let outside = folder.path().join("absolute");
    let names = ["../evil", "../../evil", outside.to_str().unwrap()];
    for (i, name) in names.iter().enumerate() {
        let archive = folder.path().join(format!("{i}.tar.gz"));
        fs::write(&archive, leading(name)).unwrap();
        let before = below(folder.path());
        let ended = Command::new(env!("CARGO_BIN_EXE_glebe-ingest"))
            .arg("cut")
            .arg(&archive)
            .arg("-O")
            .arg(folder.path().join("splits"))
            .env("TMPDIR", &spool)
            .current_dir(&spool)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(6), "{said}");
        assert!(
            said.contains("leads out") || said.contains("absolute"),
            "{said}"
        );
        assert_eq!(below(folder.path()), before, "{name}");
    }
}
