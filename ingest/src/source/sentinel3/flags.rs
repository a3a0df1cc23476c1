//! Whether the flags of a file are the ones that a `Meaning` reads.
//!
//! *Invariants*: a bit that the file names otherwise makes flags unknown, never wrong.
//!
//! *Not here*: what flags mean (`earth::dataset::sentinel3`).

use std::collections::BTreeMap;

use wire::fault::Fault;

use crate::source::netcdf::NetCdf;

/// Tells whether the attributes of flags name every bit as expected.
pub(super) fn same_bits(
    file: &NetCdf,
    variable: &str,
    expected: &[(&str, u32)],
) -> Result<bool, Fault> {
    let masks = file.said(variable, "flag_masks")?.unwrap_or_default();
    let meanings = file.said(variable, "flag_meanings")?.unwrap_or_default();
    let named = named(&masks, &meanings);
    Ok(expected
        .iter()
        .all(|(name, bit)| named.get(*name) == Some(bit)))
}

/// Pairs the names of flags with their bits; signed masks are read as unsigned ones.
pub fn named(masks: &str, meanings: &str) -> BTreeMap<String, u32> {
    let bits = masks.trim_matches(['{', '}', ' ']).split(',');
    let bits = bits.filter_map(|m| {
        let mask = m.trim().parse::<f64>().ok()?;
        format!("{mask}").parse::<i64>().ok()
    });
    let bits = bits.filter_map(|b| u32::try_from(b & 0xFFFF_FFFF).ok());
    let names = meanings.split_whitespace().map(str::to_owned);
    names.zip(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_and_bits_are_paired() {
        let found = named("{1,2,-2147483648}", "A B land");
        assert_eq!(found.get("B"), Some(&2));
        assert_eq!(found.get("land"), Some(&0x8000_0000));
    }
}
