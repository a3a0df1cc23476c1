//! Cubes as files that other software opens: the formats, their names, and one `write` for all.
//!
//! *Invariants*: a file or folder appears under its name only when it is whole, and so are all
//! that were staged with it; what is there already is replaced only when asked, or left when it
//! holds the same bytes.
//!
//! *Not here*: which cubes (the verbs), the splits' own files (`download`).

mod cog;
mod hdf5;
mod npy;
mod npz;
mod png;
mod scrolled;
mod whole;
mod zarr;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use earth::cube::{Cube, CubeTime};
use serde::Serialize;
use wire::fault::{Fault, FaultKind};

pub(crate) use hdf5::Keyed;
pub(crate) use png::{Stretch, rank};
pub(crate) use scrolled::{Scrolled, nameless};
pub(crate) use whole::{
    Existing, Partial, Staged, file as whole_file, stage_file, taken, unwritable,
};

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
    /// Quick-look picture, one for each time
    Png,
    /// Zarr v3 cube: a folder that xarray opens
    Zarr,
    /// HDF5 with the keys data_10m, data_20m, data_60m, classes
    Hdf5,
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
            Self::Png => &["png"],
            Self::Zarr => &["zarr"],
            Self::Hdf5 => &["h5", "hdf5"],
        }
    }

    /// Tells whether all dates of a cell belong into one file, because it says which is which.
    pub(crate) fn gathers_dates(self) -> bool {
        matches!(self, Self::Npz | Self::Zarr | Self::Hdf5)
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

/// Files of one cube, or the one folder, that are whole and may take their places.
#[derive(Debug)]
pub(crate) struct Ready {
    parts: Vec<Staged>,
    format: Format,
}

impl Ready {
    /// Takes the one file of a map.
    pub(crate) fn map(staged: Staged) -> Self {
        Self {
            parts: vec![staged],
            format: Format::Cog,
        }
    }

    /// Returns what there will be.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(Staged::target)
    }

    /// Puts all of it in its place.
    ///
    /// # Errors
    /// A disk that cannot take it.
    pub(crate) fn place(self) -> Result<Written, Fault> {
        let files = self.files().map(Path::to_owned).collect();
        let bytes: Result<Vec<u64>, Fault> = self.parts.into_iter().map(Staged::place).collect();
        Ok(Written {
            files,
            format: self.format,
            bytes: bytes?.iter().sum(),
        })
    }
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
    stage(cube, target, format, existing)?.place()
}

/// Writes a cube beside `target`, as `write` does, for others that must appear together with it.
///
/// # Errors
/// As `write`.
pub(crate) fn stage(
    cube: &Cube,
    target: &Path,
    format: Format,
    existing: Existing,
) -> Result<Ready, Fault> {
    check_name(target, format)?;
    let united = || cube.united();
    match format {
        Format::Cog => {
            let united = united();
            let encode = |time| cog::encode(&united, time);
            each_time(cube, (target, format), existing, encode)
        }
        Format::Png => {
            let mut stretch = Stretch::new();
            stretch.see(cube);
            stage_pictures(cube, target, (&stretch.settled(), existing))
        }
        Format::Npy => one(target, format, existing, &npy::encode(&united())),
        Format::Npz => one(target, format, existing, &npz::encode(&united())?),
        Format::Hdf5 => {
            let content = hdf5::encode(&[("super".to_owned(), cube)])?;
            one(target, format, existing, &content)
        }
        Format::Zarr => {
            zarr::check(cube)?;
            let existing = (existing, "zarr.json");
            let staged = whole::stage_folder(target, existing, |folder| zarr::fill(cube, folder))?;
            Ok(Ready {
                parts: vec![staged],
                format,
            })
        }
    }
}

/// Writes a picture of each time with a stretch that others may share.
///
/// # Errors
/// As `write`.
pub(crate) fn pictures(
    cube: &Cube,
    target: &Path,
    (stretch, existing): (&Stretch, Existing),
) -> Result<Written, Fault> {
    check_name(target, Format::Png)?;
    stage_pictures(cube, target, (stretch, existing))?.place()
}

fn stage_pictures(
    cube: &Cube,
    target: &Path,
    (stretch, existing): (&Stretch, Existing),
) -> Result<Ready, Fault> {
    let encode = |time| png::encode(cube, time, stretch);
    each_time(cube, (target, Format::Png), existing, encode)
}

/// Writes the grids of one cell into one HDF5 file; keys are `10m`, `20m`, … or `super`.
///
/// # Errors
/// As `write`.
pub(crate) fn grids(
    cubes: &[Keyed<'_>],
    target: &Path,
    existing: Existing,
) -> Result<Written, Fault> {
    check_name(target, Format::Hdf5)?;
    one(target, Format::Hdf5, existing, &hdf5::encode(cubes)?)?.place()
}

/// Stages one file.
fn one(target: &Path, format: Format, existing: Existing, content: &[u8]) -> Result<Ready, Fault> {
    Ok(Ready {
        parts: vec![stage_file(target, existing, content)?],
        format,
    })
}

/// Stages a file for each time.
fn each_time(
    cube: &Cube,
    (target, format): (&Path, Format),
    existing: Existing,
    encode: impl Fn(usize) -> Result<Vec<u8>, Fault>,
) -> Result<Ready, Fault> {
    let paths = paths(cube, target).into_iter().enumerate();
    let one = |(time, path): (usize, PathBuf)| stage_file(&path, existing, &encode(time)?);
    Ok(Ready {
        parts: paths.map(one).collect::<Result<_, Fault>>()?,
        format,
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
