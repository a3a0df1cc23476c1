//! What one field of a product holds: numbers or classes, their scale, range and fill.
//!
//! *Invariants*: what a file's own attributes say wins over the product's description for numbers;
//! classes and bits are taken as they stand.
//!
//! *Not here*: which fields a product has (`product`).

use super::attributes::Attributes;

/// Values with their names.
pub(super) type Names = &'static [(u32, &'static str)];

/// One field of a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    /// The band's name.
    pub(super) name: &'static str,
    /// How the field's name in the file ends; files differ in what stands before it.
    pub(super) ends: &'static str,
    /// What the field holds.
    pub(super) holds: Holds,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Holds {
    /// A measured number.
    Numbers(Numbers),
    /// Classes or bits, with the value that means "nothing" and the names of values.
    Classes(Option<f64>, Names),
}

/// How stored numbers become physical ones: stored × scale + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbers {
    /// The value that means "nothing".
    pub(super) fill: f64,
    /// Least and greatest stored value that means something.
    pub(super) valid: (f64, f64),
    /// Factor.
    pub(super) scale: f64,
    /// Summand.
    pub(super) offset: f64,
}

/// Describes a field of numbers without offset.
pub(super) const fn numbers(
    name: &'static str,
    ends: &'static str,
    (fill, valid, scale): (f64, (f64, f64), f64),
) -> Field {
    let numbers = Numbers {
        fill,
        valid,
        scale,
        offset: 0.0,
    };
    Field {
        name,
        ends,
        holds: Holds::Numbers(numbers),
    }
}

/// Describes a field of classes or bits.
pub(super) const fn classes(name: &'static str, fill: Option<f64>, names: Names) -> Field {
    Field {
        name,
        ends: name,
        holds: Holds::Classes(fill, names),
    }
}

impl Numbers {
    /// Returns the numbers as a file's attributes have them.
    ///
    /// MODIS land products multiply, but for the vegetation indices, whose `scale_factor` of 10,000
    /// divides: a factor above 1 where the product's numbers shrink is a divisor.
    pub(super) fn said_by(self, file: &Attributes) -> Self {
        let scale = file.number("scale_factor").filter(|s| *s > 0.0);
        let scale = match scale {
            Some(divisor) if divisor > 1.0 && self.scale < 1.0 => 1.0 / divisor,
            Some(factor) => factor,
            None => self.scale,
        };
        Self {
            fill: file.number("_FillValue").unwrap_or(self.fill),
            valid: file.pair("valid_range").unwrap_or(self.valid),
            scale,
            offset: file.number("add_offset").unwrap_or(self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NDVI: Numbers = Numbers {
        fill: -3000.0,
        valid: (-2000.0, 10_000.0),
        scale: 1e-4,
        offset: 0.0,
    };

    fn said(pairs: &[&str]) -> Numbers {
        let lines = pairs.iter().map(ToString::to_string).collect();
        NDVI.said_by(&Attributes::new(lines))
    }

    #[test]
    fn a_scale_factor_that_divides_and_one_that_multiplies_mean_the_same() {
        for text in [
            "scale_factor=10000",
            "scale_factor=0.0001",
            "scale_factor=1e4",
        ] {
            assert!((said(&[text]).scale - 1e-4).abs() < 1e-18, "{text}");
        }
        assert_eq!(said(&[]), NDVI);
    }

    #[test]
    fn range_and_fill_of_the_file_win() {
        let found = said(&["valid_range=-100, 16000", "_FillValue=-28672"]);
        assert_eq!((found.fill, found.valid), (-28_672.0, (-100.0, 16_000.0)));
        assert_eq!(said(&["valid_range=5", "_FillValue=x"]), NDVI);
        assert_eq!(said(&["valid_range=9, 1"]), NDVI);
    }
}
