//! The law of the layers: arrows between crates point down, heavy dependencies have one home.
//!
//! *Invariants*: what ships (dependencies, build scripts) obeys both; what only tests use obeys the
//! arrows. Every dependency's version stands in the workspace's table.
//!
//! *Not here*: modules inside a crate.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::Tree;

/// The crates and the layer each lies in. Only a higher layer may name a lower one.
const LAYERS: [(&str, u8); 10] = [
    ("earth", 2),
    ("query", 3),
    ("wire", 4),
    ("node", 5),
    ("ingest", 5),
    ("trainer", 5),
    ("cli", 6),
    ("k8s", 6),
    ("benches", 7),
    ("xtask", 0),
];

/// Arrows that point down and are forbidden all the same: these meet as processes.
const APART: [(&str, &str); 4] = [
    ("cli", "ingest"),
    ("cli", "trainer"),
    ("k8s", "ingest"),
    ("k8s", "trainer"),
];

/// Crates that link or compile much, or decide what a crate is; and where they may stand.
const HOMES: [(&str, &[&str]); 11] = [
    ("libp2p", &["node"]),
    ("redb", &["node"]),
    ("axum", &["node"]),
    ("gdal", &["ingest"]),
    ("gdal-sys", &["ingest"]),
    ("tch", &["trainer"]),
    ("torch-sys", &["trainer"]),
    ("sha1", &["earth"]),
    ("kube", &["k8s"]),
    ("reqwest", &["wire"]),
    ("clap", &["cli", "ingest", "trainer", "k8s", "benches"]),
];

/// Crates without I/O: an asynchronous runtime has nothing to do there.
const PURE: [&str; 2] = ["earth", "query"];

/// What a crate's manifest must not name in a pure crate.
const RUNTIMES: [&str; 4] = ["tokio", "async-std", "smol", "futures"];

/// The benchmarks compare with peers, so they may name what they compare.
const FREE_OF_HOMES: &str = "benches";

/// The fuzz targets are a workspace of their own, built with other flags; nothing names them.
const OWN_WORKSPACE: &str = "fuzz";

/// Checks the manifests of all crates.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in tree.texts() {
        let Some(name) = text.path().strip_suffix("/Cargo.toml") else {
            continue;
        };
        if name == OWN_WORKSPACE {
            continue;
        }
        match (layer(name), text.text().parse::<Table>()) {
            (None, _) => findings.push(Finding::new(text.path(), 0, "a crate without a layer")),
            (_, Err(error)) => findings.push(Finding::new(text.path(), 0, error.to_string())),
            (Some(_), Ok(manifest)) => {
                let rules = rules(name, &manifest).into_iter();
                findings.extend(rules.map(|rule| Finding::new(text.path(), 0, rule)));
            }
        }
    }
    findings
}

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, layer)| *layer)
}

/// Returns what the manifest of crate `name` breaks.
fn rules(name: &str, manifest: &Table) -> Vec<String> {
    let mut broken = Vec::new();
    for (dependency, named) in named(manifest) {
        broken.extend(arrow(name, &dependency));
        if named.ships {
            broken.extend(home(name, &dependency));
        }
        if !named.from_workspace {
            broken.push(format!("{dependency} comes without `workspace = true`"));
        }
    }
    let lints = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) != Some(true) {
        broken.push("it does not take the workspace's lints".to_owned());
    }
    broken
}

/// How a manifest names a dependency.
#[derive(Debug, Clone, Copy)]
struct Named {
    ships: bool,
    from_workspace: bool,
}

/// Returns the dependencies of all tables, also of those for one platform.
fn named(manifest: &Table) -> BTreeMap<String, Named> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    let mut all: BTreeMap<String, Named> = BTreeMap::new();
    for manifest in platforms.chain([manifest]) {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let table = manifest.get(kind).and_then(Value::as_table);
            for (key, value) in table.into_iter().flatten() {
                let name = value.get("package").and_then(Value::as_str).unwrap_or(key);
                let from_workspace = value.get("workspace").and_then(Value::as_bool) == Some(true);
                let before = all.get(name).copied();
                let ships = kind != "dev-dependencies" || before.is_some_and(|b| b.ships);
                let from_workspace = from_workspace && before.is_none_or(|b| b.from_workspace);
                all.insert(
                    name.to_owned(),
                    Named {
                        ships,
                        from_workspace,
                    },
                );
            }
        }
    }
    all
}

fn arrow(name: &str, dependency: &str) -> Option<String> {
    let to = layer(dependency)?;
    let from = layer(name)?;
    let apart = APART.contains(&(name, dependency));
    let down = to < from && dependency != "xtask";
    (apart || !down).then(|| format!("{name} (layer {from}) names {dependency} (layer {to})"))
}

fn home(name: &str, dependency: &str) -> Option<String> {
    if PURE.contains(&name) && RUNTIMES.contains(&dependency) {
        return Some(format!("{name} does no I/O and names {dependency}"));
    }
    let (_, homes) = HOMES.iter().find(|(heavy, _)| *heavy == dependency)?;
    let at_home = name == FREE_OF_HOMES || homes.contains(&name);
    (!at_home).then(|| format!("{dependency} belongs to {} only", homes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::rules;

    /// Checks how many rules a manifest with these tables breaks.
    fn check(name: &str, tables: &str, broken: usize) {
        let manifest = format!("{tables}\n[lints]\nworkspace = true\n")
            .parse()
            .unwrap();
        assert_eq!(rules(name, &manifest).len(), broken, "{name}: {tables}");
    }

    #[test]
    fn arrows_point_down_only() {
        check(
            "cli",
            "[dependencies]\nnode.workspace = true\nearth.workspace = true",
            0,
        );
        check("earth", "[dependencies]\nquery.workspace = true", 1);
        check("ingest", "[dev-dependencies]\nnode.workspace = true", 1);
        check("cli", "[dependencies]\ningest.workspace = true", 1);
        check("node", "[dependencies]\nxtask.workspace = true", 1);
        check("xtask", "[dependencies]\nearth.workspace = true", 1);
        check(
            "benches",
            "[dependencies]\ncli.workspace = true\ngdal.workspace = true",
            0,
        );
    }

    #[test]
    fn heavy_dependencies_have_one_home() {
        check("node", "[dependencies]\nredb.workspace = true", 0);
        check("cli", "[dependencies]\nredb.workspace = true", 1);
        check("cli", "[build-dependencies]\ntch.workspace = true", 1);
        check("cli", "[dev-dependencies]\nreqwest.workspace = true", 0);
        check(
            "cli",
            "[target.'cfg(unix)'.dependencies]\naxum.workspace = true",
            1,
        );
        check("query", "[dependencies]\ntokio.workspace = true", 1);
        check(
            "node",
            "[dependencies]\ng = { package = \"gdal\", workspace = true }",
            1,
        );
    }

    #[test]
    fn versions_and_lints_come_from_the_workspace() {
        check("node", "[dependencies]\nbytes = \"1\"", 1);
        assert_eq!(rules("node", &"[dependencies]".parse().unwrap()).len(), 1);
    }
}
