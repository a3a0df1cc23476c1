//! What metadata that was made to hurt costs, as the kernel counts it: a million elements, a
//! million attributes, long names, no end.
//!
//! *Invariants*: documents are written piece by piece, so that only who reads them holds them; each
//! test has a process of its own (nextest).
//!
//! *Not here*: that the real process refuses them (`hostile`), sizes of single parts
//! (`ingest::source::xml`).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ingest::source::{self, Given};

use crate::memory::peak;

/// Most memory that one document may take beside what the process held before: its own 16 MiB, what
/// is kept of it, and what the allocator does not give back.
const BYTES_MAX: u64 = 64 << 20;
/// Longest that one core may work at a document.
const SECONDS_MAX: f64 = 1.0;
/// Ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;
/// What fits into the greatest document of 16 MiB once, if it is short.
const MILLION: usize = 1_000_000;

/// Seconds that cores have worked for this process.
fn worked() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // What follows the name, which may hold anything: state is the third field of all.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at - 3].parse::<f64>().unwrap();
    (ticks(14) + ticks(15)) / TICKS_PER_SECOND
}

/// Writes a product's metadata, opens the product and checks what that cost; returns what was said.
fn opened(metadata: &Path, write: impl Fn(&mut dyn Write) -> std::io::Result<()>) -> String {
    let mut file = BufWriter::new(File::create(metadata).unwrap());
    write(&mut file).unwrap();
    file.flush().unwrap();
    drop(file);
    let bytes = std::fs::metadata(metadata).unwrap().len();
    let (held, began) = (peak(), worked());
    let refused = source::open(metadata.parent().unwrap(), &Given::default()).err();
    let (grown, took) = (peak() - held, worked() - began);
    let said = format!("{:?}", refused.unwrap());
    eprintln!("{bytes} bytes: grew {} KiB, {took} s: {said}", grown >> 10);
    assert!(grown <= BYTES_MAX, "{grown} bytes");
    assert!(took <= SECONDS_MAX, "{took} seconds");
    said
}

/// Checks what is said of a Sentinel-2 product.
fn check(says: &str, write: impl Fn(&mut dyn Write) -> std::io::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let product = folder.path().join("S2A_X.SAFE");
    std::fs::create_dir(&product).unwrap();
    let said = opened(&product.join("MTD_MSIL2A.xml"), write);
    assert!(said.contains(says), "'{says}' is not in: {said}");
}

/// Writes so many elements with text around nothing.
fn elements(to: &mut dyn Write, many: usize) -> std::io::Result<()> {
    write!(to, "<a>")?;
    for _ in 0..many {
        write!(to, "<b>1</b>")?;
    }
    write!(to, "</a>")
}

#[test]
fn two_million_elements_are_refused_at_little_cost() {
    check("elements", |to| elements(to, 19 * MILLION / 10));
}

#[test]
fn two_million_elements_of_another_sensor_are_refused_at_little_cost() {
    let folder = tempfile::tempdir().unwrap();
    let product = folder.path().join("S3A_X.SEN3");
    std::fs::create_dir(&product).unwrap();
    let manifest = product.join("xfdumanifest.xml");
    let said = opened(&manifest, |to| elements(to, 19 * MILLION / 10));
    assert!(said.contains("elements"), "{said}");
}

#[test]
fn as_many_elements_as_may_be_are_read_at_little_cost() {
    check("PRODUCT_START_TIME", |to| elements(to, 99_999));
}

#[test]
fn a_million_attributes_of_one_element_are_refused_at_little_cost() {
    check("a tag and its attributes", |to| {
        write!(to, "<a")?;
        for i in 0..MILLION {
            write!(to, " n{i:x}=\"\"")?;
        }
        write!(to, "/>")
    });
}

#[test]
fn a_million_attributes_of_many_elements_are_read_at_little_cost() {
    check("PRODUCT_START_TIME", |to| {
        write!(to, "<a>")?;
        for _ in 0..MILLION / 5_000 {
            write!(to, "<b")?;
            for i in 0..5_000 {
                write!(to, " n{i:x}=\"\"")?;
            }
            write!(to, ">1</b>")?;
        }
        write!(to, "</a>")
    });
}

#[test]
fn a_million_namespaces_are_refused_at_little_cost() {
    check("a tag and its attributes", |to| {
        write!(to, "<a")?;
        for i in 0..MILLION {
            write!(to, " xmlns:n{i:x}=''")?;
        }
        write!(to, "/>")
    });
}

#[test]
fn elements_inside_elements_without_end_are_refused_at_little_cost() {
    check("nested", |to| {
        (0..5 * MILLION).try_for_each(|_| write!(to, "<a>"))
    });
}

#[test]
fn entities_of_entities_are_refused_at_little_cost() {
    check("document type", |to| {
        write!(to, "<!DOCTYPE a [<!ENTITY b0 \"ha\">")?;
        for i in 1..40 {
            let before = format!("&b{};", i - 1).repeat(10);
            write!(to, "<!ENTITY b{i} \"{before}\">")?;
        }
        write!(to, "]><a>")?;
        (0..MILLION).try_for_each(|_| write!(to, "&b39;"))?;
        write!(to, "</a>")
    });
}

#[test]
fn a_long_name_around_many_elements_is_refused_at_little_cost() {
    let name = "n".repeat(60_000);
    check("texts and names", |to| {
        write!(to, "<{name}>")?;
        for _ in 0..99_000 {
            write!(to, "<b>1</b>")?;
        }
        write!(to, "</{name}>")
    });
}
