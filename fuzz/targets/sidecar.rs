//! Fuzzes what lies beside a raster: side-cars, world files, bounds.

#![no_main]

use ingest::source::bounds::{Bounds, parse_world_file};
use ingest::source::sidecar::{mask_path, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(said) = parse("x.json", text.as_bytes()) {
        let mask = said.cloud_mask.unwrap_or_default();
        let found = mask_path(std::path::Path::new("a/x.tif"), &mask);
        assert!(found.is_err() || !mask.contains('/'));
    }
    drop(parse_world_file(text));
    drop(text.parse::<Bounds>());
});
