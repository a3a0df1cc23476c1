//! Fuzzes the check that a netCDF file is as long as its own header says.

#![no_main]

use std::io::Cursor;

use ingest::source::netcdf::length::needed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(needed(&mut Cursor::new(data)));
});
