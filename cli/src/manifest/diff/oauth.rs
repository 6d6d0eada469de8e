//! OAuth client credentials of an upstream: each setting changes by itself, and the secret never comes out.

use toolplane_proto::admin as wire;
use toolplane_registry::OAuth;
use toolplane_registry::oauth::Part;

use super::super::{Mistake, Source, Upstream};
use super::{Edit, address};

/// What is said of the secret.
const SET: &str = "set";

/// How the settings change.
pub(super) fn change(wanted: &Upstream, held: Option<&wire::Upstream>) -> Result<Vec<Edit>, Vec<Mistake>> {
    let said = held.and_then(|held| held.oauth.as_ref());
    // One that cannot be read is another release's: whatever is wanted differs from it.
    let current = said.and_then(|said| OAuth::try_from(said).ok()).unwrap_or_default();
    let has_secret = said.is_some();
    let moves = held.is_some_and(|held| held.url != wanted.url || held.discovery_url != wanted.discovery_url);
    let Some(oauth) = &wanted.oauth else {
        return if moves && has_secret { Err(vec![again(wanted)]) } else { Ok(Vec::new()) };
    };
    let mut edits: Vec<Edit> = Part::ALL
        .into_iter()
        .filter(|part| *part != Part::ClientSecret && current.get(*part) != oauth.settings.get(*part))
        .map(|part| Edit::new(part.path(), shown(part, &current), shown(part, &oauth.settings)))
        .collect();
    let moves = moves || current.token_url != oauth.settings.token_url;
    let secret = Part::ClientSecret.path();
    match oauth.client_secret.as_ref().map(|setting| (&setting.place, &setting.value)) {
        // Nothing is to be set at all.
        None if oauth.settings.is_default() => {
            edits.extend(has_secret.then(|| Edit::new(secret, SET, "")));
        }
        Some((_, Source::Given(_))) => {
            let from = if has_secret { SET } else { "" };
            edits.push(Edit { uncertain: has_secret && !moves, ..Edit::new(secret, from, SET) });
        }
        None | Some((_, Source::Unchanged | Source::Env(_) | Source::File(_))) if has_secret => {
            if moves {
                return Err(vec![again(wanted)]);
            }
        }
        None => {
            let reason =
                format!("upstream `{}`: `oauth` needs `{}`", wanted.domain, Part::ClientSecret.name());
            return Err(vec![wanted.place.mistake(reason)]);
        }
        Some((place, _)) => {
            return Err(vec![place.mistake(format!("`{secret}` has no value that could stay unchanged"))]);
        }
    }
    Ok(edits)
}

/// What is to be set, for the wire.
pub(super) fn wanted(upstream: &Upstream) -> Option<wire::ClientCredentials> {
    let oauth = upstream.oauth.as_ref()?;
    let said = toolplane_proto::oauth::said(&oauth.settings)?;
    let client_secret = match oauth.client_secret.as_ref().map(|setting| &setting.value) {
        Some(Source::Given(secret)) => secret.expose().clone(),
        Some(Source::Env(_) | Source::File(_) | Source::Unchanged) | None => String::new(),
    };
    Some(wire::ClientCredentials { client_secret, ..said })
}

fn shown(part: Part, oauth: &OAuth) -> String {
    let text = oauth.get(part).unwrap_or_default();
    if part == Part::TokenUrl { address(text) } else { text.to_owned() }
}

fn again(wanted: &Upstream) -> Mistake {
    let reason = "a new `url`, `discovery_url` or `oauth.token_url` needs the value of `oauth.client_secret` again \
                  (or `oauth: {}`): it was given for the address that is left";
    wanted.place.mistake(format!("upstream `{}`: {reason}", wanted.domain))
}

#[cfg(test)]
mod tests;
