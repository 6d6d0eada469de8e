//! `oauth` of an upstream: plain texts, and a secret that is given as headers are.

use toolplane_registry::oauth::Part;

use super::super::yaml::{Node, Value};
use super::super::{Mistake, OAuth, Place, Setting};
use super::fields::Fields;
use super::source;

/// Whatever is left out is not to be set; nothing at all asks for no token. A secret that is left out stays as it is
/// where there is one.
pub(super) fn oauth(node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> OAuth {
    let mut oauth = OAuth::default();
    if node.value == Value::Null {
        return oauth;
    }
    let known = Part::ALL.map(Part::name);
    let mut fields = Fields::new(node, file, "`oauth`", &known, mistakes);
    for part in Part::ALL {
        if part == Part::ClientSecret {
            let Some(node) = fields.take(part.name()) else { continue };
            let what = format!("`{}`", part.path());
            let value = source(&what, node, file, fields.mistakes);
            oauth.client_secret = value.map(|value| Setting { place: file.at(node.line), value });
            continue;
        }
        let Some((text, line)) = fields.text(part.name()) else { continue };
        if !oauth.settings.put(part, Some(text)) {
            fields.wrong(line, format!("`{}` is `client_secret_basic` or `client_secret_post`", part.name()));
        }
    }
    for part in [Part::TokenUrl, Part::ClientId] {
        if oauth.settings.get(part).is_none()
            && (oauth.client_secret.is_some() || !oauth.settings.is_default())
        {
            fields.wrong(node.line, format!("`oauth` needs `{}`", part.name()));
        }
    }
    oauth
}
