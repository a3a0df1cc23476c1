//! Scenes below the paths a user named.
//!
//! *Invariants*: sorted by path; a path that is a scene is not searched for others; what a user
//! named and nobody reads is an error, what merely lies in a folder is not; a list or folder that
//! cannot be read hides none of its neighbours.
//!
//! *Not here*: opening them (`super::open`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wire::fault::{Fault, FaultKind};

use super::{Given, SOURCES, known, readable, unknown};
use crate::name::show;

/// Deepest folder searched: archives by sensor, year, month and day have four levels.
const DEPTH_MAX: usize = 16;
/// Greatest number of scenes of one ingest: 10 years of one tile are some 1,500.
const SCENES_MAX: usize = 100_000;

/// A path that is a scene, or why it is none.
pub type Found = Result<PathBuf, (PathBuf, Fault)>;

/// Finds the scenes of all paths, in the order of the paths.
pub fn scenes(paths: &[PathBuf], given: &Given) -> Vec<Found> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        let mut untold = Untold::default();
        match search(path, (given, &mut untold), DEPTH_MAX, &mut found) {
            Err(fault) => found.push(Err((path.clone(), fault))),
            Ok(()) if found.len() == before => {
                found.push(Err((path.clone(), nothing(path, &untold))));
            }
            Ok(()) => {}
        }
    }
    found
}

/// Files in folders that could be scenes if anything said what they show.
#[derive(Default)]
struct Untold {
    count: usize,
    first: Option<PathBuf>,
}

impl Untold {
    fn add(&mut self, path: &Path) {
        self.count += 1;
        self.first.get_or_insert_with(|| path.to_owned());
    }
}

fn search(
    path: &Path,
    (given, untold): (&Given, &mut Untold),
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), Fault> {
    if let Some(source) = SOURCES.iter().find(|s| s.claims(path)) {
        match source.scenes(path) {
            Ok(scenes) => found.extend(scenes.into_iter().map(Ok)),
            Err(fault) => found.push(Err((path.to_owned(), fault))),
        }
        return Ok(());
    }
    if !path.is_dir() {
        readable(path)?;
        return Err(unknown(path));
    }
    if depth == 0 || found.len() >= SCENES_MAX {
        let what = format!("{} is too deep or holds too many scenes", show(path));
        return Err(Fault::new(FaultKind::Data, what)
            .because(format!(
                "at most {DEPTH_MAX} levels and {SCENES_MAX} scenes are searched"
            ))
            .try_("ingest its parts one by one"));
    }
    let failed = |e: std::io::Error| {
        Fault::new(FaultKind::Data, format!("{} cannot be listed", show(path)))
            .because(e.to_string())
    };
    let entries = std::fs::read_dir(path).map_err(failed)?;
    let mut children: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    children.sort();
    let parts = parts(&children, given);
    for child in children {
        let is_mask = given.cloud_mask.as_deref().is_some_and(|m| same(m, &child));
        if is_part(&parts, &child) {
            continue;
        }
        // The source that would open it decides: one band of a scene is no scene.
        let source = SOURCES.iter().find(|s| s.claims(&child));
        let scene = source.is_some_and(|s| s.offers(&child, given)) && !is_mask;
        let folder = child.is_dir() && !child.is_symlink();
        if !(scene || folder) {
            let told = Given {
                dataset: Some("generic".to_owned()),
                ..given.clone()
            };
            if source.is_some_and(|s| s.offers(&child, &told)) && !is_mask {
                untold.add(&child);
            }
            continue;
        }
        match search(&child, (given, untold), depth - 1, found) {
            Err(fault) if found.len() < SCENES_MAX => found.push(Err((child, fault))),
            ended => ended?,
        }
    }
    Ok(())
}

/// Returns the files that scenes among some paths are made of, besides the paths themselves.
fn parts(children: &[PathBuf], given: &Given) -> BTreeSet<PathBuf> {
    let mut parts = BTreeSet::new();
    for child in children {
        let source = SOURCES.iter().find(|s| s.claims(child));
        let files = source
            .filter(|s| s.offers(child, given))
            .map(|s| s.files(child));
        parts.extend(
            files
                .into_iter()
                .flatten()
                .filter_map(|f| f.canonicalize().ok()),
        );
    }
    parts
}

fn is_part(parts: &BTreeSet<PathBuf>, path: &Path) -> bool {
    !parts.is_empty() && path.canonicalize().is_ok_and(|p| parts.contains(&p))
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn nothing(path: &Path, untold: &Untold) -> Fault {
    let fault = Fault::new(FaultKind::Nothing, format!("{} holds no scene", show(path)));
    match &untold.first {
        Some(first) => fault
            .because(format!(
                "nothing says what {} of its files show, {} among them",
                untold.count,
                show(first)
            ))
            .try_(
                "--dataset generic --datetime 2015-07-31T10:00:09Z, if that is so of all; or \
                 beside each a side-car of its name, such as B04.json: {\"dataset\": \"generic\", \
                 \"datetime\": \"2015-07-31T10:00:09Z\"}; or a STAC Item whose assets they are",
            ),
        None => fault
            .because(known())
            .try_("name the scene's own file or folder"),
    }
}
