//! What a query means, read from its fields as plainly as can be.

use earth::polygon::Polygon;
use query::{Query, Range};

use crate::world::Datum;

/// Tells whether a row answers the query.
pub(crate) fn answers(query: &Query, datum: &Datum) -> bool {
    let code = datum.geocode.to_string();
    let listed = |list: &[String], text: &str| list.is_empty() || list.iter().any(|l| l == text);
    let coded = query.geocodes.is_empty()
        || query.geocodes.iter().any(|asked| {
            if query.exact {
                code == *asked
            } else {
                code.starts_with(asked)
            }
        });
    let bounds = datum.geocode.bounds();
    let area = query.intersects.as_ref().map(ToString::to_string);
    let area = area.map(|text| Polygon::from_geojson(&text).expect("a triangle"));
    listed(&query.collections, datum.collection)
        && listed(&query.datasets, datum.dataset)
        && listed(&query.scenes, &datum.scene)
        && listed(&query.ids, &datum.id())
        && coded
        && query.bbox.is_none_or(|b| b.overlaps(&bounds))
        && area.is_none_or(|area| area.intersects_box(&bounds))
        && query.time.start.is_none_or(|start| datum.acquired >= start)
        && query.time.end.is_none_or(|end| datum.acquired <= end)
        && within(&query.cloud, datum.cloud)
        && within(&query.coverage, Some(datum.coverage))
}

/// Compares in whole steps of a ten-thousandth of a percent, so that rounding does not matter.
fn within(range: &Range, share: Option<f64>) -> bool {
    let steps = |percent: f64| (percent * 1e4).round();
    match share {
        None => range.min.is_none() && range.max.is_none(),
        Some(share) => {
            // Shares that are not whole percents lie far from every bound that is.
            let share = if (share * 100.0 - (share * 100.0).round()).abs() < 1e-6 {
                steps((share * 100.0).round())
            } else {
                share * 1e6
            };
            range.min.is_none_or(|min| share >= steps(min))
                && range.max.is_none_or(|max| share <= steps(max))
        }
    }
}
