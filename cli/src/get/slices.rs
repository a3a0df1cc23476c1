//! The pixels of a split: its files fetched, checked and decoded, as slices of cubes.
//!
//! *Invariants*: nothing is decoded whose hash is not what the index says.
//!
//! *Not here*: bringing grids together, stacking (`earth::cube`).

use earth::cube::{CubeBand, CubeTime, Slice};
use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::raster::georef::Georef;
use earth::split::codec;
use earth::split::meta::BandMeta;
use wire::client::{Client, collect};
use wire::fault::{Fault, FaultKind};
use wire::hit::{Asset, Hit};

/// Which bands are wanted: by their own or their common name; none means all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(pub(crate) Vec<String>);

impl Wanted {
    /// Returns the place of a band among those wanted; `None` if it is not.
    fn place(&self, band: &BandMeta) -> Option<usize> {
        let same = |name: &String| {
            let common = band.common.as_deref();
            name.eq_ignore_ascii_case(&band.name)
                || common.is_some_and(|c| name.eq_ignore_ascii_case(c))
        };
        if self.0.is_empty() {
            return Some(0);
        }
        self.0.iter().position(same)
    }

    /// Returns the wanted bands of a split, in the order they were asked for.
    pub(crate) fn of<'a>(&self, hit: &'a Hit) -> Vec<&'a BandMeta> {
        let bands = hit.bands.iter();
        let mut found: Vec<_> = bands.filter_map(|b| Some((self.place(b)?, b))).collect();
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, band)| band).collect()
    }

    /// Refuses names that no split has.
    pub(crate) fn check(&self, hits: &[Hit]) -> Result<(), Fault> {
        let bands = || hits.iter().flat_map(|h| &h.bands);
        let one = |name: &String| Self(vec![name.clone()]);
        let lacking = |name: &&String| !bands().any(|b| one(name).place(b).is_some());
        let Some(name) = self.0.iter().find(lacking) else {
            return Ok(());
        };
        let mut known: Vec<&str> = Vec::new();
        for band in bands() {
            if !known.contains(&band.name.as_str()) {
                known.push(&band.name);
            }
        }
        Err(
            Fault::new(FaultKind::Usage, format!("no split has a band '{name}'"))
                .because(format!("they have {}", known.join(", ")))
                .try_("--bands with one of these, or a common name such as red"),
        )
    }
}

/// A slice and the nominal resolution of its grid.
#[derive(Debug, Clone)]
pub(crate) struct GridSlice {
    /// Nominal resolution in metres.
    pub(crate) resolution_m: f64,
    /// Its bands.
    pub(crate) slice: Slice,
}

/// Fetches the wanted bands of a split, one slice for each of its grids, finest first.
pub(crate) async fn fetch(
    client: &Client,
    hit: &Hit,
    wanted: &Wanted,
) -> Result<Vec<GridSlice>, Fault> {
    let bands = wanted.of(hit);
    let mut slices: Vec<GridSlice> = Vec::new();
    for (name, asset) in &hit.assets {
        let mine: Vec<&BandMeta> = bands.iter().filter(|b| b.asset == *name).copied().collect();
        if mine.is_empty() {
            continue;
        }
        let bytes = bytes(client, hit, (name, asset)).await?;
        let planes = tokio::task::block_in_place(|| decode(&bytes, &mine))
            .map_err(|e| damaged(hit, name).because(chain(&e)))?;
        let same = |s: &&mut GridSlice| (s.resolution_m - asset.resolution_m).abs() <= 0.0;
        match slices.iter_mut().find(same) {
            Some(known) => known.slice.bands.extend(planes),
            None => slices.push(GridSlice {
                resolution_m: asset.resolution_m,
                slice: Slice {
                    time: CubeTime {
                        acquired: hit.acquired,
                        scene: hit.scene.clone(),
                    },
                    georef: georef(hit, asset)?,
                    bands: planes,
                },
            }),
        }
    }
    for slice in &mut slices {
        let place = |band: &CubeBand| bands.iter().position(|b| b.name == band.name);
        slice.slice.bands.sort_by_key(|(band, _)| place(band));
    }
    slices.sort_by(|a, b| a.resolution_m.total_cmp(&b.resolution_m));
    Ok(slices)
}

type Planes = Vec<(CubeBand, earth::raster::Raster)>;

fn decode(bytes: &[u8], bands: &[&BandMeta]) -> Result<Planes, codec::DecodeError> {
    let places: Vec<usize> = bands.iter().map(|b| b.index as usize).collect();
    let rasters = codec::decode(bytes, &places)?;
    Ok(bands
        .iter()
        .map(|b| CubeBand::from(*b))
        .zip(rasters)
        .collect())
}

/// Fetches a file and checks its hash.
pub(super) async fn bytes(
    client: &Client,
    hit: &Hit,
    (name, asset): (&str, &Asset),
) -> Result<Vec<u8>, Fault> {
    let max = usize::try_from(asset.bytes).unwrap_or(usize::MAX);
    let bytes = collect(client.asset(&hit.id, name).await?, max).await?;
    if blake3::hash(&bytes).to_hex().as_str() == asset.blake3 {
        return Ok(bytes);
    }
    Err(damaged(hit, name).because("its bytes do not hash to what the index says"))
}

pub(super) fn damaged(hit: &Hit, name: &str) -> Fault {
    Fault::new(FaultKind::Data, format!("{name} of {} is damaged", hit.id))
        .try_("glebe cluster verify")
}

/// Returns where a file of a split lies: the fixed grid of its cell.
pub(super) fn georef(hit: &Hit, asset: &Asset) -> Result<Georef, Fault> {
    let wrong =
        |e: String| Fault::new(FaultKind::Data, format!("{} lies on no grid", hit.id)).because(e);
    let geocode = Geocode::parse(hit.scheme, &hit.geocode).map_err(|e| wrong(e.to_string()))?;
    let grid = Grid::of(&geocode, asset.resolution_m).map_err(|e| wrong(e.to_string()))?;
    if (grid.width(), grid.height()) != (asset.width, asset.height) {
        return Err(wrong(format!(
            "the grid has {} x {} pixels, the file {} x {}",
            grid.width(),
            grid.height(),
            asset.width,
            asset.height
        )));
    }
    Ok(Georef::from(&grid))
}

/// Returns an error with its sources, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text += &format!(": {next}");
        source = next.source();
    }
    text
}
