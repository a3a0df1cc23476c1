//! The bands of one split as planes of physical values on one grid.
//!
//! *Invariants*: all planes have the grid's shape; physical value = stored value × scale + offset;
//! NaN is fill.
//!
//! *Not here*: which bands (`choose`), reading files (`files`).

use std::collections::BTreeMap;
use std::path::Path;

use earth::split::meta::SplitMeta;
use earth::split::sky::Judge;

use crate::chips::choose::{Choice, ChooseError, asset_of, shape_of};
use crate::chips::clouds::{hidden, is_overcast};
use crate::chips::onto::{Shape, onto};
use crate::files::{AssetPlanes, ReadError, read_asset, read_stored};

/// The bands of one split that a recipe takes, on the grid of its chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    /// The grid.
    pub shape: Shape,
    /// Input bands, in the order of the network's channels.
    pub inputs: Vec<Vec<f32>>,
    /// Bands of the label.
    pub others: Vec<Vec<f32>>,
    /// True where cloud or shadow hides the ground, or nobody judged; `None` where no band of the
    /// split tells.
    pub cloud: Option<Vec<bool>>,
    /// Of a pair, where cloud hides the ground from the inputs; `cloud` is then the label's.
    pub veil: Option<Vec<bool>>,
    /// Most of the split is cloud, and no band tells which pixels are; of a pair, of the clear one.
    pub overcast: bool,
}

/// Why a split's planes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlanesError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The metadata contradict themselves.
    #[error(transparent)]
    Choose(#[from] ChooseError),
}

/// Reads the chosen bands of the split in `folder`; the first `inputs` of them enter the network.
pub fn read(
    folder: &Path,
    meta: &SplitMeta,
    choice: &Choice,
    inputs: usize,
) -> Result<Planes, PlanesError> {
    let mut assets = Assets {
        folder,
        meta,
        read: BTreeMap::new(),
    };
    let mut planes = Vec::with_capacity(choice.bands.len());
    for chosen in &choice.bands {
        let plane = assets.plane(&chosen.band.asset, chosen.band.index)?;
        planes.push(onto(plane, chosen.shape, choice.shape));
    }
    let others = planes.split_off(inputs.min(planes.len()));
    Ok(Planes {
        shape: choice.shape,
        inputs: planes,
        others,
        cloud: cloud(folder, meta, choice.shape)?,
        veil: None,
        overcast: is_overcast(meta),
    })
}

/// Returns where the ground is hidden, if a band tells.
fn cloud(folder: &Path, meta: &SplitMeta, shape: Shape) -> Result<Option<Vec<bool>>, PlanesError> {
    let Some(judge) = Judge::of(meta) else {
        return Ok(None);
    };
    let from = shape_of(asset_of(meta, judge.band)?);
    let raster = read_stored(folder, meta, judge.band)?;
    Ok(Some(hidden(&judge, &raster, (from, shape))))
}

/// Files of one split, each read once.
struct Assets<'a> {
    folder: &'a Path,
    meta: &'a SplitMeta,
    read: BTreeMap<String, AssetPlanes>,
}

impl Assets<'_> {
    /// Returns one band of a file.
    fn plane(&mut self, asset: &str, index: u32) -> Result<&[f32], ReadError> {
        if !self.read.contains_key(asset) {
            let planes = read_asset(self.folder, self.meta, asset)?;
            self.read.insert(asset.to_owned(), planes);
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let bands = self.read.get(asset).and_then(|bands| bands.get(at));
        bands.map(Vec::as_slice).ok_or_else(|| ReadError::NoBand {
            file: asset.to_owned(),
            index,
        })
    }
}
