//! Fuzzes the files of a split.

#![no_main]

use earth::split::codec::{asset_name, decode, head_length, read_meta, verify};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(head_length(data));
    drop(read_meta(data));
    drop(asset_name(data));
    // A file that verifies also decodes, or says why not; it never breaks.
    drop(verify(data));
    drop(decode(data, &[0]));
});
