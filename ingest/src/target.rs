//! The collection that a scene goes into, and what going into it would take.
//!
//! *Invariants*: an existing collection's scheme and precision win; a flag that says otherwise is
//! a usage error; a scene goes only into a collection of its dataset.
//!
//! *Not here*: creating it (node).

use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::meta::PixelCounts;
use earth::split::placement::PlacementRule;
use wire::fault::{Fault, FaultKind};
use wire::ledger::Ledger;

use crate::facts::Facts;
use crate::ledger::{self, Sums};
use crate::plan::{self, Plan};
use crate::source::Scene;

/// Precision of a collection made on first use: cells of about 4.9 km.
pub const PRECISION_DEFAULT: u8 = 5;

/// Stored / uncompressed bytes of 15-bit reflectance, for estimates: measured 0.6–0.8.
const COMPRESSION: f64 = 0.7;

/// What the flags say of the collection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Its name; the dataset's if absent.
    pub name: Option<&'a str>,
    /// Its scheme.
    pub scheme: Option<Scheme>,
    /// Its precision.
    pub precision: Option<u8>,
}

impl Wanted<'_> {
    /// Returns the name of the collection for a scene.
    pub fn name_for(&self, scene: &Facts) -> String {
        self.name.unwrap_or(&scene.dataset).to_owned()
    }
}

/// Returns the collection to make for a scene.
pub fn new(wanted: &Wanted<'_>, scene: &Facts) -> Result<Collection, Fault> {
    let scheme = wanted.scheme.unwrap_or(Scheme::Geohash);
    let precision = wanted.precision.unwrap_or(PRECISION_DEFAULT);
    let max = scheme.precision_max();
    if !(1..=max).contains(&precision) {
        let what = format!("--precision {precision} is outside 1..={max} of {scheme}");
        return Err(Fault::new(FaultKind::Usage, what));
    }
    let name = wanted.name_for(scene);
    if !earth::split::collection::is_name(&name) {
        return Err(Fault::new(
            FaultKind::Usage,
            format!("'{}' is no name", name.escape_debug()),
        )
        .because("names have 1 to 120 letters, digits, '-', '_' and '.'"));
    }
    Ok(Collection {
        name,
        dataset: scene.dataset.clone(),
        scheme,
        precision,
        placement: PlacementRule::Whole,
    })
}

/// Returns an existing collection if flags and scene agree with it.
pub fn agree(
    collection: Collection,
    wanted: &Wanted<'_>,
    scene: &Facts,
) -> Result<Collection, Fault> {
    let differs = |flag: &str, given: String, own: String| {
        let what = format!(
            "collection '{}' has {flag} {own}, not {given}",
            collection.name
        );
        Err(Fault::new(FaultKind::Usage, what)
            .because("a collection's cells never change")
            .try_(format!(
                "leave out {flag}, or name another collection with --collection"
            )))
    };
    if let Some(scheme) = wanted.scheme.filter(|s| *s != collection.scheme) {
        return differs(
            "--scheme",
            scheme.to_string(),
            collection.scheme.to_string(),
        );
    }
    if let Some(precision) = wanted.precision.filter(|p| *p != collection.precision) {
        return differs(
            "--precision",
            precision.to_string(),
            collection.precision.to_string(),
        );
    }
    if collection.dataset != scene.dataset {
        let what = format!(
            "'{}' belongs to no collection of {}",
            scene.name, collection.dataset
        );
        return Err(Fault::new(FaultKind::Data, what)
            .because(format!("it is {}", scene.dataset))
            .try_("--collection names another one"));
    }
    Ok(collection)
}

/// Returns the ledger that ingesting would write, as far as it is known without reading pixels.
pub fn estimate(scene: &Scene, plan: &Plan, collection: &Collection) -> Result<Ledger, Fault> {
    let mut pixels = 0;
    let mut bytes = 0;
    for cell in &plan.cells {
        for group in &plan.groups {
            let own = plan::grid(cell, group.resolution_m)?.pixels() * group.layers.len() as u64;
            bytes += own * group.sample.bytes() as u64;
            pixels += own;
        }
    }
    let sums = Sums {
        cells: plan.cells.len() as u64,
        splits: plan.cells.len() as u64,
        empty: 0,
        bytes: share(bytes),
        counts: PixelCounts {
            pixels,
            ..PixelCounts::default()
        },
    };
    Ok(ledger::of(&Facts::from(scene), &collection.name, sums))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a count of bytes"
)]
fn share(bytes: u64) -> u64 {
    (bytes as f64 * COMPRESSION) as u64
}
