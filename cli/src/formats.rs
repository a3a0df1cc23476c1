//! In which formats a verb can answer.
//!
//! *Invariants*: a format that a verb cannot print is refused before anything is done, whoever
//! asked for it: no script takes a table for CSV.
//!
//! *Not here*: printing (`print`, the verbs).

use clap::ValueEnum as _;
use wire::fault::{Fault, FaultKind};

use crate::args::{Output, Verb};
use crate::config::Setting;

/// Of verbs whose answer is rows of splits with a place each.
const OF_SPLITS: &[Output] = &[
    Output::Table,
    Output::Json,
    Output::Ndjson,
    Output::Csv,
    Output::Geojson,
    Output::Id,
];
/// Of a verb that makes splits.
const OF_INGEST: &[Output] = &[Output::Table, Output::Json, Output::Ndjson, Output::Id];
/// Of all others.
const USUAL: &[Output] = &[Output::Table, Output::Json, Output::Ndjson];

/// Returns the formats that a verb prints.
fn of(verb: &Verb) -> &'static [Output] {
    match verb {
        Verb::Search(_) => OF_SPLITS,
        Verb::Ingest(_) => OF_INGEST,
        Verb::Up(_)
        | Verb::Get(_)
        | Verb::Compose(_)
        | Verb::Train(_)
        | Verb::Predict(_)
        | Verb::Status
        | Verb::Doctor
        | Verb::Synth(_)
        | Verb::Simulate(_)
        | Verb::Node(_)
        | Verb::Collection(_)
        | Verb::Job(_)
        | Verb::Model(_)
        | Verb::Region(_)
        | Verb::Cluster(_)
        | Verb::Completions { .. }
        | Verb::Man => USUAL,
    }
}

/// Refuses a format that a verb cannot print.
///
/// # Errors
/// Such a format, with those that it has.
pub(crate) fn check(verb: &Verb, asked: &Setting<Output>) -> Result<(), Fault> {
    let formats = of(verb);
    if formats.contains(&asked.value) {
        return Ok(());
    }
    let what = format!("this verb does not print {}", word(asked.value));
    let words: Vec<String> = formats.iter().map(|format| word(*format)).collect();
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!("{} asks for it", asked.origin))
        .try_(format!("-o with one of {}", words.join(", "))))
}

fn word(format: Output) -> String {
    let value = format.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn asked(words: &str, value: Output) -> Result<(), Fault> {
        let cli = Cli::parse_from(words.split(' '));
        let origin = "--output".to_owned();
        check(&cli.verb, &Setting { value, origin })
    }

    #[test]
    fn a_verb_takes_the_formats_that_it_prints_and_names_them() {
        for format in Output::value_variants() {
            asked("glebe search", *format).unwrap();
        }
        for format in USUAL {
            asked("glebe model list", *format).unwrap();
        }
        asked("glebe ingest .", Output::Id).unwrap();
        let fault = asked("glebe ingest .", Output::Csv).unwrap_err();
        let step = "-o with one of table, json, ndjson, id";
        assert_eq!(fault.try_.as_deref(), Some(step));
        for words in ["glebe get -O x", "glebe status", "glebe node list"] {
            let fault = asked(words, Output::Id).unwrap_err();
            assert_eq!(fault.kind.exit_code(), 2);
            assert!(fault.what.ends_with("does not print id"), "{fault:?}");
        }
    }
}
