//! Fuzzes what MODIS files say: attributes with core metadata in ODL, HDF4's directory, names
//! of single-band rasters.

#![no_main]

use std::io::Cursor;

use ingest::source::modis::attributes::Attributes;
use ingest::source::modis::directory::end;
use ingest::source::modis::naming::is_named;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(end(&mut Cursor::new(data)));
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let attributes = Attributes::new(text.split('\0').map(str::to_owned).collect());
    for name in ["SHORTNAME", "RANGEBEGINNINGDATE", "HORIZONTALTILENUMBER"] {
        std::hint::black_box(attributes.core(name));
    }
    if let Some((low, high)) = attributes.pair("valid_range") {
        assert!(low <= high);
    }
    if let Some(number) = attributes.number("scale_factor") {
        assert!(number.is_finite());
    }
    is_named(text);
});
