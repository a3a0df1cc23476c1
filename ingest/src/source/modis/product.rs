//! The MODIS land products that are read, with their fields.
//!
//! Terra's, Aqua's and the combined product of one code (`MOD09A1`, `MYD09A1`) have one layout and
//! are one dataset.
//!
//! Sources: LP DAAC, user guides of MCD43A4, MOD09A1, MOD11, MCD12Q1, MOD13 and MOD15A2H, versions
//! 6 and 6.1; NSIDC, MODIS Snow Products Collection 6 and 6.1 (MOD10A2).
//!
//! *Invariants*: measured numbers come first, then classes; a mask is a field of its product.
//!
//! *Not here*: names of classes (`legend`), what masks mean
//! (`earth::dataset::modis`).

use earth::dataset::modis as sky;
use earth::raster::cloud::Meaning;

use super::field::{Field, Holds, Numbers, classes, numbers};
use super::legend;

/// One product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    /// The code after `MOD`, `MYD` or `MCD`.
    pub(super) code: &'static str,
    /// The dataset's name.
    pub(super) dataset: &'static str,
    /// The fields that are kept.
    pub(super) fields: &'static [Field],
    /// The field that says what was seen, and how.
    pub(super) mask: Option<&'static Meaning>,
}

/// Fill, range and scale of MOD09A1's reflectance.
const MOD09: (f64, (f64, f64), f64) = (-28_672.0, (-100.0, 16_000.0), 1e-4);
/// Fill, range and scale of MCD43A4's reflectance.
const MCD43: (f64, (f64, f64), f64) = (32_767.0, (0.0, 32_766.0), 1e-4);
/// Fill, range and scale of surface temperature in kelvin.
const KELVIN: (f64, (f64, f64), f64) = (0.0, (7_500.0, 65_535.0), 0.02);
/// Fill, range and scale of vegetation indices.
const INDEX: (f64, (f64, f64), f64) = (-3_000.0, (-2_000.0, 10_000.0), 1e-4);
/// Fill, range and scale of the reflectances beside them.
const VEGETATION: (f64, (f64, f64), f64) = (-1_000.0, (0.0, 10_000.0), 1e-4);
/// Fill, range and scale of leaf area; 249–254 name what kind of land has none.
const LEAF_AREA: (f64, (f64, f64), f64) = (255.0, (0.0, 100.0), 0.1);
/// The same of absorbed light.
const LIGHT: (f64, (f64, f64), f64) = (255.0, (0.0, 100.0), 0.01);

const MOD09A1: &[Field] = &[
    numbers("sur_refl_b01", "sur_refl_b01", MOD09),
    numbers("sur_refl_b02", "sur_refl_b02", MOD09),
    numbers("sur_refl_b03", "sur_refl_b03", MOD09),
    numbers("sur_refl_b04", "sur_refl_b04", MOD09),
    numbers("sur_refl_b05", "sur_refl_b05", MOD09),
    numbers("sur_refl_b06", "sur_refl_b06", MOD09),
    numbers("sur_refl_b07", "sur_refl_b07", MOD09),
    classes("sur_refl_state_500m", Some(65_535.0), &[]),
    classes("sur_refl_qc_500m", Some(4_294_967_295.0), &[]),
    classes("sur_refl_day_of_year", Some(65_535.0), &[]),
];

const MCD43A4: &[Field] = &[
    nadir("Nadir_Reflectance_Band1"),
    nadir("Nadir_Reflectance_Band2"),
    nadir("Nadir_Reflectance_Band3"),
    nadir("Nadir_Reflectance_Band4"),
    nadir("Nadir_Reflectance_Band5"),
    nadir("Nadir_Reflectance_Band6"),
    nadir("Nadir_Reflectance_Band7"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band1"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band2"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band3"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band4"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band5"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band6"),
    inversion("BRDF_Albedo_Band_Mandatory_Quality_Band7"),
];

const MOD11: &[Field] = &[
    numbers("LST_Day_1km", "LST_Day_1km", KELVIN),
    numbers("LST_Night_1km", "LST_Night_1km", KELVIN),
    emissivity("Emis_31"),
    emissivity("Emis_32"),
    classes("QC_Day", None, &[]),
    classes("QC_Night", None, &[]),
];

const MOD13: &[Field] = &[
    numbers("NDVI", " NDVI", INDEX),
    numbers("EVI", " EVI", INDEX),
    numbers("red_reflectance", " red reflectance", VEGETATION),
    numbers("NIR_reflectance", " NIR reflectance", VEGETATION),
    numbers("blue_reflectance", " blue reflectance", VEGETATION),
    numbers("MIR_reflectance", " MIR reflectance", VEGETATION),
    named("VI_Quality", " VI Quality", (Some(65_535.0), &[])),
    named(
        "composite_day_of_the_year",
        " composite day of the year",
        // −1 is fill; GDAL hands signed 16-bit numbers on as they are.
        (Some(-1.0), &[]),
    ),
    named(
        "pixel_reliability",
        " pixel reliability",
        // −1 is fill; GDAL hands signed bytes on as unsigned ones.
        (Some(255.0), legend::RELIABILITY),
    ),
];

const MCD15A2H: &[Field] = &[
    numbers("Fpar_500m", "Fpar_500m", LIGHT),
    numbers("Lai_500m", "Lai_500m", LEAF_AREA),
    numbers("FparStdDev_500m", "FparStdDev_500m", LIGHT),
    numbers("LaiStdDev_500m", "LaiStdDev_500m", LEAF_AREA),
    classes("FparLai_QC", Some(255.0), &[]),
    classes("FparExtra_QC", Some(255.0), &[]),
];

const MOD10A2: &[Field] = &[
    classes("Maximum_Snow_Extent", Some(255.0), legend::SNOW),
    // One bit a day. The file calls 0 its fill, and its key says that 0 is "no snow on any day".
    classes("Eight_Day_Snow_Cover", None, &[]),
];

const MCD12Q1: &[Field] = &[
    classes("LC_Type1", Some(255.0), legend::IGBP),
    classes("LC_Type2", Some(255.0), legend::UMD),
    classes("LC_Type3", Some(255.0), legend::LAI),
    classes("LC_Type4", Some(255.0), legend::BGC),
    classes("LC_Type5", Some(255.0), legend::PFT),
    classes("LC_Prop1", Some(255.0), legend::LCCS1),
    classes("LC_Prop2", Some(255.0), legend::LCCS2),
    classes("LC_Prop3", Some(255.0), legend::LCCS3),
    // Percent of confidence in the class of that very pixel: never mixed with a neighbour's.
    classes("LC_Prop1_Assessment", Some(255.0), &[]),
    classes("LC_Prop2_Assessment", Some(255.0), &[]),
    classes("LC_Prop3_Assessment", Some(255.0), &[]),
    classes("QC", Some(255.0), legend::LAND_COVER_QC),
    classes("LW", Some(255.0), legend::LAND_WATER),
];

/// Every product that is read, by code.
pub(super) const PRODUCTS: &[Product] = &[
    product("09A1", "modis-mod09a1", MOD09A1, Some(&sky::STATE_QA)),
    product("10A2", "modis-mod10a2", MOD10A2, Some(&sky::SNOW_EXTENT)),
    product("11A1", "modis-mod11a1", MOD11, Some(&sky::TEMPERATURE_QC)),
    product("11A2", "modis-mod11a2", MOD11, Some(&sky::TEMPERATURE_QC)),
    product("12Q1", "modis-mcd12q1", MCD12Q1, None),
    product("13A1", "modis-mod13a1", MOD13, Some(&sky::RELIABILITY)),
    product("13A2", "modis-mod13a2", MOD13, Some(&sky::RELIABILITY)),
    product("13Q1", "modis-mod13q1", MOD13, Some(&sky::RELIABILITY)),
    product("15A2H", "modis-mcd15a2h", MCD15A2H, Some(&sky::EXTRA_QC)),
    product("43A4", "modis-mcd43a4", MCD43A4, None),
];

/// Returns the product of a short name such as `MYD09A1`.
pub(super) fn product_of(short_name: &str) -> Option<&'static Product> {
    let code = ["MOD", "MYD", "MCD"]
        .iter()
        .find_map(|satellite| short_name.strip_prefix(satellite))?;
    PRODUCTS.iter().find(|p| p.code == code)
}

const fn product(
    code: &'static str,
    dataset: &'static str,
    fields: &'static [Field],
    mask: Option<&'static Meaning>,
) -> Product {
    Product {
        code,
        dataset,
        fields,
        mask,
    }
}

const fn nadir(name: &'static str) -> Field {
    numbers(name, name, MCD43)
}

const fn inversion(name: &'static str) -> Field {
    classes(name, Some(255.0), legend::INVERSION)
}

const fn emissivity(name: &'static str) -> Field {
    let numbers = Numbers {
        fill: 0.0,
        valid: (1.0, 255.0),
        scale: 0.002,
        offset: 0.49,
    };
    Field {
        name,
        ends: name,
        holds: Holds::Numbers(numbers),
    }
}

const fn named(
    name: &'static str,
    ends: &'static str,
    (fill, names): (Option<f64>, super::field::Names),
) -> Field {
    Field {
        name,
        ends,
        holds: Holds::Classes(fill, names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_is_a_dataset_whose_bands_it_has_and_its_mask_is_a_field() {
        for product in PRODUCTS {
            let dataset = earth::dataset::dataset(product.dataset).unwrap();
            for band in dataset.bands {
                let found = product.fields.iter().find(|f| f.name == band.name);
                assert!(found.is_some(), "{} {}", product.dataset, band.name);
            }
            if let Some(mask) = product.mask {
                assert!(
                    product.fields.iter().any(|f| f.name == mask.band),
                    "{}",
                    mask.name
                );
            }
        }
    }

    #[test]
    fn terra_aqua_and_both_are_one_product() {
        for name in ["MOD09A1", "MYD09A1", "MCD09A1"] {
            assert_eq!(product_of(name).map(|p| p.code), Some("09A1"));
        }
        for name in ["MOD04_L2", "VNP09A1", "09A1", "MOD", ""] {
            assert!(product_of(name).is_none(), "{name}");
        }
    }
}
