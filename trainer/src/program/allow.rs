//! Which programs the owner of a node lets its workers start.
//!
//! The list is `GLEBE_PROGRAMS` in the environment of `glebe up` (or of `glebe train` without a
//! cluster, whose user is the owner): absolute paths, joined by colons. A run names a program by
//! its path or its last part; a run that comes from elsewhere can thereby start what is listed,
//! with a job on standard input, and nothing else.
//!
//! *Invariants*: empty unless set; a file that others could have written is not allowed, whatever
//! the list says; a name never leads outside the list.
//!
//! *Not here*: what a program may do once it runs (`confine`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The variable that lists programs.
pub const VARIABLE: &str = "GLEBE_PROGRAMS";
/// Write bits of group and others.
const OTHERS_WRITE: u32 = 0o022;
/// Execute bits.
const EXECUTE: u32 = 0o111;

/// Why a program is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// It is not on the list.
    #[error(
        "the owner of this node does not allow the program '{name}' (allowed: {known}); its owner \
         can start the node with {VARIABLE}=/absolute/path/of/{name} glebe up (without a cluster: \
         the same before glebe train or predict)"
    )]
    Stranger {
        /// What was asked for.
        name: String,
        /// What is on the list.
        known: String,
    },
    /// Two on the list have that name.
    #[error("{VARIABLE} lists several programs called '{0}'; name one by its whole path")]
    Ambiguous(String),
    /// It is on the list and cannot be trusted or run.
    #[error("{} is allowed by {VARIABLE}, but {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Returns the path of an allowed program by its path or the last part of it.
///
/// # Errors
/// See [`AllowError`].
pub fn allowed(name: &str) -> Result<PathBuf, AllowError> {
    let listed = std::env::var_os(VARIABLE).unwrap_or_default();
    let listed: Vec<PathBuf> = std::env::split_paths(&listed)
        .filter(|p| !p.as_os_str().is_empty())
        .collect();
    let path = pick(name, &listed)?;
    fit(&path).map_err(|why| AllowError::Unfit {
        path: path.clone(),
        why,
    })?;
    Ok(path)
}

/// Chooses from the list.
fn pick(name: &str, listed: &[PathBuf]) -> Result<PathBuf, AllowError> {
    let is_meant = |path: &&PathBuf| {
        path.as_path() == Path::new(name) || path.file_name().is_some_and(|last| last == name)
    };
    let mut meant = listed.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(_), Some(_)) => Err(AllowError::Ambiguous(name.to_owned())),
        (Some(path), None) => Ok(path.clone()),
        (None, _) => {
            let last = |p: &PathBuf| p.file_name().unwrap_or_default().display().to_string();
            let known: Vec<String> = listed.iter().map(last).collect();
            Err(AllowError::Stranger {
                name: name.to_owned(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            })
        }
    }
}

/// Checks that nobody but its owner can have written the file, and that it can be run.
fn fit(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err("its path is not absolute".to_owned());
    }
    let meta = path.metadata().map_err(|e| e.to_string())?;
    let mode = meta.permissions().mode();
    if !meta.is_file() || mode & EXECUTE == 0 {
        return Err("it is no file that can be run (chmod +x)".to_owned());
    }
    if mode & OTHERS_WRITE != 0 {
        return Err("others may write it (chmod go-w)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::{AllowError, fit, pick};

    #[test]
    fn only_what_is_listed_is_found_by_its_path_or_its_last_part() {
        let listed = ["/opt/fit.py", "/opt/other", "/srv/other"].map(PathBuf::from);
        assert_eq!(pick("fit.py", &listed), Ok(PathBuf::from("/opt/fit.py")));
        assert_eq!(pick("/srv/other", &listed), Ok(PathBuf::from("/srv/other")));
        assert_eq!(
            pick("other", &listed),
            Err(AllowError::Ambiguous("other".to_owned()))
        );
        for name in [
            "",
            "sh",
            "/bin/sh",
            "../opt/fit.py",
            "/opt/../opt/fit.py",
            "fit.py/",
            "opt",
        ] {
            let refused = pick(name, &listed);
            assert!(
                matches!(refused, Err(AllowError::Stranger { .. })),
                "{name}: {refused:?}"
            );
        }
        let text = pick("fit.py", &[])
            .expect_err("nothing is listed")
            .to_string();
        assert!(
            text.contains("(allowed: none)") && text.contains("GLEBE_PROGRAMS="),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_others_may_write_or_nobody_may_run_is_unfit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fit");
        std::fs::write(&path, "#!/bin/sh\n").expect("a file");
        let with = |mode: u32| {
            let set = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, set).expect("a mode");
            fit(&path)
        };
        assert_eq!(with(0o755), Ok(()));
        assert!(with(0o644).is_err_and(|why| why.contains("chmod +x")));
        assert!(with(0o775).is_err_and(|why| why.contains("chmod go-w")));
        assert!(fit(folder.path()).is_err() && fit("fit".as_ref()).is_err());
    }
}
