//! What `Cargo.lock` pulls in: from the registry only, and nothing that `deny.toml` bans.
//!
//! *Invariants*: the list of banned crates is `deny.toml`'s; there is no second one.
//!
//! *Not here*: licences (`licences`); what cargo-deny sees beyond names.

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::Tree;

const LOCK: &str = "Cargo.lock";
const DENY: &str = "deny.toml";

/// Checks the lock file against `deny.toml`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let parse = |path| tree.text(path).and_then(|text| text.parse::<Table>().ok());
    let (Some(lock), Some(deny)) = (parse(LOCK), parse(DENY)) else {
        return vec![Finding::new(
            LOCK,
            0,
            "Cargo.lock or deny.toml is missing or damaged",
        )];
    };
    let banned: Vec<&str> = entries(&deny["bans"], "deny")
        .filter_map(|b| text(b, "crate"))
        .collect();
    let mut findings = Vec::new();
    for package in entries(&Value::Table(lock), "package") {
        let name = text(package, "name").unwrap_or_default();
        if banned.contains(&name) {
            findings.push(Finding::new(
                LOCK,
                0,
                format!("{name} is banned (see deny.toml)"),
            ));
        }
        if text(package, "source").is_some_and(|source| !source.starts_with("registry+")) {
            findings.push(Finding::new(
                LOCK,
                0,
                format!("{name} is not from the registry"),
            ));
        }
    }
    findings
}

fn entries<'a>(table: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    table
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(table: &'a Value, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{Text, Tree};

    #[test]
    fn banned_crates_and_other_sources_are_found() {
        let deny = "[bans]\ndeny = [{ crate = \"sled\", reason = \"loses data\" }]\n";
        let package =
            |name, source| format!("[[package]]\nname = \"{name}\"\nsource = \"{source}\"\n");
        let lock = [
            package("sled", "registry+x"),
            package("a", "git+y"),
            package("b", "registry+x"),
        ];
        let texts = vec![
            Text::new("deny.toml", deny),
            Text::new("Cargo.lock", &lock.concat()),
        ];
        assert_eq!(check(&Tree::of(texts)).len(), 2);
        assert_eq!(
            check(&Tree::default()).len(),
            1,
            "a missing file is no clean bill"
        );
    }
}
