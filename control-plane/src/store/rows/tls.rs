//! TLS settings of an upstream as a column: a sealed JSON object of what was set.

use std::collections::BTreeMap;

use toolplane_registry::tls::Part;
use toolplane_registry::{Secret, Tls};
use toolplane_seal::Key;

use super::Cell;
use crate::store::Error;

/// Absent where nothing is set.
pub(super) fn seal(tls: &Tls, domain: &str, key: &Key) -> Option<Vec<u8>> {
    let set: BTreeMap<&str, &str> = Part::ALL
        .into_iter()
        .filter_map(|part| Some((part.name(), tls.get(part)?.expose().as_str())))
        .collect();
    (!set.is_empty())
        .then(|| key.seal(serde_json::json!(set).to_string().as_bytes(), context(domain).as_bytes()))
}

/// A setting that a later release has and this one does not know makes the upstream unreadable: without it connections
/// could be less secure than they are to be.
pub(super) fn open(sealed: Option<&[u8]>, cell: Cell<'_>, key: &Key) -> Result<Tls, Error> {
    let mut tls = Tls::default();
    let Some(sealed) = sealed else { return Ok(tls) };
    let plain = key.open(sealed, context(cell.id).as_bytes()).map_err(|error| cell.bad(error.to_string()))?;
    let text = String::from_utf8(plain).map_err(|_| cell.bad("not UTF-8"))?;
    let set: BTreeMap<String, String> = cell.json(&text)?;
    for (name, value) in set {
        let part = Part::ALL.into_iter().find(|part| part.name() == name);
        let part = part.ok_or_else(|| cell.bad("holds a setting that this release does not know"))?;
        tls.put(part, Some(Secret::new(value)));
    }
    Ok(tls)
}

/// What the settings are bound to: neither those of another upstream nor its headers open here.
fn context(domain: &str) -> String {
    format!("upstream/{domain}/tls")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(id: &str) -> Cell<'_> {
        Cell { table: "upstreams", column: "tls", id }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn settings_open_for_their_upstream_and_for_no_other() {
        let key = Key::from_bytes(&[1; 32]);
        let tls = Tls { ca: Some(secret("their ca")), client_key: Some(secret("our key")), ..Tls::default() };
        let sealed = seal(&tls, "a", &key).unwrap();
        assert_eq!(open(Some(&sealed), cell("a"), &key).unwrap(), tls);
        assert!(open(Some(&sealed), cell("b"), &key).is_err());
        assert!(!sealed.windows(7).any(|window| window == b"our key"));
        assert_eq!(
            (seal(&Tls::default(), "a", &key), open(None, cell("a"), &key).unwrap()),
            (None, Tls::default())
        );
    }

    #[test]
    fn a_setting_of_a_later_release_is_not_left_out() {
        let key = Key::from_bytes(&[1; 32]);
        let sealed = key.seal(br#"{"pinned_key":"x"}"#, context("a").as_bytes());
        let error = open(Some(&sealed), cell("a"), &key).unwrap_err();
        assert!(error.to_string().contains("does not know"), "{error}");
    }
}
