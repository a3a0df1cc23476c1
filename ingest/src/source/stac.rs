//! Scenes listed by STAC Items: `item.json`, an item collection, or one item a line (`.ndjson`).
//!
//! An item of a list has a path of its own (`super::listed`).
//!
//! *Invariants*: the item's id is the scene's name; every asset is a file on this machine, found
//! from the item's own place, or beside it under the last name of an address of a network; what
//! flags say wins over the item, the item over the files.
//!
//! *Not here*: the form of items (`item`), bands of files (`super::geotiff`). Nothing is
//! downloaded.

pub mod item;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earth::dataset::{BandSpec, DATASETS, Dataset, MEANINGS, dataset};
use jiff::Timestamp;
use serde_json::Value;
use wire::fault::{Fault, FaultKind};

use self::item::{Asset, Item};
use super::geotiff::{self, layers};
use super::package::delivered_with_text;
use super::raster_file;
use super::sidecar::{Sidecar, SidecarBand};
use super::{Given, Layer, Mask, Named, Scene, Source, listed};
use crate::name::{scene_name, show, stem_name};

/// Greatest file of items: 100,000 items of 2 kB.
const BYTES_MAX: u64 = 256 << 20;
/// How much of a file is looked at to tell whether it holds items.
const LOOK_BYTES: usize = 1 << 20;
/// Roles of assets that are no bands of the scene.
const OTHER_ROLES: [&str; 5] = ["thumbnail", "overview", "metadata", "visual", "source"];
/// Roles of assets whose non-zero pixels are cloud.
const CLOUD_ROLES: [&str; 2] = ["cloud", "cloud-mask"];
/// What collections elsewhere are called → the dataset here.
const ALIASES: [(&str, &str); 6] = [
    ("landsat-c2l1", "landsat-c2-l1"),
    ("landsat-c2l2-sr", "landsat-c2-l2"),
    ("landsat-c2l2-st", "landsat-c2-l2"),
    ("sentinel-2-c1-l2a", "sentinel-2-l2a"),
    ("sentinel-s2-l1c", "sentinel-2-l1c"),
    ("sentinel-s2-l2a", "sentinel-2-l2a"),
];

/// The reader of STAC Items.
#[derive(Debug)]
pub struct StacItem;

impl Source for StacItem {
    fn reads(&self) -> &'static str {
        "STAC Items and lists of them (.json, .geojson, .ndjson) whose assets are here"
    }

    fn claims(&self, path: &Path) -> bool {
        let (list, _) = listed::split(path);
        holds_items(&list)
    }

    /// An item whose files lie elsewhere describes no scene here.
    fn offers(&self, path: &Path, _given: &Given) -> bool {
        self.claims(path) && !self.files(path).is_empty()
    }

    fn scenes(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        Ok(listed::each(path, read(path)?.len()))
    }

    fn files(&self, path: &Path) -> Vec<PathBuf> {
        let items = read(path).unwrap_or_default();
        let items = items.iter().filter_map(|value| item::parse(value).ok());
        let assets = items.flat_map(|item| item.assets.into_values());
        assets
            .filter_map(|asset| local(path, &asset.href).ok())
            .collect()
    }

    fn named(&self, path: &Path) -> Named {
        match one(path) {
            Ok((_, item)) => Named {
                scene: scene_name(&item.id),
                dataset: known(&item, &Given::default()).map(|d| d.name),
            },
            Err(_) => Named {
                scene: stem_name(path),
                dataset: None,
            },
        }
    }

    fn open(&self, path: &Path, given: &Given) -> Result<Scene, Fault> {
        let (text, item) = one(path)?;
        let dataset = known(&item, given).unwrap_or_else(generic);
        let acquired = sensed(path, &item, given)?;
        let (files, notes) = rasters(path, &item)?;
        let mut found = Found::default();
        for (key, file) in &files {
            found.add(dataset, (key, &item.assets[key]), file)?;
        }
        let mask = match &given.cloud_mask {
            Some(mask) => Some(raster_file::user_mask(mask)?),
            None => found.mask,
        };
        let order = |l: &Layer| dataset.bands.iter().position(|b| b.name == l.name);
        found
            .layers
            .sort_by_key(|l| (l.categorical, order(l).unwrap_or(usize::MAX)));
        if found.layers.is_empty() {
            return Err(no_bands(path));
        }
        rename_twins(&mut found.layers);
        let mut files: Vec<&Path> = files.iter().map(|(_, f)| f.as_path()).collect();
        files.extend(given.cloud_mask.as_deref());
        let missing = geotiff::missing(dataset, &found.layers);
        Ok(Scene {
            name: scene_name(&item.id),
            dataset,
            platform: item.properties.platform.clone(),
            acquired,
            source: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            delivered: delivered_with_text(("item.json", &text), &files)?,
            layers: found.layers,
            mask,
            missing,
            notes,
        })
    }
}

/// Tells whether a file holds STAC Items, from its name and the words at its beginning.
fn holds_items(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let named = ["json", "geojson", "ndjson", "jsonl"];
    if !named.iter().any(|e| extension.eq_ignore_ascii_case(e)) || !path.is_file() {
        return false;
    }
    let mut head = Vec::new();
    let file = std::fs::File::open(path).ok();
    let read = file.map(|f| {
        use std::io::Read as _;
        f.take(LOOK_BYTES as u64).read_to_end(&mut head)
    });
    let head = String::from_utf8_lossy(&head);
    matches!(read, Some(Ok(_))) && head.contains("\"Feature") && head.contains("\"assets\"")
}

/// Reads the items of a file, or the one that the path names.
fn read(path: &Path) -> Result<Vec<Value>, Fault> {
    let (list, number) = listed::split(path);
    let failed = |reason: String| {
        Fault::new(
            FaultKind::Data,
            format!("{} holds no STAC Item that can be used", show(path)),
        )
        .because(reason)
        .try_("docs/FORMATS.md shows one")
    };
    let meta = std::fs::metadata(&list).map_err(|e| failed(e.to_string()))?;
    if meta.len() > BYTES_MAX {
        return Err(failed(format!("it has over {BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&list).map_err(|e| failed(e.to_string()))?;
    let mut items = item::items(&list, &text).map_err(failed)?;
    match number {
        None if items.is_empty() => Err(failed("it lists no items".to_owned())),
        None => Ok(items),
        Some(n) if n < items.len() => Ok(vec![items.swap_remove(n)]),
        Some(n) => Err(failed(format!("it has no item {n}"))),
    }
}

/// Reads the one item of a path, with its text.
fn one(path: &Path) -> Result<(String, Item), Fault> {
    let value = read(path)?.swap_remove(0);
    let item = item::parse(&value).map_err(|reason| {
        Fault::new(FaultKind::Data, format!("{} is no STAC Item", show(path)))
            .because(reason)
            .try_("docs/FORMATS.md shows one")
    })?;
    Ok((value.to_string(), item))
}

/// Returns the dataset that flags name, else the item's collection.
fn known(item: &Item, given: &Given) -> Option<&'static Dataset> {
    let named = given.dataset.as_deref().or(item.collection.as_deref())?;
    let alias = ALIASES.iter().find(|(from, _)| *from == named);
    dataset(alias.map_or(named, |(_, to)| to))
}

fn generic() -> &'static Dataset {
    let found = DATASETS.iter().find(|d| d.name == "generic");
    found.expect("'generic' is in earth's table of datasets")
}

fn sensed(path: &Path, item: &Item, given: &Given) -> Result<Timestamp, Fault> {
    let own = item.properties.acquired();
    given.acquired.or(own).ok_or_else(|| {
        Fault::new(
            FaultKind::Data,
            format!("the sensing time of {} is unknown", show(path)),
        )
        .because("its item has neither datetime nor start_datetime")
        .try_("--datetime 2015-07-31T10:00:09Z")
    })
}

/// An asset's key and its file.
type Raster = (String, PathBuf);

/// Returns the rasters among the assets, by key, and what a user should know of the others.
fn rasters(path: &Path, item: &Item) -> Result<(Vec<Raster>, Vec<String>), Fault> {
    let (mut files, mut remote, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (key, asset) in &item.assets {
        let other = OTHER_ROLES.iter().any(|r| asset.has_role(r)) && !asset.has_role("data");
        if other || raster_file::format(Path::new(&asset.href)).is_none() {
            continue;
        }
        match local(path, &asset.href) {
            Ok(file) => files.push((key.clone(), file)),
            Err(Elsewhere::Remote) => remote.push(key.as_str()),
            Err(Elsewhere::Absent) => gone.push(key.as_str()),
        }
    }
    let what = || format!("the assets of {} cannot be read", show(path));
    let fault = match (files.is_empty(), remote.is_empty(), gone.is_empty()) {
        (true, false, _) => Fault::new(FaultKind::Data, what())
            .because(format!(
                "{} lie behind addresses of a network",
                remote.join(", ")
            ))
            .try_("download them beside the item, under the names that they have there"),
        (true, true, false) => Fault::new(FaultKind::Data, what())
            .because(format!("the files of {} are not there", gone.join(", ")))
            .try_("hrefs are relative to the item's own folder"),
        (true, true, true) => no_bands(path),
        _ => {
            let left_out = [("on a network", remote), ("not there", gone)];
            let note = |(why, keys): (&str, Vec<&str>)| {
                (!keys.is_empty()).then(|| format!("assets {why}: {}", keys.join(" ")))
            };
            return Ok((files, left_out.into_iter().filter_map(note).collect()));
        }
    };
    Err(fault)
}

/// Why an asset is no file here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Remote,
    Absent,
}

/// Returns the file that an href means: behind an address of a network the one of its name that was
/// downloaded beside the item.
fn local(path: &Path, href: &str) -> Result<PathBuf, Elsewhere> {
    let href = href.strip_prefix("file://").unwrap_or(href);
    let (list, _) = listed::split(path);
    let folder = list.parent().unwrap_or(Path::new(""));
    let there = |name: &str| Some(folder.join(name)).filter(|f| f.is_file());
    if href.contains("://") || href.starts_with("/vsi") {
        return last_name(href).and_then(there).ok_or(Elsewhere::Remote);
    }
    there(href).ok_or(Elsewhere::Absent)
}

/// Returns the file name at the end of an address, without what is asked of it.
fn last_name(href: &str) -> Option<&str> {
    let address = href.split(['?', '#']).next()?;
    let (_, name) = address.rsplit_once('/')?;
    Some(name).filter(|n| !matches!(*n, "" | "." | ".."))
}

fn no_bands(path: &Path) -> Fault {
    Fault::new(FaultKind::Data, format!("{} has no bands", show(path)))
        .because("none of its assets is a raster with the role of data")
        .try_("assets with .tif or .jp2 files, such as {\"red\": {\"href\": \"B04.tif\"}}")
}

/// What the assets hold.
#[derive(Default)]
struct Found {
    layers: Vec<Layer>,
    mask: Option<Mask>,
}

impl Found {
    /// Opens an asset's file and takes its bands, or takes it for the cloud mask.
    fn add(
        &mut self,
        dataset: &'static Dataset,
        (key, asset): (&str, &Asset),
        file: &Path,
    ) -> Result<(), Fault> {
        if CLOUD_ROLES.iter().any(|r| asset.has_role(r)) && !asset.has_role("data") {
            let mask = raster_file::user_mask(file)?;
            self.mask.get_or_insert(mask);
            return Ok(());
        }
        let image = raster_file::open(file)?;
        let mut bands = asset.described(image.bands());
        let mut stem = None;
        if let [only] = bands.as_mut_slice() {
            only.name.get_or_insert_with(|| key.to_owned());
            stem = file.file_stem().and_then(|s| s.to_str());
        }
        for band in &mut bands {
            if let Some(own) = own_name(dataset, band, stem) {
                band.name = Some(own.to_owned());
            }
            band.categorical |= MEANINGS
                .iter()
                .any(|m| !m.band.is_empty() && band.name.as_deref() == Some(m.band));
        }
        let sidecar = Sidecar {
            bands,
            ..Sidecar::default()
        };
        for layer in layers::of(file, Arc::new(image), dataset, &sidecar)? {
            let meaning = MEANINGS
                .iter()
                .find(|m| layer.categorical && m.band == layer.name);
            if let Some(meaning) = meaning {
                self.mask.get_or_insert(Mask {
                    meaning,
                    layer: layer.clone(),
                });
            }
            self.layers.push(layer);
        }
        Ok(())
    }
}

/// Returns what the product itself calls a band: items call it by its common name, in other
/// letters, or as they like, and then its file has the name.
fn own_name(dataset: &Dataset, band: &SidecarBand, stem: Option<&str>) -> Option<&'static str> {
    let said = [band.name.as_deref(), band.common.as_deref(), stem];
    let said = said.into_iter().flatten().filter(|s| !s.is_empty());
    let known = dataset.bands;
    let spec = |s: &str| {
        let called = |b: &&BandSpec| b.name.eq_ignore_ascii_case(s) || b.common == s;
        known.iter().find(called).map(|b| b.name)
    };
    let flags = |s: &str| {
        let called = MEANINGS.iter().find(|m| m.band.eq_ignore_ascii_case(s));
        called.map(|m| m.band)
    };
    let mut names = said.map(|s| spec(s).or_else(|| flags(s)));
    names.find_map(|name| name)
}

/// Gives bands that have the same name numbers: two assets may both hold a `B1`.
fn rename_twins(layers: &mut [Layer]) {
    let names: Vec<String> = layers.iter().map(|l| l.name.clone()).collect();
    for (i, layer) in layers.iter_mut().enumerate() {
        let before = names[..i].iter().filter(|n| **n == names[i]).count();
        if before > 0 {
            layer.name = format!("{}-{}", names[i], before + 1);
        }
    }
}
