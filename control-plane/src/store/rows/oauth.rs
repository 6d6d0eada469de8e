//! OAuth client credentials of an upstream as a column: a sealed JSON object of what was set.

use std::collections::BTreeMap;

use toolplane_registry::OAuth;
use toolplane_registry::oauth::Part;
use toolplane_seal::Key;

use super::Cell;
use crate::store::Error;

/// Absent where nothing is set.
pub(super) fn seal(oauth: &OAuth, domain: &str, key: &Key) -> Option<Vec<u8>> {
    let set: BTreeMap<&str, &str> =
        Part::ALL.into_iter().filter_map(|part| Some((part.name(), oauth.get(part)?))).collect();
    (!set.is_empty())
        .then(|| key.seal(serde_json::json!(set).to_string().as_bytes(), context(domain).as_bytes()))
}

/// A setting that a later release has and this one does not know makes the upstream unreadable: without it a token
/// could be asked for that is good for more than it is to be.
pub(super) fn open(sealed: Option<&[u8]>, cell: Cell<'_>, key: &Key) -> Result<OAuth, Error> {
    let mut oauth = OAuth::default();
    let Some(sealed) = sealed else { return Ok(oauth) };
    let plain = key.open(sealed, context(cell.id).as_bytes()).map_err(|error| cell.bad(error.to_string()))?;
    let text = String::from_utf8(plain).map_err(|_| cell.bad("not UTF-8"))?;
    let set: BTreeMap<String, String> = cell.json(&text)?;
    for (name, value) in set {
        let known = Part::named(&name).is_some_and(|part| oauth.put(part, Some(value)));
        if !known {
            return Err(cell.bad("holds a setting that this release does not know"));
        }
    }
    Ok(oauth)
}

/// What the settings are bound to: neither those of another upstream nor anything else of this one opens here.
fn context(domain: &str) -> String {
    format!("upstream/{domain}/oauth")
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;
    use toolplane_registry::oauth::AuthMethod;

    use super::*;

    fn cell(id: &str) -> Cell<'_> {
        Cell { table: "upstreams", column: "oauth", id }
    }

    #[test]
    fn settings_open_for_their_upstream_and_for_no_other() {
        let key = Key::from_bytes(&[1; 32]);
        let oauth = OAuth {
            token_url: "https://login/token".to_owned(),
            client_id: "gateway".to_owned(),
            client_secret: Some(Secret::new("our secret".to_owned())),
            resource: Some("https://a".to_owned()),
            auth_method: AuthMethod::Post,
            ..OAuth::default()
        };
        let sealed = seal(&oauth, "a", &key).unwrap();
        assert_eq!(open(Some(&sealed), cell("a"), &key).unwrap(), oauth);
        assert!(open(Some(&sealed), cell("b"), &key).is_err());
        assert!(!sealed.windows(10).any(|window| window == b"our secret"));
        let (none, nothing) = (seal(&OAuth::default(), "a", &key), open(None, cell("a"), &key).unwrap());
        assert_eq!((none, nothing), (None, OAuth::default()));
    }

    #[test]
    fn a_setting_of_a_later_release_is_not_left_out() {
        let key = Key::from_bytes(&[1; 32]);
        for set in [r#"{"assertion":"x"}"#, r#"{"auth_method":"private_key_jwt"}"#] {
            let sealed = key.seal(set.as_bytes(), context("a").as_bytes());
            let error = open(Some(&sealed), cell("a"), &key).unwrap_err();
            assert!(error.to_string().contains("does not know"), "{error}");
        }
    }
}
