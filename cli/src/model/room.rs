//! Room for models on this machine: a folder that is new, or that holds these same models.
//!
//! *Invariants*: looking changes nothing; a folder that holds anything else is refused, so that
//! `predict` never takes an older model, or files of two, for the one that was pulled.
//!
//! *Not here*: downloading (`model`), which models (`choose`).

use std::path::Path;

use wire::fault::Fault;
use wire::model::ModelView;

use super::bundle::BUNDLE_FILE;
use crate::{download, room};

/// The file by which a model is told from every other: it names run, cell and weights.
const CONFIG_FILE: &str = "config.json";
/// End of the names that files have until they are whole.
const PARTIAL_END: &str = ".part";

/// Checks that a folder has room for a model: nothing is in it but what is of that model.
///
/// What of it is damaged is no reason to refuse: it is brought again.
///
/// # Errors
/// Something else is there, or it cannot be read.
pub(super) fn one(folder: &Path, model: &ModelView) -> Result<(), Fault> {
    let names = names(folder)?;
    let is_of_it = |name: &&String| model.files.iter().any(|file| file.name == **name);
    if let Some(other) = names.iter().find(|name| !is_of_it(name)) {
        return Err(taken(folder, &format!("{other} is no file of this model")));
    }
    let there = model.files.iter().filter(|file| names.contains(&file.name));
    let mut differs = None;
    for file in there {
        let is_whole = download::is_whole(&folder.join(&file.name), &file.blake3)?;
        match (is_whole, file.name == CONFIG_FILE) {
            // It is the same model, whatever has become of its other files.
            (Some(true), true) => return Ok(()),
            (Some(false), true) => {
                return Err(taken(folder, "its config.json is that of another model"));
            }
            (Some(false), false) => differs = differs.or(Some(&file.name)),
            (Some(true) | None, _) => {}
        }
    }
    match differs {
        Some(name) => Err(taken(folder, &format!("its {name} is another one"))),
        None => Ok(()),
    }
}

/// Checks that a folder has room for a bundle: nothing is in it but these cells' models.
///
/// # Errors
/// As of `one`.
pub(super) fn bundle(folder: &Path, models: &[ModelView]) -> Result<(), Fault> {
    for name in names(folder)? {
        let is_of_it = name == BUNDLE_FILE || models.iter().any(|m| m.geocode == name);
        if !is_of_it {
            let why = format!("{name} is none of the {} models pulled", models.len());
            return Err(taken(folder, &why));
        }
    }
    let mut rooms = models.iter().map(|m| one(&folder.join(&m.geocode), m));
    rooms.try_for_each(|room| room)
}

/// Returns the names in a folder. What a pull that was stopped left of a file counts as nothing.
fn names(folder: &Path) -> Result<Vec<String>, Fault> {
    let mut names = room::names(folder)?;
    names.retain(|name| !(name.starts_with('.') && name.ends_with(PARTIAL_END)));
    Ok(names)
}

fn taken(folder: &Path, why: &str) -> Fault {
    room::taken(folder, why).because("a model is not written over another, or beside other files")
}

#[cfg(test)]
mod tests {
    use wire::hit::FileEntry;

    use super::*;
    use crate::model::sample;

    fn model(run: &str, geocode: &str) -> ModelView {
        let file = |name: &str| {
            let text = text(run, geocode, name);
            FileEntry {
                name: name.to_owned(),
                bytes: text.len() as u64,
                blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            }
        };
        ModelView {
            files: ["config.json", "model.safetensors"].map(file).into(),
            ..sample::model(run, geocode)
        }
    }

    fn text(run: &str, geocode: &str, name: &str) -> String {
        format!("{name} of {run}/{geocode}")
    }

    fn write(folder: &Path, model: &ModelView, name: &str) {
        std::fs::create_dir_all(folder).unwrap();
        let text = text(&model.run, &model.geocode, name);
        std::fs::write(folder.join(name), text).unwrap();
    }

    fn refused(room: Result<(), Fault>) -> String {
        let fault = room.unwrap_err();
        assert_eq!(fault.kind.exit_code(), 5, "{fault:?}");
        fault.because[0].clone()
    }

    #[test]
    fn a_model_goes_into_a_folder_of_its_own_or_where_it_is_already() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, other) = (model("a", "9xj5k"), model("b", "9xj5k"));
        let at = dir.path().join("m");
        one(&at, &mine).unwrap();
        std::fs::create_dir(&at).unwrap();
        one(&at, &mine).unwrap();
        // Stopped in the middle, or damaged since.
        std::fs::write(at.join(".config.json.77.part"), "{").unwrap();
        write(&at, &mine, "model.safetensors");
        one(&at, &mine).unwrap();
        write(&at, &mine, "config.json");
        std::fs::write(at.join("model.safetensors"), "damaged").unwrap();
        one(&at, &mine).unwrap();
        assert!(refused(one(&at, &other)).contains("config.json"));
        std::fs::remove_file(at.join("config.json")).unwrap();
        assert!(refused(one(&at, &mine)).contains("model.safetensors"));
    }

    #[test]
    fn a_folder_with_anything_else_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mine = model("a", "9xj5k");
        std::fs::write(dir.path().join("thesis.txt"), "words").unwrap();
        assert!(refused(one(dir.path(), &mine)).contains("thesis.txt"));
        assert!(refused(one(&dir.path().join("thesis.txt"), &mine)).contains("a file"));
        assert!(refused(bundle(dir.path(), &[mine])).contains("thesis.txt"));
    }

    #[test]
    fn a_bundle_goes_where_the_same_models_are() {
        let dir = tempfile::tempdir().unwrap();
        let models = ["9xj5k", "9xj5m"].map(|code| model("a", code));
        let newer = ["9xj5k", "9xj5m"].map(|code| model("b", code));
        bundle(&dir.path().join("field"), &models).unwrap();
        for model in &models {
            write(&dir.path().join(&model.geocode), model, "config.json");
        }
        std::fs::write(dir.path().join(BUNDLE_FILE), "[]").unwrap();
        bundle(dir.path(), &models).unwrap();
        assert!(refused(bundle(dir.path(), &newer)).contains("config.json"));
        // The other cell's would be taken for one of the bundle.
        assert!(refused(bundle(dir.path(), &models[..1])).contains("9xj5m"));
    }
}
