//! Reading single values and keeping count of the mistakes.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::Mistake;
use crate::env::{Variable, Variables};

/// Longest time a setting may name: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

/// Reads variables; a mistake is noted and the reading goes on.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    variables: &'a Variables,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(variables: &'a Variables) -> Self {
        Self { variables, mistakes: Vec::new() }
    }

    /// What was wrong.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    /// Notes a mistake.
    pub(crate) fn mistake(&mut self, variable: &Variable, reason: impl Into<String>) {
        let mistake = Mistake::new(variable, reason);
        // Both planes may read the same variable.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// A text as it is.
    pub(crate) fn text(&self, variable: &Variable) -> Option<&'a str> {
        self.variables.get(variable)
    }

    /// Whatever `parse` makes of a set value.
    pub(crate) fn parsed<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&'a str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.text(variable)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.mistake(variable, reason);
                None
            }
        }
    }

    /// A yes or no.
    pub(crate) fn flag(&mut self, variable: &Variable, default: bool) -> bool {
        self.parsed(variable, |text| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("{} is neither `true` nor `false`", quoted(text))),
        })
        .unwrap_or(default)
    }

    /// A whole number within bounds.
    pub(crate) fn integer<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        variable: &Variable,
        bounds: (T, T),
    ) -> Option<T> {
        self.parsed(variable, |text| {
            let (least, most) = bounds;
            let number = text.trim().parse::<T>().ok().filter(|number| least <= *number && *number <= most);
            number.ok_or_else(|| format!("{} is not a whole number from {least} to {most}", quoted(text)))
        })
    }

    /// A number of seconds, which may be zero.
    pub(crate) fn seconds_or_zero(&mut self, variable: &Variable) -> Option<Duration> {
        let zero = self.text(variable).is_some_and(|text| text.trim().parse() == Ok(0.0_f64));
        if zero { Some(Duration::ZERO) } else { self.seconds(variable) }
    }

    /// A positive number of seconds.
    pub(crate) fn seconds(&mut self, variable: &Variable) -> Option<Duration> {
        self.parsed(variable, |text| {
            let seconds: f64 =
                text.trim().parse().map_err(|_| format!("{} is not a number of seconds", quoted(text)))?;
            if !(seconds > 0.0 && seconds <= MAX_SECONDS) {
                return Err(format!("{} is not a positive, finite number of seconds", quoted(text)));
            }
            let duration = Duration::from_secs_f64(seconds);
            if duration.is_zero() { Err("is too short".to_owned()) } else { Ok(duration) }
        })
    }

    /// One of several words, in any case.
    pub(crate) fn word<T: Copy>(&mut self, variable: &Variable, words: &[(&str, T)], default: T) -> T {
        self.parsed(variable, |text| one_of(text, words)).unwrap_or(default)
    }

    /// A JSON list of texts.
    pub(crate) fn texts(&mut self, variable: &Variable) -> Vec<String> {
        self.parsed(variable, |text| {
            serde_json::from_str(text).map_err(|_| "is not a JSON list of texts".to_owned())
        })
        .unwrap_or_default()
    }
}

/// Finds a word among those allowed.
pub(crate) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("{} is not one of {}", quoted(text), all.join(", "))
    })
}

/// A value for a message: in backticks, printable, cut where it is long. Never used for secrets.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
}
