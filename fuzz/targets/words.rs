//! Fuzzes what users type: times, boxes, orders, expressions, systems, polygons.

#![no_main]

use earth::crs::Crs;
use earth::polygon::Polygon;
use earth::raster::expression::Expression;
use query::text::{lon_lat_box, sort, time_range};

libfuzzer_sys::fuzz_target!(|text: &str| {
    drop(time_range(text));
    drop(lon_lat_box(text));
    drop(sort(text));
    drop(Expression::parse(text));
    drop(Crs::from_proj_string(text));
    drop(Polygon::from_geojson(text));
});
