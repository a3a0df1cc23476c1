//! A Python environment of the project's own: pip for the wheels, packages for the tests' oracles.
//!
//! *Invariants*: `.deps/python/bin/python` runs and has the packages of `requirements.txt`; no
//! PyTorch is downloaded for them; another list of packages is another folder, so clones of
//! different age do not disturb each other.
//!
//! *Not here*: Python programs that tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::cache;
use super::stamp::hex;
use crate::command::{ask, command, run};
use crate::say;
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

/// The packages, with their versions.
const REQUIREMENTS: &str = include_str!("../../requirements.txt");

/// Packages that need PyTorch and are given none: the system's interpreter, which has it, imports
/// them from `.deps/python/with-torch`, apart from the environment's numpy, which is another one.
const WITH_TORCH: [&str; 1] = ["pytorch-msssim==1.0.0"];

/// Debian's interpreter, which has `venv` once `python3-venv` is installed; others may lack it.
const INTERPRETERS: [&str; 2] = ["/usr/bin/python3", "python3"];

/// Bytes of the packages' checksum in the folder's name: enough to tell lists apart.
const NAME_BYTES: usize = 4;

/// Returns the environment's interpreter, after making the environment where it is missing.
pub(crate) fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let packages = [REQUIREMENTS, &WITH_TORCH.join("\n")].concat();
    let digest = hex(&Sha256::digest(packages)[..NAME_BYTES]);
    let folder = workspace.cache().join(format!("python-{digest}"));
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    // The system's Python may have been replaced since: then the link in `bin` leads nowhere or
    // to a version that does not see the packages.
    let version = ask(command(workspace, &python).arg("--version"));
    if version.is_none() || fs::read_to_string(&complete).ok() != version {
        say::note(format!(
            "making a Python environment in {}",
            folder.display()
        ));
        make(workspace, &folder)?;
        let version = ask(command(workspace, &python).arg("--version")).unwrap_or_default();
        fs::write(&complete, version).map_err(|error| cache::unusable(&complete, &error))?;
    }
    workspace.link("python", &folder)?;
    Ok(python)
}

fn make(workspace: &Workspace, folder: &Path) -> Result<()> {
    let interpreter = interpreter(workspace)?;
    let mut venv = command(workspace, interpreter);
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    run(
        &mut venv,
        "making a Python environment",
        "as root: apt-get install python3-venv",
    )?;
    let requirements = workspace.root().join("xtask/requirements.txt");
    install(
        pip(workspace, folder)
            .arg("--requirement")
            .arg(requirements),
    )?;
    let mut alone = pip(workspace, folder);
    alone.args(["--no-deps", "--target"]);
    install(alone.arg(folder.join("with-torch")).args(WITH_TORCH))
}

/// Returns the command that installs packages of wheels alone.
fn pip(workspace: &Workspace, folder: &Path) -> Command {
    let mut pip = command(workspace, folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"]);
    pip.args(["--disable-pip-version-check", "--only-binary=:all:"]);
    pip
}

fn install(pip: &mut Command) -> Result<()> {
    let remedy = "check the network and pip's index (pip config list), then cargo xtask setup";
    run(pip, "installing Python packages", remedy)
}

/// Returns the first interpreter that can make an environment with pip in it.
fn interpreter(workspace: &Workspace) -> Result<&'static str> {
    let able = |name: &&str| ask(command(workspace, name).args(["-c", "import venv, ensurepip"]));
    INTERPRETERS
        .into_iter()
        .find(|name| able(name).is_some())
        .ok_or_else(|| {
            Trouble::new(
                "no Python can make an environment",
                "neither /usr/bin/python3 nor python3 has the modules venv and ensurepip",
                "as root: apt-get install python3 python3-venv",
            )
        })
}
