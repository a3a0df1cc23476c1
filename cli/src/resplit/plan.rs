//! What a re-split reads and makes: units of splits that are read together.
//!
//! *Invariants*: every split of the source is in exactly one unit; every cell is an exact window.
//!
//! *Not here*: carrying it out (`work`).

use std::collections::{BTreeMap, BTreeSet};

use earth::geocode::Geocode;
use earth::grid::Grid;
use earth::split::collection::Collection;
use earth::split::meta::SplitId;
use earth::split::resplit::{ResplitError, targets};
use query::Query;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::search;

/// Most pixel bytes of a unit: a split of the store has at most 1 GiB of files.
const UNIT_BYTES_MAX: u64 = 1 << 30;

/// Splits of one scene that are read together, and the cells that they become.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Splits to read: one that is cut, or those that are put together.
    pub(crate) splits: Vec<SplitId>,
    /// Cells to write: those of one split, or one.
    pub(crate) cells: Vec<Geocode>,
}

/// All units, by scene.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Collection read.
    pub(crate) from: String,
    /// Units of each scene.
    pub(crate) scenes: BTreeMap<String, Vec<Unit>>,
    /// Splits of the source.
    pub(crate) splits: u64,
}

impl Plan {
    /// Asks for the splits of a collection and finds what they become.
    pub(crate) async fn of(
        client: &Client,
        query: Query,
        from: &Collection,
        precision: u8,
    ) -> Result<Self, Fault> {
        let mut groups: BTreeMap<(String, String), Vec<SplitId>> = BTreeMap::new();
        let mut seen = Seen::default();
        let mut splits = 0;
        let end = search::stream(client, query, |hit| {
            splits += 1;
            let key: String = hit.geocode.chars().take(usize::from(precision)).collect();
            seen.note(&hit);
            groups.entry((hit.scene, key)).or_default().push(hit.id);
        })
        .await?;
        if !end.complete {
            return Err(
                Fault::new(FaultKind::Partial, "the collection is not all there")
                    .because(search::missing(&end))
                    .try_("the same command once those nodes are back"),
            );
        }
        let resolutions = seen.resolutions();
        let mut scenes: BTreeMap<String, Vec<Unit>> = BTreeMap::new();
        for ((scene, _), mut splits) in groups {
            splits.sort();
            let unit = unit(splits, from, (precision, &resolutions))?;
            seen.check(&unit, precision)?;
            scenes.entry(scene).or_default().push(unit);
        }
        Ok(Self {
            from: from.name.clone(),
            scenes,
            splits,
        })
    }

    /// Returns the number of cells looked at.
    pub(crate) fn cells(&self) -> u64 {
        let units = self.scenes.values().flatten();
        units.map(|u| u.cells.len() as u64).sum()
    }
}

fn unit(
    splits: Vec<SplitId>,
    from: &Collection,
    (precision, resolutions): (u8, &[f64]),
) -> Result<Unit, Fault> {
    let mut cells = BTreeSet::new();
    for id in &splits {
        let cell = Geocode::parse(from.scheme, id.geocode()).map_err(|e| {
            Fault::new(FaultKind::Data, format!("{id} is in no cell")).because(e.to_string())
        })?;
        let found =
            targets(&cell, precision, resolutions).map_err(|e| refused(&cell, precision, &e))?;
        cells.extend(found.iter().map(ToString::to_string));
    }
    let parse = |code: &String| Geocode::parse(from.scheme, code).ok();
    Ok(Unit {
        splits,
        cells: cells.iter().filter_map(parse).collect(),
    })
}

fn refused(cell: &Geocode, precision: u8, error: &ResplitError) -> Fault {
    Fault::new(
        FaultKind::Usage,
        format!("{cell} cannot be brought to precision {precision}"),
    )
    .because(error.to_string())
    .try_("another --precision, or glebe ingest the scenes into a collection of it")
}

/// What is known of the bands of a collection.
#[derive(Debug, Default)]
struct Seen {
    /// Metres as bits → bytes a pixel of all bands, at most.
    bytes: BTreeMap<u64, u64>,
}

impl Seen {
    fn note(&mut self, hit: &Hit) {
        let mut bytes: BTreeMap<u64, u64> = BTreeMap::new();
        for band in &hit.bands {
            *bytes.entry(band.resolution_m.to_bits()).or_default() += band.sample.bytes() as u64;
        }
        for (metres, bytes) in bytes {
            let most = self.bytes.entry(metres).or_default();
            *most = bytes.max(*most);
        }
    }

    fn resolutions(&self) -> Vec<f64> {
        self.bytes.keys().map(|m| f64::from_bits(*m)).collect()
    }

    /// Refuses a unit whose larger cell does not fit in memory.
    fn check(&self, unit: &Unit, precision: u8) -> Result<(), Fault> {
        let Some(cell) = unit.cells.first() else {
            return Ok(());
        };
        let longest = unit.splits.first().map_or(0, |s| s.geocode().len());
        let wide = cell.prefix(u8::try_from(longest).unwrap_or(precision).min(precision));
        let pixels = |(metres, bytes): (&u64, &u64)| {
            let grid = Grid::of(&wide, f64::from_bits(*metres)).ok();
            grid.map_or(0, |g| g.pixels().saturating_mul(*bytes))
        };
        let bytes: u64 = self.bytes.iter().map(pixels).sum();
        if bytes <= UNIT_BYTES_MAX {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Usage,
            format!("a split of cell {wide} is too large"),
        )
        .because(format!(
            "its pixels are {} MiB; at most {} MiB make a split",
            bytes >> 20,
            UNIT_BYTES_MAX >> 20
        ))
        .try_("a greater --precision"))
    }
}
