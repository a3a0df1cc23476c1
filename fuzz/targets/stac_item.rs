//! Fuzzes STAC Items, collections of them and lists of them.

#![no_main]

use std::path::Path;

use ingest::source::stac::item::{items, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for name in ["item.json", "items.ndjson"] {
        let Ok(items) = items(Path::new(name), text) else {
            continue;
        };
        for item in items {
            if let Ok(item) = parse(&item) {
                for asset in item.assets.values() {
                    assert!(asset.described(3).len() == 3);
                }
            }
        }
    }
});
