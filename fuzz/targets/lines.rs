//! Fuzzes lines of JSON between processes.

#![no_main]

use wire::ndjson::LineReader;
use wire::search::SearchLine;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut reader = LineReader::new(1 << 16);
    for piece in data.chunks(11) {
        if reader.push::<SearchLine>(piece).is_err() {
            return;
        }
    }
    drop(reader.finish::<SearchLine>());
});
