//! OAuth client credentials in admin messages: they go in and come out without the secret.

use tonic::Status;
use toolplane_proto::admin;
use toolplane_registry::OAuth;
use toolplane_registry::oauth::Part;

use super::status::invalid;

/// Puts what a message sets over what there is: all of it, or the part that an update mask names.
pub(super) fn put(oauth: &mut OAuth, message: &admin::Upstream, part: Option<Part>) -> Result<(), Status> {
    let given = message.oauth.as_ref().map(OAuth::try_from).transpose();
    let given = given.map_err(|error| invalid(Part::AuthMethod.path(), error))?.unwrap_or_default();
    match part {
        None => *oauth = given,
        // It was a setting before, so it is one still.
        Some(part) => _ = oauth.put(part, given.get(part).map(ToOwned::to_owned)),
    }
    Ok(())
}

/// Why an upstream that keeps its client secret must be given it again: it goes to another address now, or a token that
/// it obtains does. `names` tells which fields are changed.
pub(super) fn stays_behind(
    oauth: &OAuth,
    names: impl Fn(&str) -> bool,
    moves: Option<&str>,
) -> Result<(), Status> {
    let moves = if names(Part::TokenUrl.path()) { Some("token_url") } else { moves };
    let is_given = names("oauth") || names(Part::ClientSecret.path());
    let Some(moves) = moves.filter(|_| oauth.client_secret.is_some() && !is_given) else { return Ok(()) };
    let reason = format!("must be given again (or `oauth` removed) together with a new {moves}");
    Err(invalid(Part::ClientSecret.path(), reason))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;

    #[test]
    fn a_secret_stays_behind_wherever_it_or_its_tokens_would_go_elsewhere() {
        let held = OAuth { client_secret: Some(Secret::new("s".to_owned())), ..OAuth::default() };
        let refused = |oauth: &OAuth, paths: &[&str], moves| {
            stays_behind(oauth, |name| paths.contains(&name), moves).is_err()
        };
        assert!(refused(&held, &["oauth.token_url"], None));
        assert!(refused(&held, &["url"], Some("url")));
        assert!(!refused(&held, &["oauth.token_url", "oauth.client_secret"], None));
        assert!(!refused(&held, &["url", "oauth.client_secret"], Some("url")));
        assert!(!refused(&held, &["url", "oauth"], Some("url")), "given as a whole, or removed");
        assert!(!refused(&held, &["oauth.scope", "description"], None));
        assert!(!refused(&OAuth::default(), &["url"], Some("url")));
    }
}
