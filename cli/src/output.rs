//! The one door to the terminal: stdout is data, stderr is talk.
//!
//! Commands hand over rows or values; nothing else in this program prints. Colors are for people at a terminal
//! that did not set `NO_COLOR`.

mod progress;
pub(crate) mod table;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::env::{self, Variables};
use crate::exit::Failure;
pub(crate) use progress::Progress;
pub(crate) use table::Table;

/// How data are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

/// Prints a value as JSON, or as whatever `people` makes of it.
pub(crate) fn data<T: Serialize>(
    format: Format,
    value: &T,
    people: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    match format {
        Format::Table => text(&people(value)),
        Format::Json => json(value),
    }
}

/// Prints a value as indented JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    text(&serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}

/// Prints a text to stdout and ends its last line.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Says something to whoever is watching; where stderr is closed nobody is.
pub(crate) fn say(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Says why a command failed, with its hints.
pub(crate) fn failure(failure: &Failure) {
    for message in &failure.messages {
        say(&format!("error: {message}"));
    }
    for hint in &failure.hints {
        say(&format!("hint: {hint}"));
    }
}

/// Asks before something is destroyed; without a terminal only `--yes` will do.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!("{question} Nobody can be asked without a terminal"))
            .hint("repeat the command with `--yes`"));
    }
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    drop(err);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was changed")),
    }
}

/// Whether log lines and the demo may use colors.
pub(crate) fn colors(variables: &Variables) -> bool {
    io::stderr().is_terminal() && variables.get(&env::NO_COLOR).is_none()
}
