//! Puts in the values of headers, TLS settings and client secrets: from variables and files, both of which the caller reads.

use std::io;
use std::path::Path;

use toolplane_registry::tls::Part;
use toolplane_registry::{Secret, oauth};
use toolplane_upstream::auth;

use super::{Header, Manifest, Mistake, Place, Source};

/// Where values are looked up.
pub(crate) trait Values {
    /// A set environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file, relative to the folder of the manifest that names it.
    fn file(&self, manifest: &str, path: &Path) -> io::Result<String>;
}

const WRITTEN_OUT: &str = "is written out; a reference, `{env: NAME}` or `{file: PATH}`, keeps it secret";

/// Replaces every reference by its value and checks every header. Returns the mistakes, and warnings about
/// values that are written out.
pub(crate) fn resolve(manifest: &mut Manifest, values: &dyn Values) -> (Vec<Mistake>, Vec<Mistake>) {
    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    for upstream in &mut manifest.upstreams {
        for header in upstream.headers.iter_mut().flatten() {
            let what = format!("header `{}`", header.name);
            if matches!(header.value, Source::Given(_)) {
                warnings.push(header.place.mistake(format!("{what} {WRITTEN_OUT}")));
            }
            match header_value(header, values) {
                Ok(resolved) => header.value = resolved,
                Err(reason) => mistakes.push(header.place.mistake(format!("{what}: {reason}"))),
            }
        }
        for (part, setting) in upstream.tls.iter_mut().flat_map(|tls| &mut tls.settings) {
            let what = format!("`{}`", part.path());
            // Certificates are shown to everybody who connects.
            if *part == Part::ClientKey && matches!(setting.value, Source::Given(_)) {
                warnings.push(setting.place.mistake(format!("{what} {WRITTEN_OUT}")));
            }
            let found = found(&setting.value, &setting.place, values);
            match found.and_then(given) {
                Ok(resolved) => setting.value = resolved,
                Err(reason) => mistakes.push(setting.place.mistake(format!("{what}: {reason}"))),
            }
        }
    }
    for setting in
        manifest.upstreams.iter_mut().filter_map(|upstream| upstream.oauth.as_mut()?.client_secret.as_mut())
    {
        let what = format!("`{}`", oauth::Part::ClientSecret.path());
        if matches!(setting.value, Source::Given(_)) {
            warnings.push(setting.place.mistake(format!("{what} {WRITTEN_OUT}")));
        }
        let found = found(&setting.value, &setting.place, values);
        match found.map(|secret| secret.map(|secret| secret.trim().to_owned())).and_then(given) {
            Ok(resolved) => setting.value = resolved,
            Err(reason) => mistakes.push(setting.place.mistake(format!("{what}: {reason}"))),
        }
    }
    (mistakes, warnings)
}

fn header_value(header: &Header, values: &dyn Values) -> Result<Source, String> {
    let value = found(&header.value, &header.place, values)?.map(|value| value.trim().to_owned());
    auth::check_header(&header.name, value.as_deref().unwrap_or_default())
        .map_err(|rejection| rejection.reason)?;
    given(value)
}

/// What a reference leads to; nothing where the value stays.
fn found(value: &Source, place: &Place, values: &dyn Values) -> Result<Option<String>, String> {
    match value {
        Source::Unchanged => Ok(None),
        Source::Given(value) => Ok(Some(value.expose().clone())),
        Source::Env(name) => {
            Ok(Some(values.variable(name).ok_or_else(|| format!("the variable `{name}` is not set"))?))
        }
        Source::File(path) => values.file(&place.file, path).map(Some).map_err(|error| {
            let reason = format!("the file `{}` cannot be read", path.display());
            format!("{reason}: {error}")
        }),
    }
}

fn given(value: Option<String>) -> Result<Source, String> {
    match value {
        None => Ok(Source::Unchanged),
        Some(value) if value.trim().is_empty() => Err("has no value".to_owned()),
        Some(value) => Ok(Source::Given(Secret::new(value))),
    }
}

#[cfg(test)]
mod tests;
