//! Fuzzes Sentinel-2 product metadata.

#![no_main]

use ingest::source::sentinel2::xml::{Level, product};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for level in [Level::L1C, Level::L2A] {
        if let Ok(product) = product(level, text) {
            assert!(product.quantification > 0.0);
        }
    }
});
