//! What reaches the screen: faults, notes, progress, tables.
//!
//! *Invariants*: the format never depends on the terminal, only colour, width and progress do.
//!
//! *Not here*: what is printed by single verbs.

mod progress;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use wire::client::TOKEN_VARIABLE;
use wire::fault::{Fault, FaultKind};

use crate::args::{Color, Global, Output};
use crate::config::{Setting, Settings};

pub(crate) use progress::Progress;
pub(crate) use table::{Align, Table, bytes, count};

/// How this process speaks to its user.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    pub(crate) output: Output,
    quiet: bool,
    verbose: u8,
    progress: bool,
    yes: bool,
    color: Color,
}

impl Screen {
    pub(crate) fn new(global: &Global, settings: &Settings) -> Self {
        Self {
            output: settings.output.value,
            quiet: global.quiet,
            verbose: global.verbose,
            progress: !global.no_progress && !global.quiet,
            yes: global.yes,
            color: global.color,
        }
    }

    /// Writes a note to stderr unless `--quiet`.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            to_stderr(text.as_ref());
        }
    }

    /// Says on stderr that a list is empty, and what to try: that is an answer, and no failure.
    pub(crate) fn none(&self, what: &str, step: &str) {
        self.note(format!("no {what}; try: {step}"));
    }

    /// Writes a note to stderr if `--verbose`.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        if self.verbose > 0 {
            to_stderr(text.as_ref());
        }
    }

    /// Tells whether questions are answered yes beforehand.
    pub(crate) fn says_yes(&self) -> bool {
        self.yes
    }

    /// Tells whether progress is wanted.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Returns the number of times `--verbose` was given.
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Tells whether what is written to stderr is coloured.
    pub(crate) fn colours(&self) -> bool {
        colours(self.color)
    }

    /// Asks before something is done that cannot be undone; with `--yes` it is done.
    ///
    /// # Errors
    /// Nobody can answer here, or the answer is no.
    pub(crate) fn confirm(&self, what: &str) -> Result<(), Fault> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let told = format!("to {what} is asked about, and nobody can answer here");
            return Err(Fault::new(FaultKind::Usage, told)
                .because("it cannot be undone")
                .try_("the same command with --yes, or with --dry-run"));
        }
        to_stderr(&format!("{what}? This cannot be undone. [y/N]"));
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(Fault::new(FaultKind::Refused, "nothing was done").because("it was not confirmed"))
    }

    /// Writes one value as JSON: pretty for `json`, one line for `ndjson`.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        let text = if self.output == Output::Ndjson {
            serde_json::to_string(value)
        } else {
            serde_json::to_string_pretty(value)
        };
        match text {
            Ok(text) => line(&text),
            Err(e) => to_stderr(&format!("error: the answer is no JSON: {e}")),
        }
    }

    /// Writes one of many values as JSON on a line.
    pub(crate) fn json_line(&self, value: &impl serde::Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => line(&text),
            Err(e) => self.note(format!("error: a line is no JSON: {e}")),
        }
    }

    /// Tells whether the answer is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.output, Output::Json | Output::Ndjson)
    }
}

/// Writes one line of data to stdout; a closed pipe ends the process quietly, as users expect.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes one line to stderr; there is nowhere to report a failure of that.
pub(crate) fn to_stderr(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Prints a fault and returns its exit code.
pub(crate) fn fault(fault: &Fault, global: &Global) -> ExitCode {
    let code = ExitCode::from(fault.kind.exit_code());
    if matches!(global.output, Some(Output::Json | Output::Ndjson)) {
        let text = serde_json::to_string(fault).unwrap_or_else(|_| fault.what.clone());
        to_stderr(&text);
        return code;
    }
    let (red, bold, plain) = if colours(global.color) {
        ("\x1b[1;31m", "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    to_stderr(&format!("{red}error:{plain} {bold}{}{plain}", fault.what));
    for reason in &fault.because {
        to_stderr(&format!("  because {reason}"));
    }
    if let Some(step) = &fault.try_ {
        to_stderr(&format!("  try: {step}"));
    }
    code
}

/// Tells whether stderr is coloured: as was said, else where a terminal shows it.
fn colours(wish: Color) -> bool {
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            std::io::stderr().is_terminal() && !unwanted
        }
    }
}

/// Returns the first few of many names, and how many more there are.
pub(crate) fn some_of<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown = names.iter().take(most).map(AsRef::as_ref);
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Prints each setting and where it came from.
pub(crate) fn origins(settings: &Settings) -> ExitCode {
    let cluster = settings
        .cluster
        .value
        .as_deref()
        .unwrap_or("(none: embedded store)");
    line(&format!(
        "cluster  {cluster}  [{}]",
        settings.cluster.origin
    ));
    line(&format!(
        "data     {}  [{}]",
        settings.data.value.display(),
        settings.data.origin
    ));
    let path = |name: &str, setting: &Setting<Option<PathBuf>>, none: &str| {
        let shown = setting.value.as_ref().map(|p| p.display().to_string());
        let shown = shown.unwrap_or_else(|| none.to_owned());
        line(&format!("{name}  {shown}  [{}]", setting.origin));
    };
    // Where the token comes from, never the token.
    if settings.token_file.value.is_none() && std::env::var_os(TOKEN_VARIABLE).is_some() {
        line(&format!("token    (not shown)  [{TOKEN_VARIABLE}]"));
    } else {
        path("token  ", &settings.token_file, "(none)");
    }
    path("ca     ", &settings.ca, "(the system's)");
    let output = format!("{:?}", settings.output.value).to_lowercase();
    line(&format!("output   {output}  [{}]", settings.output.origin));
    ExitCode::SUCCESS
}

/// Prints completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell, mut command: clap::Command) -> ExitCode {
    clap_complete::generate(shell, &mut command, "glebe", &mut std::io::stdout());
    ExitCode::SUCCESS
}

/// Prints the manual page (roff).
pub(crate) fn man(command: clap::Command) -> ExitCode {
    let rendered = clap_mangen::Man::new(command).render(&mut std::io::stdout());
    ExitCode::from(u8::from(rendered.is_err()))
}
