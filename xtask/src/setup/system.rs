//! The operating system's packages.
//!
//! *Invariants*: only missing packages are installed; nothing is removed or upgraded for its own
//! sake; where there is no Debian package manager, the checks after this one decide.
//!
//! *Not here*: whether the installed GDAL has the drivers (`gdal`).

use std::path::Path;
use std::process::Command;

use crate::command::{ask, command, line, run};
use crate::say;
use crate::trouble::Result;
use crate::workspace::Workspace;

/// Each package, and what it is for.
const PACKAGES: [(&str, &str); 11] = [
    ("libgdal-dev", "headers and library that glebe-ingest links"),
    (
        "gdal-bin",
        "gdalinfo and gdalwarp, oracle of the raster tests",
    ),
    ("pkg-config", "finds GDAL for the compiler"),
    ("g++", "compiles the C++ side of tch, and C in a few crates"),
    (
        "python3",
        "runs the tests' oracles; its pip fetches libtorch's wheels",
    ),
    (
        "python3-torch",
        "PyTorch of a build that is not ours, oracle of networks and of model.pt",
    ),
    (
        "xfsprogs",
        "makes the file system on which tests cut the power of disks",
    ),
    (
        "iproute2",
        "makes the networks in which tests cut nodes off and slow them",
    ),
    ("nftables", "loses packets there"),
    ("faketime", "gives one node of a test the wrong time"),
    (
        "python3-venv",
        "keeps the Python packages out of the system",
    ),
];

/// Installs the packages that are missing.
pub(crate) fn packages(workspace: &Workspace) -> Result<()> {
    let Some(missing) = missing(workspace) else {
        let names = PACKAGES.map(|(name, _)| name).join(" ");
        say::note(format!(
            "no dpkg here: what Debian calls {names} is yours to install"
        ));
        return Ok(());
    };
    if missing.is_empty() {
        return Ok(());
    }
    for (name, purpose) in PACKAGES.iter().filter(|(name, _)| missing.contains(name)) {
        say::note(format!("the system lacks {name}: {purpose}"));
    }
    let mut update = apt_get(workspace, &["update"]);
    let mut install = apt_get(workspace, &["install", "--yes", "--no-install-recommends"]);
    install.args(&missing);
    let remedy = format!(
        "as root: apt-get update && apt-get install {}",
        missing.join(" ")
    );
    for command in [&mut update, &mut install] {
        say::note(line(command));
        run(command, "installing system packages", &remedy)?;
    }
    Ok(())
}

/// Returns the packages that are not installed; `None` without dpkg.
fn missing(workspace: &Workspace) -> Option<Vec<&'static str>> {
    let mut query = command(workspace, "dpkg-query");
    query.args([
        "--show",
        "--showformat",
        "${Package} ${db:Status-Status}\\n",
    ]);
    query.args(PACKAGES.map(|(name, _)| name));
    // It fails when it does not know one of the names, and lists the others all the same.
    let output = query.output().ok()?;
    Some(not_listed(&String::from_utf8_lossy(&output.stdout)))
}

/// Returns the packages that `dpkg-query`'s lines do not call installed.
fn not_listed(lines: &str) -> Vec<&'static str> {
    let installed = |name: &str| {
        lines
            .lines()
            .any(|l| l.split_once(' ') == Some((name, "installed")))
    };
    PACKAGES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !installed(name))
        .collect()
}

/// Returns an `apt-get` command that asks no questions, through sudo where one is not root.
fn apt_get(workspace: &Workspace, arguments: &[&str]) -> Command {
    let root = ask(command(workspace, "id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut apt = command(workspace, Path::new(if root { "env" } else { "sudo" }));
    // Another apt may be running on a machine that has just started; five minutes outlast it.
    apt.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]);
    apt.args(["--quiet", "--quiet"]).args(arguments);
    apt.stdin(std::process::Stdio::inherit());
    apt
}

#[cfg(test)]
mod tests {
    use super::{PACKAGES, not_listed};

    #[test]
    fn a_package_that_was_removed_or_is_unknown_is_missing() {
        let lines = PACKAGES.map(|(name, _)| {
            format!(
                "{name} installed
"
            )
        });
        let all = lines.concat();
        assert!(not_listed(&all).is_empty());
        let removed = all.replace("gdal-bin installed", "gdal-bin config-files");
        assert_eq!(not_listed(&removed), ["gdal-bin"]);
        assert_eq!(not_listed("").len(), PACKAGES.len());
    }
}
