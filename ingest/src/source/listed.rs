//! Scenes of which one file holds several: each has a path of its own, `FILE#NUMBER`.
//!
//! *Invariants*: numbers count from 0; a file of that very name is itself and no number of another.
//!
//! *Not here*: which files hold several scenes (the sources).

use std::path::{Path, PathBuf};

/// Splits `FILE#NUMBER`.
pub fn split(path: &Path) -> (PathBuf, Option<usize>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (file, number) = name.rsplit_once('#').unwrap_or((&name, ""));
    match number.parse() {
        Ok(number) if !path.is_file() => (path.with_file_name(file), Some(number)),
        _ => (path.to_owned(), None),
    }
}

/// Tells whether a path names one scene of several, which is no file of its own.
pub fn is_listed(path: &Path) -> bool {
    split(path).1.is_some()
}

/// Returns a path for each of so many scenes of a file: the file's own if there is only one.
pub fn each(file: &Path, count: usize) -> Vec<PathBuf> {
    if count == 1 || is_listed(file) {
        return vec![file.to_owned()];
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let path = |i: usize| file.with_file_name(format!("{name}#{i}"));
    (0..count).map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scene_of_a_file_has_a_path_that_leads_back_to_it() {
        let file = Path::new("a/NDVI.zip");
        assert_eq!(each(file, 1), [file]);
        for (i, path) in each(file, 3).iter().enumerate() {
            assert_eq!(split(path), (file.to_owned(), Some(i)));
            assert_eq!(each(path, 3), [path.as_path()]);
        }
        for plain in ["a#b.zip", "a.zip#", "a.zip#x", "a.zip"] {
            assert!(!is_listed(Path::new(plain)), "{plain}");
        }
    }
}
