//! Fuzzes what users type: times, boxes, orders, expressions, systems, polygons.

#![no_main]

use earth::crs::Crs;
use earth::polygon::Polygon;
use earth::raster::expression::Expression;
use query::text::{lon_lat_box, sort, time_range};

libfuzzer_sys::fuzz_target!(|text: &str| {
    time_range(text).map_or((), |_| ());
    lon_lat_box(text).map_or((), |_| ());
    sort(text).map_or((), |_| ());
    Expression::parse(text).map_or((), |_| ());
    Crs::from_proj_string(text).map_or((), |_| ());
    Polygon::from_geojson(text).map_or((), |_| ());
});
