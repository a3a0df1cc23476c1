//! GDAL's programs, run as processes.

use std::path::Path;
use std::process::Command;

use earth::raster::pixel::Pixel;

/// Tells whether GDAL's programs are there, and says so if not.
#[allow(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn has_gdal() -> bool {
    let found = ["gdalwarp", "gdalinfo", "gdal_translate"].iter().all(|p| {
        Command::new(p)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
    });
    if !found {
        eprintln!("SKIPPED: GDAL's programs are not installed (cargo xtask setup)");
    }
    found
}

/// Runs a program and returns what it prints; a warning fails the test.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() && errors.is_empty(),
        "{program} {arguments:?}: {errors}"
    );
    String::from_utf8(out.stdout).unwrap()
}

/// Decodes all bands of a file, one after another.
pub(crate) fn samples<T: Pixel>(file: &Path) -> Vec<T> {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("a.raw");
    run(
        "gdal_translate",
        &[
            "-q",
            "-of",
            "ENVI",
            "-co",
            "INTERLEAVE=BSQ",
            file.to_str().unwrap(),
            raw.to_str().unwrap(),
        ],
    );
    raw_samples(&raw)
}

/// Reads a file of raw little-endian samples.
pub(crate) fn raw_samples<T: Pixel>(file: &Path) -> Vec<T> {
    let bytes = std::fs::read(file).unwrap();
    bytes
        .chunks_exact(size_of::<T>())
        .map(T::get_bytes)
        .collect()
}
