//! One word for one thing, and no word that only one machine understands.
//!
//! *Invariants*: a word is found alone, in `snake_case`, in `CamelCase` and in the plural, in code
//! and comments; the insides of literals are free, since formats and APIs have words of their own.
//! Of the glossary's unwanted words only those stand here that have no second, honest meaning:
//! "bucket", "worker", "filter", "result" or "chunk" stay a matter of reading.
//!
//! *Not here*: what the wanted words mean (`docs/GLOSSARY.md`).

use super::finding::Finding;
use super::source::Source;

/// Unwanted word, wanted word.
const WORDS: [(&str, &str); 12] = [
    (concat!("v", "node"), "slot"),
    (concat!("sh", "ard"), "slot"),
    (concat!("al", "bum"), "collection"),
    (concat!("coordin", "ator"), "conduit"),
    (concat!("mas", "ter"), "conduit, or owner"),
    (concat!("sla", "ve"), "replica, or node"),
    (concat!("tea", "cher"), "donor"),
    (concat!("coal", "esce"), "splice"),
    (concat!("up", "load"), "put, or publish"),
    (concat!("black", "list"), "deny-list"),
    (concat!("white", "list"), "allow-list"),
    (concat!("gra", "nule"), "scene"),
];

/// Crates in which a word is the format's own: Sentinel-2 names a folder so.
const FORMAT_WORDS: [(&str, &str); 2] = [
    (concat!("gra", "nule"), "ingest/"),
    (concat!("gra", "nule"), "cli/src/synth"),
];

/// Places that exist on one machine or name a registry's host.
const PLACES: [&str; 9] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("crates", ".io"),
    concat!("deb.", "debian.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
];

/// Written by cargo, with the registry's address in it.
const LOCK: &str = "Cargo.lock";

/// Checks the words in one Rust file.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.code().lines().zip(source.prose().lines());
    for (index, (code, prose)) in lines.enumerate() {
        for word in words(code).chain(words(prose)) {
            if let Some(wanted) = wanted(&word, source.path()) {
                let rule = format!("\"{word}\": say {wanted} (docs/GLOSSARY.md)");
                findings.push(Finding::new(source.path(), index + 1, rule));
            }
        }
    }
    findings
}

/// Checks that a file names no place that other machines lack.
pub(crate) fn check_places(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|_| path != LOCK) {
        for place in PLACES.iter().filter(|place| line.contains(**place)) {
            let rule = format!("\"{place}\": a place that other machines lack");
            findings.push(Finding::new(path, index + 1, rule));
        }
    }
    findings
}

fn wanted(word: &str, path: &str) -> Option<&'static str> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    let (unwanted, wanted) = WORDS.iter().find(|(unwanted, _)| *unwanted == singular)?;
    let own = FORMAT_WORDS
        .iter()
        .any(|(word, place)| word == unwanted && path.starts_with(place));
    (!own).then_some(wanted)
}

/// Returns the words of a line in lower case, with names taken apart.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphabetic()).flat_map(humps)
}

/// Takes `SomeName` apart into `some` and `name`; `SAFE` stays one word.
fn humps(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut after_lower = true;
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !(c.is_uppercase() && after_lower) => word.extend(c.to_lowercase()),
            _ => words.push(c.to_lowercase().collect()),
        }
        after_lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{PLACES, WORDS, check, check_places, words};
    use crate::tidy::source::Source;

    fn findings(path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn names_are_taken_apart() {
        let found: Vec<String> = words("let slot_of = SplitMeta::of(SHA1, x);").collect();
        assert_eq!(
            found,
            ["let", "slot", "of", "split", "meta", "of", "sha", "x"]
        );
    }

    #[test]
    fn an_unwanted_word_is_found_in_every_spelling_and_not_inside_another() {
        for (word, _) in WORDS {
            let mut upper = word.to_owned();
            upper[..1].make_ascii_uppercase();
            assert_eq!(
                findings("node/src/a.rs", &format!("let a_{word}s = 1;")),
                1,
                "{word}"
            );
            assert_eq!(
                findings(
                    "node/src/a.rs",
                    &format!("struct My{upper}(u8); // {upper}")
                ),
                2
            );
            assert_eq!(findings("node/src/a.rs", &format!("a(\"{word}\")")), 0);
            assert_eq!(findings("node/src/a.rs", &format!("let x{word}x = 1;")), 0);
        }
    }

    #[test]
    fn a_formats_own_word_is_free_where_the_format_is_read() {
        let word = WORDS[WORDS.len() - 1].0;
        assert_eq!(
            findings(
                "ingest/src/source/sentinel2.rs",
                &format!("let {word} = 1;")
            ),
            0
        );
        assert_eq!(
            findings("query/src/query.rs", &format!("let {word} = 1;")),
            1
        );
    }

    #[test]
    fn a_place_of_one_machine_is_found_anywhere_but_in_the_lock_file() {
        for place in PLACES {
            assert_eq!(
                check_places("docs/A.md", &format!("x\nsee {place}\n")).len(),
                1
            );
            assert_eq!(check_places("Cargo.lock", place).len(), 0);
        }
    }
}
