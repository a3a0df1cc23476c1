//! `cut`: one scene into split folders, without a node; the first step of `glebe predict SCENE`.
//!
//! *Invariants*: writes nothing unless the whole scene was read; folders are named as a node's.
//!
//! *Not here*: inference (trainer).

use std::fs;
use std::path::Path;

use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use serde::Serialize;
use wire::fault::{Fault, FaultKind};

use crate::args::CutArgs;
use crate::cutting;
use crate::name::show;
use crate::plan;
use crate::source::{self, Given, Scene};

/// What was cut.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// Scene name.
    pub scene: String,
    /// Folders written.
    pub splits: u64,
    /// Cells without a valid pixel.
    pub empty: u64,
}

/// Cuts a scene.
pub fn run(args: &CutArgs) -> Result<Done, Fault> {
    let given = Given::from(&args.given);
    let mut scene = source::open(&args.scene, &given)?;
    keep(&mut scene, &args.bands)?;
    let collection = Collection {
        name: scene.dataset.name.to_owned(),
        dataset: scene.dataset.name.to_owned(),
        scheme: args.scheme.into(),
        precision: args.precision,
        placement: PlacementRule::Whole,
    };
    let plan = plan::plan(&scene, collection.scheme, collection.precision)?;
    let cut = cutting::cut(&scene, &plan, (&collection, &plan.cells), &mut |_| {})?;
    for split in &cut.splits {
        let folder = args.out.join(split.meta.id.as_str().replace('/', "+"));
        write(&folder, &cut.spool.read(&split.files)?)?;
    }
    Ok(Done {
        scene: scene.name,
        splits: cut.splits.len() as u64,
        empty: cut.empty,
    })
}

/// Keeps the wanted bands, and the classes that judge clouds.
fn keep(scene: &mut Scene, bands: &[String]) -> Result<(), Fault> {
    if let Some(unknown) = bands
        .iter()
        .find(|b| !scene.layers.iter().any(|l| l.name == **b))
    {
        let has: Vec<_> = scene.layers.iter().map(|l| l.name.as_str()).collect();
        return Err(Fault::new(
            FaultKind::Data,
            format!("'{}' has no band {unknown}", scene.name),
        )
        .because(format!("it has {}", has.join(", "))));
    }
    if !bands.is_empty() {
        scene
            .layers
            .retain(|l| l.categorical || bands.contains(&l.name));
    }
    Ok(())
}

fn write(folder: &Path, files: &[(String, bytes::Bytes)]) -> Result<(), Fault> {
    let failed = |e: std::io::Error| {
        Fault::new(
            FaultKind::Internal,
            format!("{} cannot be written", show(folder)),
        )
        .because(e.to_string())
    };
    fs::create_dir_all(folder).map_err(failed)?;
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).map_err(failed)?;
    }
    Ok(())
}
