//! Settings and where each came from.
//!
//! *Invariants*: flag > environment > `./glebe.toml` > user's file > default; an unknown key in a
//! file is a fault, not silence.
//!
//! *Not here*: flags of single verbs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wire::fault::{Fault, FaultKind};

use crate::args::{Global, Output};

/// A value with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: String,
}

/// All settings, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) cluster: Setting<Option<String>>,
    pub(crate) data: Setting<PathBuf>,
    pub(crate) token_file: Setting<Option<PathBuf>>,
    pub(crate) ca: Setting<Option<PathBuf>>,
    pub(crate) output: Setting<Output>,
}

/// What a configuration file may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: Option<String>,
    data: Option<PathBuf>,
    output: Option<String>,
    #[serde(rename = "token_file")]
    token: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl Settings {
    /// Merges flags, environment, files and defaults.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Fault> {
        let files = files(global)?;
        let pick = |name: &str, given: Option<String>, key: fn(&File) -> Option<String>| {
            given.map(|value| given_as(name, value)).or_else(|| {
                files.iter().find_map(|(path, file)| {
                    let origin = path.display().to_string();
                    key(file).map(|value| Setting { value, origin })
                })
            })
        };
        let cluster = pick("cluster", global.cluster.clone(), |f| f.cluster.clone());
        let data = pick("data", text(global.data.as_ref()), |f| {
            text(f.data.as_ref())
        });
        let token_file = pick("token_file", text(global.token_file.as_ref()), |f| {
            text(f.token.as_ref())
        });
        let ca = pick("ca", text(global.ca.as_ref()), |f| text(f.ca.as_ref()));
        let given = global.output.map(|o| format!("{o:?}").to_lowercase());
        let output = pick("output", given, |f| f.output.clone());
        let data = optional(data, PathBuf::from);
        Ok(Self {
            cluster: optional(cluster, |text| text),
            data: Setting {
                value: data.value.unwrap_or_else(|| PathBuf::from(".glebe")),
                origin: data.origin,
            },
            token_file: optional(token_file, PathBuf::from),
            ca: optional(ca, PathBuf::from),
            output: match output {
                None => Setting {
                    value: Output::Table,
                    origin: DEFAULT.to_owned(),
                },
                Some(s) => Setting {
                    value: format(&s)?,
                    origin: s.origin,
                },
            },
        })
    }
}

/// Where a setting came from that nobody gave.
pub(crate) const DEFAULT: &str = "default";

/// Returns a setting that a flag or its environment variable gave.
fn given_as(name: &str, value: String) -> Setting<String> {
    let variable = format!("GLEBE_{}", name.to_ascii_uppercase());
    let from_env = std::env::var(&variable).is_ok_and(|v| v == value);
    let origin = if from_env {
        variable
    } else {
        format!("--{}", name.replace('_', "-"))
    };
    Setting { value, origin }
}

/// Returns a setting that may be missing.
fn optional<T>(found: Option<Setting<String>>, read: fn(String) -> T) -> Setting<Option<T>> {
    let origin = found.as_ref().map_or(DEFAULT, |s| s.origin.as_str());
    Setting {
        origin: origin.to_owned(),
        value: found.map(|s| read(s.value)),
    }
}

fn text(path: Option<&PathBuf>) -> Option<String> {
    path.map(|p| p.to_string_lossy().into_owned())
}

fn format(setting: &Setting<String>) -> Result<Output, Fault> {
    <Output as clap::ValueEnum>::from_str(&setting.value, true).map_err(|_| {
        Fault::new(
            FaultKind::Usage,
            format!("no output format '{}'", setting.value),
        )
        .because(format!("set in {}", setting.origin))
        .try_("table, json, ndjson, csv, geojson or id")
    })
}

/// Reads the configuration files that exist, strongest first.
fn files(global: &Global) -> Result<Vec<(PathBuf, File)>, Fault> {
    if let Some(path) = &global.config {
        return Ok(vec![(path.clone(), read(path)?)]);
    }
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".config")));
    let candidates = [
        Some(PathBuf::from("glebe.toml")),
        user.map(|d| d.join("glebe/config.toml")),
    ];
    let present = candidates.into_iter().flatten().filter(|p| p.exists());
    present
        .map(|path| read(&path).map(|file| (path, file)))
        .collect()
}

fn read(path: &Path) -> Result<File, Fault> {
    let fault = |why: String| {
        Fault::new(
            FaultKind::Usage,
            format!("{} is no configuration", path.display()),
        )
        .because(why)
        .try_("keys: cluster, data, output, token_file, ca; a token itself stands in no such file")
    };
    let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
    toml::from_str(&text).map_err(|e| fault(e.to_string()))
}
