//! Puts in the values of headers: from variables and files, both of which the caller reads.

use std::io;
use std::path::Path;

use toolplane_registry::Secret;
use toolplane_upstream::auth;

use super::{Header, Manifest, Mistake, Source};

/// Where values are looked up.
pub(crate) trait Values {
    /// A set environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file, relative to the folder of the manifest that names it.
    fn file(&self, manifest: &str, path: &Path) -> io::Result<String>;
}

/// Replaces every reference by its value and checks every header. Returns the mistakes, and warnings about
/// values that are written out.
pub(crate) fn resolve(manifest: &mut Manifest, values: &dyn Values) -> (Vec<Mistake>, Vec<Mistake>) {
    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    let headers = manifest.upstreams.iter_mut().filter_map(|upstream| upstream.headers.as_mut());
    for header in headers.flatten() {
        if matches!(header.value, Source::Given(_)) {
            let advice = "is written out; a reference, `{env: NAME}` or `{file: PATH}`, keeps it secret";
            warnings.push(header.place.mistake(format!("header `{}` {advice}", header.name)));
        }
        match value(header, values) {
            Ok(resolved) => header.value = resolved,
            Err(reason) => {
                mistakes.push(header.place.mistake(format!("header `{}`: {reason}", header.name)));
            }
        }
    }
    (mistakes, warnings)
}

fn value(header: &Header, values: &dyn Values) -> Result<Source, String> {
    let value = match &header.value {
        Source::Unchanged => None,
        Source::Given(value) => Some(value.expose().clone()),
        Source::Env(name) => {
            Some(values.variable(name).ok_or_else(|| format!("the variable `{name}` is not set"))?)
        }
        Source::File(path) => Some(values.file(&header.place.file, path).map_err(|error| {
            let reason = format!("the file `{}` cannot be read", path.display());
            format!("{reason}: {error}")
        })?),
    };
    let value = value.map(|value| value.trim().to_owned());
    auth::check_header(&header.name, value.as_deref().unwrap_or_default())
        .map_err(|rejection| rejection.reason)?;
    match value {
        None => Ok(Source::Unchanged),
        Some(value) if value.is_empty() => Err("has no value".to_owned()),
        Some(value) => Ok(Source::Given(Secret::new(value))),
    }
}

#[cfg(test)]
mod tests;
