//! The polygons in a GeoJSON text.
//!
//! Source: RFC 7946.
//!
//! *Invariants*: text and nesting are bounded before anything is built from them.
//!
//! *Not here*: what makes a ring valid (`polygon`).

use serde_json::Value;

use super::PolygonError;

/// Longest text taken: `CORNERS_MAX` corners of 80 characters each.
const TEXT_LENGTH_MAX: usize = 16 << 20;

/// Deepest nesting of collections and features; real files have two.
const DEPTH_MAX: usize = 8;

/// Why a text gives no area.
#[derive(Debug, thiserror::Error)]
pub enum GeoJsonError {
    /// The text is too long.
    #[error("{0} bytes of GeoJSON are more than {TEXT_LENGTH_MAX}; simplify the polygon")]
    Length(usize),
    /// The text is not JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// A required member is missing or has the wrong form.
    #[error("{kind} without a proper \"{member}\"")]
    Member {
        /// The GeoJSON type it should belong to.
        kind: &'static str,
        /// The member's name.
        member: &'static str,
    },
    /// The type bounds no area.
    #[error("a {0} has no area; give a Polygon or MultiPolygon, or a Feature of one")]
    Kind(String),
    /// Collections lie in one another too deeply.
    #[error("more than {DEPTH_MAX} collections lie in one another")]
    Depth,
    /// The coordinates bound no area.
    #[error(transparent)]
    Polygon(PolygonError),
}

/// MultiPolygon coordinates: parts of rings of positions.
type Coordinates = Vec<Vec<Vec<[f64; 2]>>>;

/// Returns the coordinates of all polygons in a text.
pub(super) fn coordinates(text: &str) -> Result<Coordinates, GeoJsonError> {
    if text.len() > TEXT_LENGTH_MAX {
        return Err(GeoJsonError::Length(text.len()));
    }
    let mut found = Coordinates::new();
    gather(&serde_json::from_str(text)?, DEPTH_MAX, &mut found)?;
    Ok(found)
}

/// Adds the polygons of a GeoJSON object.
fn gather(object: &Value, depth: usize, found: &mut Coordinates) -> Result<(), GeoJsonError> {
    let depth = depth.checked_sub(1).ok_or(GeoJsonError::Depth)?;
    let missing = |kind, member| GeoJsonError::Member { kind, member };
    let kind = object.get("type").and_then(Value::as_str);
    match kind.ok_or_else(|| missing("GeoJSON object", "type"))? {
        "Polygon" => {
            let rings = polygon(object.get("coordinates"));
            found.push(rings.ok_or_else(|| missing("Polygon", "coordinates"))?);
            Ok(())
        }
        "MultiPolygon" => {
            let parts = list(object.get("coordinates"), |part| polygon(Some(part)));
            found.extend(parts.ok_or_else(|| missing("MultiPolygon", "coordinates"))?);
            Ok(())
        }
        "Feature" => {
            let geometry = object.get("geometry").filter(|g| g.is_object());
            gather(
                geometry.ok_or_else(|| missing("Feature", "geometry"))?,
                depth,
                found,
            )
        }
        "FeatureCollection" => {
            let features = object.get("features").and_then(Value::as_array);
            let mut features = features
                .ok_or_else(|| missing("FeatureCollection", "features"))?
                .iter();
            features.try_for_each(|feature| gather(feature, depth, found))
        }
        "GeometryCollection" => {
            let inner = object.get("geometries").and_then(Value::as_array);
            let mut inner = inner
                .ok_or_else(|| missing("GeometryCollection", "geometries"))?
                .iter();
            inner.try_for_each(|geometry| gather(geometry, depth, found))
        }
        other => Err(GeoJsonError::Kind(other.chars().take(40).collect())),
    }
}

/// Reads the rings of one polygon.
fn polygon(value: Option<&Value>) -> Option<Vec<Vec<[f64; 2]>>> {
    list(value, |ring| list(Some(ring), position))
}

/// Reads one position; altitude is left out.
fn position(value: &Value) -> Option<[f64; 2]> {
    let numbers = value.as_array()?;
    Some([numbers.first()?.as_f64()?, numbers.get(1)?.as_f64()?])
}

/// Reads every element of an array, or nothing if one has the wrong form.
fn list<T>(value: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value?.as_array()?.iter().map(read).collect()
}
