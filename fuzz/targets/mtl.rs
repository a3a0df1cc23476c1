//! Fuzzes Landsat metadata in its three forms, and the names of products and files.

#![no_main]

use earth::dataset::landsat::Level;
use ingest::source::landsat::mtl::{EXTENSIONS, Mtl};
use ingest::source::landsat::product::parse;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for extension in EXTENSIONS {
        let Ok(mtl) = Mtl::parse(extension, text) else {
            continue;
        };
        drop(mtl.acquired());
        drop(mtl.sun_elevation());
        drop(mtl.product().and_then(parse));
        for level in [Level::L1, Level::L2] {
            for key in ["REFLECTANCE_MULT_BAND_1", "REFLECTANCE_ADD_BAND_1"] {
                if let Ok(Some(number)) = mtl.scaling(level, key) {
                    assert!(number.is_finite());
                }
            }
        }
    }
    if let Some((product, rest)) = parse(text) {
        assert!(text.starts_with(&product.name) && text.ends_with(rest));
    }
});
