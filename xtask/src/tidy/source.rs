//! A Rust file, split into what is code and what is prose.
//!
//! *Invariants*: [`Source::code`] and [`Source::prose`] have the lines of the text; what belongs to
//! neither (the insides of literals) is blank in both.
//!
//! *Not here*: parsing: rules about meaning are clippy's.

use std::path::Path;

/// A Rust file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: String,
    text: String,
    code: String,
    prose: String,
}

impl Source {
    /// Splits a Rust file.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut split = Splitter::new(text);
        split.all();
        let Splitter { code, prose, .. } = split;
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            prose,
        }
    }

    /// Returns the path below the top folder.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text with comments and the insides of literals blanked.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Returns the text with all but comments blanked.
    pub(crate) fn prose(&self) -> &str {
        &self.prose
    }

    /// Tells whether the file holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        let path = Path::new(&self.path);
        let in_src = path
            .components()
            .nth(1)
            .is_some_and(|part| part.as_os_str() == "src");
        !in_src
            || path.components().any(|part| part.as_os_str() == "tests")
            || path.file_stem().is_some_and(|stem| stem == "tests")
    }
}

/// What the splitter is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Prose,
    Literal,
}

/// Walks over the text once and files each character.
#[derive(Debug)]
struct Splitter<'a> {
    rest: &'a str,
    code: String,
    prose: String,
    /// Whether the character before was part of a name: then `r"` does not begin a raw string.
    in_name: bool,
}

impl<'a> Splitter<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            code: String::new(),
            prose: String::new(),
            in_name: false,
        }
    }

    fn all(&mut self) {
        while !self.rest.is_empty() {
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(end, Part::Prose);
            } else if self.rest.starts_with("/*") {
                self.take(block_comment(self.rest), Part::Prose);
            } else if let Some(end) = literal(self.rest, self.in_name) {
                self.take(end, Part::Literal);
            } else {
                let first = self.rest.chars().next().map_or(1, char::len_utf8);
                self.take(first, Part::Code);
            }
        }
    }

    /// Files the next `length` bytes under `part`.
    fn take(&mut self, length: usize, part: Part) {
        let (taken, rest) = self.rest.split_at(length);
        for c in taken.chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if part == Part::Code { c } else { blank });
            self.prose.push(if part == Part::Prose { c } else { blank });
        }
        let last = taken.chars().next_back();
        self.in_name = part == Part::Code && last.is_some_and(|c| c.is_alphanumeric() || c == '_');
        self.rest = rest;
    }
}

/// Returns the length of the (nested) block comment that `text` begins with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of the string or character literal that `text` begins with.
fn literal(text: &str, in_name: bool) -> Option<usize> {
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('\'') {
        return character(text);
    }
    if in_name {
        return None;
    }
    let body = text
        .strip_prefix('b')
        .or_else(|| text.strip_prefix('c'))
        .unwrap_or(text);
    let prefix = text.len() - body.len();
    let body = body.strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inner = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inner
        .find(&close)
        .map_or(inner.len(), |at| at + close.len());
    Some(prefix + 1 + hashes + 1 + end)
}

/// Returns the length of a literal with escapes, up to and with its closing mark.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = true; // steps over the opening mark
    for (at, c) in text.char_indices() {
        if !escaped && c == mark {
            return at + c.len_utf8();
        }
        escaped = if at == 0 {
            false
        } else {
            !escaped && c == '\\'
        };
    }
    text.len()
}

/// Returns the length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next()?, chars.next()?);
    (first == '\\' || second == '\'').then(|| quoted(text, '\''))
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn check(text: &str, code: &str, prose: &str) {
        let source = Source::new("a/src/a.rs", text);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(source.code()), code, "{text}");
        assert_eq!(words(source.prose()), prose, "{text}");
        assert_eq!(source.code().lines().count(), text.lines().count());
    }

    #[test]
    fn literals_and_comments_are_not_code() {
        check("let a = 1; // two", "let a = 1;", "// two");
        check("a /* b /* c */ \"d */ e", "a e", "/* b /* c */ \"d */");
        check("a(\"b // \\\" c\", d)", "a( , d)", "");
        check("a(r#\"b \" c\"#, d) // e", "a( , d)", "// e");
        check("a(br\"b\\\", d)", "a( , d)", "");
        check(
            "fn f<'a>(c: &'a str) { c == '\"' || c == '\\'' }",
            "fn f<'a>(c: &'a str) { c == || c == }",
            "",
        );
        check("let for_r = r; \"x\"", "let for_r = r;", "");
    }

    #[test]
    fn an_unclosed_literal_ends_with_the_file() {
        check("a \"b", "a", "");
        check("a /* b", "a", "/* b");
        check("a r#\"b\"", "a", "");
    }

    #[test]
    fn test_files_are_told_from_the_rest() {
        let is_test = |path: &str| Source::new(path, "").is_test();
        assert!(is_test("node/tests/crash.rs") && is_test("node/src/store/tests.rs"));
        assert!(!is_test("node/src/store.rs") && is_test("trainer/build.rs"));
    }
}
