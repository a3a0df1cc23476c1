//! Well-known spectral indices as expressions over common names.
//!
//! *Invariants*: names are lower-case and sorted; each formula parses.
//!
//! *Not here*: which sensor's band has which common name (`dataset`).

use crate::raster::expression::nearest_word;

/// A spectral index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// The expression.
    pub formula: &'static str,
    /// Where it is defined.
    pub source: &'static str,
}

/// All indices, sorted by name.
pub const INDICES: &[Index] = &[
    Index {
        name: "bsi",
        title: "bare soil",
        formula: "((swir16 + red) - (nir + blue)) / ((swir16 + red) + (nir + blue))",
        source: "Rikimaru, Roy, Miyatake 2002",
    },
    Index {
        name: "evi",
        title: "vegetation, less sensitive to soil and haze",
        formula: "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)",
        source: "Huete et al. 2002",
    },
    Index {
        name: "nbr",
        title: "burnt ground",
        formula: "(nir - swir22) / (nir + swir22)",
        source: "Key, Benson 2006",
    },
    Index {
        name: "ndbi",
        title: "built-up land",
        formula: "(swir16 - nir) / (swir16 + nir)",
        source: "Zha, Gao, Ni 2003",
    },
    Index {
        name: "ndmi",
        title: "moisture of vegetation",
        formula: "(nir - swir16) / (nir + swir16)",
        source: "Gao 1996",
    },
    Index {
        name: "ndsi",
        title: "snow",
        formula: "(green - swir16) / (green + swir16)",
        source: "Hall, Riggs, Salomonson 1995",
    },
    Index {
        name: "ndvi",
        title: "vegetation",
        formula: "(nir - red) / (nir + red)",
        source: "Rouse et al. 1974",
    },
    Index {
        name: "ndwi",
        title: "open water",
        formula: "(green - nir) / (green + nir)",
        source: "McFeeters 1996",
    },
];

/// A name that no index has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no index '{name}'; nearest: {nearest}")]
pub struct UnknownIndex {
    /// The name.
    pub name: String,
    /// The index whose name is most like it.
    pub nearest: &'static str,
}

/// Returns the index of that name, in any case.
///
/// # Errors
/// A name that no index has.
pub fn index(name: &str) -> Result<&'static Index, UnknownIndex> {
    let known = INDICES.iter().find(|i| i.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| UnknownIndex {
        name: name.to_owned(),
        nearest: nearest_word(name, INDICES.iter().map(|i| i.name)).unwrap_or("ndvi"),
    })
}
