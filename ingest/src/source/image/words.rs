//! What GDAL says of a file that it cannot read, as people can use it.
//!
//! *Invariants*: no path of this machine is told.
//!
//! *Not here*: what the bytes themselves show (`netcdf`).

use gdal::errors::GdalError;
use wire::fault::{Fault, FaultKind};

/// Says that GDAL could not read a file.
pub(in crate::source) fn damaged(label: &str, error: &GdalError) -> Fault {
    Fault::new(FaultKind::Data, format!("'{label}' cannot be decoded"))
        .because(gdal_reason(error))
        .try_("download it again; gdalinfo -checksum shows whether it is whole")
}

/// Returns GDAL's own words, without the wrapping and without paths.
pub(super) fn gdal_reason(error: &GdalError) -> String {
    gdal_words(error).unwrap_or_else(|| "GDAL cannot read it".to_owned())
}

/// Returns GDAL's own words, if it has any.
pub(in crate::source) fn gdal_words(error: &GdalError) -> Option<String> {
    let text = match error {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } => msg.as_str(),
        _ => "",
    };
    let words = text.split_whitespace().filter(|w| !w.contains('/'));
    Some(words.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}
