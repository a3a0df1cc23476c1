//! SEN3 folders, unpacked if they come in an archive: a manifest and a netCDF file for each band,
//! for the positions and for the flags.
//!
//! *Invariants*: as for all sources; what the manifest says of type and time holds.
//!
//! *Not here*: scenes in one file (`beam`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::sentinel3::{SLSTR_CONFIDENCE, SLSTR_CONFIDENCE_BITS};
use earth::dataset::{Dataset, dataset};
use earth::raster::cloud::Meaning;
use earth::raster::swath::{Swath, Ties};
use earth::split::collection::is_name;
use wire::fault::{Fault, FaultKind};

use super::flags::same_bits;
use super::manifest::{self, MANIFEST, Manifest};
use super::{categorical, measured, place};
use crate::name::{scene_name, show, stem_name};
use crate::source::image::{Format, Image};
use crate::source::netcdf::NetCdf;
use crate::source::package::Package;
use crate::source::raster_file;
use crate::source::{Given, Layer, Mask, Named, Scene, agree};

/// A type of product: where its bands and flags are.
#[derive(Debug)]
struct Kind {
    /// As the manifest says it.
    name: &'static str,
    dataset: &'static str,
    grids: &'static [Grid],
    flags: Option<Flags>,
}

/// Bands that lie alike.
#[derive(Debug)]
struct Grid {
    /// File with the positions, and its variables of latitude and longitude.
    geodetic: (&'static str, &'static str, &'static str),
    resolution_m: f64,
    bands: Bands,
}

/// Where the bands of a grid lie.
#[derive(Debug, Clone, Copy)]
enum Bands {
    /// A file a band, named as its variable: how it begins, and what follows.
    Each(&'static [&'static str], &'static str),
    /// Band, and the variables and files that may hold it, by version of the product.
    Among(&'static [(&'static str, &'static [(&'static str, &'static str)])]),
}

/// Where a band lies.
#[derive(Debug)]
struct Held {
    band: &'static str,
    variable: String,
    file: String,
}

impl Bands {
    /// Returns where the bands that a package has lie.
    fn held(self, has: impl Fn(&str) -> bool) -> Vec<Held> {
        match self {
            Self::Each(bands, rest) => {
                let each = |band: &&'static str| Held {
                    band,
                    variable: format!("{band}{rest}"),
                    file: format!("{band}{rest}.nc"),
                };
                bands.iter().map(each).filter(|h| has(&h.file)).collect()
            }
            Self::Among(bands) => {
                let first = |(band, places): &(&'static str, &'static [(&str, &str)])| {
                    let (variable, file) = places.iter().find(|(_, file)| has(file))?;
                    Some(Held {
                        band,
                        variable: (*variable).to_owned(),
                        file: (*file).to_owned(),
                    })
                };
                bands.iter().filter_map(first).collect()
            }
        }
    }
}

/// Flags that tell clouds.
#[derive(Debug)]
struct Flags {
    file: &'static str,
    variable: &'static str,
    /// Which of the grids they lie on.
    grid: usize,
    meaning: &'static Meaning,
    bits: &'static [(&'static str, u32)],
}

const OLCI: (&str, &str, &str) = ("geo_coordinates.nc", "latitude", "longitude");
const OLCI_BANDS: &[&str] = &[
    "Oa01", "Oa02", "Oa03", "Oa04", "Oa05", "Oa06", "Oa07", "Oa08", "Oa09", "Oa10", "Oa11", "Oa12",
    "Oa13", "Oa14", "Oa15", "Oa16", "Oa17", "Oa18", "Oa19", "Oa20", "Oa21",
];

/// Before baseline 3 the index of green vegetation had another name.
const OLCI_LAND: Bands = Bands::Among(&[
    ("GIFAPAR", &[("GIFAPAR", "gifapar.nc"), ("OGVI", "ogvi.nc")]),
    ("OTCI", &[("OTCI", "otci.nc")]),
    (
        "RC681",
        &[("RC681", "rc_gifapar.nc"), ("RC681", "rc_ogvi.nc")],
    ),
    (
        "RC865",
        &[("RC865", "rc_gifapar.nc"), ("RC865", "rc_ogvi.nc")],
    ),
    ("IWV", &[("IWV", "iwv.nc")]),
]);

/// The types that are read. Of SLSTR the nadir view: stripe A of S1–S6, the grid of S7–S9.
const KINDS: &[Kind] = &[
    Kind {
        name: "OL_1_EFR",
        dataset: "sentinel-3-olci-l1",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 300.0,
            bands: Bands::Each(OLCI_BANDS, "_radiance"),
        }],
        flags: None,
    },
    Kind {
        name: "OL_1_ERR",
        dataset: "sentinel-3-olci-l1",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 1200.0,
            bands: Bands::Each(OLCI_BANDS, "_radiance"),
        }],
        flags: None,
    },
    Kind {
        name: "OL_2_WFR",
        dataset: "sentinel-3-olci-l2-water",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 300.0,
            bands: Bands::Each(OLCI_BANDS, "_reflectance"),
        }],
        flags: None,
    },
    Kind {
        name: "OL_2_WRR",
        dataset: "sentinel-3-olci-l2-water",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 1200.0,
            bands: Bands::Each(OLCI_BANDS, "_reflectance"),
        }],
        flags: None,
    },
    Kind {
        name: "OL_2_LFR",
        dataset: "sentinel-3-olci-l2-land",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 300.0,
            bands: OLCI_LAND,
        }],
        flags: None,
    },
    Kind {
        name: "OL_2_LRR",
        dataset: "sentinel-3-olci-l2-land",
        grids: &[Grid {
            geodetic: OLCI,
            resolution_m: 1200.0,
            bands: OLCI_LAND,
        }],
        flags: None,
    },
    Kind {
        name: "SL_1_RBT",
        dataset: "sentinel-3-slstr",
        grids: &[
            Grid {
                geodetic: ("geodetic_an.nc", "latitude_an", "longitude_an"),
                resolution_m: 500.0,
                bands: Bands::Each(&["S1", "S2", "S3", "S4", "S5", "S6"], "_radiance_an"),
            },
            Grid {
                geodetic: ("geodetic_in.nc", "latitude_in", "longitude_in"),
                resolution_m: 1000.0,
                bands: Bands::Each(&["S7", "S8", "S9"], "_BT_in"),
            },
        ],
        flags: Some(Flags {
            file: "flags_an.nc",
            variable: "confidence_an",
            grid: 0,
            meaning: &SLSTR_CONFIDENCE,
            bits: SLSTR_CONFIDENCE_BITS,
        }),
    },
];

/// Opens the scene in a folder of a name; `path` is what the user named.
pub(super) fn open(
    path: &Path,
    (package, folder): (Package, &str),
    given: &Given,
) -> Result<Scene, Fault> {
    let manifest = manifest::read(&package.text(MANIFEST)?).map_err(|e| {
        let what = format!("{MANIFEST} of {} cannot be used", show(path));
        Fault::new(FaultKind::Data, what)
            .because(e.to_string())
            .try_("download the product again")
    })?;
    let kind = kind(path, &manifest)?;
    let known = dataset(kind.dataset).expect("the names stand in earth's table of datasets");
    agree_with_flags(path, given, (kind, &manifest))?;
    let reader = Reader { package: &package };
    let mut layers = Vec::new();
    let mut swaths = Vec::new();
    for grid in kind.grids {
        let swath = reader.swath(path, grid)?;
        if let Some(swath) = &swath {
            layers.extend(reader.layers(grid, (known, swath))?);
        }
        swaths.push(swath);
    }
    if layers.is_empty() {
        return Err(
            Fault::new(FaultKind::Data, format!("{} holds no pixels", show(path)))
                .because("none of its bands' files is there")
                .try_("download the whole product"),
        );
    }
    let flags = match &kind.flags {
        Some(flags) => reader.flags(flags, &swaths)?,
        None => None,
    };
    layers.extend(flags.iter().map(|m| m.layer.clone()));
    let mask = match &given.cloud_mask {
        Some(mask) => Some(raster_file::user_mask(mask)?),
        None => flags,
    };
    let has = |name: &str| layers.iter().any(|l| l.name == name);
    let missing = known.bands.iter().map(|b| b.name).filter(|n| !has(n));
    Ok(Scene {
        name: name_of(folder).unwrap_or_else(|| said_name(&manifest)),
        dataset: known,
        platform: manifest.platform.clone(),
        acquired: manifest.start,
        source: path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
        delivered: package.delivered()?,
        missing: missing.map(str::to_owned).collect(),
        notes: Vec::new(),
        layers,
        mask,
    })
}

fn kind(path: &Path, manifest: &Manifest) -> Result<&'static Kind, Fault> {
    let found = KINDS.iter().find(|k| k.name == manifest.kind);
    found.ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|k| k.name).collect();
        let what = format!("{} is of a type that is not read", show(path));
        Fault::new(FaultKind::Data, what)
            .because(format!(
                "its manifest says {}",
                manifest.kind.escape_debug()
            ))
            .because(format!("known are {}", known.join(", ")))
            .try_("SNAP writes other products as NetCDF4-BEAM")
    })
}

fn agree_with_flags(
    path: &Path,
    given: &Given,
    (kind, manifest): (&Kind, &Manifest),
) -> Result<(), Fault> {
    let own = kind.dataset.to_owned();
    agree(path, ("--dataset", given.dataset.as_ref()), (&own, &own))?;
    let start = manifest.start.to_string();
    agree(
        path,
        ("--datetime", given.acquired.as_ref()),
        (&manifest.start, &start),
    )
}

/// Returns the name of a product's folder, if it is one.
fn name_of(folder: &str) -> Option<String> {
    let name = strip(folder);
    Some(name.to_owned()).filter(|n| is_name(n) && n.starts_with("S3"))
}

/// Returns what the manifest calls the product.
fn said_name(manifest: &Manifest) -> String {
    let said = manifest.name.as_deref().map(strip).filter(|n| is_name(n));
    scene_name(said.unwrap_or(&manifest.kind))
}

fn strip(name: &str) -> &str {
    name.strip_suffix(".SEN3").unwrap_or(name)
}

/// Returns what names alone tell of a product in a folder or archive; the manifest is asked if the
/// folder was renamed.
pub(super) fn named(path: &Path, folder: &str) -> Named {
    let manifest = || {
        let package = if path.is_dir() {
            Package::flat(path, |file| file == MANIFEST).ok()?
        } else {
            Package::archive(path, |file| file == MANIFEST).ok()?.0
        };
        manifest::read(&package.text(MANIFEST).ok()?).ok()
    };
    let scene = name_of(folder).filter(|_| dataset_in(folder).is_some());
    let said = scene.is_none().then(manifest).flatten();
    let kind = said.as_ref().map_or(folder, |m| &m.kind);
    Named {
        dataset: dataset_in(kind),
        scene: scene
            .or_else(|| said.as_ref().map(said_name))
            .unwrap_or_else(|| stem_name(path)),
    }
}

/// Returns the dataset of the type in a product's name: `S3A_OL_1_EFR____2021…`.
pub(super) fn dataset_in(name: &str) -> Option<&'static str> {
    let kind = KINDS.iter().find(|k| name.contains(k.name));
    kind.map(|k| k.dataset)
}

/// Opens the netCDF files of a folder.
struct Reader<'a> {
    package: &'a Package,
}

impl Reader<'_> {
    fn path(&self, file: &str) -> PathBuf {
        self.package.gdal_path(file)
    }

    fn has(&self, grid: &Grid) -> Vec<Held> {
        grid.bands.held(|file| self.package.has(file))
    }

    /// Places the bands of a grid; `None` if none of them is there.
    fn swath(&self, path: &Path, grid: &Grid) -> Result<Option<Arc<Swath>>, Fault> {
        if self.has(grid).is_empty() {
            return Ok(None);
        }
        let (file, lat, lon) = grid.geodetic;
        if !self.package.has(file) {
            return Err(
                Fault::new(FaultKind::Data, format!("{} lacks {file}", show(path)))
                    .because("where its pixels lie stands only there")
                    .try_("download the whole product"),
            );
        }
        let geodetic = NetCdf::open(&self.path(file), file)?;
        let swath = place(geodetic.size(lat)?, Ties::EACH, (&geodetic, lon, lat))?;
        Ok(Some(Arc::new(swath)))
    }

    /// Opens the bands of a grid that are there.
    fn layers(
        &self,
        grid: &Grid,
        (known, swath): (&'static Dataset, &Arc<Swath>),
    ) -> Result<Vec<Layer>, Fault> {
        let mut layers = Vec::new();
        for Held {
            band,
            variable,
            file,
        } in self.has(grid)
        {
            let Some(spec) = known.bands.iter().find(|s| s.name == band) else {
                continue;
            };
            let netcdf = NetCdf::open(&self.path(&file), &file)?;
            let name = netcdf.gdal_path(&variable);
            let image = Image::open_along(&name, &file, (Format::NetCdf, swath))?;
            layers.push(Layer {
                resolution_m: grid.resolution_m,
                ..measured(spec, Arc::new(image.of(self.package.kept())))?
            });
        }
        Ok(layers)
    }

    /// Opens the flags if they are there and their bits are the known ones.
    fn flags(&self, flags: &Flags, swaths: &[Option<Arc<Swath>>]) -> Result<Option<Mask>, Fault> {
        let swath = swaths.get(flags.grid).and_then(Option::as_ref);
        let Some(swath) = swath.filter(|_| self.package.has(flags.file)) else {
            return Ok(None);
        };
        let file = NetCdf::open(&self.path(flags.file), flags.file)?;
        if !file.has(flags.variable) || !same_bits(&file, flags.variable, flags.bits)? {
            return Ok(None);
        }
        let meaning = flags.meaning;
        let layer = Layer {
            name: meaning.band.to_owned(),
            ..categorical(&file, flags.variable, (swath, self.package.kept()))?
        };
        Ok(Some(Mask { meaning, layer }))
    }
}
