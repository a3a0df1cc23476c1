//! Names of files: as people read them, as scenes are called after them, and how they end.
//!
//! *Invariants*: what is shown to people holds no control character and no path; a scene's name
//! fits ids.
//!
//! *Not here*: names inside archives (`source::guard`).

use std::path::Path;

/// Returns the last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Returns a path as it is shown to people: its last part, quoted.
pub fn show(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    format!("'{}'", name.to_string_lossy().escape_debug())
}

/// Returns the scene name that a path's last part makes, without its extension.
pub fn stem_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = if path.is_dir() && path.extension().is_none_or(|e| e != "SAFE") {
        path.file_name()
    } else {
        path.file_stem()
    };
    scene_name(&stem.map(|s| s.to_string_lossy()).unwrap_or_default())
}

/// Returns a text as a scene name: other characters than names may have become `-`.
pub fn scene_name(text: &str) -> String {
    let plain = |c: char| {
        let fits = c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if fits { c } else { '-' }
    };
    let name: String = text.chars().map(plain).collect();
    let name = name.trim_start_matches(['.', '-']);
    let name: String = name
        .chars()
        .take(earth::split::collection::NAME_LENGTH_MAX)
        .collect();
    if name.is_empty() {
        "scene".to_owned()
    } else {
        name
    }
}

/// Tells whether a name ends so, whatever the case of its letters.
pub fn ends_with(name: &str, end: &str) -> bool {
    let tail = name
        .len()
        .checked_sub(end.len())
        .and_then(|at| name.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scene_names_are_always_names() {
        let long = "x".repeat(500);
        for text in ["a b/c", "..", "", "-x", "é", "m_4709963", long.as_str()] {
            let name = scene_name(text);
            assert!(earth::split::collection::is_name(&name), "{text} → {name}");
        }
        assert_eq!(scene_name("S2A_X.N"), "S2A_X.N");
    }
}
