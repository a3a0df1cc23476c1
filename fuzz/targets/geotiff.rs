//! Fuzzes our own GeoTIFF reader.

#![no_main]

use earth::geotiff::GeoTiff;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(file) = GeoTiff::open(data) else {
        return;
    };
    for level in 0..file.levels() {
        drop(file.decode(data, &[0], level));
    }
});
