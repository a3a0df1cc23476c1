//! libtorch, from the wheels of the user's package index into the user's cache.
//!
//! *Invariants*: `.deps/libtorch` points to a folder that is complete; a user who sets `LIBTORCH`
//! to another place keeps it.
//!
//! *Not here*: linking against it (`trainer/build.rs`).

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use super::pins::{FOLDER, LINKER_SCRIPT, PLATFORM, WHEELS};
use super::stamp::{self, Entries, Entry, sha256_of};
use super::{Depth, cache, wheel};
use crate::command::{command, run};
use crate::say;
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// Makes `.deps/libtorch` point to a complete libtorch.
pub(crate) fn unpacked(workspace: &Workspace, python: &Path, depth: Depth) -> Result<()> {
    if let Some(own) = users_own(workspace) {
        return taken_as_it_is(&own);
    }
    let place = workspace.cache().join(FOLDER);
    if let Some(damage) = stamp::damage(&place, depth) {
        supported()?;
        say::note(format!(
            "unpacking libtorch into {}: {damage}",
            place.display()
        ));
        say::note("downloading about 0.55 GB, keeping 0.5 GB; every clone shares it");
        fetch(workspace, python, &place)?;
    }
    workspace.link("libtorch", &place)
}

/// Returns `LIBTORCH` where the user set it: cargo sets it to the link for whoever did not.
fn users_own(workspace: &Workspace) -> Option<PathBuf> {
    let given = PathBuf::from(env::var_os("LIBTORCH")?);
    (given != workspace.deps().join("libtorch")).then_some(given)
}

fn taken_as_it_is(own: &Path) -> Result<()> {
    let library = own.join("lib/libtorch_cpu.so");
    if library.is_file() {
        say::note(format!("LIBTORCH is {}: taken as it is", own.display()));
        return Ok(());
    }
    let because = format!("{} is not there", library.display());
    let remedy = "unset LIBTORCH, or let it name a folder of libtorch 2.11.0";
    Err(Trouble::new("LIBTORCH leads nowhere", because, remedy))
}

fn supported() -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(());
    }
    Err(Trouble::new(
        "there is no libtorch for this machine",
        "the wheels named in xtask/src/setup/pins.rs are for Linux on x86-64",
        "export LIBTORCH=/path/of/a/libtorch/2.11.0",
    ))
}

fn fetch(workspace: &Workspace, python: &Path, place: &Path) -> Result<()> {
    let workshop = cache::workshop(workspace)?;
    let wheels = workshop.join("wheels");
    download(workspace, python, &wheels)?;
    say::note("checking and unpacking");
    let made = workshop.join(FOLDER);
    unpack(&wheels, &made).map_err(|error| {
        let remedy = "cargo xtask setup again; if it stays, see where your package index leads";
        Trouble::new("libtorch cannot be unpacked", error.to_string(), remedy)
    })?;
    cache::settle(&made, place)?;
    cache::close_workshop(workspace)
}

/// Downloads the wheels into the empty folder `wheels`.
fn download(workspace: &Workspace, python: &Path, wheels: &Path) -> Result<()> {
    fs::create_dir_all(wheels).map_err(|error| cache::unusable(wheels, &error))?;
    let mut pip = command(workspace, python);
    pip.args(["-m", "pip", "download"])
        .args(PLATFORM)
        .arg("--dest")
        .arg(wheels);
    if !io::stderr().is_terminal() {
        pip.args(["--progress-bar=off", "--quiet"]);
    }
    pip.args(WHEELS.iter().map(|wheel| wheel.requirement));
    // pip's own temporary folder may be a small file system in memory.
    pip.env("TMPDIR", wheels);
    let remedy = "check the network and pip's index (pip config list), then cargo xtask setup";
    run(&mut pip, "downloading libtorch's wheels", remedy)
}

/// Unpacks the wheels below `target` and lists what it holds.
fn unpack(wheels: &Path, target: &Path) -> io::Result<()> {
    let mut entries = Entries::new();
    for wheel in &WHEELS {
        entries.append(&mut wheel::unpack(wheel, wheels, target)?);
    }
    let (path, text) = LINKER_SCRIPT;
    let file = target.join(path);
    fs::write(&file, text)?;
    let entry = Entry {
        sha256: sha256_of(&file)?,
        size: text.len() as u64,
    };
    entries.insert(path.to_owned(), entry);
    stamp::write(target, &entries)
}
