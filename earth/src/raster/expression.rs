//! Arithmetic over bands: `(nir - red) / (nir + red)`, parsed, bound to bands, evaluated.
//!
//! Names are a band's own name or its common name; `"B 1"` in quotes where a name is no word.
//! Comparisons give 1 or 0. Operators by binding power: `||`, `&&`, comparisons, `+ -`, `* /`,
//! `- !` before an operand, `^`. Functions: `abs sqrt exp ln min max clamp where`.
//!
//! *Invariants*: parsing never panics and is bounded in length, depth and operations; a value is
//! NaN where any band named is fill, where something is divided by zero and where a result has no
//! finite f32.
//!
//! *Not here*: well-known formulas (`expression::index`), which raster a band lies in.

mod bind;
mod evaluate;
pub mod index;
mod lex;
mod parse;

pub use bind::{BandName, Bound, UnknownName, nearest_word};
pub use evaluate::{EvaluateError, Plane};
pub use parse::ExpressionError;

/// Longest text of an expression in bytes: a page of arithmetic.
pub const LENGTH_MAX: usize = 8 << 10;

/// Deepest nesting of parentheses, functions and signs.
pub const DEPTH_MAX: usize = 64;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What to do with a stack of values, in order.
    steps: Vec<Step>,
    /// The bands named, each once.
    names: Vec<Name>,
    /// Most values that are on the stack at once.
    height: usize,
}

/// A band named in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    text: String,
    /// Where it stands first, from 1.
    column: usize,
}

/// One operation on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// Pushes a number.
    Number(f32),
    /// Pushes the band with this place in `names`.
    Band(usize),
    /// Replaces the top.
    Unary(Unary),
    /// Replaces the two on top by one.
    Binary(Binary),
    /// Replaces condition, value and other value by one of the values.
    Where,
}

/// An operation on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unary {
    Minus,
    Not,
    Abs,
    Sqrt,
    Exp,
    Ln,
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    Plus,
    Minus,
    Times,
    Over,
    Power,
    Min,
    Max,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// Where and why the text is none.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::parse(text)
    }

    /// Returns the names of the bands it needs, each once, in order of appearance.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.text.as_str())
    }
}
