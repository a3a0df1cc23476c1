//! A small world made in the test: splits with a law that a line cannot learn.
//!
//! Each pixel of red, green and blue is a mean plus noise whose strength varies over the land; near
//! infrared grows with it, short-wave infrared stays. Band means tell nothing of it, texture does.

mod land;

use std::path::{Path, PathBuf};

use earth::geocode::{Geocode, Scheme};
use earth::grid::Grid;
use earth::raster::{Raster, Samples};
use earth::split::codec::encode;
use earth::split::cut::AssetRaster;
use earth::split::meta::{BandMeta, MaskCounts, PixelCounts, SampleType, SplitId, SplitMeta};
use earth::split::placement::PlacementRule;
use trainer::seed::Dice;
use wire::run::{Hyper, Lease, LeaseSplit, Run};

pub(crate) use land::Ground;
use land::{Clouds, Land, Lie, Picture};

/// The cell of all tests: 320 × 480 pixels at 10 m, 51 × 81 at 60 m.
pub(crate) const CELL: &str = "gcpvj";
/// Stored number = reflectance × 10,000 + 1,000, as in Sentinel-2 from baseline 04.00 on.
const SCALE: f64 = 1e-4;
const OFFSET: f64 = -0.1;
const FILL: u16 = 0;
/// Reflectance of short-wave infrared, everywhere.
const SWIR: f64 = 0.25;

/// A split that the world can make.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) cell: String,
    /// Nominal resolution of red, green and blue in metres.
    pub(crate) rgb_m: f64,
    /// Name, common name and resolution of near infrared.
    pub(crate) nir: (&'static str, &'static str, f64),
    /// Short-wave infrared, where there is one, at 20 m.
    pub(crate) swir: bool,
    /// Columns from the west that are fill.
    pub(crate) fill_columns: usize,
    /// Columns from the west under cloud, told by the quality band.
    pub(crate) cloud_columns: usize,
    /// The band that tells clouds.
    pub(crate) quality: Quality,
    /// A band of land cover, three classes at 10 m, lies beside.
    pub(crate) cover: bool,
    /// Sensing time.
    pub(crate) acquired: &'static str,
    /// Where there is one, a picture that is the same on every date lies under it, not noise.
    pub(crate) sky: Option<Sky>,
    /// Reflectance that near infrared gains from `CELL`'s western edge to its eastern one, and so
    /// on over the Earth.
    pub(crate) drift: f64,
    /// Factor of the visible bands: light that nobody has learned from.
    pub(crate) glare: f64,
    /// The land that its cells lie on.
    pub(crate) ground: Ground,
}

/// A class band that tells clouds, as a sensor has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    /// What the split says its clouds were counted from.
    pub(crate) source: &'static str,
    /// The band.
    pub(crate) band: &'static str,
    /// What it holds under cloud, and elsewhere; 0 is fill.
    pub(crate) values: (u16, u16),
}

impl Quality {
    /// Sentinel-2's scene classes: cloud of high probability, vegetation.
    pub(crate) const SCENE_CLASSES: Self = Self {
        source: "scl",
        band: "SCL",
        values: (9, 4),
    };
}

/// Clouds over a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sky {
    /// Cloud cover that the metadata tell, in percent.
    pub(crate) cover: u64,
    /// Greatest opacity: 0 without clouds.
    pub(crate) opacity: f64,
    /// A scene-class band tells where clouds are.
    pub(crate) told: bool,
}

impl Scene {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            cell: CELL.to_owned(),
            rgb_m: 10.0,
            nir: ("B08", "nir", 10.0),
            swir: false,
            fill_columns: 0,
            cloud_columns: 0,
            quality: Quality::SCENE_CLASSES,
            cover: false,
            acquired: "2026-06-01T10:00:00Z",
            sky: None,
            drift: 0.0,
            glare: 1.0,
            ground: Ground::default(),
        }
    }

    /// A picture under half a sky of clouds.
    pub(crate) fn cloudy(name: &str, acquired: &'static str) -> Self {
        let sky = Sky {
            cover: 50,
            opacity: 0.9,
            told: true,
        };
        Self {
            acquired,
            sky: Some(sky),
            ..Self::new(name, 1)
        }
    }

    /// The same picture under none.
    pub(crate) fn clear(name: &str, acquired: &'static str) -> Self {
        let sky = Sky {
            cover: 0,
            opacity: 0.0,
            told: true,
        };
        Self {
            sky: Some(sky),
            ..Self::cloudy(name, acquired)
        }
    }

    /// A cloudy date and a clear one.
    pub(crate) fn pair() -> [Self; 2] {
        [
            Self::cloudy("a", "2026-06-01T10:00:00Z"),
            Self::clear("b", "2026-06-11T10:00:00Z"),
        ]
    }

    /// A scene with the bands of NDMI, at 20 m as Sentinel-2 has them.
    pub(crate) fn moist(name: &str, seed: u64) -> Self {
        Self {
            nir: ("B8A", "nir08", 20.0),
            swir: true,
            ..Self::new(name, seed)
        }
    }

    /// Writes the split below `folder`; returns where.
    pub(crate) fn write(&self, folder: &Path) -> LeaseSplit {
        let geocode = Geocode::parse(Scheme::Geohash, &self.cell).expect("a cell");
        let id = SplitId::new("world", &self.name, &geocode).expect("an id");
        let (meta, assets) = self.split(&id, &geocode);
        let encoded = encode(meta, &assets).expect("an encoded split");
        let place = folder.join(id.as_str().replace('/', "+"));
        std::fs::create_dir_all(&place).expect("a folder");
        for (name, bytes) in encoded.files {
            std::fs::write(place.join(name), bytes).expect("a file");
        }
        LeaseSplit { id, folder: place }
    }

    fn split(&self, id: &SplitId, geocode: &Geocode) -> (SplitMeta, Vec<AssetRaster>) {
        let mut files: Vec<(f64, Vec<(BandMeta, Samples)>)> = Vec::new();
        let visible = [("B02", "blue"), ("B03", "green"), ("B04", "red")];
        let visible = visible.map(|(name, common)| (name, common, self.rgb_m));
        let swir = self.swir.then_some(("B11", "swir16", 20.0));
        for (name, common, resolution_m) in visible.into_iter().chain([self.nir]).chain(swir) {
            let samples = Samples::U16(self.plane(geocode, name, common, resolution_m));
            let band = band(name, Some(common), resolution_m, SampleType::U16);
            match files
                .iter_mut()
                .find(|(m, _)| (*m - resolution_m).abs() < 1e-9)
            {
                Some((_, bands)) => bands.push((band, samples)),
                None => files.push((resolution_m, vec![(band, samples)])),
            }
        }
        let mut assets = Vec::new();
        let mut metas = Vec::new();
        for (resolution_m, bands) in files {
            let name = format!("r{resolution_m}.tif");
            let (asset, meta) = asset(geocode, &name, resolution_m, bands);
            assets.push(asset);
            metas.extend(meta);
        }
        let mut classes = Vec::new();
        if self.cover {
            let cover = Samples::U8(cover(&self.cell));
            classes.push(("COVER", 10.0, cover));
        }
        if self.tells_clouds() {
            let classed = Samples::U16(self.classes(geocode));
            classes.push((self.quality.band, 20.0, classed));
        }
        for (name, resolution_m, samples) in classes {
            let mut of = band(name, None, resolution_m, samples.sample_type());
            (of.scale, of.offset, of.categorical) = (1.0, 0.0, true);
            let bands = vec![(of, samples)];
            let file = format!("r{resolution_m}-classes.tif");
            let (asset, meta) = asset(geocode, &file, resolution_m, bands);
            assets.push(asset);
            metas.extend(meta);
        }
        (self.meta(id, geocode, metas), assets)
    }

    fn meta(&self, id: &SplitId, geocode: &Geocode, bands: Vec<BandMeta>) -> SplitMeta {
        SplitMeta {
            version: earth::split::meta::META_VERSION,
            id: id.clone(),
            dataset: "sentinel-2-l2a".to_owned(),
            platform: None,
            geocode: *geocode,
            placement_key: PlacementRule::Whole.key(geocode),
            acquired: self.acquired.parse().expect("a time"),
            assets: Vec::new(),
            bands,
            counts: PixelCounts {
                mask: self.sky.map(|sky| MaskCounts {
                    valid: 100,
                    cloudy: sky.cover,
                    ..MaskCounts::default()
                }),
                ..PixelCounts::default()
            },
            cloud_source: self.tells_clouds().then(|| self.quality.source.to_owned()),
            missing_bands: Vec::new(),
            texture: None,
            source_hash: blake3::hash(self.name.as_bytes()).to_hex().to_string(),
            software: "test".to_owned(),
        }
    }

    /// Stored numbers of one band: the law of this world.
    fn plane(&self, geocode: &Geocode, name: &str, common: &str, resolution_m: f64) -> Vec<u16> {
        let grid = Grid::of(geocode, resolution_m).expect("a grid");
        let (width, height) = (size(grid.width()), size(grid.height()));
        // The land is the same on every date and under every grid.
        let (land, lie) = (Land::of(self.ground.word), self.ground.lie(geocode, &grid));
        let (clouds, picture) = (self.sky.map(|s| Clouds::new(s, &self.name)), Picture::new());
        let mut noise = Dice::new(self.seed, &[&self.name, name]);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                if let Some(clouds) = clouds.as_ref().filter(|_| x >= self.fill_columns) {
                    let metres = lie.metres(x, y);
                    values.push(stored(clouds.over(picture.colour(common, metres), metres)));
                    continue;
                }
                let strength = land.strength(lie.patches(x, y));
                let value = if common.starts_with("nir") {
                    0.12 + 0.4 * strength + self.drift * lie.cells_east(x)
                } else if common.starts_with("swir") {
                    SWIR
                } else {
                    self.glare * (0.1 + 0.08 * strength * (noise.unit() * 2.0 - 1.0))
                };
                values.push(if x < self.fill_columns {
                    FILL
                } else {
                    stored(value)
                });
            }
        }
        values
    }

    fn tells_clouds(&self) -> bool {
        self.cloud_columns > 0 || self.sky.is_some_and(|sky| sky.told)
    }

    /// The quality band at 20 m: cloud in the west or where it is thick.
    fn classes(&self, geocode: &Geocode) -> Vec<u16> {
        let fine = Grid::of(geocode, self.rgb_m).expect("a grid");
        let grid = Grid::of(geocode, 20.0).expect("a grid");
        let clouded = self.cloud_columns * size(grid.width()) / size(fine.width());
        let clouds = self.sky.map(|sky| Clouds::new(sky, &self.name));
        let lie = self.ground.lie(geocode, &grid);
        let class = |i: usize| {
            let (x, y) = (i % size(grid.width()), i / size(grid.width()));
            let metres = lie.metres(x, y);
            let hidden = |clouds: &Clouds| clouds.opacity(metres) > 0.1;
            if x < clouded || clouds.as_ref().is_some_and(hidden) {
                self.quality.values.0
            } else {
                self.quality.values.1
            }
        };
        (0..size(grid.width()) * size(grid.height()))
            .map(class)
            .collect()
    }
}

/// Returns the classes of land cover, 1 to 3, on a cell's grid of 10 m.
pub(crate) fn cover(cell: &str) -> Vec<u8> {
    let (land, lie) = (Land::of(Ground::default().word), Lie::fine(cell));
    let class = |(x, y)| land.cover(lie.patches(x, y));
    lie.pixels().map(class).collect()
}

/// Returns NDVI by the law of this world without noise, on a cell's grid of 10 m.
pub(crate) fn ndvi(cell: &str, drift: f64) -> Vec<f32> {
    let (land, lie) = (Land::of(Ground::default().word), Lie::fine(cell));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with a map of 32-bit floats"
    )]
    let value = |(x, y)| {
        let strength = land.strength(lie.patches(x, y));
        let nir = 0.12 + 0.4 * strength + drift * lie.cells_east(x);
        ((nir - 0.1) / (nir + 0.1)) as f32
    };
    lie.pixels().map(value).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "reflectances of this world lie in 0..1"
)]
fn stored(reflectance: f64) -> u16 {
    ((reflectance - OFFSET) / SCALE).round() as u16
}

fn band(name: &str, common: Option<&str>, resolution_m: f64, sample: SampleType) -> BandMeta {
    BandMeta {
        name: name.to_owned(),
        common: common.map(str::to_owned),
        centre_nm: None,
        asset: String::new(),
        index: 0,
        resolution_m,
        sample,
        fill: Some(f64::from(FILL)),
        scale: SCALE,
        offset: OFFSET,
        categorical: false,
        stats: None,
        classes: None,
        class_names: Vec::new(),
    }
}

fn asset(
    geocode: &Geocode,
    name: &str,
    resolution_m: f64,
    bands: Vec<(BandMeta, Samples)>,
) -> (AssetRaster, Vec<BandMeta>) {
    let grid = Grid::of(geocode, resolution_m).expect("a grid");
    let (mut metas, mut rasters) = (Vec::new(), Vec::new());
    for (index, (mut meta, samples)) in (0..).zip(bands) {
        (meta.asset, meta.index) = (name.to_owned(), index);
        rasters.push(Raster::new(grid.width(), grid.height(), samples).expect("a raster"));
        metas.push(meta);
    }
    let asset = AssetRaster {
        name: name.to_owned(),
        resolution_m,
        grid,
        fill: Some(f64::from(FILL)),
        rasters,
    };
    (asset, metas)
}

/// A lease on splits of `CELL` for `ndvi-cnn`.
pub(crate) fn lease(splits: Vec<LeaseSplit>, hyper: Hyper) -> Lease {
    lease_of("ndvi-cnn", splits, hyper)
}

/// A lease on splits of `CELL`.
pub(crate) fn lease_of(recipe: &str, splits: Vec<LeaseSplit>, hyper: Hyper) -> Lease {
    lease_in(CELL, recipe, (splits, hyper))
}

/// A lease on splits of any cell.
pub(crate) fn lease_in(
    cell: &str,
    recipe: &str,
    (splits, hyper): (Vec<LeaseSplit>, Hyper),
) -> Lease {
    let geocode = Geocode::parse(Scheme::Geohash, cell).expect("a cell");
    Lease {
        token: 1,
        expires_millis: 30_000,
        run: Run {
            name: "spring".to_owned(),
            recipe: recipe.to_owned(),
            query: query::Query::default(),
            mode: wire::run::Mode::Partitioned,
            packing: wire::run::Packing::Sequential,
            hyper,
            seed: 42,
            transfer: wire::transfer::Transfer::default(),
            inheritance: None,
            collections: Vec::new(),
            cells: Vec::new(),
            module: None,
        },
        geocode: cell.to_owned(),
        placement_key: PlacementRule::Whole.key(&geocode),
        splits,
        next: Vec::new(),
        bytes_moved: 0,
        heritage: None,
        checkpoint: None,
    }
}

/// A few epochs on small chips: seconds on one core.
pub(crate) fn quick() -> Hyper {
    Hyper {
        epochs: 12,
        chip_px: 16,
        learning_rate: 3e-3,
        patience: 6,
        ..Hyper::default()
    }
}

/// A folder for a test's files.
pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    (folder, path)
}

fn size(n: u32) -> usize {
    usize::try_from(n).expect("a size")
}
