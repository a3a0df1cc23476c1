//! One HDF4-EOS file: its attributes and the fields of its grids.
//!
//! *Invariants*: every open and read happens alone in HDF4's library; a file that is shorter than
//! its own directory says is refused before the library sees it.
//!
//! *Not here*: what the fields hold (`product`), their pixels (`super::super::image`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
use wire::fault::{Fault, FaultKind};

use super::super::image::{Format, Image, alone, damaged};
use super::super::unpacked::Unpacked;
use super::attributes::Attributes;
use super::directory;

/// Greatest number of fields: MOD09GA, the richest grid, has 22.
const FIELDS_MAX: usize = 1024;

/// An HDF4-EOS file.
#[derive(Debug)]
pub(super) struct Granule {
    /// The file's name in messages.
    pub(super) label: String,
    /// What it says of itself.
    pub(super) attributes: Attributes,
    /// (Field, GDAL's name for it).
    fields: Vec<(String, PathBuf)>,
    unpacked: Option<Arc<Unpacked>>,
}

impl Granule {
    /// Opens a file; of an archive, the one that was unpacked.
    pub(super) fn open(file: &Path, unpacked: Option<Arc<Unpacked>>) -> Result<Self, Fault> {
        let label = file.file_name().unwrap_or(file.as_os_str());
        let label = label.to_string_lossy().into_owned();
        directory::check(file, &label)?;
        let drivers = ["HDF4"];
        let options = DatasetOptions {
            open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_READONLY,
            allowed_drivers: Some(&drivers),
            ..DatasetOptions::default()
        };
        let _alone = alone();
        let dataset = Dataset::open_ex(file, options).map_err(|e| damaged(&label, &e))?;
        let attributes = Attributes::new(dataset.metadata_domain("").unwrap_or_default());
        let listed = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
        let fields: Vec<_> = listed.iter().filter_map(|line| grid_field(line)).collect();
        if fields.len() > FIELDS_MAX {
            let many = format!(
                "it lists {} fields; at most {FIELDS_MAX} are read",
                fields.len()
            );
            return Err(Fault::new(FaultKind::Data, format!("'{label}' is refused")).because(many));
        }
        Ok(Self {
            label,
            attributes,
            fields,
            unpacked,
        })
    }

    /// Returns the names of all fields of grids.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Opens the field whose name ends so; `None` if there is none.
    pub(super) fn field(&self, ends: &str) -> Option<Result<FieldImage, Fault>> {
        let (_, path) = self.fields.iter().find(|(name, _)| name.ends_with(ends))?;
        Some(self.open_field(path))
    }

    fn open_field(&self, path: &Path) -> Result<FieldImage, Fault> {
        let image = Image::open(path, &self.label, Format::Hdf4)?;
        Ok(FieldImage {
            attributes: Attributes::new(image.attributes()),
            image: image.of(self.unpacked.clone()),
        })
    }
}

/// A field that is open.
#[derive(Debug)]
pub(super) struct FieldImage {
    /// Its pixels.
    pub(super) image: Image,
    /// What the file says of it.
    pub(super) attributes: Attributes,
}

/// Reads `SUBDATASET_1_NAME=HDF4_EOS:EOS_GRID:"FILE":GRID:FIELD`; `None` for other lines.
///
/// Names of fields may hold spaces, and then stand in quotes.
fn grid_field(line: &str) -> Option<(String, PathBuf)> {
    let (key, name) = line.split_once('=')?;
    if !key.ends_with("_NAME") || !name.starts_with("HDF4_EOS:EOS_GRID:") {
        return None;
    }
    let field = match name.strip_suffix('"') {
        Some(open) => open.rsplit_once('"')?.1,
        None => name.rsplit_once(':')?.1,
    };
    Some((field.to_owned(), PathBuf::from(name)))
}

#[cfg(test)]
mod tests {
    use super::grid_field;

    #[test]
    fn fields_are_named_with_and_without_quotes() {
        let field = |line| grid_field(line).map(|(name, _)| name);
        let plain = "SUBDATASET_1_NAME=HDF4_EOS:EOS_GRID:\"a:b.hdf\":Grid:LC_Type1";
        assert_eq!(field(plain).as_deref(), Some("LC_Type1"));
        let quoted = "SUBDATASET_2_NAME=HDF4_EOS:EOS_GRID:\"a.hdf\":Grid:\"500m 16 days NDVI\"";
        assert_eq!(field(quoted).as_deref(), Some("500m 16 days NDVI"));
        assert_eq!(field("SUBDATASET_1_DESC=[66x73] LC_Type1"), None);
        assert_eq!(
            field("SUBDATASET_3_NAME=HDF4_SDS:UNKNOWN:\"a.hdf\":0"),
            None
        );
    }
}
