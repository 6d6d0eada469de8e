//! Hooks: services that a node asks, and Python modules that it runs.

mod python;
mod rules;
mod service;

use std::path::Path;

use tokio::sync::watch;
use toolplane_data_plane::Address;
use toolplane_data_plane::hooks::{Configured, Keep, Place, Rules, Service};

use super::Reader;
use crate::env;

pub(crate) use self::python::{Planes, Python, ignored_token_provider};
pub(crate) use self::rules::rules;
pub(crate) use self::service::services;

/// The name of the Python modules among the hooks.
const PYTHON: &str = "python";

/// The Python modules among the hooks of a node, once they are served; by the process of that instance alone.
pub(crate) fn python(socket: &Path, rules: Rules, instance: watch::Receiver<String>) -> Configured {
    let service = Service::at(Address::Unix(socket.to_owned()));
    let place = Place::Service(Service { instance: Some(instance), ..service });
    Configured { name: PYTHON.to_owned(), place, rules }
}

/// How much of what callers may see is kept.
pub(crate) fn keep(reader: &mut Reader<'_>) -> Keep {
    let defaults = Keep::default();
    Keep {
        max_age: reader.seconds_or_zero(&env::HOOKS_KEEP_VISIBILITY).unwrap_or(defaults.max_age),
        max_tools: reader.integer(&env::HOOKS_KEEP_TOOLS, (0, 1 << 28)).unwrap_or(defaults.max_tools),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Variables;

    /// What is read from these variables, and the mistakes in them.
    pub(super) fn read<T>(variables: &Variables, read: impl FnOnce(&mut Reader<'_>) -> T) -> (T, String) {
        let mut reader = Reader::new(variables);
        let value = read(&mut reader);
        let mistakes: Vec<String> = reader.into_mistakes().iter().map(ToString::to_string).collect();
        (value, mistakes.join("\n"))
    }
}
