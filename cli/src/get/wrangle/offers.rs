//! The bands that a split and its partners have to offer, and those that are wanted of them.
//!
//! *Invariants*: with partners every name has its collection before it (`modis:sur_refl_b01`); a
//! plain or common name means the split's own band first.
//!
//! *Not here*: pixels (`plane`).

use earth::raster::expression::BandName;
use earth::split::meta::BandMeta;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::formulas::Formula;

/// A band of the split or of a partner.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// Name in the result.
    pub(super) name: String,
    /// Common name in the result; a partner's has the prefix.
    pub(super) common: Option<String>,
    /// 0 for the split itself, then partners.
    pub(super) source: usize,
    pub(super) band: BandMeta,
}

/// Returns what a split and its partners offer.
pub(super) fn offers(own: &Hit, partners: &[&Hit]) -> Vec<Offer> {
    let prefixed = |hit: &Hit, name: &str| {
        if partners.is_empty() {
            name.to_owned()
        } else {
            format!("{}:{name}", hit.collection)
        }
    };
    let mut found = Vec::new();
    for (source, hit) in std::iter::once(own)
        .chain(partners.iter().copied())
        .enumerate()
    {
        found.extend(hit.bands.iter().map(|band| Offer {
            name: prefixed(hit, &band.name),
            common: { band.common.as_deref() }.map(|common| {
                if source == 0 {
                    common.to_owned()
                } else {
                    prefixed(hit, common)
                }
            }),
            source,
            band: band.clone(),
        }));
    }
    found
}

/// Bands that are taken, and formulas over places in the list of offers.
#[derive(Debug)]
pub(super) struct Choice {
    /// Places of the offers that are needed.
    pub(super) needed: Vec<usize>,
    /// How many of these, from the first on, are in the result as they are.
    pub(super) kept: usize,
    /// For each formula, which of `needed` it takes.
    pub(super) operands: Vec<Vec<usize>>,
}

/// Chooses bands by name, all where none is named and no formula either.
pub(super) fn choose(
    offers: &[Offer],
    names: &[String],
    formulas: &[Formula],
) -> Result<Choice, Fault> {
    let mut needed = Vec::new();
    if names.is_empty() && formulas.is_empty() {
        needed.extend(0..offers.len());
    }
    for name in names {
        let place = { offers.iter() }.position(|offer| offer.is_called(name));
        needed.push(place.ok_or_else(|| unknown(name, offers))?);
    }
    let kept = needed.len();
    let words = words(offers);
    let bands: Vec<BandName<'_>> = words.iter().map(|(band, _)| *band).collect();
    let mut operands = Vec::new();
    for formula in formulas {
        let bound = formula.bind(&bands)?;
        let mut places = Vec::new();
        for word in bound.bands() {
            let offer = words[*word].1;
            let known = needed.iter().position(|place| *place == offer);
            places.push(known.unwrap_or_else(|| {
                needed.push(offer);
                needed.len() - 1
            }));
        }
        operands.push(places);
    }
    Ok(Choice {
        needed,
        kept,
        operands,
    })
}

impl Offer {
    fn is_called(&self, name: &str) -> bool {
        let plain = self.band.common.as_deref();
        let words = [Some(self.name.as_str()), self.common.as_deref()];
        let plain = [Some(self.band.name.as_str()), plain];
        let mut all = words.into_iter().chain(plain).flatten();
        all.any(|word| word.eq_ignore_ascii_case(name))
    }
}

/// Returns every word an expression may name a band by, with the place of the offer.
fn words(offers: &[Offer]) -> Vec<(BandName<'_>, usize)> {
    let full = offers.iter().enumerate().map(|(place, offer)| {
        let band = BandName {
            name: &offer.name,
            common: offer.common.as_deref(),
        };
        (band, place)
    });
    let plain = offers
        .iter()
        .enumerate()
        .filter(|(_, o)| o.name != o.band.name);
    let plain = plain.map(|(place, offer)| {
        let band = BandName {
            name: &offer.band.name,
            common: None,
        };
        (band, place)
    });
    full.chain(plain).collect()
}

fn unknown(name: &str, offers: &[Offer]) -> Fault {
    let known: Vec<_> = offers.iter().map(|o| o.name.as_str()).collect();
    Fault::new(FaultKind::Usage, format!("--bands: no band '{name}'"))
        .because(format!("there are {}", known.join(", ")))
        .try_("--bands with one of these, or a common name such as red")
}
