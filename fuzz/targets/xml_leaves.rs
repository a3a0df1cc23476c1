//! Fuzzes any metadata as XML.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    drop(ingest::source::xml::leaves(text));
});
