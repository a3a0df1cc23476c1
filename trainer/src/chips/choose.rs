//! Which bands of a split a recipe takes, and on which grid.
//!
//! *Invariants*: bands are found by what they show (STAC common names); the grid is the coarsest
//! of the input bands', so that no input is invented between pixels.
//!
//! *Not here*: reading the bands (`planes`).

use earth::split::meta::{AssetMeta, BandMeta, SplitMeta};
use serde::{Deserialize, Serialize};

use crate::chips::onto::{Onto, Shape, method};
use crate::recipe::BandWish;

/// The bands of one split that a recipe takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Shape of the grid that chips are cut on.
    pub shape: Shape,
    /// Nominal resolution of that grid in metres.
    pub resolution_m: f64,
    /// One a wish, in the order of wishes.
    pub bands: Vec<Chosen>,
}

/// A band taken for a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The recipe's name for it.
    pub role: &'static str,
    /// The band.
    pub band: BandMeta,
    /// Shape of its own grid.
    pub shape: Shape,
}

/// A band taken for a role, as it is told in a model's config and card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedBand {
    /// The recipe's name for it.
    pub role: String,
    /// The product's name for it.
    pub name: String,
    /// Its nominal resolution in metres.
    pub resolution_m: f64,
    /// How it came onto the grid of the chips.
    pub onto: Onto,
}

/// Why a recipe finds no bands in a split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// A role has no band.
    #[error("{id} has no {role} band (it has: {bands})")]
    Missing {
        /// The split.
        id: String,
        /// The role.
        role: &'static str,
        /// The split's bands.
        bands: String,
    },
    /// A band names a file that the split does not list.
    #[error("band {band} of {id} names the file {asset}, which the split does not list")]
    Asset {
        /// The split.
        id: String,
        /// The band.
        band: String,
        /// The file.
        asset: String,
    },
}

/// Chooses bands for `inputs`, then for `others`; the inputs decide the grid.
pub fn choose(
    meta: &SplitMeta,
    inputs: &[BandWish],
    others: &[BandWish],
) -> Result<Choice, ChooseError> {
    let wishes = inputs.iter().chain(others);
    let found = wishes.map(|wish| find(meta, *wish));
    let found: Vec<(Chosen, &AssetMeta)> = found.collect::<Result<_, _>>()?;
    let pixels = |a: &AssetMeta| u64::from(a.width) * u64::from(a.height);
    let inputs = found.iter().take(inputs.len()).map(|(_, asset)| *asset);
    let coarsest = inputs.min_by_key(|asset| pixels(asset));
    Ok(Choice {
        shape: coarsest.map_or(
            Shape {
                width: 0,
                height: 0,
            },
            shape_of,
        ),
        resolution_m: coarsest.map_or(0.0, |a| a.resolution_m),
        bands: found.into_iter().map(|(chosen, _)| chosen).collect(),
    })
}

impl Choice {
    /// Tells the bands as they stand in a model's config and card.
    pub fn used(&self) -> Vec<UsedBand> {
        let tell = |c: &Chosen| UsedBand {
            role: c.role.to_owned(),
            name: c.band.name.clone(),
            resolution_m: c.band.resolution_m,
            onto: method(c.shape, self.shape),
        };
        self.bands.iter().map(tell).collect()
    }
}

/// Returns the shape of a file's grid.
pub fn shape_of(asset: &AssetMeta) -> Shape {
    let whole = |n: u32| usize::try_from(n).unwrap_or(0);
    Shape {
        width: whole(asset.width),
        height: whole(asset.height),
    }
}

/// Returns the asset that holds a band.
pub fn asset_of<'a>(meta: &'a SplitMeta, band: &BandMeta) -> Result<&'a AssetMeta, ChooseError> {
    let asset = meta.assets.iter().find(|a| a.name == band.asset);
    asset.ok_or_else(|| ChooseError::Asset {
        id: meta.id.to_string(),
        band: band.name.clone(),
        asset: band.asset.clone(),
    })
}

/// Finds the band for one wish: by the first common name that any band has.
fn find(meta: &SplitMeta, wish: BandWish) -> Result<(Chosen, &AssetMeta), ChooseError> {
    let with = |common: &str| {
        let mut bands = meta.bands.iter();
        bands.find(|b| b.common.as_deref() == Some(common))
    };
    let named = |name: &str| meta.bands.iter().find(|b| b.name == name);
    let band = wish.commons.iter().find_map(|common| with(common));
    // Only users' modules ask by a product's own name: roles of recipes are no band's name.
    let band = band.or_else(|| named(wish.role));
    let band = band.ok_or_else(|| ChooseError::Missing {
        id: meta.id.to_string(),
        role: wish.role,
        bands: names(meta),
    })?;
    let asset = asset_of(meta, band)?;
    let chosen = Chosen {
        role: wish.role,
        band: band.clone(),
        shape: shape_of(asset),
    };
    Ok((chosen, asset))
}

/// Lists a split's bands for a message.
fn names(meta: &SplitMeta) -> String {
    let names: Vec<&str> = meta.bands.iter().map(|b| b.name.as_str()).collect();
    names.join(", ")
}
