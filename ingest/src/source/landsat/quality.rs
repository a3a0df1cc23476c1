//! Quality bands: `QA_PIXEL` of Collection 2, `BQA` before.
//!
//! *Invariants*: bits are stored as delivered, as a categorical band; which bits mean what depends
//! on the collection alone.
//!
//! *Not here*: the bits themselves (`earth::dataset::landsat`).

use earth::dataset::landsat::{BQA, BQA_BEFORE, QA_PIXEL};

use super::super::{Layer, Mask};
use super::product::Collection;

/// What files of quality bands are called.
pub(super) const NAMES: [&str; 2] = ["QA_PIXEL", "BQA"];
/// The bits of a pixel that holds nothing: the fill bit alone.
pub(super) const FILL: f64 = 1.0;

/// Returns which collection has a quality band of one of those names.
pub(super) fn collection<'a>(mut held: impl Iterator<Item = &'a str>) -> Option<Collection> {
    let name = held.find(|name| NAMES.contains(name))?;
    Some(if name == "BQA" {
        Collection::One
    } else {
        Collection::Two
    })
}

/// Returns the mask that a quality band is; the layer takes the name that its bits go by.
pub(super) fn mask(layer: Layer, collection: Collection) -> Mask {
    let meaning = match collection {
        Collection::Before => &BQA_BEFORE,
        Collection::One => &BQA,
        Collection::Two => &QA_PIXEL,
    };
    let name = meaning.band.to_owned();
    Mask {
        meaning,
        layer: Layer { name, ..layer },
    }
}
