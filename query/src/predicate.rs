//! A query made ready: every text parsed, every bound checked.
//!
//! *Invariants*: what compiles can be evaluated without an error; an unknown cloud share fails
//! each cloud predicate; every way to find rows ends in `matches`, so all of them agree.
//!
//! *Not here*: indexes (`index`), slots (`route`), order and limit (`page`).

use std::collections::BTreeSet;

use earth::geocode::Geocode;
use earth::polygon::{GeoJsonError, Polygon};
use earth::split::meta::{SplitId, SplitIdError};

use crate::model::{Query, TimeRange};
use crate::pairs::{Rule, RuleError};
use crate::row::Row;
use crate::share::{PercentError, Shares};
use crate::space::{Codes, SCHEMES, Space};

/// Most geocodes, ids or names that one query may list: a line of a shell holds fewer.
pub const LISTED_MAX: usize = 100_000;

/// Most corners of a polygon asked for: a cell is tested against each, so that a hundred thousand
/// cells on its edge take seconds, not minutes; a country at a hundred metres has fewer.
pub const CORNERS_MAX: usize = 20_000;

/// One kind of predicate: what a flag of the command line sets.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Clause {
    /// `--collection`
    Collection,
    /// `--dataset`
    Dataset,
    /// Scene names.
    Scene,
    /// Split ids.
    Id,
    /// `--geocode`
    Geocode,
    /// `--bbox`
    Bbox,
    /// `--intersects`
    Intersects,
    /// `--datetime`
    Datetime,
    /// `--min-cloud`
    MinCloud,
    /// `--max-cloud`
    MaxCloud,
    /// `--min-coverage`
    MinCoverage,
    /// `--max-coverage`
    MaxCoverage,
}

impl Clause {
    /// Every kind, in order.
    pub const ALL: [Self; 12] = [
        Self::Collection,
        Self::Dataset,
        Self::Scene,
        Self::Id,
        Self::Geocode,
        Self::Bbox,
        Self::Intersects,
        Self::Datetime,
        Self::MinCloud,
        Self::MaxCloud,
        Self::MinCoverage,
        Self::MaxCoverage,
    ];

    /// Returns the flag that sets it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Collection => "--collection",
            Self::Dataset => "--dataset",
            Self::Scene => "--scene",
            Self::Id => "--id",
            Self::Geocode => "--geocode",
            Self::Bbox => "--bbox",
            Self::Intersects => "--intersects",
            Self::Datetime => "--datetime",
            Self::MinCloud => "--min-cloud",
            Self::MaxCloud => "--max-cloud",
            Self::MinCoverage => "--min-coverage",
            Self::MaxCoverage => "--max-coverage",
        }
    }
}

/// Why a query cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum PredicateError {
    /// A text is a geocode of no scheme.
    #[error("--geocode: '{text}' is neither a geohash nor a quad-tile")]
    Geocode {
        /// The text.
        text: String,
    },
    /// A text is no split id.
    #[error("--id: {0}")]
    Id(#[source] SplitIdError),
    /// A cloud bound is no percent.
    #[error("--min-cloud, --max-cloud: {0}")]
    Cloud(#[source] PercentError),
    /// A coverage bound is no percent.
    #[error("--min-coverage, --max-coverage: {0}")]
    Coverage(#[source] PercentError),
    /// The bounds of cloudy and clear overlap.
    #[error("--cloudy, --clear: {0}")]
    Paired(#[source] RuleError),
    /// The times end before they start.
    #[error("--datetime: it ends before it starts")]
    Time,
    /// The polygon is none.
    #[error("--intersects: {0}")]
    Polygon(#[source] GeoJsonError),
    /// The polygon has more corners than can be tested.
    #[error("--intersects: {count} corners are more than {CORNERS_MAX}; simplify the polygon")]
    Corners {
        /// How many.
        count: usize,
    },
    /// More is listed than is allowed.
    #[error("{clause}: {count} are listed, more than {LISTED_MAX}", clause = .clause.flag())]
    Listed {
        /// What is listed.
        clause: Clause,
        /// How many.
        count: usize,
    },
}

/// A query made ready.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predicate {
    pub(crate) collections: BTreeSet<String>,
    pub(crate) datasets: BTreeSet<String>,
    pub(crate) scenes: BTreeSet<String>,
    pub(crate) ids: BTreeSet<SplitId>,
    pub(crate) space: Space,
    pub(crate) time: TimeRange,
    pub(crate) cloud: Option<Shares>,
    pub(crate) coverage: Option<Shares>,
    pub(crate) paired: Option<Rule>,
}

impl Predicate {
    /// Makes a query ready; says which flag is wrong if one is.
    pub fn compile(query: &Query) -> Result<Self, PredicateError> {
        let ids = listed(Clause::Id, &query.ids)?;
        let ids: Result<_, _> = ids.iter().map(|id| SplitId::parse(id)).collect();
        if let (Some(start), Some(end)) = (query.time.start, query.time.end)
            && start > end
        {
            return Err(PredicateError::Time);
        }
        Ok(Self {
            collections: names(Clause::Collection, &query.collections)?,
            datasets: names(Clause::Dataset, &query.datasets)?,
            scenes: names(Clause::Scene, &query.scenes)?,
            ids: ids.map_err(PredicateError::Id)?,
            space: Space {
                codes: codes(query)?,
                bbox: query.bbox,
                polygon: query.intersects.as_ref().map(polygon).transpose()?,
            },
            time: query.time,
            cloud: Shares::of_percent(&query.cloud).map_err(PredicateError::Cloud)?,
            coverage: Shares::of_percent(&query.coverage).map_err(PredicateError::Coverage)?,
            paired: { query.paired.map(Rule::try_from).transpose() }
                .map_err(PredicateError::Paired)?,
        })
    }

    /// Tells whether a row satisfies every predicate.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.holds_time(row)
            && self.cloud.is_none_or(|s| holds_share(&s, row.cloud))
            && self.coverage.is_none_or(|s| s.contains(row.coverage))
            && holds_name(&self.collections, row.collection)
            && holds_name(&self.datasets, row.dataset)
            && holds_name(&self.scenes, row.scene)
            && self.holds_id(row)
            && self.space.holds(&row.geocode)
    }

    /// Returns where the query looks.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Returns the predicates that a row fails; an unknown cloud share counts for one of them.
    pub(crate) fn failed(&self, row: &Row<'_>) -> Vec<Clause> {
        let space = &self.space;
        let bounds = row.geocode.bounds();
        let cloud_low = |s: Shares| row.cloud.map_or(!s.has_max(), |c| s.is_above(c));
        let cloud_high = |s: Shares| row.cloud.map_or(s.has_max(), |c| s.is_below(c));
        [
            (
                Clause::Collection,
                !holds_name(&self.collections, row.collection),
            ),
            (Clause::Dataset, !holds_name(&self.datasets, row.dataset)),
            (Clause::Scene, !holds_name(&self.scenes, row.scene)),
            (Clause::Id, !self.holds_id(row)),
            (
                Clause::Geocode,
                !space.codes.as_ref().is_none_or(|c| c.hold(&row.geocode)),
            ),
            (
                Clause::Bbox,
                !space.bbox.is_none_or(|b| b.overlaps(&bounds)),
            ),
            (
                Clause::Intersects,
                !space
                    .polygon
                    .as_ref()
                    .is_none_or(|p| p.intersects_box(&bounds)),
            ),
            (Clause::Datetime, !self.holds_time(row)),
            (Clause::MinCloud, self.cloud.is_some_and(cloud_low)),
            (Clause::MaxCloud, self.cloud.is_some_and(cloud_high)),
            (
                Clause::MinCoverage,
                self.coverage.is_some_and(|s| s.is_above(row.coverage)),
            ),
            (
                Clause::MaxCoverage,
                self.coverage.is_some_and(|s| s.is_below(row.coverage)),
            ),
        ]
        .into_iter()
        .filter_map(|(clause, fails)| fails.then_some(clause))
        .collect()
    }

    fn holds_time(&self, row: &Row<'_>) -> bool {
        self.time.start.is_none_or(|start| start <= row.acquired)
            && self.time.end.is_none_or(|end| row.acquired <= end)
    }

    fn holds_id(&self, row: &Row<'_>) -> bool {
        self.ids.is_empty() || row.id().is_some_and(|id| self.ids.contains(&id))
    }
}

/// Tells whether a share lies in a range; an unknown one lies in none.
fn holds_share(shares: &Shares, share: Option<f64>) -> bool {
    share.is_some_and(|share| shares.contains(share))
}

fn holds_name(allowed: &BTreeSet<String>, name: &str) -> bool {
    allowed.is_empty() || allowed.contains(name)
}

fn listed<T>(clause: Clause, list: &[T]) -> Result<&[T], PredicateError> {
    let count = list.len();
    if count > LISTED_MAX {
        return Err(PredicateError::Listed { clause, count });
    }
    Ok(list)
}

fn names(clause: Clause, list: &[String]) -> Result<BTreeSet<String>, PredicateError> {
    Ok(listed(clause, list)?.iter().cloned().collect())
}

/// Parses the geocodes of a query in whatever scheme they fit.
fn codes(query: &Query) -> Result<Option<Codes>, PredicateError> {
    let mut codes = Vec::new();
    for text in listed(Clause::Geocode, &query.geocodes)? {
        let before = codes.len();
        codes.extend(SCHEMES.iter().flat_map(|s| Geocode::parse(*s, text)));
        if codes.len() == before {
            let text = text.clone();
            return Err(PredicateError::Geocode { text });
        }
    }
    codes.sort_unstable();
    codes.dedup();
    Ok((!codes.is_empty()).then_some(Codes {
        codes,
        exact: query.exact,
    }))
}

/// Reads a polygon given as GeoJSON, or as a string that holds GeoJSON.
fn polygon(value: &serde_json::Value) -> Result<Polygon, PredicateError> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let polygon = Polygon::from_geojson(&text).map_err(PredicateError::Polygon)?;
    let count = polygon.parts().iter().map(|p| p.edges().count()).sum();
    if count > CORNERS_MAX {
        return Err(PredicateError::Corners { count });
    }
    Ok(polygon)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Range;

    fn wrong(change: impl Fn(&mut Query)) -> String {
        let mut query = Query::default();
        change(&mut query);
        let error = Predicate::compile(&query).expect_err("something is wrong");
        error.to_string()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_flag() {
        let said = wrong(|q| q.geocodes = vec!["9xj".to_owned(), "a!".to_owned()]);
        assert_eq!(said, "--geocode: 'a!' is neither a geohash nor a quad-tile");
        let said = wrong(|q| q.ids = vec!["naip".to_owned()]);
        assert!(said.starts_with("--id: 'naip' is no split id"), "{said}");
        let range = Range {
            min: Some(120.0),
            max: None,
        };
        assert!(wrong(|q| q.cloud = range).starts_with("--min-cloud, --max-cloud: 120 is"));
        assert!(wrong(|q| q.coverage = range).starts_with("--min-coverage, --max-coverage"));
        let backward = |q: &mut Query| {
            q.time.start = "2020-01-01T00:00:00Z".parse().ok();
            q.time.end = "2019-01-01T00:00:00Z".parse().ok();
        };
        assert!(wrong(backward).starts_with("--datetime"));
        let point = json!({"type": "Point", "coordinates": [0, 0]});
        assert!(wrong(|q| q.intersects = Some(point.clone())).starts_with("--intersects"));
    }

    #[test]
    fn a_polygon_of_too_many_corners_is_refused() {
        let corner = |i: usize| {
            let turn = i as f64 / 30_000.0 * std::f64::consts::TAU;
            [10.0 * turn.cos(), 10.0 * turn.sin()]
        };
        let mut ring: Vec<[f64; 2]> = (0..30_000).map(corner).collect();
        ring.push(ring[0]);
        let area = json!({"type": "Polygon", "coordinates": [ring]});
        let said = wrong(|q| q.intersects = Some(area.clone()));
        assert!(said.starts_with("--intersects: 30000 corners"), "{said}");
    }

    #[test]
    fn geojson_may_come_as_an_object_or_as_its_text() {
        let area = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]});
        let compile = |area: serde_json::Value| {
            let query = Query {
                intersects: Some(area),
                ..Query::default()
            };
            Predicate::compile(&query).unwrap()
        };
        assert_eq!(compile(area.clone()), compile(area.to_string().into()));
    }

    #[test]
    fn a_text_of_both_schemes_means_both() {
        let query = Query {
            geocodes: vec!["012".to_owned()],
            ..Query::default()
        };
        let codes = Predicate::compile(&query)
            .unwrap()
            .space
            .codes
            .unwrap()
            .codes;
        assert_eq!(codes.len(), 2);
    }
}
