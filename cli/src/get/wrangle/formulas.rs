//! `--index` and `--expr`: formulas with the names of what they make.
//!
//! *Invariants*: a formula is parsed before a node is asked; a fault shows where it is wrong.
//!
//! *Not here*: values (`earth::raster::expression`).

use earth::raster::Raster;
use earth::raster::expression::index::{INDICES, index};
use earth::raster::expression::{BandName, Bound, Expression, Plane};
use wire::fault::{Fault, FaultKind};

use crate::args::Wrangle;

/// A formula and the band it makes.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    /// Name of the band made.
    pub(super) name: String,
    /// The text.
    pub(super) text: String,
    expression: Expression,
}

/// Returns all formulas asked for.
pub(super) fn formulas(args: &Wrangle) -> Result<Vec<Formula>, Fault> {
    let mut found = Vec::new();
    for name in &args.index {
        let known = index(name).map_err(|e| {
            let names: Vec<_> = INDICES.iter().map(|i| i.name).collect();
            Fault::new(FaultKind::Usage, format!("--index: no index '{name}'"))
                .because(format!("known indices: {}", names.join(", ")))
                .try_(format!("--index {}", e.nearest))
        })?;
        found.push(Formula::parse(known.name, known.formula)?);
    }
    for given in &args.expr {
        // The first sign of equality ends the name, unless it is part of a comparison.
        let named = given.split_once('=').filter(|(name, rest)| {
            let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            let name = name.trim();
            !name.is_empty() && name.chars().all(word) && !rest.starts_with('=')
        });
        let (name, text) = named.ok_or_else(|| {
            Fault::new(FaultKind::Usage, format!("--expr: '{given}' has no name"))
                .because("what an expression makes is a band, and bands have names")
                .try_(format!("--expr 'mine={}'", given.trim_start_matches('=')))
        })?;
        found.push(Formula::parse(name.trim(), text)?);
    }
    Ok(found)
}

impl Formula {
    fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let expression = Expression::parse(text).map_err(|e| {
            Fault::new(FaultKind::Usage, format!("{name} is no expression"))
                .because(e.to_string())
                .because(pointed(text, e.column()))
                .try_("--expr 'ndvi=(nir - red) / (nir + red)'")
        })?;
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            expression,
        })
    }

    /// Returns the names it uses.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.expression.names()
    }

    /// Finds its bands among those that there are.
    pub(super) fn bind(&self, bands: &[BandName<'_>]) -> Result<Bound<'_>, Fault> {
        self.expression.bind(bands).map_err(|e| {
            let named = |b: &BandName<'_>| match b.common {
                Some(common) => format!("{} ({common})", b.name),
                None => b.name.to_owned(),
            };
            let known: Vec<_> = bands.iter().map(named).collect();
            let what = format!("{} needs a band that is not there", self.name);
            let fault = Fault::new(FaultKind::Usage, what)
                .because(e.to_string())
                .because(pointed(&self.text, e.column))
                .because(format!("there are {}", known.join(", ")));
            match e.nearest {
                Some(nearest) => fault.try_(format!("{nearest} instead of {}", e.name)),
                None => fault,
            }
        })
    }
}

impl Formula {
    /// Evaluates over operands of one shape, in the order of its names.
    pub(super) fn evaluate(&self, operands: &[Plane<'_>]) -> Result<Raster, Fault> {
        let failed = |e: String| {
            Fault::new(FaultKind::Data, format!("{} cannot be computed", self.name)).because(e)
        };
        let first = { operands.first() }.ok_or_else(|| {
            Fault::new(FaultKind::Usage, format!("{} names no band", self.name))
                .because("an expression without a band has no pixels")
                .try_("--expr 'ndvi=(nir - red) / (nir + red)'")
        })?;
        let shape = (first.raster.width(), first.raster.height());
        // Names stand for operands in their order, so each is bound to its own place.
        let names: Vec<BandName<'_>> = { self.expression.names() }
            .map(|name| BandName { name, common: None })
            .collect();
        let bound = { self.expression.bind(&names) }.map_err(|e| failed(e.to_string()))?;
        { bound.evaluate(operands, shape) }.map_err(|e| failed(e.to_string()))
    }
}

/// Returns the text with a mark below a column.
fn pointed(text: &str, column: usize) -> String {
    format!(
        "{text}\n          {}^",
        " ".repeat(column.saturating_sub(1))
    )
}
