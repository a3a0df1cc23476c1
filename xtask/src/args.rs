//! The command line of `cargo xtask`.
//!
//! *Invariants*: an unknown word is an error, never ignored.
//!
//! *Not here*: what the verbs do.

use std::path::PathBuf;

use crate::ci::Extent;
use crate::fuzz;
use crate::setup::Depth;
use crate::trouble::{Result, Trouble};

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
cargo xtask setup [--verify]        install what builds and tests need; quick when all is there
                                    (--verify: read every unpacked file again)
cargo xtask test [--nightly]        setup, format, build, lints, tidy, licences, all tests
                                    (--nightly: the long checks too)
cargo xtask demo [--scenes DIR]     the whole job on three nodes of this machine, with synthetic
                                    scenes or those of DIR
cargo xtask bench NAME [--json F]   run one benchmark; F takes the rows as JSON
cargo xtask fuzz [TARGET] [--seconds N]
                                    feed readers of foreign bytes; all targets, 600 s each
cargo xtask tidy                    layering, sizes, names and words of the source";

/// One parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Print [`HELP`].
    Help,
    /// Install what is missing.
    Setup(Depth),
    /// All checks.
    Test(Extent),
    /// The main job end to end.
    Demo {
        /// The user's scenes instead of synthetic ones.
        scenes: Option<PathBuf>,
    },
    /// One benchmark.
    Bench {
        /// The benchmark's name.
        name: String,
        /// Where its rows go as JSON.
        json: Option<PathBuf>,
    },
    /// Fuzz targets.
    Fuzz {
        /// The one to run; all of them if absent.
        target: Option<String>,
        /// Seconds each.
        seconds: u32,
    },
    /// The checks of the source text.
    Tidy,
}

/// Parses the words after `cargo xtask`.
pub(crate) fn parse(words: &[String]) -> Result<Verb> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => Ok(Verb::Help),
        ["setup"] => Ok(Verb::Setup(Depth::Quick)),
        ["setup", "--verify"] => Ok(Verb::Setup(Depth::Verify)),
        ["test"] => Ok(Verb::Test(Extent::Daily)),
        ["test", "--nightly"] => Ok(Verb::Test(Extent::Nightly)),
        ["demo"] => Ok(Verb::Demo { scenes: None }),
        ["demo", "--scenes", folder] => Ok(Verb::Demo {
            scenes: Some(PathBuf::from(folder)),
        }),
        ["bench", name] => bench(name, None),
        ["bench", name, "--json", file] | ["bench", "--json", file, name] => {
            bench(name, Some(PathBuf::from(file)))
        }
        ["fuzz", rest @ ..] => fuzzing(rest),
        ["tidy"] => Ok(Verb::Tidy),
        other => Err(unknown(&other.join(" "))),
    }
}

fn bench(name: &str, json: Option<PathBuf>) -> Result<Verb> {
    if name.starts_with('-') {
        return Err(unknown(&format!("bench {name}")));
    }
    Ok(Verb::Bench {
        name: name.to_owned(),
        json,
    })
}

fn fuzzing(words: &[&str]) -> Result<Verb> {
    let wrong = || unknown(&format!("fuzz {}", words.join(" ")));
    let (target, seconds) = match words {
        [] => (None, None),
        ["--seconds", n] => (None, Some(n)),
        [target] if !target.starts_with('-') => (Some(*target), None),
        [target, "--seconds", n] if !target.starts_with('-') => (Some(*target), Some(n)),
        _ => return Err(wrong()),
    };
    let seconds = seconds.map_or(Ok(fuzz::SECONDS), |n| n.parse().map_err(|_| wrong()))?;
    Ok(Verb::Fuzz {
        target: target.map(str::to_owned),
        seconds,
    })
}

fn unknown(line: &str) -> Trouble {
    Trouble::new(
        format!("`cargo xtask {line}` is not understood"),
        "the verb, or a word after it, is not known",
        "cargo xtask help",
    )
}

#[cfg(test)]
mod tests {
    use super::{Verb, parse};
    use crate::ci::Extent;
    use crate::setup::Depth;

    fn check(line: &str, verb: Option<&Verb>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(parse(&words).ok().as_ref(), verb, "{line}");
    }

    #[test]
    fn verbs_and_flags_are_told_apart() {
        check("", Some(&Verb::Help));
        check("setup", Some(&Verb::Setup(Depth::Quick)));
        check("setup --verify", Some(&Verb::Setup(Depth::Verify)));
        check("test --nightly", Some(&Verb::Test(Extent::Nightly)));
        let scenes = Some("mine".into());
        check("demo --scenes mine", Some(&Verb::Demo { scenes }));
        let json = Some("rows.json".into());
        let bench = Verb::Bench {
            name: "ingest".to_owned(),
            json,
        };
        check("bench ingest --json rows.json", Some(&bench));
        check("bench --json rows.json ingest", Some(&bench));
        let fuzz = |target: Option<&str>, seconds| Verb::Fuzz {
            target: target.map(str::to_owned),
            seconds,
        };
        check("fuzz", Some(&fuzz(None, super::fuzz::SECONDS)));
        check("fuzz words --seconds 5", Some(&fuzz(Some("words"), 5)));
    }

    #[test]
    fn unknown_words_are_errors() {
        check("setup --fast", None);
        check("bench", None);
        check("bench --json", None);
        check("demo --scenes", None);
        check("fuzz words --seconds soon", None);
        check("tset", None);
    }
}
