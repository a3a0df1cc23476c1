//! What the values of a delivered cloud mask mean.
//!
//! *Invariants*: a meaning's name is stable: it stands in stored metadata.
//!
//! *Not here*: the meanings of products (`crate::dataset`).

use super::Sky;

/// How the raw values of a delivered mask are read.
///
/// Compared by name: there is one meaning a name.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// The name in a split's metadata (`cloud_source`).
    pub name: &'static str,
    /// The categorical band that holds the mask where it is stored with the split; empty if a
    /// split never stores it.
    pub band: &'static str,
    /// What a pixel of that value sees.
    pub sky: fn(u32) -> Sky,
    /// True if shadow and snow are told from the rest.
    pub tells_shadow_and_snow: bool,
    /// True if the values say themselves where there is no data; else the image's pixels do.
    pub tells_void: bool,
}

impl PartialEq for Meaning {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Meaning {}

/// A user's mask: everything but 0 is cloud.
pub const NON_ZERO: Meaning = Meaning {
    name: "file",
    band: "",
    sky: |value| if value == 0 { Sky::Clear } else { Sky::Cloud },
    tells_shadow_and_snow: false,
    tells_void: false,
};

/// Judged from reflectance, not delivered.
pub const SPECTRAL: Meaning = Meaning {
    name: "spectral",
    band: "",
    sky: |_| Sky::Clear,
    tells_shadow_and_snow: false,
    tells_void: true,
};
