//! The EPSG codes built in, as PROJ strings.
//!
//! Source: PROJ 9.1 `projinfo -o PROJ EPSG:n`; `tests/oracles/crs.py` compares every row.
//!
//! *Invariants*: every row is a system whose datum is joined to WGS 84 by a null shift.
//!
//! *Not here*: other codes; they come as PROJ strings (ingest asks GDAL).

/// EPSG:4326.
pub(super) const WGS84: &str = "+proj=longlat +datum=WGS84 +no_defs";

/// EPSG:3857.
pub(super) const WEB_MERCATOR: &str = "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 \
     +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +no_defs";

/// Returns the PROJ string of a code, or `None` if it is not built in.
pub(super) fn proj_string(code: u16) -> Option<String> {
    if let Some(zone) = utm_zone(code) {
        return Some(zone);
    }
    let fixed = match code {
        // Longitude/latitude: WGS 84, NAD83, ETRS89, GDA94, GDA2020.
        4326 => WGS84,
        4269 => "+proj=longlat +datum=NAD83 +no_defs",
        4258 | 4283 | 7844 => "+proj=longlat +ellps=GRS80 +towgs84=0,0,0 +no_defs",
        // Spherical Mercator.
        3857 => WEB_MERCATOR,
        // Polar stereographic: NSIDC north, Arctic, Antarctic.
        3413 => {
            "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +x_0=0 +y_0=0 +datum=WGS84 +units=m \
             +no_defs"
        }
        3995 => {
            "+proj=stere +lat_0=90 +lat_ts=71 +lon_0=0 +x_0=0 +y_0=0 +datum=WGS84 +units=m \
             +no_defs"
        }
        3031 => {
            "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +x_0=0 +y_0=0 +datum=WGS84 +units=m \
             +no_defs"
        }
        // Equal area: CONUS Albers, Europe LAEA, Australian Albers, EASE-Grid 2.0.
        5070 => {
            "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 +datum=NAD83 \
             +units=m +no_defs"
        }
        3035 => {
            "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 \
             +towgs84=0,0,0 +units=m +no_defs"
        }
        3577 => {
            "+proj=aea +lat_0=0 +lon_0=132 +lat_1=-18 +lat_2=-36 +x_0=0 +y_0=0 +ellps=GRS80 \
             +towgs84=0,0,0 +units=m +no_defs"
        }
        6933 => "+proj=cea +lat_ts=30 +lon_0=0 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs",
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// Returns the PROJ string of a UTM code: WGS 84, NAD83, ETRS89, GDA94, GDA2020.
fn utm_zone(code: u16) -> Option<String> {
    let (zone, rest) = match code {
        32601..=32660 => (code - 32600, "+datum=WGS84"),
        32701..=32760 => (code - 32700, "+south +datum=WGS84"),
        26901..=26923 => (code - 26900, "+datum=NAD83"),
        25828..=25838 => (code - 25800, "+ellps=GRS80 +towgs84=0,0,0"),
        28348..=28358 => (code - 28300, "+south +ellps=GRS80 +towgs84=0,0,0"),
        7846..=7859 => (code - 7800, "+south +ellps=GRS80 +towgs84=0,0,0"),
        _ => return None,
    };
    Some(format!("+proj=utm +zone={zone} {rest} +units=m +no_defs"))
}
