//! Coordinate reference systems and exact transformation between them.
//!
//! *Invariants*: a `Crs` is valid by construction; coordinates are x/y in the order easting,
//! northing, and **longitude, latitude in degrees** for geographic systems, whatever the axis
//! order of the authority.
//!
//! WGS 84, NAD83, ETRS89, GDA94 and GDA2020 are taken as one datum (a null shift, as PROJ does
//! without grid files; the true difference is at most about 2 m and below the pixel of every
//! dataset but aerial imagery). Systems on a sphere are joined without a shift: geodetic
//! latitude is taken as it is, as PROJ does.
//!
//! *Not here*: pixel grids (`grid`), resampling (`raster::reproject`), WKT (ingest asks GDAL).

mod epsg;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use proj4rs::Proj;
use proj4rs::transform::{Transform, TransformClosure};
use serde::{Deserialize, Serialize};

/// Longest PROJ string taken: the longest of the EPSG registry is below 300 characters.
pub const PROJ_STRING_LENGTH_MAX: usize = 1024;

/// A coordinate reference system: an EPSG code we know, or a PROJ string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crs {
    epsg: Option<u16>,
    proj: Arc<str>,
}

/// Why a text is no coordinate reference system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrsError {
    /// The EPSG code is not in our table.
    #[error("EPSG:{0} is not among the codes built in; give its PROJ string instead")]
    UnknownEpsg(u32),
    /// The text is neither `EPSG:n` nor a PROJ string.
    #[error("'{0}' is neither 'EPSG:code' nor a PROJ string such as '+proj=utm +zone=33'")]
    Form(String),
    /// The PROJ string cannot be used.
    #[error("PROJ string '{text}' cannot be used: {reason}")]
    Proj {
        /// The PROJ string.
        text: String,
        /// What the projection library objects to.
        reason: String,
    },
}

/// Why a batch of points could not be transformed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("point {index} ({x}, {y}) lies outside the domain of {from} → {to}")]
pub struct TransformError {
    /// Position of the first undefined point in the batch.
    pub index: usize,
    /// Its x before the transformation.
    pub x: f64,
    /// Its y before the transformation.
    pub y: f64,
    /// The source system.
    pub from: String,
    /// The target system.
    pub to: String,
}

impl Crs {
    /// Returns longitude/latitude on WGS 84, the system of geohash grids.
    pub fn wgs84() -> Self {
        Self {
            epsg: Some(4326),
            proj: epsg::WGS84.into(),
        }
    }

    /// Returns spherical Mercator, the system of quad-tile grids.
    pub fn web_mercator() -> Self {
        Self {
            epsg: Some(3857),
            proj: epsg::WEB_MERCATOR.into(),
        }
    }

    /// Returns the system of an EPSG code in the built-in table.
    pub fn from_epsg(code: u32) -> Result<Self, CrsError> {
        let unknown = CrsError::UnknownEpsg(code);
        let narrow = u16::try_from(code).map_err(|_| unknown.clone())?;
        let proj = epsg::proj_string(narrow).ok_or(unknown)?;
        Ok(Self {
            epsg: Some(narrow),
            proj: proj.into(),
        })
    }

    /// Returns the system that a PROJ string describes; spacing is normalised.
    pub fn from_proj_string(text: &str) -> Result<Self, CrsError> {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.len() > PROJ_STRING_LENGTH_MAX || !words.contains("+proj=") {
            return Err(CrsError::Form(
                text.chars().take(PROJ_STRING_LENGTH_MAX).collect(),
            ));
        }
        let crs = Self {
            epsg: None,
            proj: words.into(),
        };
        crs.projection()?;
        Ok(crs)
    }

    /// Returns the EPSG code, if the system was named by one.
    pub fn epsg(&self) -> Option<u16> {
        self.epsg
    }

    /// Returns the PROJ string.
    pub fn proj_string(&self) -> &str {
        &self.proj
    }

    /// Tells whether coordinates are longitude and latitude in degrees.
    pub fn is_geographic(&self) -> bool {
        self.projection().is_ok_and(|p| p.is_latlong())
    }

    /// Builds the projection library's form.
    fn projection(&self) -> Result<Proj, CrsError> {
        let refuse = |reason: String| CrsError::Proj {
            text: self.proj.to_string(),
            reason,
        };
        if !self.proj.is_ascii() {
            // The library slices angles by bytes.
            let reason = "it is to be of ASCII characters; degrees are written 45d30'";
            return Err(refuse(reason.to_owned()));
        }
        let proj = Proj::from_proj_string(&self.proj).map_err(|e| refuse(e.to_string()))?;
        if proj.is_geocent() {
            return Err(refuse(
                "geocentric coordinates have no pixel grid".to_owned(),
            ));
        }
        if !(proj.has_forward() && proj.has_inverse()) {
            return Err(refuse(
                "the projection works in one direction only".to_owned(),
            ));
        }
        Ok(proj)
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epsg {
            Some(code) => write!(f, "EPSG:{code}"),
            None => f.write_str(&self.proj),
        }
    }
}

impl FromStr for Crs {
    type Err = CrsError;

    fn from_str(text: &str) -> Result<Self, CrsError> {
        let text = text.trim();
        let code = text
            .split_once(':')
            .filter(|(authority, _)| authority.eq_ignore_ascii_case("epsg"));
        match code {
            Some((_, code)) => {
                Self::from_epsg(code.parse().map_err(|_| CrsError::Form(text.to_owned()))?)
            }
            None => Self::from_proj_string(text),
        }
    }
}

impl TryFrom<String> for Crs {
    type Error = CrsError;

    fn try_from(text: String) -> Result<Self, CrsError> {
        text.parse()
    }
}

impl From<Crs> for String {
    fn from(crs: Crs) -> Self {
        crs.to_string()
    }
}

/// An exact transformation of points from one system to another.
pub struct Transformer {
    from: Crs,
    to: Crs,
    source: Proj,
    target: Proj,
}

impl Transformer {
    /// Builds the transformation.
    pub fn new(from: &Crs, to: &Crs) -> Result<Self, CrsError> {
        let (source, target) = (from.projection()?, to.projection()?);
        Ok(Self {
            from: from.clone(),
            to: to.clone(),
            source,
            target,
        })
    }

    /// Transforms all points in place.
    ///
    /// # Errors
    /// A point outside the domain of either projection; the slice then holds NaN for such points.
    pub fn transform(&self, points: &mut [(f64, f64)]) -> Result<(), TransformError> {
        let before = points.to_vec();
        if self.transform_defined(points) == 0 {
            return Ok(());
        }
        let index = points.iter().position(|p| p.0.is_nan()).unwrap_or(0);
        let (x, y) = before[index];
        Err(TransformError {
            index,
            x,
            y,
            from: self.from.to_string(),
            to: self.to.to_string(),
        })
    }

    /// Transforms points in place, writes NaN for undefined ones and returns how many those are.
    pub fn transform_defined(&self, points: &mut [(f64, f64)]) -> usize {
        if self.from != self.to {
            if self.source.is_latlong() {
                scale(points, f64::to_radians);
            }
            let done =
                proj4rs::transform::transform(&self.source, &self.target, &mut Batch(points));
            if done.is_err() {
                points.fill((f64::NAN, f64::NAN));
            }
            if self.target.is_latlong() {
                scale(points, f64::to_degrees);
            }
        }
        points.iter_mut().filter_map(void_unless_finite).count()
    }
}

impl fmt::Debug for Transformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transformer({} → {})", self.from, self.to)
    }
}

/// Converts the unit of both coordinates.
fn scale(points: &mut [(f64, f64)], convert: fn(f64) -> f64) {
    for (x, y) in points {
        (*x, *y) = (convert(*x), convert(*y));
    }
}

/// Turns a half-defined point into NaN; returns something for each such point.
fn void_unless_finite(point: &mut (f64, f64)) -> Option<()> {
    if point.0.is_finite() && point.1.is_finite() {
        return None;
    }
    *point = (f64::NAN, f64::NAN);
    Some(())
}

/// Points of which an undefined one becomes NaN instead of ending the batch.
struct Batch<'a>(&'a mut [(f64, f64)]);

impl Transform for Batch<'_> {
    fn transform_coordinates<F: TransformClosure>(
        &mut self,
        step: &mut F,
    ) -> proj4rs::errors::Result<()> {
        for point in self
            .0
            .iter_mut()
            .filter(|p| p.0.is_finite() && p.1.is_finite())
        {
            *point = match step(point.0, point.1, 0.0) {
                Ok((x, y, _)) => (x, y),
                Err(_) => (f64::NAN, f64::NAN),
            };
        }
        Ok(())
    }
}
