//! Fuzzes FGDC metadata of NAIP quarter quads.

#![no_main]

use std::path::Path;

use ingest::source::geotiff::naip::flown;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let path = Path::new("m_3610332_se_13_060_20200903.tif");
    drop(flown(
        path,
        Some(("m_3610332_se_13_060_20200903.xml", text)),
    ));
});
