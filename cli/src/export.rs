//! Cubes as files that other software opens: the formats, their names, and one `write` for all.
//!
//! *Invariants*: a file or folder appears under its name only when it is whole; what is there
//! already is replaced only when asked, or left when it holds the same bytes.
//!
//! *Not here*: which cubes (the verbs), the splits' own files (`download`).

mod cog;
mod npy;
mod npz;
mod whole;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use earth::cube::{Cube, CubeTime};
use serde::Serialize;
use wire::fault::{Fault, FaultKind};

pub(crate) use whole::{Existing, file as whole_file};

/// What a cube is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Cloud-optimised GeoTIFF, one for each time
    Cog,
    /// NumPy array of time × band × row × column
    Npy,
    /// NumPy arrays: data, mask, times, bands and where it lies
    Npz,
}

impl Format {
    /// Returns the format that a file name's extension names.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let all = Self::value_variants().iter();
        all.copied()
            .find(|f| f.extensions().contains(&extension.as_str()))
    }

    /// Returns the extensions of the format's files, the usual one first.
    pub(crate) fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Cog => &["tif", "tiff"],
            Self::Npy => &["npy"],
            Self::Npz => &["npz"],
        }
    }

    /// Tells whether all dates of a cell belong into one file, because it says which is which.
    pub(crate) fn gathers_dates(self) -> bool {
        matches!(self, Self::Npz)
    }

    /// Returns the usual extension.
    pub(crate) fn extension(self) -> &'static str {
        self.extensions().first().copied().unwrap_or_default()
    }
}

/// What `write` has made, or found there with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Written {
    /// Files, or the one folder of a Zarr cube.
    pub(crate) files: Vec<PathBuf>,
    /// As what.
    pub(crate) format: Format,
    /// Bytes of all of it.
    pub(crate) bytes: u64,
}

/// Writes a cube to `target`, which ends in one of the format's extensions; a format that holds
/// one time writes a file for each, named by it: `TARGET_20221005T115411.tif`.
///
/// # Errors
/// Another extension, a file that is there with other content (unless `existing` says to replace
/// it), a cube that the format cannot hold, a disk that cannot take it.
pub(crate) fn write(
    cube: &Cube,
    target: &Path,
    format: Format,
    existing: Existing,
) -> Result<Written, Fault> {
    check_name(target, format)?;
    let mut files = Vec::new();
    let mut bytes = 0;
    let mut put = |path: PathBuf, content: &[u8]| -> Result<(), Fault> {
        bytes += whole::file(&path, existing, content)?;
        files.push(path);
        Ok(())
    };
    match format {
        Format::Cog => {
            let united = cube.united();
            for (time, path) in paths(&united, target).into_iter().enumerate() {
                put(path, &cog::encode(&united, time)?)?;
            }
        }
        Format::Npy => put(target.to_owned(), &npy::encode(&cube.united()))?,
        Format::Npz => put(target.to_owned(), &npz::encode(&cube.united())?)?,
    }
    Ok(Written {
        files,
        format,
        bytes,
    })
}

/// Refuses a name that says another format.
fn check_name(target: &Path, format: Format) -> Result<(), Fault> {
    if Format::of(target) == Some(format) {
        return Ok(());
    }
    let what = format!("{} is no name for {format:?}", target.display()).to_lowercase();
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!(
            "such files end in .{}",
            format.extensions().join(" or .")
        ))
        .try_("another name, or another --format"))
}

/// Returns a path for each time: the target itself if there is one time.
fn paths(cube: &Cube, target: &Path) -> Vec<PathBuf> {
    if cube.times().len() == 1 {
        return vec![target.to_owned()];
    }
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map_or_else(String::new, |p| p.to_string_lossy().into_owned())
    };
    let (stem, extension) = (text(target.file_stem()), text(target.extension()));
    let name = |(place, time): (usize, &CubeTime)| {
        let earlier = &cube.times()[..place];
        let twins = earlier
            .iter()
            .filter(|t| instant(t) == instant(time))
            .count();
        let twin = if twins == 0 {
            String::new()
        } else {
            format!("-{}", twins + 1)
        };
        target.with_file_name(format!("{stem}_{}{twin}.{extension}", instant(time)))
    };
    cube.times().iter().enumerate().map(name).collect()
}

/// Returns a time as it stands in file names: `20221005T115411`.
pub(crate) fn instant(time: &CubeTime) -> String {
    time.acquired.strftime("%Y%m%dT%H%M%S").to_string()
}
