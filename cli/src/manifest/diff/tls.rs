//! TLS settings of an upstream: they go in and never come out, and each changes by itself.

use toolplane_proto::admin as wire;
use toolplane_registry::tls::Part;
use toolplane_registry::{Secret, Tls};
use toolplane_upstream::tls::{self, Certificate};

use super::super::{Mistake, Source, Upstream};
use super::Edit;

/// What is said of what has no name.
const SET: &str = "set";

/// How the settings change.
pub(super) fn change(wanted: &Upstream, held: Option<&wire::Upstream>) -> Result<Vec<Edit>, Vec<Mistake>> {
    let none = wire::UpstreamTls::default();
    let current = held.and_then(|held| held.tls.as_ref()).unwrap_or(&none);
    let moved = held.is_some_and(|held| held.url != wanted.url);
    let Some(settings) = &wanted.tls else {
        let stays_behind = moved && current.client.is_some();
        return if stays_behind { Err(vec![again(wanted)]) } else { Ok(Vec::new()) };
    };
    let (mut edits, mut mistakes) = (Vec::new(), Vec::new());
    for part in Part::ALL {
        let from = shown(part, current);
        // Who calls was shown to the address that is left.
        let is_left_behind = moved && part != Part::Ca;
        match settings.settings.get(&part).map(|setting| (&setting.place, &setting.value)) {
            None => edits.extend(from.map(|from| Edit::new(part.path(), from, ""))),
            Some((place, Source::Unchanged)) if from.is_none() => {
                mistakes
                    .push(place.mistake(format!("`{}` has no value that could stay unchanged", part.path())));
            }
            Some((_, Source::Unchanged)) if is_left_behind => mistakes.push(again(wanted)),
            Some((_, Source::Given(value))) => {
                let uncertain = from.is_some() && !is_left_behind;
                let from = from.unwrap_or_default();
                edits.push(Edit { uncertain, ..Edit::new(part.path(), from, described(part, value)) });
            }
            // Stays as it is; the other two were replaced by what they lead to.
            Some((_, Source::Unchanged | Source::Env(_) | Source::File(_))) => {}
        }
    }
    mistakes.dedup();
    if mistakes.is_empty() { Ok(edits) } else { Err(mistakes) }
}

/// What is to be set, for the wire.
pub(super) fn wanted(upstream: &Upstream) -> Option<wire::UpstreamTls> {
    let settings = &upstream.tls.as_ref()?.settings;
    let text = |part: Part| match settings.get(&part).map(|setting| &setting.value) {
        Some(Source::Given(value)) => value.expose().clone(),
        Some(Source::Env(_) | Source::File(_) | Source::Unchanged) | None => String::new(),
    };
    Some(wire::UpstreamTls {
        ca: text(Part::Ca),
        client_certificate: text(Part::ClientCertificate),
        client_key: text(Part::ClientKey),
        ..wire::UpstreamTls::default()
    })
}

/// What is set, in words.
fn shown(part: Part, tls: &wire::UpstreamTls) -> Option<String> {
    let subjects = |all: &[wire::Certificate]| subjects(all.iter().map(|one| one.subject.as_str()));
    match part {
        Part::Ca => subjects(&tls.authorities),
        Part::ClientCertificate => subjects(tls.client.as_slice()),
        Part::ClientKey => tls.client.as_ref().map(|_| SET.to_owned()),
    }
}

/// The same of what is to be set. Whether it holds is for the control plane to say.
fn described(part: Part, value: &Secret) -> String {
    let mut settings = Tls::default();
    settings.put(part, Some(value.clone()));
    let tls::Description { authorities, client } = tls::describe(&settings);
    let all: Vec<Certificate> = authorities.into_iter().chain(client).collect();
    subjects(all.iter().map(|one| one.subject.as_str())).unwrap_or_else(|| SET.to_owned())
}

/// Whose certificates these are; nothing where there is none.
fn subjects<'a>(mut all: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let first = match all.next()? {
        "" => SET,
        name => name,
    };
    Some(match all.len() {
        0 => first.to_owned(),
        more => format!("{first} and {more} more"),
    })
}

fn again(wanted: &Upstream) -> Mistake {
    let reason = "a new `url` needs `tls.client_certificate` and `tls.client_key` again (or `tls` without them): \
                  they were given for the address that is left";
    wanted.place.mistake(format!("upstream `{}`: {reason}", wanted.domain))
}

#[cfg(test)]
mod tests;
