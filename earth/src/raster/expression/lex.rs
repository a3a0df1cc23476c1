//! Words, numbers and signs of an expression.
//!
//! *Invariants*: every byte of the text belongs to a token or to the blanks between them; columns
//! count characters from 1.
//!
//! *Not here*: what tokens mean together (`parse`).

use crate::raster::expression::parse::{ExpressionError, Reason};

/// Signs, longer ones before those they begin with.
const SIGNS: [&str; 19] = [
    "<=", ">=", "==", "!=", "&&", "||", "**", "<", ">", "=", "!", "+", "-", "*", "/", "^", "(",
    ")", ",",
];

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A number.
    Number(f32),
    /// A name without quotes.
    Word(String),
    /// A name in quotes.
    Quoted(String),
    /// An operator, parenthesis or comma.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    /// Characters before it, plus 1.
    pub(super) column: usize,
}

/// Cuts a text into tokens; the last is always `End`.
pub(super) fn lex(text: &str) -> Result<Vec<Placed>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = text[..text.len() - rest.len()].chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            let token = Token::End;
            tokens.push(Placed { token, column });
            return Ok(tokens);
        };
        let (token, length) = match first {
            '"' => quoted(rest, column)?,
            c if c.is_ascii_digit() || c == '.' => number(rest, column)?,
            c if c.is_alphabetic() || c == '_' => word(rest),
            c => sign(rest).ok_or(ExpressionError::new(column, Reason::Character(c)))?,
        };
        tokens.push(Placed { token, column });
        rest = &rest[length..];
    }
}

fn quoted(rest: &str, column: usize) -> Result<(Token, usize), ExpressionError> {
    let inside = rest.get(1..).unwrap_or_default();
    let unended = ExpressionError::new(column, Reason::Unended);
    let end = inside.find('"').ok_or(unended)?;
    Ok((Token::Quoted(inside[..end].to_owned()), end + 2))
}

fn number(rest: &str, column: usize) -> Result<(Token, usize), ExpressionError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize, more: &[u8]| {
        let tail = bytes.get(from..).unwrap_or_default();
        let run = tail
            .iter()
            .take_while(|b| b.is_ascii_digit() || more.contains(b));
        from + run.count()
    };
    let mut end = digits(0, b".");
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(signed, b"");
        if exponent > signed {
            end = exponent;
        }
    }
    let text = &rest[..end];
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), end)),
        _ => Err(ExpressionError::new(
            column,
            Reason::Number(text.to_owned()),
        )),
    }
}

/// Takes a name: letters, digits, `_`, and `.` or `:` between two of them (`naip:red`).
fn word(rest: &str) -> (Token, usize) {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let mut end = 0;
    for (at, c) in rest.char_indices() {
        let joins = matches!(c, '.' | ':') && rest[at + 1..].starts_with(letter);
        if !letter(c) && !joins {
            break;
        }
        end = at + c.len_utf8();
    }
    (Token::Word(rest[..end].to_owned()), end)
}

fn sign(rest: &str) -> Option<(Token, usize)> {
    let found = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
    Some((Token::Sign(found), found.len()))
}
