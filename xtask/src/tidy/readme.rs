//! The commands that the README shows exist, with their flags.
//!
//! *Invariants*: every line of a code block that starts with `glebe` or `cargo xtask` is checked;
//! where `glebe` is not built that is said aloud, never passed over.
//!
//! *Not here*: whether the commands do what the README says (the demo).

use std::path::Path;

use super::finding::Finding;
use super::tree::Tree;
use crate::args;
use crate::command::{ask, command};
use crate::say;
use crate::workspace::Workspace;

const README: &str = "README.md";

/// Deepest nesting of verbs: `glebe node repair`.
const VERBS_MAX: usize = 2;

/// Checks the README's commands.
pub(crate) fn check(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(README) else {
        say::note("SKIPPED: the README's commands, as there is no README.md");
        return Vec::new();
    };
    let glebe = workspace.binary("glebe");
    if !glebe.is_file() {
        say::note("SKIPPED: the README's glebe commands, as glebe is not built (cargo build)");
    }
    let help = |verbs: &[&str]| help(workspace, &glebe, verbs);
    broken(text, |verbs| {
        if glebe.is_file() {
            Help::Of(help(verbs))
        } else {
            Help::Unknown
        }
    })
}

fn help(workspace: &Workspace, glebe: &Path, verbs: &[&str]) -> Option<String> {
    ask(command(workspace, glebe).args(verbs).arg("--help"))
}

/// What `--help` said of a verb.
#[derive(Debug)]
enum Help {
    /// The program is not there to be asked.
    Unknown,
    /// Its text; `None` when there is no such verb.
    Of(Option<String>),
}

fn broken(readme: &str, help: impl Fn(&[&str]) -> Help) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in commands(readme) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fault = match words.as_slice() {
            ["cargo", "xtask", rest @ ..] => own(rest),
            ["glebe", rest @ ..] => glebe(rest, &help),
            _ => None,
        };
        findings
            .extend(fault.map(|fault| Finding::new(README, line, format!("`{text}`: {fault}"))));
    }
    findings
}

/// Returns the command lines in code blocks, continued lines joined, what follows a pipe left out.
fn commands(readme: &str) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut continued) = (false, false);
    for (index, line) in readme.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            (inside, continued) = (!inside, false);
            continue;
        }
        let text = line.trim().trim_start_matches("$ ").trim_end_matches('\\');
        match commands.last_mut() {
            Some((_, command)) if continued => *command = format!("{command} {text}"),
            _ if inside => commands.push((index + 1, text.to_owned())),
            _ => {}
        }
        continued = inside && line.ends_with('\\');
    }
    let cut = |text: &str| {
        text.split(['|', '>', '#', ';', '&'])
            .next()
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    commands
        .into_iter()
        .map(|(line, text)| (line, cut(&text)))
        .collect()
}

fn own(words: &[&str]) -> Option<String> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    args::parse(&words)
        .err()
        .map(|_| "xtask does not understand it".to_owned())
}

/// Returns what `glebe WORDS…` gets wrong.
fn glebe(words: &[&str], help: impl Fn(&[&str]) -> Help) -> Option<String> {
    let plain = words
        .iter()
        .take_while(|word| is_verb(word))
        .count()
        .min(VERBS_MAX);
    let Help::Of(global) = help(&[]) else {
        return None;
    };
    let mut text = global.unwrap_or_default();
    for depth in 1..=plain {
        let verb = words[depth - 1];
        if !lists_verb(&text, verb) {
            // Below the first verb, a word may as well be an argument.
            if depth == 1 {
                return Some(format!("there is no verb {verb}"));
            }
            break;
        }
        match help(&words[..depth]) {
            Help::Of(Some(deeper)) => text = deeper,
            _ => return Some(format!("{verb} --help fails")),
        }
    }
    let flags = words.iter().filter(|word| is_flag(word));
    let mut flags = flags.map(|flag| flag.split('=').next().unwrap_or(flag));
    flags
        .find(|flag| !lists_flag(&text, flag))
        .map(|flag| format!("no flag {flag}"))
}

fn is_verb(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
}

/// Tells a flag from a negative number and from a dash that stands for standard input.
fn is_flag(word: &str) -> bool {
    word.starts_with('-')
        && word
            .trim_start_matches('-')
            .starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Tells whether a help text lists `verb` among its commands.
fn lists_verb(help: &str, verb: &str) -> bool {
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut listed = commands.take_while(|line| line.is_empty() || line.starts_with("  "));
    listed.any(|line| line.split_whitespace().next() == Some(verb))
}

fn lists_flag(help: &str, flag: &str) -> bool {
    help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .any(|word| word == flag)
}

#[cfg(test)]
mod tests {
    use super::{Help, broken};

    const GLOBAL: &str =
        "Usage: glebe\n\nCommands:\n  search  Finds\n  node    Nodes\n\nOptions:\n";
    const NODE: &str = "Usage: glebe node\n\nCommands:\n  list  Lists\n\nOptions:\n";

    fn check(lines: &str, findings: usize) {
        let readme = format!("glebe is text here\n\n```sh\n{lines}\n```\nglebe again\n");
        let found = broken(&readme, |verbs| {
            Help::Of(match verbs {
                [] => Some(GLOBAL.to_owned()),
                ["search"] => Some("Options:\n  -o, --output <O>\n      --limit <N>\n".to_owned()),
                ["node"] => Some(NODE.to_owned()),
                ["node", "list"] => Some("Options:\n      --all\n".to_owned()),
                _ => None,
            })
        });
        assert_eq!(found.len(), findings, "{lines}: {found:?}");
    }

    #[test]
    fn verbs_and_flags_that_exist_pass() {
        check("$ glebe search --limit 3 -o json | jq .  # glebe fly", 0);
        check("glebe node list --all", 0);
        check("glebe search - -9.1,38 --limit 2", 0);
        check("glebe search \\\n  --limit=3", 0);
        check("cargo xtask test --nightly\ncargo build", 0);
    }

    #[test]
    fn verbs_and_flags_that_do_not_exist_are_found() {
        check("glebe serach --limit 3", 1);
        check("glebe search --limits 3", 1);
        check("glebe search -x json", 1);
        check("glebe search \\\n  --max 3", 1);
        check("glebe node list --limit", 1);
        check("cargo xtask tset\nglebe fly", 2);
    }

    #[test]
    fn without_the_program_only_its_own_commands_are_checked() {
        let readme = "```\nglebe fly\ncargo xtask fly\n```\n";
        assert_eq!(broken(readme, |_| Help::Unknown).len(), 1);
    }
}
