//! Licences of everything that is linked, against the list in `deny.toml`.
//!
//! *Invariants*: of `A OR B` one allowed side is enough, of `A AND B` both are needed; a crate
//! without a licence expression is refused.
//!
//! *Not here*: the licence texts that crates ship (cargo-deny reads them).

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::Tree;
use crate::command::{ask, cargo};
use crate::trouble::{Result, Trouble};
use crate::workspace::Workspace;

const DENY: &str = "deny.toml";

/// Checks the licences of all packages that a build for this platform compiles.
pub(crate) fn check(workspace: &Workspace, tree: &Tree) -> Result<Vec<Finding>> {
    let allowed = allowed(tree.text(DENY).unwrap_or_default());
    let packages = packages(workspace)?;
    let refused = packages
        .into_iter()
        .filter(|(_, licence)| !satisfied(licence, &allowed));
    let rule = |name, licence| format!("{name} is under \"{licence}\", which is not allowed");
    Ok(refused
        .map(|(name, licence)| Finding::new(DENY, 0, rule(name, licence)))
        .collect())
}

/// Returns the packages and their licences; `cargo metadata` would list what no feature asks for.
fn packages(workspace: &Workspace) -> Result<BTreeSet<(String, String)>> {
    let format = ["--prefix=none", "--no-dedupe", "--format={p}\t{l}"];
    let mut command = cargo(workspace, &["tree", "--workspace", "--locked"]);
    let lines = ask(command.args(["--edges=normal,build,dev"]).args(format));
    let lines = lines.ok_or_else(|| {
        let because = "`cargo tree --locked` failed";
        Trouble::new(
            "the dependencies cannot be listed",
            because,
            "cargo tree --locked",
        )
    })?;
    let package = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let name = package.split_whitespace().next()?;
        Some((name.to_owned(), licence.to_owned()))
    };
    Ok(lines.lines().filter_map(package).collect())
}

/// Returns `licenses.allow` of `deny.toml`.
fn allowed(deny: &str) -> Vec<String> {
    let deny: Table = deny.parse().unwrap_or_default();
    let list = deny
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Tells whether an SPDX expression can be met with the allowed licences.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        allowed,
    };
    let met = reader.any();
    met && reader.words.is_empty()
}

/// Reads an expression from left to right.
#[derive(Debug)]
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    /// `A OR B OR …`
    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.step("OR") {
            met |= self.all();
        }
        met
    }

    /// `A AND B AND …`
    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.step("AND") {
            met &= self.one();
        }
        met
    }

    /// A licence, one WITH an exception, or an expression in parentheses.
    fn one(&mut self) -> bool {
        if self.step("(") {
            let met = self.any();
            return self.step(")") && met;
        }
        let Some((licence, rest)) = self.words.split_first() else {
            return false;
        };
        self.words = rest;
        let mut licence = (*licence).to_owned();
        if self.step("WITH") {
            let Some((exception, rest)) = self.words.split_first() else {
                return false;
            };
            self.words = rest;
            licence = format!("{licence} WITH {exception}");
        }
        self.allowed.contains(&licence)
    }

    /// Steps over `word` if it is next.
    fn step(&mut self, word: &str) -> bool {
        let next = self.words.first() == Some(&word);
        if next {
            self.words = &self.words[1..];
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::{allowed, satisfied};

    fn check(expression: &str, met: bool) {
        let allowed =
            allowed("[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH L\"]");
        assert_eq!(satisfied(expression, &allowed), met, "{expression}");
    }

    #[test]
    fn expressions_are_met_as_spdx_says() {
        check("MIT", true);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0/MIT", true);
        check("GPL-3.0 AND MIT", false);
        check("MIT AND GPL-3.0 OR Apache-2.0", true);
        check("MIT AND (GPL-3.0 OR Apache-2.0)", true);
        check("Apache-2.0 WITH L OR GPL-3.0", true);
        check("MIT WITH L", false);
    }

    #[test]
    fn what_is_no_expression_is_not_met() {
        check("", false);
        check("MIT OR", true);
        check("MIT MIT", false);
        check("(MIT", false);
        check("MIT)", false);
    }
}
