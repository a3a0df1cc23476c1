//! One split as predicates, indexes and orders see it.
//!
//! *Invariants*: a view, so that it costs nothing to make; shares are 0..=1; rows are told apart
//! by id alone.
//!
//! *Not here*: where rows are kept (`index`), what else is known of a split (earth).

use std::cmp::Ordering;

use earth::geocode::Geocode;
use earth::split::meta::{SplitId, SplitMeta};
use earth::split::placement::Slot;
use jiff::Timestamp;

/// One split as predicates, indexes and orders see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Collection name.
    pub collection: &'a str,
    /// Scene name.
    pub scene: &'a str,
    /// Dataset name.
    pub dataset: &'a str,
    /// The cell.
    pub geocode: Geocode,
    /// Slot of its placement key.
    pub slot: Slot,
    /// Sensing time.
    pub acquired: Timestamp,
    /// Cloudy / judged pixels, if any was judged.
    pub cloud: Option<f64>,
    /// Valid / all pixels.
    pub coverage: f64,
    /// Stored bytes of one replica.
    pub bytes: u64,
}

impl<'a> Row<'a> {
    /// Returns the view of a stored split; `bytes` are those of its files.
    pub fn new(meta: &'a SplitMeta, bytes: u64) -> Self {
        Self {
            collection: meta.id.collection(),
            scene: meta.id.scene(),
            dataset: &meta.dataset,
            geocode: meta.geocode,
            slot: meta.placement_key.slot(),
            acquired: meta.acquired,
            cloud: meta.counts.cloud(),
            coverage: meta.counts.coverage(),
            bytes,
        }
    }

    /// Returns the split's id; `None` if collection or scene are no names.
    pub fn id(&self) -> Option<SplitId> {
        SplitId::new(self.collection, self.scene, &self.geocode)
    }

    /// Compares two rows in text order of their ids, without building these.
    pub fn cmp_id(&self, other: &Self) -> Ordering {
        cmp_heads(
            (self.collection, self.scene),
            (other.collection, other.scene),
        )
        .then_with(|| cmp_codes(&self.geocode, &other.geocode))
    }

    /// Compares the row's id with another id in text order.
    pub fn cmp_to_id(&self, other: &SplitId) -> Ordering {
        let head = (other.collection(), other.scene());
        cmp_heads((self.collection, self.scene), head)
            .then_with(|| self.geocode.to_string().as_str().cmp(other.geocode()))
    }
}

/// Compares `COLLECTION/SCENE~` in text order.
///
/// Names hold neither `/` nor `~`, so the end of the first differing name decides.
fn cmp_heads(a: (&str, &str), b: (&str, &str)) -> Ordering {
    if a.0 != b.0 {
        return cmp_ended(a.0, b.0, b'/');
    }
    if a.1 == b.1 {
        Ordering::Equal
    } else {
        cmp_ended(a.1, b.1, b'~')
    }
}

/// Compares two names as if each ended in that byte.
fn cmp_ended(a: &str, b: &str, end: u8) -> Ordering {
    a.bytes().chain([end]).cmp(b.bytes().chain([end]))
}

/// Compares two geocodes in text order, across schemes too.
pub(crate) fn cmp_codes(a: &Geocode, b: &Geocode) -> Ordering {
    if a.scheme() == b.scheme() {
        a.cmp(b)
    } else {
        a.to_string().cmp(&b.to_string())
    }
}
