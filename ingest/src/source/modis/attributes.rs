//! The attributes of an HDF4-EOS file or field as GDAL lists them, and the core metadata in them.
//!
//! Core metadata is text in ODL (Object Description Language): `OBJECT = NAME … VALUE = "…"`.
//! GDAL reads that of `CoreMetadata.0` into attributes of its own; files that another program has
//! cut keep it as text under another name, such as `OldCoreMetadata.0`.
//!
//! *Invariants*: looking up never fails but by finding nothing.
//!
//! *Not here*: what the attributes mean (`granule`, `field`).

/// The attributes of a file or field.
#[derive(Debug, Clone, Default)]
pub struct Attributes(Vec<String>);

impl Attributes {
    /// Takes attributes in the form `NAME=VALUE`.
    pub fn new(lines: Vec<String>) -> Self {
        Self(lines)
    }

    /// Returns the text of an attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ String| {
            let (own, _) = line.split_once('=')?;
            (own.trim() == name).then_some(own.len() + 1)
        };
        let found = self.0.iter().find_map(|l| Some(&l[value(l)?..]));
        found.map(str::trim)
    }

    /// Returns an attribute that is one finite number.
    pub fn number(&self, name: &str) -> Option<f64> {
        let number: f64 = self.text(name)?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Returns an attribute that is two finite numbers in order.
    pub fn pair(&self, name: &str) -> Option<(f64, f64)> {
        let (low, high) = self.text(name)?.split_once(',')?;
        let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        (low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
    }

    /// Returns a value of the core metadata: an attribute, else an object of any ODL text.
    pub fn core(&self, name: &str) -> Option<&str> {
        let own = self.text(name).filter(|t| !t.is_empty());
        own.or_else(|| self.0.iter().find_map(|text| odl(text, name)))
    }
}

/// Returns the first value of an object of an ODL text, without its quotes.
fn odl<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| {
        let object = line.strip_prefix("OBJECT").map(str::trim_start);
        object.and_then(|o| o.strip_prefix('=')).map(str::trim) != Some(name)
    });
    lines.next()?;
    let inside = lines.take_while(|line| !line.starts_with("END_OBJECT"));
    let mut values = inside.filter_map(|line| {
        let value = line.strip_prefix("VALUE")?.trim_start();
        Some(value.strip_prefix('=')?.trim().trim_matches('"'))
    });
    values.next().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "OldCoreMetadata.0=\nGROUP = INVENTORYMETADATA\n  OBJECT = SHORTNAME\n    \
        NUM_VAL = 1\n    VALUE                = \"MOD09A1\"\n  END_OBJECT = SHORTNAME\n  \
        OBJECT = EMPTY\n  END_OBJECT = EMPTY\n  OBJECT = VERSIONID\n    VALUE = 6\n  \
        END_OBJECT = VERSIONID\nEND\n";

    #[test]
    fn core_metadata_is_found_as_attribute_and_as_text() {
        let text = Attributes::new(vec!["a=b".to_owned(), TEXT.to_owned()]);
        assert_eq!(text.core("SHORTNAME"), Some("MOD09A1"));
        assert_eq!(text.core("VERSIONID"), Some("6"));
        assert_eq!(text.core("EMPTY"), None);
        assert_eq!(text.core("RANGEBEGINNINGDATE"), None);
        let own = Attributes::new(vec![TEXT.to_owned(), "SHORTNAME=MCD12Q1".to_owned()]);
        assert_eq!(own.core("SHORTNAME"), Some("MCD12Q1"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        let found = Attributes::new(vec!["x=inf".to_owned(), "r=1, nan".to_owned()]);
        assert_eq!(
            (found.number("x"), found.pair("r"), found.number("y")),
            (None, None, None)
        );
    }
}
