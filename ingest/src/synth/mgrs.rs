//! Names of MGRS tiles, as Sentinel-2 products carry them.
//!
//! *Invariants*: letters follow the MGRS scheme (no I, no O; columns repeat every 3 zones, rows
//! every 2,000 km with an offset of 5 in even zones).
//!
//! *Not here*: polar zones: worlds lie between 80° south and 84° north.

const BANDS: &[u8] = b"CDEFGHJKLMNPQRSTUVWX";
const COLUMNS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const ROWS: &[u8] = b"ABCDEFGHJKLMNPQRSTUV";

/// A tile's zone with the metres of a point inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// UTM zone, 1..=60.
    pub zone: u8,
    /// Easting in metres.
    pub easting: u32,
    /// Northing in metres, false northing included.
    pub northing: u32,
}

/// Returns the UTM zone of a longitude in degrees.
pub fn zone(lon: f64) -> u8 {
    let count = (1..=60_u8).find(|z| lon < -180.0 + 6.0 * f64::from(*z));
    count.unwrap_or(60)
}

/// Returns the tile's name without its `T`, such as `29UNU`.
pub fn tile(place: Place, lat: f64) -> String {
    let letter = |letters: &[u8], i: usize| char::from(letters[i % letters.len()]);
    let band = (0..19_u8)
        .take_while(|b| lat >= -72.0 + 8.0 * f64::from(*b))
        .count();
    let zone = usize::from(place.zone);
    let square = |metres: u32| usize::try_from(metres / 100_000).unwrap_or(0);
    let column = ((zone - 1) % 3) * 8 + square(place.easting).saturating_sub(1);
    let row = square(place.northing) + if zone.is_multiple_of(2) { 5 } else { 0 };
    format!(
        "{zone:02}{}{}{}",
        letter(BANDS, band),
        letter(COLUMNS, column),
        letter(ROWS, row)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_of_real_products_get_their_real_names() {
        let cases = [
            // Centre of T29UNU, T22HBD and T07HFE, from their own metadata.
            (29, 554_880, 5_845_140, 52.7, "29UNU"),
            (22, 254_880, 5_845_140, -37.5, "22HBD"),
            (7, 654_880, 6_445_140, -32.1, "07HFE"),
        ];
        for (zone, easting, northing, lat, name) in cases {
            let place = Place {
                zone,
                easting,
                northing,
            };
            assert_eq!(tile(place, lat), name);
        }
    }

    #[test]
    fn zones_are_six_degrees_wide() {
        assert_eq!(
            [zone(-180.0), zone(-0.1), zone(0.0), zone(179.9)],
            [1, 30, 31, 60]
        );
    }
}
