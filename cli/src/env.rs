//! Every environment variable: its name, what it does, its default.
//!
//! The only module that reads the environment. The reference table of `docs/OPERATIONS.md` is made from
//! [`ALL`], and a test fails where the two differ.

mod list;

use std::collections::BTreeMap;
use std::ffi::OsString;

pub(crate) use list::*;

/// Who reads a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBy {
    /// Whatever runs.
    Everything,
    /// The control plane, and `standalone`.
    ControlPlane,
    /// A data-plane node, and `standalone`.
    Node,
    /// Both planes, and `standalone`.
    Planes,
    /// The operator's commands.
    Commands,
    /// Nobody: setting it is a mistake.
    Nobody,
}

/// An environment variable.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the reference page is made from these, by a test"))]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, in a sentence or two.
    pub(crate) doc: &'static str,
    /// What holds where it is unset, in words; empty where nothing does.
    pub(crate) default: &'static str,
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    /// Who reads it.
    pub(crate) reader: ReadBy,
}

/// The environment as it was at the start. An empty or blank variable counts as unset.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The environment of this process. Values that are no text are kept out and named by the second part.
    pub(crate) fn of_process() -> (Self, Vec<String>) {
        Self::split(std::env::vars_os())
    }

    /// A set value.
    pub(crate) fn get(&self, variable: &Variable) -> Option<&str> {
        self.named(variable.name)
    }

    /// A set value of a variable that an operator named.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Names in our name spaces that mean nothing to this release, most likely misspelled.
    pub(crate) fn unknown(&self) -> Vec<&str> {
        let ours = |name: &&String| name.starts_with("GATEWAY_") || name.starts_with("TOOLPLANE_");
        let known = |name: &&String| ALL.iter().any(|variable| variable.name == name.as_str());
        self.0.keys().filter(ours).filter(|name| !known(name)).map(String::as_str).collect()
    }

    fn split(variables: impl IntoIterator<Item = (OsString, OsString)>) -> (Self, Vec<String>) {
        let (mut texts, mut others) = (BTreeMap::new(), Vec::new());
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => drop(texts.insert(name, value)),
                Err(_) => others.push(name),
            }
        }
        others.retain(|name| ALL.iter().any(|variable| variable.name == name));
        (Self(texts), others)
    }
}

/// Values may be secrets.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests;
