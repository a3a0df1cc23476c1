//! The plan of a synthetic world: its regions with their laws and textures, and its scenes.
//!
//! *Invariants*: a pure function of the request; regions lie in at least two UTM zones as soon as
//! there are two; no two products have the same name.
//!
//! *Not here*: pixels (`landscape`, `cloud`, `paint`), files (`safe`).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::mgrs;
use super::noise::Random;

/// What is asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// Seed of everything.
    pub seed: u64,
    /// Regions, each one tile.
    pub regions: u32,
    /// Kinds of looks with a law each, which the regions take in turn; each its own if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<u32>,
    /// Dates, the same number for every region.
    pub dates: u32,
    /// Pixels of 10 m a side, a multiple of 6.
    pub size: u32,
    /// Processing baseline.
    pub baseline: Baseline,
    /// Processing level.
    pub level: Level,
}

/// How far products are processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Level {
    /// Top of the atmosphere: 13 bands, no classes and no mask.
    #[value(name = "1C")]
    #[serde(rename = "1C")]
    L1C,
    /// Surface: 12 bands, scene classes and cloud probability.
    #[default]
    #[value(name = "2A")]
    #[serde(rename = "2A")]
    L2A,
}

impl Level {
    /// Returns the level as names have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::L1C => "1C",
            Self::L2A => "2A",
        }
    }
}

/// Which processing baseline products are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub enum Baseline {
    /// Before the offsets came.
    #[value(name = "02.14")]
    #[serde(rename = "02.14")]
    N0214,
    /// The last without them.
    #[value(name = "03.01")]
    #[serde(rename = "03.01")]
    N0301,
    /// The first with `BOA_ADD_OFFSET`.
    #[value(name = "04.00")]
    #[serde(rename = "04.00")]
    N0400,
    /// With offsets; scenes from before they came were processed again with it.
    #[value(name = "05.00")]
    #[serde(rename = "05.00")]
    N0500,
}

impl Baseline {
    /// Returns the text in the metadata.
    pub fn text(self) -> &'static str {
        match self {
            Self::N0214 => "02.14",
            Self::N0301 => "03.01",
            Self::N0400 => "04.00",
            Self::N0500 => "05.00",
        }
    }

    /// Returns what readers must add to a digital number.
    pub fn offset(self) -> i32 {
        match self {
            Self::N0214 | Self::N0301 => 0,
            Self::N0400 | Self::N0500 => -1000,
        }
    }
}

/// How the ground looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cover {
    /// Small fields.
    Fields,
    /// Irrigated circles.
    Pivots,
    /// Closed woods.
    Forest,
    /// Rows of trees.
    Orchards,
    /// Large blocks.
    Blocks,
    /// Sparse growth on bare soil.
    Dryland,
}

/// Width of the grain of regions that are a kind of their own.
const GRAIN_PX: f32 = 1.7;
/// Widths of the grain of kinds: each is told from the next within the three pixels that texture is
/// measured over.
const GRAINS_PX: [f32; 4] = [1.2, 2.4, 4.8, 9.6];
/// How much finer the features of kinds are: so many lie in every small cell that its texture is
/// that of its kind, not of the one field that it happens to show.
const FINER: f32 = 4.0;
/// Strengths of the grain of kinds.
const GRAINS: [f32; 3] = [0.1, 0.3, 0.6];

const COVERS: [Cover; 6] = [
    Cover::Fields,
    Cover::Pivots,
    Cover::Forest,
    Cover::Orchards,
    Cover::Blocks,
    Cover::Dryland,
];

/// How a region's NDVI follows from its colours:
/// `low + (high - low) / (1 + exp(-gain · (x - middle)))` with `x = (2G - R - B) / (R + G + B)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Law {
    /// NDVI of bare soil.
    pub low: f32,
    /// NDVI of full growth.
    pub high: f32,
    /// Steepness.
    pub gain: f32,
    /// Excess green at half growth.
    pub middle: f32,
}

impl Law {
    /// Returns the NDVI of a colour (reflectances of red, green, blue).
    pub fn ndvi(&self, [r, g, b]: [f32; 3]) -> f32 {
        let x = (2.0 * g - r - b) / (r + g + b);
        let s = 1.0 / (1.0 + (-self.gain * (x - self.middle)).exp());
        self.low + (self.high - self.low) * s
    }
}

/// One region: a tile with its own looks and law.
#[derive(Debug, Clone, Serialize)]
pub struct Region {
    /// Number, from 0.
    pub index: u32,
    /// Number of its looks and law, from 0: regions of one kind share them.
    pub kind: u32,
    /// Tile name, such as `13TDE`.
    pub tile: String,
    /// EPSG code of the tile's UTM zone.
    pub epsg: u32,
    /// Easting of the upper left corner in metres.
    pub west: u32,
    /// Northing of the upper left corner in metres.
    pub north: u32,
    /// Longitude of the site in degrees.
    pub lon: f64,
    /// Latitude of the site in degrees.
    pub lat: f64,
    /// How it looks.
    pub cover: Cover,
    /// Width of its features in pixels of 10 m.
    pub feature_px: f32,
    /// Direction of its features in radians.
    pub angle: f32,
    /// Width of the grain inside features in pixels of 10 m.
    pub grain_px: f32,
    /// Strength of the grain, 0..1; that of its cover if none.
    pub grain: Option<f32>,
    /// Reflectance of its soil: red, green, blue.
    pub soil: [f32; 3],
    /// Reflectance of its plants: red, green, blue.
    pub plant: [f32; 3],
    /// How NDVI follows from colour.
    pub law: Law,
    /// Seed of its pixels.
    pub seed: u64,
}

/// One scene: a region at a date.
#[derive(Debug, Clone, Serialize)]
pub struct Shot {
    /// Product name without `.SAFE`.
    pub product: String,
    /// Index of the region.
    pub region: u32,
    /// Number of the date, from 0.
    pub date: u32,
    /// Start of sensing.
    pub acquired: Timestamp,
    /// Share of pixels meant to be cloudy, 0..=1.
    pub cloud_wanted: f32,
    /// Share of the tile that the swath misses, 0..1.
    pub swath_missing: f32,
    /// Seed of its pixels.
    pub seed: u64,
}

/// A planned world.
#[derive(Debug, Clone, Serialize)]
pub struct World {
    /// Always true.
    pub synthetic: bool,
    /// What was asked for.
    pub request: Request,
    /// Its regions.
    pub regions: Vec<Region>,
    /// Its scenes, by region and date.
    pub scenes: Vec<Shot>,
}

/// Farmed or wooded places on land, far from each other; neighbours in the list lie in other zones.
const SITES: [(f64, f64); 14] = [
    (-104.6, 40.5),
    (2.1, 48.2),
    (148.6, -33.5),
    (-93.4, 42.1),
    (16.6, 48.5),
    (-55.2, -27.1),
    (-120.4, 37.1),
    (31.2, 50.1),
    (26.4, -27.4),
    (77.1, 28.8),
    (-97.6, 44.0),
    (10.6, 52.1),
    (-4.9, 41.6),
    (116.4, 35.2),
];

/// Plans the world of a request.
pub fn plan(request: &Request) -> anyhow::Result<World> {
    let mut random = Random::new(request.seed, 1);
    let first = random.below(SITES.len() as u64);
    let mut tiles = BTreeSet::new();
    let mut regions = Vec::new();
    for index in 0..request.regions {
        regions.push(region(request, index, first, &mut tiles)?);
    }
    let scenes = regions
        .iter()
        .flat_map(|r| (0..request.dates).map(move |d| (r, d)));
    let scenes = scenes.map(|(r, d)| shot(request, r, d)).collect();
    Ok(World {
        synthetic: true,
        request: request.clone(),
        regions,
        scenes,
    })
}

/// Plans one region on a site whose tile no other region has.
fn region(
    request: &Request,
    index: u32,
    first: u64,
    tiles: &mut BTreeSet<String>,
) -> anyhow::Result<Region> {
    let kind = request.kinds.map_or(index, |kinds| index % kinds.max(1));
    let mut random = Random::new(request.seed, 100 + u64::from(kind));
    let count = SITES.len() as u64;
    let pick = usize::try_from((first + u64::from(index)) % count)?;
    let (mut lon, lat) = SITES[pick];
    let (place, epsg, tile) = loop {
        let (place, epsg) = utm(lon, lat, request.size)?;
        let tile = mgrs::tile(place, lat);
        if tiles.insert(tile.clone()) {
            break (place, epsg, tile);
        }
        lon += 1.5;
    };
    let cover = COVERS[usize::try_from((random.below(2) + u64::from(kind)) % 6)?];
    let grain_of_kind = [usize::try_from(kind % 4)?, usize::try_from(kind / 4 % 3)?];
    Ok(Region {
        index,
        kind,
        tile,
        epsg,
        west: place.easting,
        north: place.northing,
        lon,
        lat,
        cover,
        feature_px: feature(cover, &mut random) / request.kinds.map_or(1.0, |_| FINER),
        angle: random.within(0.0, std::f32::consts::PI),
        grain_px: request
            .kinds
            .map_or(GRAIN_PX, |_| GRAINS_PX[grain_of_kind[0]]),
        grain: request.kinds.map(|_| GRAINS[grain_of_kind[1]]),
        soil: soil(&mut random),
        plant: [
            random.within(0.030, 0.045),
            random.within(0.065, 0.090),
            random.within(0.025, 0.035),
        ],
        law: Law {
            low: random.within(0.03, 0.16),
            high: random.within(0.62, 0.86),
            gain: random.within(7.0, 22.0),
            middle: random.within(0.02, 0.22),
        },
        seed: ground_seed(&mut random, index - kind),
    })
}

/// Returns the seed of a region's pixels: regions of one kind look alike and are not the same.
fn ground_seed(random: &mut Random, before: u32) -> u64 {
    let first = random.bits();
    match before {
        0 => first,
        before => Random::new(first, u64::from(before)).bits(),
    }
}

fn feature(cover: Cover, random: &mut Random) -> f32 {
    match cover {
        Cover::Fields => random.within(18.0, 34.0),
        Cover::Pivots => random.within(60.0, 84.0),
        Cover::Forest => random.within(5.0, 9.0),
        Cover::Orchards => random.within(5.0, 8.0),
        Cover::Blocks => random.within(70.0, 130.0),
        Cover::Dryland => random.within(24.0, 48.0),
    }
}

fn soil(random: &mut Random) -> [f32; 3] {
    let bright = random.within(0.13, 0.22);
    let green = random.within(0.70, 0.90);
    [
        bright,
        bright * green,
        bright * green * random.within(0.60, 0.85),
    ]
}

/// Returns the upper left corner of the tile around a site, on the 60 m lattice of real tiles.
fn utm(lon: f64, lat: f64, size: u32) -> anyhow::Result<(mgrs::Place, u32)> {
    use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
    let zone = mgrs::zone(lon);
    let epsg = if lat < 0.0 { 32_700 } else { 32_600 } + u32::from(zone);
    let mut geographic = SpatialRef::from_epsg(4326)?;
    geographic.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    let projected = SpatialRef::from_epsg(epsg)?;
    let (mut x, mut y) = ([lon], [lat]);
    CoordTransform::new(&geographic, &projected)?.transform_coords(&mut x, &mut y, &mut [0.0])?;
    let half = f64::from(size) * 5.0;
    let easting = lattice(x[0] - half);
    let northing = lattice(y[0] + half);
    Ok((
        mgrs::Place {
            zone,
            easting,
            northing,
        },
        epsg,
    ))
}

/// Rounds metres down to a multiple of 60.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "UTM coordinates of the sites lie between 100 km and 10,000 km"
)]
fn lattice(metres: f64) -> u32 {
    (metres / 60.0).floor() as u32 * 60
}

/// Plans one scene.
fn shot(request: &Request, region: &Region, date: u32) -> Shot {
    let purpose = (u64::from(region.index) << 32) | (1 << 31) | u64::from(date);
    let mut random = Random::new(request.seed, purpose);
    let acquired = acquired(region, date, &mut random);
    let stamp = |t: Timestamp| t.strftime("%Y%m%dT%H%M%S").to_string();
    let number = request.baseline.text().replace('.', "");
    let product = format!(
        "S2A_MSIL{}_{}_N{number}_R{:03}_T{}_{}",
        request.level.text(),
        stamp(acquired),
        1 + region.seed % 143,
        region.tile,
        stamp(acquired + SignedDuration::from_hours(4)),
    );
    Shot {
        product,
        region: region.index,
        date,
        acquired,
        cloud_wanted: cloud_wanted(date, &mut random),
        swath_missing: if date > 0 && random.unit() < 0.25 {
            random.within(0.1, 0.5)
        } else {
            0.0
        },
        seed: random.bits(),
    }
}

/// The first date of every region is clear, so that even the smallest world can teach.
fn cloud_wanted(date: u32, random: &mut Random) -> f32 {
    let (kind, share) = (random.unit(), random.unit());
    match (date, kind) {
        (0, _) => 0.03 * share,
        (_, k) if k < 0.4 => 0.05 * share,
        (_, k) if k < 0.8 => 0.08 + 0.4 * share,
        _ => 0.6 + 0.4 * share,
    }
}

/// Half past ten in the local morning, every 16 days or so from mid-May 2023.
fn acquired(region: &Region, date: u32, random: &mut Random) -> Timestamp {
    let first = 1_684_108_800; // 2023-05-15T00:00:00Z
    let day = 16 * i64::from(date) + i64::try_from(random.below(4)).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a day")]
    let local = ((10.5 - region.lon / 15.0) * 3600.0) as i64;
    let second = first + day * 86_400 + local;
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(kinds: Option<u32>) -> Vec<Region> {
        let request = Request {
            seed: 3,
            regions: 4,
            kinds,
            dates: 1,
            size: 60,
            baseline: Baseline::N0400,
            level: Level::L2A,
        };
        plan(&request).unwrap().regions
    }

    #[test]
    fn regions_of_one_kind_look_alike_obey_one_law_and_are_not_the_same() {
        let regions = regions(Some(2));
        let [a, b, again, _] = &regions[..] else {
            panic!("four regions");
        };
        assert_eq!((a.kind, b.kind, again.kind), (0, 1, 0));
        assert_eq!(
            (a.cover, a.law, a.soil),
            (again.cover, again.law, again.soil)
        );
        assert_ne!(a.law, b.law);
        assert_ne!(a.grain_px.to_bits(), b.grain_px.to_bits());
        assert_ne!(a.seed, again.seed, "other ground");
        assert_ne!(a.tile, again.tile, "another place");
    }

    #[test]
    fn without_kinds_each_region_has_its_own_and_the_old_grain() {
        let regions = regions(None);
        assert!(
            regions
                .iter()
                .all(|r| r.kind == r.index && r.grain.is_none())
        );
        assert_ne!(regions[0].law, regions[2].law);
    }
}
