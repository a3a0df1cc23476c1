//! Lines, functions and files stay small enough to be read.
//!
//! *Invariants*: comments and blank lines count: they are read too.
//!
//! *Not here*: numbers of arguments (clippy).

use super::finding::Finding;
use super::source::Source;

/// Longest line in characters: two files fit beside each other on a screen.
const LINE_MAX: usize = 100;
/// Longest function body in lines: a screen.
const FUNCTION_MAX: usize = 70;
/// Longest file in lines.
const FILE_MAX: usize = 500;

/// Checks the sizes in one file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let found = |line, rule: String| Finding::new(source.path(), line, rule);
    let lines = source.text().lines().count();
    if lines > FILE_MAX {
        findings.push(found(
            0,
            format!("{lines} lines; at most {FILE_MAX}: split it by noun"),
        ));
    }
    for (line, length) in long_lines(source) {
        findings.push(found(
            line,
            format!("{length} characters; at most {LINE_MAX}"),
        ));
    }
    for (line, lines) in bodies(source.code()) {
        if lines > FUNCTION_MAX {
            let rule = format!("a function of {lines} lines; at most {FUNCTION_MAX}");
            findings.push(found(line, rule));
        }
    }
    findings
}

/// Returns the lines that are too long; one inside a literal is as long as what it stands for.
fn long_lines(source: &Source) -> Vec<(usize, usize)> {
    let mut long = Vec::new();
    let kinds = source.code().lines().zip(source.prose().lines());
    for (index, (line, (code, prose))) in source.text().lines().zip(kinds).enumerate() {
        let literal = code.trim().is_empty() && prose.trim().is_empty();
        let length = line.chars().count();
        if length > LINE_MAX && !literal {
            long.push((index + 1, length));
        }
    }
    long
}

/// Returns the line of each function and the lines between its braces.
fn bodies(code: &str) -> Vec<(usize, usize)> {
    let mut bodies = Vec::new();
    let mut at = 0;
    while let Some(next) = code[at..].find("fn ") {
        let start = at + next;
        at = start + "fn ".len();
        let word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if let Some(length) = body(&code[start..]).filter(|_| word) {
            bodies.push((code[..start].matches('\n').count() + 1, length));
        }
    }
    bodies
}

/// Returns the lines between the braces of the function that `code` begins with.
fn body(code: &str) -> Option<usize> {
    let open = opening(code)?;
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let lines = code[open..open + at].matches('\n').count();
            return Some(lines.saturating_sub(1));
        }
    }
    None
}

/// Returns where the body opens; `None` for a function without one.
fn opening(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{FILE_MAX, FUNCTION_MAX, LINE_MAX, bodies, check};
    use crate::tidy::source::Source;

    fn findings(text: &str) -> Vec<String> {
        check(&Source::new("a/src/a.rs", text))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_function_is_measured_between_its_braces() {
        let code = "fn a() {}\ntrait T { fn b(); }\nfn c(\n) -> [u8; 2] {\n    if x {\n    }\n}\n";
        assert_eq!(bodies(code), [(1, 0), (3, 2)]);
    }

    #[test]
    fn what_is_too_long_is_found_and_what_just_fits_is_not() {
        let function = |lines| format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines));
        assert!(findings(&function(FUNCTION_MAX)).is_empty());
        assert_eq!(findings(&function(FUNCTION_MAX + 1)).len(), 1);
        let template = format!("a(\"\n{}\n\");\n", "b".repeat(LINE_MAX + 1));
        assert!(findings(&template).is_empty(), "inside a literal");
        assert!(findings(&"ä b".repeat(LINE_MAX / 3)).is_empty());
        assert_eq!(findings(&"ä".repeat(LINE_MAX + 1)).len(), 1);
        assert!(findings(&"//\n".repeat(FILE_MAX)).is_empty());
        assert_eq!(findings(&"//\n".repeat(FILE_MAX + 1)).len(), 1);
    }
}
