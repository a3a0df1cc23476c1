//! Names of the classes in MODIS land products.
//!
//! Sources: LP DAAC, MCD12Q1 user guide (tables 3–9); NSIDC, MOD10A2 (the file's own `Key`);
//! LP DAAC, MOD13 and MCD43 user guides.
//!
//! *Invariants*: values in ascending order.
//!
//! *Not here*: which field has which legend (`product`).

use super::field::Names;

/// MOD10A2, maximum snow extent.
pub(super) const SNOW: Names = &[
    (0, "missing data"),
    (1, "no decision"),
    (11, "night"),
    (25, "no snow"),
    (37, "lake"),
    (39, "ocean"),
    (50, "cloud"),
    (100, "lake ice"),
    (200, "snow"),
    (254, "detector saturated"),
];

/// MCD12Q1, IGBP.
pub(super) const IGBP: Names = &[
    (1, "evergreen needleleaf forests"),
    (2, "evergreen broadleaf forests"),
    (3, "deciduous needleleaf forests"),
    (4, "deciduous broadleaf forests"),
    (5, "mixed forests"),
    (6, "closed shrublands"),
    (7, "open shrublands"),
    (8, "woody savannas"),
    (9, "savannas"),
    (10, "grasslands"),
    (11, "permanent wetlands"),
    (12, "croplands"),
    (13, "urban and built-up lands"),
    (14, "cropland/natural vegetation mosaics"),
    (15, "permanent snow and ice"),
    (16, "barren"),
    (17, "water bodies"),
];

/// MCD12Q1, University of Maryland.
pub(super) const UMD: Names = &[
    (0, "water bodies"),
    (1, "evergreen needleleaf forests"),
    (2, "evergreen broadleaf forests"),
    (3, "deciduous needleleaf forests"),
    (4, "deciduous broadleaf forests"),
    (5, "mixed forests"),
    (6, "closed shrublands"),
    (7, "open shrublands"),
    (8, "woody savannas"),
    (9, "savannas"),
    (10, "grasslands"),
    (11, "permanent wetlands"),
    (12, "croplands"),
    (13, "urban and built-up lands"),
    (14, "cropland/natural vegetation mosaics"),
    (15, "non-vegetated lands"),
];

/// MCD12Q1, leaf area index.
pub(super) const LAI: Names = &[
    (0, "water bodies"),
    (1, "grasslands"),
    (2, "shrublands"),
    (3, "broadleaf croplands"),
    (4, "savannas"),
    (5, "evergreen broadleaf forests"),
    (6, "deciduous broadleaf forests"),
    (7, "evergreen needleleaf forests"),
    (8, "deciduous needleleaf forests"),
    (9, "non-vegetated lands"),
    (10, "urban and built-up lands"),
];

/// MCD12Q1, BIOME-BGC.
pub(super) const BGC: Names = &[
    (0, "water bodies"),
    (1, "evergreen needleleaf vegetation"),
    (2, "evergreen broadleaf vegetation"),
    (3, "deciduous needleleaf vegetation"),
    (4, "deciduous broadleaf vegetation"),
    (5, "annual broadleaf vegetation"),
    (6, "annual grass vegetation"),
    (7, "non-vegetated lands"),
    (8, "urban and built-up lands"),
];

/// MCD12Q1, plant functional types.
pub(super) const PFT: Names = &[
    (0, "water bodies"),
    (1, "evergreen needleleaf trees"),
    (2, "evergreen broadleaf trees"),
    (3, "deciduous needleleaf trees"),
    (4, "deciduous broadleaf trees"),
    (5, "shrub"),
    (6, "grass"),
    (7, "cereal croplands"),
    (8, "broadleaf croplands"),
    (9, "urban and built-up lands"),
    (10, "permanent snow and ice"),
    (11, "barren"),
];

/// MCD12Q1, FAO land cover.
pub(super) const LCCS1: Names = &[
    (1, "barren"),
    (2, "permanent snow and ice"),
    (3, "water bodies"),
    (11, "evergreen needleleaf forests"),
    (12, "evergreen broadleaf forests"),
    (13, "deciduous needleleaf forests"),
    (14, "deciduous broadleaf forests"),
    (15, "mixed broadleaf/needleleaf forests"),
    (16, "mixed broadleaf evergreen/deciduous forests"),
    (21, "open forests"),
    (22, "sparse forests"),
    (31, "dense herbaceous"),
    (32, "sparse herbaceous"),
    (41, "dense shrublands"),
    (42, "shrubland/grassland mosaics"),
    (43, "sparse shrublands"),
];

/// MCD12Q1, FAO land use.
pub(super) const LCCS2: Names = &[
    (1, "barren"),
    (2, "permanent snow and ice"),
    (3, "water bodies"),
    (9, "urban and built-up lands"),
    (10, "dense forests"),
    (20, "open forests"),
    (25, "forest/cropland mosaics"),
    (30, "natural herbaceous"),
    (35, "natural herbaceous/croplands mosaics"),
    (36, "herbaceous croplands"),
    (40, "shrublands"),
];

/// MCD12Q1, FAO surface hydrology.
pub(super) const LCCS3: Names = &[
    (1, "barren"),
    (2, "permanent snow and ice"),
    (3, "water bodies"),
    (10, "dense forests"),
    (20, "open forests"),
    (27, "woody wetlands"),
    (30, "grasslands"),
    (40, "shrublands"),
    (50, "herbaceous wetlands"),
    (51, "tundra"),
];

/// MCD12Q1, quality.
pub(super) const LAND_COVER_QC: Names = &[
    (0, "classified land"),
    (1, "unclassified land"),
    (2, "classified water"),
    (3, "unclassified water"),
    (4, "classified sea ice"),
    (5, "misclassified water"),
    (6, "omitted snow/ice"),
    (7, "misclassified snow/ice"),
    (8, "backfilled label"),
    (9, "forest type changed"),
];

/// MCD12Q1, land and water.
pub(super) const LAND_WATER: Names = &[(1, "water"), (2, "land")];

/// MOD13, pixel reliability.
pub(super) const RELIABILITY: Names = &[
    (0, "good data"),
    (1, "marginal data"),
    (2, "snow/ice"),
    (3, "cloudy"),
];

/// MCD43A4, mandatory quality.
pub(super) const INVERSION: Names = &[(0, "full inversion"), (1, "magnitude inversion")];
