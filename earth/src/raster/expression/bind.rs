//! Names of an expression and the bands they mean.
//!
//! *Invariants*: a band's own name goes before common names, exact spelling before other case; the
//! two near-infrared names stand in for each other, since sensors have one or the other.
//!
//! *Not here*: values (`evaluate`).

use crate::raster::expression::Expression;

/// Common names that stand in for each other where only one is there: Landsat's and MODIS' near
/// infrared is `nir08`, Sentinel-2 and NAIP have a broad `nir`.
const STAND_INS: [(&str, &str); 2] = [("nir", "nir08"), ("nir08", "nir")];

/// What a band is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandName<'a> {
    /// The product's name.
    pub name: &'a str,
    /// The common name, where there is one.
    pub common: Option<&'a str>,
}

/// An expression whose names have found their bands.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound<'a> {
    pub(super) expression: &'a Expression,
    /// For each name, which band it is.
    bands: Vec<usize>,
}

/// A name that no band has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: no band '{name}'{}", said(nearest.as_deref()))]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// Where it stands, from 1.
    pub column: usize,
    /// The name that is most like it, if there are bands at all.
    pub nearest: Option<String>,
}

fn said(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |n| format!("; nearest: {n}"))
}

impl Expression {
    /// Finds the band that each name means.
    ///
    /// # Errors
    /// The first name that no band has.
    pub fn bind(&self, bands: &[BandName<'_>]) -> Result<Bound<'_>, UnknownName> {
        let mut found = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let place = find(&name.text, bands).ok_or_else(|| UnknownName {
                name: name.text.clone(),
                column: name.column,
                nearest: nearest(&name.text, bands),
            })?;
            found.push(place);
        }
        Ok(Bound {
            expression: self,
            bands: found,
        })
    }
}

impl Bound<'_> {
    /// Returns the bands needed, as places in the list bound to, in the order of `evaluate`.
    pub fn bands(&self) -> &[usize] {
        &self.bands
    }
}

fn find(name: &str, bands: &[BandName<'_>]) -> Option<usize> {
    let common = |wanted: &str| bands.iter().position(|b| b.common == Some(wanted));
    let stand_in = || {
        let other = STAND_INS.iter().find(|(from, _)| *from == name)?;
        common(other.1)
    };
    { bands.iter().position(|b| b.name == name) }
        .or_else(|| common(name))
        .or_else(stand_in)
        .or_else(|| bands.iter().position(|b| b.name.eq_ignore_ascii_case(name)))
}

fn nearest(name: &str, bands: &[BandName<'_>]) -> Option<String> {
    let words = bands.iter().flat_map(|b| [Some(b.name), b.common]);
    nearest_word(name, words.flatten()).map(str::to_owned)
}

/// Returns the word that needs the fewest edits of single characters, the first of equals.
pub fn nearest_word<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words.into_iter().min_by_key(|other| distance(word, other))
}

/// Counts edits of single characters between two words without regard to case (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
