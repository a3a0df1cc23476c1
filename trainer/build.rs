//! Tells the linker where libtorch lies, so that `cargo run -p trainer` needs no exported variable.
//!
//! `LIBTORCH` comes from `.cargo/config.toml`: a link that `cargo xtask setup` points into the
//! user's cache. The run path is the folder behind that link, not the link: a binary copied out of
//! the clone keeps working while the cache stays.
//!
//! *Invariants*: `libtorch_cpu` is always among the needed libraries, also of a test that calls no
//! tensor operation: it registers the kernels when it is loaded. The run path is a `DT_RUNPATH`, so
//! that `LD_LIBRARY_PATH` can put a libtorch with CUDA before it (libtorch's own libraries find one
//! another beside themselves).
//! *Not here*: fetching libtorch (`xtask`), compiling the C++ side (`torch-sys`).

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        return fail("the variable LIBTORCH is not set");
    };
    match version(&libtorch) {
        Some(version) => println!("cargo::rustc-env=GLEBE_LIBTORCH_VERSION={version}"),
        None => return fail("its version.h names no version"),
    }
    match libtorch.join("lib").canonicalize() {
        Ok(lib) if lib.join("libtorch_cpu.so").is_file() => link(&lib),
        Ok(lib) => fail(&format!("there is no libtorch_cpu.so in {}", lib.display())),
        Err(error) => fail(&format!("{} cannot be read: {error}", libtorch.display())),
    }
}

/// Passes the link arguments to the binary and to every test of this crate.
fn link(lib: &Path) {
    println!("cargo::rerun-if-changed={}", lib.display());
    println!("cargo::rustc-link-search=native={}", lib.display());
    for argument in [
        "-Wl,--enable-new-dtags",
        &format!("-Wl,-rpath,{}", lib.display()),
        "-Wl,--no-as-needed",
        "-ltorch_cpu",
        "-Wl,--as-needed",
    ] {
        println!("cargo::rustc-link-arg={argument}");
    }
}

/// Reads `major.minor.patch` from libtorch's headers.
fn version(libtorch: &Path) -> Option<String> {
    let header = libtorch.join("include/torch/headeronly/version.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let text = std::fs::read_to_string(header).ok()?;
    let part = |name: &str| {
        let define = format!("#define TORCH_VERSION_{name} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&define))
            .map(str::trim)
    };
    Some(format!(
        "{}.{}.{}",
        part("MAJOR")?,
        part("MINOR")?,
        part("PATCH")?
    ))
}

fn fail(cause: &str) {
    println!("cargo::error=libtorch is not ready because {cause}; try: cargo xtask setup");
}
