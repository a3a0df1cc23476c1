//! Fuzzes manifests of Sentinel-3 products.

#![no_main]

use ingest::source::sentinel3::flags::named;
use ingest::source::sentinel3::manifest::read;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(manifest) = read(text) {
        assert!(!manifest.kind.ends_with('_'));
    }
    let (masks, meanings) = text.split_once('\n').unwrap_or((text, text));
    named(masks, meanings);
});
