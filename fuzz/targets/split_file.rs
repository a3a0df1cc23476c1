//! Fuzzes the files of a split.

#![no_main]

use earth::split::codec::{asset_name, decode, head_length, read_meta, verify};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    head_length(data).map_or((), |_| ());
    read_meta(data).map_or((), |_| ());
    asset_name(data).map_or((), |_| ());
    // A file that verifies also decodes, or says why not; it never breaks.
    verify(data).map_or((), |_| ());
    decode(data, &[0]).map_or((), |_| ());
});
