//! From tokens to steps on a stack, by binding powers (Pratt 1973).
//!
//! *Invariants*: recursion stops at `DEPTH_MAX`; steps leave exactly one value.
//!
//! *Not here*: which bands there are (`bind`).

use crate::raster::expression::lex::{Placed, Token, lex};
use crate::raster::expression::{
    Binary, DEPTH_MAX, Expression, LENGTH_MAX, Name, Step, Unary, nearest_word,
};

/// Why a text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct ExpressionError {
    column: usize,
    reason: Reason,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("'{0}' begins nothing")]
    Character(char),
    #[error("the quoted name has no end")]
    Unended,
    #[error("'{0}' is no number")]
    Number(String),
    #[error("a value is missing before {0}")]
    NoValue(String),
    #[error("{0} is not expected here")]
    Unexpected(String),
    #[error("')' is missing before {0}")]
    Unclosed(String),
    #[error("comparisons do not chain; use && between two")]
    Chained,
    #[error("no function '{name}'; nearest: {nearest}")]
    Function { name: String, nearest: String },
    #[error("{name} takes {wanted}, not {given}")]
    Arguments {
        name: String,
        wanted: &'static str,
        given: usize,
    },
    #[error("nested deeper than {DEPTH_MAX}")]
    Deep,
    #[error("longer than {LENGTH_MAX} bytes")]
    Long,
}

impl ExpressionError {
    pub(super) fn new(column: usize, reason: Reason) -> Self {
        Self { column, reason }
    }

    /// Returns the column that is wrong, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// Binding power of what a comparison compares.
const COMPARISON: u8 = 3;
/// Binding power of a sign before an operand: `-a ^ 2` is `-(a ^ 2)`, `-a * b` is `(-a) * b`.
const PREFIX: u8 = 6;
/// Binding power of `^`.
const POWER: u8 = 7;

const FUNCTIONS: [&str; 8] = ["abs", "sqrt", "exp", "ln", "min", "max", "clamp", "where"];

/// Returns an operator's meaning and binding power.
fn infix(sign: &str) -> Option<(Binary, u8)> {
    Some(match sign {
        "||" => (Binary::Or, 1),
        "&&" => (Binary::And, 2),
        "<" => (Binary::Less, COMPARISON),
        "<=" => (Binary::LessEqual, COMPARISON),
        ">" => (Binary::Greater, COMPARISON),
        ">=" => (Binary::GreaterEqual, COMPARISON),
        "==" | "=" => (Binary::Equal, COMPARISON),
        "!=" => (Binary::NotEqual, COMPARISON),
        "+" => (Binary::Plus, 4),
        "-" => (Binary::Minus, 4),
        "*" => (Binary::Times, 5),
        "/" => (Binary::Over, 5),
        "^" | "**" => (Binary::Power, POWER),
        _ => return None,
    })
}

pub(super) fn parse(text: &str) -> Result<Expression, ExpressionError> {
    if text.len() > LENGTH_MAX {
        return Err(ExpressionError::new(1, Reason::Long));
    }
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        depth: 0,
        expression: Expression {
            steps: Vec::new(),
            names: Vec::new(),
            height: 0,
        },
        on_stack: 0,
    };
    parser.operand(0)?;
    if parser.peek().token == Token::End {
        Ok(parser.expression)
    } else {
        Err(parser.wrong(Reason::Unexpected))
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    expression: Expression,
    /// Values on the stack after the steps so far.
    on_stack: usize,
}

impl Parser {
    /// Returns the next token; the last, `End`, is never passed.
    fn peek(&self) -> &Placed {
        &self.tokens[self.at]
    }

    fn next(&mut self) -> Placed {
        let placed = self.peek().clone();
        if placed.token != Token::End {
            self.at += 1;
        }
        placed
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(&self.peek().token, Token::Sign(s) if *s == sign);
        if found {
            self.at += 1;
        }
        found
    }

    /// Returns an error about the next token.
    fn wrong(&self, reason: fn(String) -> Reason) -> ExpressionError {
        let placed = self.peek();
        let said = match &placed.token {
            Token::End => "the end".to_owned(),
            Token::Number(number) => number.to_string(),
            Token::Word(name) | Token::Quoted(name) => format!("'{name}'"),
            Token::Sign(sign) => format!("'{sign}'"),
        };
        ExpressionError::new(placed.column, reason(said))
    }

    fn push(&mut self, step: Step) {
        match step {
            Step::Number(_) | Step::Band(_) => self.on_stack += 1,
            Step::Unary(_) => {}
            Step::Binary(_) => self.on_stack -= 1,
            Step::Where => self.on_stack -= 2,
        }
        let height = &mut self.expression.height;
        *height = (*height).max(self.on_stack);
        self.expression.steps.push(step);
    }

    /// Parses a value and all operators after it that bind at least as strongly as `power`.
    fn operand(&mut self, power: u8) -> Result<(), ExpressionError> {
        if self.depth == DEPTH_MAX {
            return Err(ExpressionError::new(self.peek().column, Reason::Deep));
        }
        self.depth += 1;
        self.value()?;
        let mut compared = false;
        while let Token::Sign(sign) = self.peek().token {
            let Some((operator, strength)) = infix(sign).filter(|(_, s)| *s >= power) else {
                break;
            };
            if strength == COMPARISON && compared {
                return Err(ExpressionError::new(self.peek().column, Reason::Chained));
            }
            compared = strength == COMPARISON;
            self.at += 1;
            // `^` groups to the right, everything else to the left.
            self.operand(if strength == POWER {
                POWER
            } else {
                strength + 1
            })?;
            self.push(Step::Binary(operator));
        }
        self.depth -= 1;
        Ok(())
    }

    /// Parses a number, a band, a call, a sign and its operand, or parentheses.
    fn value(&mut self) -> Result<(), ExpressionError> {
        let placed = self.peek().clone();
        match placed.token {
            Token::Number(number) => {
                self.at += 1;
                self.push(Step::Number(number));
            }
            Token::Quoted(name) => {
                self.at += 1;
                self.band(name, placed.column);
            }
            Token::Word(name) => {
                self.at += 1;
                if self.takes("(") {
                    return self.call(&name, placed.column);
                }
                self.band(name, placed.column);
            }
            Token::Sign("-" | "!" | "+") => {
                let sign = self.next().token;
                self.operand(PREFIX)?;
                if sign != Token::Sign("+") {
                    let minus = sign == Token::Sign("-");
                    let operation = if minus { Unary::Minus } else { Unary::Not };
                    self.push(Step::Unary(operation));
                }
            }
            Token::Sign("(") => {
                self.at += 1;
                self.operand(0)?;
                self.close()?;
            }
            Token::Sign(_) | Token::End => return Err(self.wrong(Reason::NoValue)),
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExpressionError> {
        if self.takes(")") {
            Ok(())
        } else {
            Err(self.wrong(Reason::Unclosed))
        }
    }

    fn band(&mut self, text: String, column: usize) {
        let names = &mut self.expression.names;
        let known = names.iter().position(|name| name.text == text);
        let place = known.unwrap_or_else(|| {
            names.push(Name { text, column });
            names.len() - 1
        });
        self.push(Step::Band(place));
    }

    /// Parses the arguments of a function, behind its parenthesis.
    fn call(&mut self, name: &str, column: usize) -> Result<(), ExpressionError> {
        if !FUNCTIONS.contains(&name) {
            let reason = Reason::Function {
                name: name.to_owned(),
                nearest: nearest_word(name, FUNCTIONS).unwrap_or_default().to_owned(),
            };
            return Err(ExpressionError::new(column, reason));
        }
        let folded = match name {
            "min" => Some(Binary::Min),
            "max" => Some(Binary::Max),
            _ => None,
        };
        let mut given = 0;
        if !self.takes(")") {
            loop {
                self.operand(0)?;
                given += 1;
                // Folded at once, so that a long list needs no high stack.
                if let Some(step) = folded.filter(|_| given > 1) {
                    self.push(Step::Binary(step));
                }
                self.clamp_above(name, given);
                if !self.takes(",") {
                    break;
                }
            }
            self.close()?;
        }
        let arguments = |wanted| {
            let name = name.to_owned();
            let reason = Reason::Arguments {
                name,
                wanted,
                given,
            };
            Err(ExpressionError::new(column, reason))
        };
        match (name, given) {
            ("min" | "max", 2..) => {}
            ("min" | "max", _) => return arguments("two values or more"),
            ("clamp", 3) => self.push(Step::Binary(Binary::Min)),
            ("clamp", _) => return arguments("a value, a least and a greatest one"),
            ("where", 3) => self.push(Step::Where),
            ("where", _) => return arguments("a condition and two values"),
            (_, 1) => self.push(Step::Unary(unary(name))),
            _ => return arguments("one value"),
        }
        Ok(())
    }

    /// Applies a clamp's lower bound as soon as it is on the stack.
    fn clamp_above(&mut self, name: &str, given: usize) {
        if name == "clamp" && given == 2 {
            self.push(Step::Binary(Binary::Max));
        }
    }
}

fn unary(name: &str) -> Unary {
    match name {
        "abs" => Unary::Abs,
        "sqrt" => Unary::Sqrt,
        "exp" => Unary::Exp,
        _ => Unary::Ln,
    }
}
