//! Fuzzes bundles of files between processes.

#![no_main]

use bytes::Bytes;
use wire::bundle::{Decoder, decode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = decode(Bytes::copy_from_slice(data));
    let mut decoder = Decoder::new();
    let mut pieces = data
        .chunks(7)
        .map(|c| decoder.push(Bytes::copy_from_slice(c)));
    let streamed = pieces.all(|p| p.is_ok());
    // What is whole in memory is whole in pieces.
    assert!(whole.is_err() || (streamed && decoder.finish().is_ok()));
});
