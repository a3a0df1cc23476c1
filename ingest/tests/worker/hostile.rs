//! Files made to hurt: XML that grows or quarrels, archives that lie.
//!
//! *Invariants*: every row goes through the real process, under its limits, and is refused within
//! a time that only a reader of linear cost keeps.
//!
//! *Not here*: files that are merely damaged (`bad_input`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bad_input::check;
use crate::place::add;

/// Names in one element: a million, as far as the limit on a text's bytes lets them.
const NAMES: usize = 600_000;
/// Longest a refusal may take: a second of one free core, and room for a busy machine. What costs
/// the square of its length takes hours.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

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
