//! Where a raster lies by its four sides, as a user or a side-car says, or by a world file.
//!
//! *Invariants*: the sides span an area; in degrees, latitudes are latitudes and a box whose west
//! lies east of its east crosses the antimeridian.
//!
//! *Not here*: which of them is asked first (`geotiff::picture`).

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::name::show;
use earth::crs::Crs;
use earth::raster::georef::{Affine, Georef};
use serde::Deserialize;
use wire::fault::{Fault, FaultKind};

/// Longest world file: six numbers.
const WORLD_FILE_BYTES_MAX: u64 = 1024;
/// Greatest coordinate: four times round the Earth in metres.
const COORDINATE_MAX: f64 = 1.6e8;

/// West, south, east and north of a raster's outer edges, in its own system.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "[f64; 4]")]
pub struct Bounds([f64; 4]);

impl TryFrom<[f64; 4]> for Bounds {
    type Error = String;

    fn try_from(sides: [f64; 4]) -> Result<Self, String> {
        let [west, south, east, north] = sides;
        if !sides.iter().all(|s| s.abs() <= COORDINATE_MAX) {
            return Err("bounds are four finite numbers W,S,E,N".to_owned());
        }
        if south >= north || (east - west).abs() <= 0.0 {
            return Err("bounds are W,S,E,N, and span no area here".to_owned());
        }
        Ok(Self(sides))
    }
}

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "bounds are four numbers W,S,E,N, such as -105.5,40,-105,40.5".to_owned();
        let numbers = text.split(',').map(|n| n.trim().parse());
        let numbers = numbers
            .collect::<Result<Vec<f64>, _>>()
            .map_err(|_| wrong())?;
        <[f64; 4]>::try_from(numbers)
            .map_err(|_| wrong())?
            .try_into()
    }
}

impl Bounds {
    /// Returns the map that stretches a raster from side to side; the error says what is wrong.
    pub fn georef(self, crs: Crs, (width, height): (u32, u32)) -> Result<Georef, String> {
        let [west, south, mut east, north] = self.0;
        if crs.is_geographic() {
            if south < -90.0 || north > 90.0 || west.abs() > 360.0 || east.abs() > 360.0 {
                return Err(format!("{west},{south},{east},{north} are no degrees"));
            }
            east += if east < west { 360.0 } else { 0.0 };
        }
        if east <= west {
            return Err(format!("west {west} does not lie west of east {east}"));
        }
        let across = (east - west) / f64::from(width);
        let down = (south - north) / f64::from(height);
        let affine = Affine::new([west, across, 0.0, north, 0.0, down]);
        let affine = affine.map_err(|e| e.to_string())?;
        Ok(Georef {
            crs,
            affine,
            width,
            height,
        })
    }
}

/// Returns the world file of a raster, if there is one: `.pgw`, `.pngw` or `.wld`.
pub fn world_file(raster: &Path) -> Option<PathBuf> {
    let extension = raster.extension()?.to_str()?.to_ascii_lowercase();
    let (first, last) = (extension.get(..1)?, extension.get(extension.len() - 1..)?);
    let endings = [
        format!("{first}{last}w"),
        format!("{extension}w"),
        "wld".to_owned(),
    ];
    let both = endings
        .iter()
        .flat_map(|e| [e.clone(), e.to_ascii_uppercase()]);
    both.map(|e| raster.with_extension(e)).find(|p| p.is_file())
}

/// Reads a world file: six numbers, of which the last two are the centre of the first pixel.
pub fn read_world_file(path: &Path) -> Result<Affine, Fault> {
    let failed = |reason: String| {
        let what = format!("the world file {} cannot be used", show(path));
        Fault::new(FaultKind::Data, what)
            .because(reason)
            .try_("it holds six numbers, one a line; --bounds W,S,E,N says the same")
    };
    let meta = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?;
    if meta.len() > WORLD_FILE_BYTES_MAX {
        return Err(failed("it is too long".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    parse_world_file(&text).map_err(failed)
}

/// Reads the text of a world file; the error says what is wrong.
pub fn parse_world_file(text: &str) -> Result<Affine, String> {
    let numbers = text.split_whitespace().map(str::parse);
    let numbers = numbers.collect::<Result<Vec<f64>, _>>();
    let numbers = numbers.map_err(|_| "it holds something else than numbers".to_owned())?;
    let [a, d, b, e, c, f] = numbers.as_slice() else {
        return Err(format!("it holds {} numbers", numbers.len()));
    };
    let corner = (c - (a + b) / 2.0, f - (d + e) / 2.0);
    Affine::new([corner.0, *a, *b, corner.1, *d, *e]).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_four_numbers_that_span_an_area() {
        let good: Bounds = "-105.5, 40,-105,40.5".parse().unwrap();
        let georef = good.georef(Crs::wgs84(), (500, 250)).unwrap();
        let told: [f64; 6] = [-105.5, 0.001, 0.0, 40.5, 0.0, -0.002];
        assert_eq!(
            georef.affine.to_gdal().map(f64::to_bits),
            told.map(f64::to_bits)
        );
        for text in [
            "1,2,3",
            "1,2,3,4,5",
            "a,b,c,d",
            "1,5,2,4",
            "1,1,1,2",
            "nan,1,2,3",
            "",
        ] {
            assert!(text.parse::<Bounds>().is_err(), "{text}");
        }
    }

    #[test]
    fn degrees_go_across_the_antimeridian_and_metres_do_not() {
        let crossing: Bounds = "179,-17,-179,-16".parse().unwrap();
        let georef = crossing.georef(Crs::wgs84(), (200, 100)).unwrap();
        assert!((georef.affine.to_gdal()[1] - 0.01).abs() < 1e-12);
        assert!(crossing.georef(Crs::web_mercator(), (200, 100)).is_err());
        let tall: Bounds = "0,80,10,95".parse().unwrap();
        assert!(tall.georef(Crs::wgs84(), (10, 10)).is_err());
    }

    #[test]
    fn world_files_name_the_centre_of_the_first_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("a.PNG");
        assert_eq!(world_file(&picture), None);
        let world = folder.path().join("a.pgw");
        std::fs::write(&world, "10.0\n0\n0\n-10.0\n500005.0\n4099995.0\n").unwrap();
        assert_eq!(world_file(&picture), Some(world.clone()));
        let affine = read_world_file(&world).unwrap();
        let told: [f64; 6] = [500_000.0, 10.0, 0.0, 4_100_000.0, 0.0, -10.0];
        assert_eq!(affine.to_gdal().map(f64::to_bits), told.map(f64::to_bits));
        for text in ["1 2 3", "a b c d e f", "0 0 0 0 1 1"] {
            std::fs::write(&world, text).unwrap();
            assert!(read_world_file(&world).is_err(), "{text}");
        }
    }
}
