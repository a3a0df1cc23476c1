//! File names say what is inside.
//!
//! *Invariants*: a name that fits anything is refused, as file and as folder.
//!
//! *Not here*: names of items (reviewers).

use std::path::{Component, Path};

use super::finding::Finding;

/// Names under which anything can be put.
const EMPTY_NAMES: [&str; 14] = [
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "misc",
    "shared",
    "base",
    "types",
    "manager",
    "managers",
    "stuff",
    "lib_common",
    "mod",
];

/// Checks the name of one file and of the folders it lies in.
pub(crate) fn check(path: &str) -> Vec<Finding> {
    let file = Path::new(path);
    let folders = file.parent().into_iter().flat_map(Path::components);
    let mut names = folders.map(Component::as_os_str).chain(file.file_stem());
    let empty = names.find_map(|name| EMPTY_NAMES.into_iter().find(|empty| name == *empty));
    let rule = |name| format!("\"{name}\" fits anything: name the noun that is inside");
    empty
        .map(|name| Finding::new(path, 0, rule(name)))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(check("node/src/store/mod.rs").len(), 1);
        assert_eq!(check("node/src/util/ring.rs").len(), 1);
        assert_eq!(check("query/src/types.rs").len(), 1);
        assert_eq!(check("query/src/bitmap.rs").len(), 0);
        assert_eq!(check("earth/src/database.rs").len(), 0);
    }
}
