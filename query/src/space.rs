//! Where a query looks: geocodes, a box and a polygon, as one region of cells.
//!
//! *Invariants*: what is said of a cell holds for all cells inside it: `Disjoint` and `Inside`
//! never change further down; a cell that only touches an edge lies outside.
//!
//! *Not here*: which slots that means (`route`), which rows lie there (`index::radix`).

use earth::extent::LonLatBox;
use earth::geocode::{Geocode, Scheme};
use earth::polygon::Polygon;

/// The schemes, for texts that do not say theirs.
pub(crate) const SCHEMES: [Scheme; 2] = [Scheme::Geohash, Scheme::QuadTile];

/// How a cell lies to a region; ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// No cell at or below this one belongs to the region.
    Disjoint,
    /// Some may.
    Meets,
    /// This cell and every cell below it belong to the region.
    Inside,
}

/// Geocodes that a query names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Codes {
    /// In order; a text that can belong to both schemes stands here twice.
    pub(crate) codes: Vec<Geocode>,
    /// Cells below them do not count.
    pub(crate) exact: bool,
}

/// Where a query looks; what is absent bounds nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space {
    pub(crate) codes: Option<Codes>,
    pub(crate) bbox: Option<LonLatBox>,
    pub(crate) polygon: Option<Polygon>,
}

impl Space {
    /// Tells whether nothing bounds it.
    pub fn is_everywhere(&self) -> bool {
        self.codes.is_none() && self.bbox.is_none() && self.polygon.is_none()
    }

    /// Tells whether a split of that cell lies in the region.
    pub fn holds(&self, cell: &Geocode) -> bool {
        self.codes.as_ref().is_none_or(|c| c.hold(cell)) && {
            let bounds = cell.bounds();
            self.bbox.is_none_or(|b| b.overlaps(&bounds))
                && self
                    .polygon
                    .as_ref()
                    .is_none_or(|p| p.intersects_box(&bounds))
        }
    }

    /// Returns how a cell and all cells below it lie to the region.
    pub fn relation(&self, cell: &Geocode) -> Relation {
        let codes = self.codes.as_ref();
        let mut least = codes.map_or(Relation::Inside, |c| c.relation(cell));
        if least == Relation::Disjoint || (self.bbox.is_none() && self.polygon.is_none()) {
            return least;
        }
        let bounds = cell.bounds();
        if let Some(bbox) = &self.bbox {
            least = least.min(box_relation(bbox, &bounds));
        }
        match &self.polygon {
            Some(polygon) if least > Relation::Disjoint => {
                least.min(polygon_relation(polygon, &bounds))
            }
            _ => least,
        }
    }

    /// Returns the edges that one test of a cell may look at: what a test costs.
    pub(crate) fn edges(&self) -> u64 {
        let part = |p: &earth::polygon::PolygonPart| p.edges().count() as u64;
        let edges: u64 = self.polygon.iter().flat_map(Polygon::parts).map(part).sum();
        edges.max(1)
    }
}

impl Codes {
    /// Tells whether the cell is one of these or, unless `exact`, lies below one.
    pub(crate) fn hold(&self, cell: &Geocode) -> bool {
        let found = |code: &Geocode| self.codes.binary_search(code).is_ok();
        if self.exact {
            found(cell)
        } else {
            (1..=cell.precision()).any(|n| found(&cell.prefix(n)))
        }
    }

    fn relation(&self, cell: &Geocode) -> Relation {
        // What lies below a cell follows it in order.
        let next = self.codes.partition_point(|code| code < cell);
        if !self.exact && self.hold(cell) {
            Relation::Inside
        } else if self.codes.get(next).is_some_and(|code| cell.contains(code)) {
            Relation::Meets
        } else {
            Relation::Disjoint
        }
    }
}

fn box_relation(area: &LonLatBox, cell: &LonLatBox) -> Relation {
    let holds = |part: &LonLatBox| {
        part.west() <= cell.west()
            && cell.east() <= part.east()
            && part.south() <= cell.south()
            && cell.north() <= part.north()
    };
    if !area.overlaps(cell) {
        Relation::Disjoint
    } else if area.parts().iter().any(holds) {
        Relation::Inside
    } else {
        Relation::Meets
    }
}

fn polygon_relation(area: &Polygon, cell: &LonLatBox) -> Relation {
    if !area.intersects_box(cell) {
        Relation::Disjoint
    } else if area.contains_box(cell) {
        Relation::Inside
    } else {
        Relation::Meets
    }
}

/// Returns the cells of precision 1, in text order: every other cell lies in one of them.
pub(crate) fn roots(scheme: Scheme) -> Vec<Geocode> {
    let letters = ('0'..='9').chain('a'..='z');
    letters
        .filter_map(|c| Geocode::parse(scheme, &c.to_string()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Geocode {
        Geocode::parse(Scheme::Geohash, text).unwrap()
    }

    fn codes(texts: &[&str], exact: bool) -> Space {
        let codes = texts.iter().map(|t| code(t)).collect();
        Space {
            codes: Some(Codes { codes, exact }),
            ..Space::default()
        }
    }

    #[test]
    fn prefixes_hold_what_lies_below_them() {
        let space = codes(&["9xj"], false);
        assert_eq!(space.relation(&code("9")), Relation::Meets);
        assert_eq!(space.relation(&code("9xj")), Relation::Inside);
        assert_eq!(space.relation(&code("9xj5k")), Relation::Inside);
        assert_eq!(space.relation(&code("9xk")), Relation::Disjoint);
        assert!(space.holds(&code("9xj5k")) && !space.holds(&code("9x")));
    }

    #[test]
    fn exact_geocodes_hold_themselves_alone() {
        let space = codes(&["9xj"], true);
        assert_eq!(space.relation(&code("9xj")), Relation::Meets);
        assert_eq!(space.relation(&code("9xj5")), Relation::Disjoint);
        assert!(space.holds(&code("9xj")) && !space.holds(&code("9xj5")));
    }

    #[test]
    fn a_cell_that_only_shares_an_edge_lies_outside() {
        let cell = code("9xj");
        let east = cell.bounds().east();
        let (south, north) = (cell.bounds().south(), cell.bounds().north());
        let space = Space {
            bbox: Some(LonLatBox::new(east, south, east + 1.0, north).unwrap()),
            ..Space::default()
        };
        assert!(!space.holds(&cell));
        assert_eq!(space.relation(&cell), Relation::Disjoint);
    }

    #[test]
    fn every_first_character_is_a_root() {
        assert_eq!(roots(Scheme::Geohash).len(), 32);
        assert_eq!(roots(Scheme::QuadTile).len(), 4);
    }
}
