//! What OAuth settings may be. Pure; no rejection repeats a value.

use toolplane_registry::oauth::Part;
use toolplane_registry::{OAuth, Rejection, Rule};
use url::{Host, Url};

use crate::guard::{self, Policy};

/// Longest setting.
const MAX_CHARS: usize = 4096;

/// Checks settings; all mistakes at once, each under the path of its field. None at all are fine.
pub fn check(oauth: &OAuth, policy: &Policy) -> Result<(), Vec<Rejection>> {
    if oauth.is_default() {
        return Ok(());
    }
    let mut rejections = Vec::new();
    let mut refuse = |part: Part, rule: Rule, reason: &str| {
        rejections.push(Rejection::new(part.path(), rule, reason));
    };
    for part in [Part::TokenUrl, Part::ClientId, Part::ClientSecret] {
        if oauth.get(part).is_none_or(|text| text.trim().is_empty()) {
            refuse(part, Rule::Setting, "is missing");
        }
    }
    for part in Part::ALL {
        let Some(text) = oauth.get(part) else { continue };
        if text.chars().count() > MAX_CHARS {
            refuse(part, Rule::Limit, &format!("is longer than {MAX_CHARS} characters"));
        } else if text.chars().any(char::is_control) {
            refuse(part, Rule::Setting, "holds control characters");
        }
    }
    if oauth.scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
        refuse(Part::Scope, Rule::Setting, "is no list of names with one space between them");
    }
    if oauth.resource.as_deref().is_some_and(|resource| !is_resource(resource)) {
        refuse(Part::Resource, Rule::Setting, "is no absolute address without a fragment");
    }
    if let Some(Err(rejection)) = oauth.get(Part::TokenUrl).map(|url| address(url, policy)) {
        rejections.push(rejection);
    }
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

/// Checks the address of a token endpoint: the client secret goes there, and what opens the upstream comes from there.
pub(super) fn address(text: &str, policy: &Policy) -> Result<(), Rejection> {
    let refused = |rule: Rule, reason: String| Rejection::new(Part::TokenUrl.path(), rule, reason);
    let url = guard::check_url(text, policy).map_err(|found| refused(found.rule, found.reason))?;
    if guard::has_userinfo(text) {
        let reason = "holds a user name or password: these are `client_id` and `client_secret`";
        return Err(refused(Rule::Setting, reason.to_owned()));
    }
    if url.fragment().is_some() {
        return Err(refused(Rule::Url, "has a fragment".to_owned()));
    }
    if url.scheme() != "https" && !is_here(&url) {
        return Err(refused(
            Rule::Url,
            "must begin with `https://`: the client secret goes there".to_owned(),
        ));
    }
    Ok(())
}

/// Whether nothing leaves the machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// RFC 6749, appendix A.4.
fn is_scope(text: &str) -> bool {
    text.split(' ').all(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    })
}

/// RFC 8707, section 2.
fn is_resource(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.fragment().is_none())
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;

    fn good() -> OAuth {
        OAuth {
            token_url: "https://login.example/token?tenant=1".to_owned(),
            client_id: "gateway".to_owned(),
            client_secret: Some(Secret::new("hunter2".to_owned())),
            scope: Some("tools.read tools.list".to_owned()),
            resource: Some("urn:crm".to_owned()),
            ..OAuth::default()
        }
    }

    fn refused(oauth: &OAuth) -> Vec<String> {
        let found = check(oauth, &Policy::default()).unwrap_err();
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        found.into_iter().map(|rejection| rejection.subject).collect()
    }

    #[test]
    fn what_can_be_used_passes_and_nothing_at_all_does() {
        assert_eq!(check(&good(), &Policy::default()), Ok(()));
        assert_eq!(check(&OAuth::default(), &Policy::default()), Ok(()));
        for url in ["http://127.0.0.1:9/token", "http://[::1]/token", "http://localhost:8080/token"] {
            assert_eq!(
                check(&OAuth { token_url: url.to_owned(), ..good() }, &Policy::default()),
                Ok(()),
                "{url}"
            );
        }
    }

    #[test]
    fn every_mistake_is_told_under_its_field() {
        let scope = Some("x".to_owned());
        assert_eq!(
            refused(&OAuth { scope, ..OAuth::default() }),
            ["oauth.token_url", "oauth.client_id", "oauth.client_secret"]
        );
        for (oauth, field) in [
            (OAuth { scope: Some("a  hunter2".to_owned()), ..good() }, "oauth.scope"),
            (OAuth { scope: Some("a\"hunter2".to_owned()), ..good() }, "oauth.scope"),
            (OAuth { resource: Some("hunter2".to_owned()), ..good() }, "oauth.resource"),
            (OAuth { resource: Some("https://a#hunter2".to_owned()), ..good() }, "oauth.resource"),
            (OAuth { client_id: "hunter2\n".to_owned(), ..good() }, "oauth.client_id"),
            (OAuth { client_id: "x".repeat(MAX_CHARS + 1), ..good() }, "oauth.client_id"),
        ] {
            assert_eq!(refused(&oauth), [field]);
        }
    }

    #[test]
    fn a_secret_goes_nowhere_in_the_clear_and_past_no_guard() {
        for url in [
            "http://login.example/token",
            "http://10.0.0.1/token",
            "https://169.254.169.254/token",
            "https://user:hunter2@login.example/token",
            "https://login.example/token#x",
            "http://localhost.example/token",
            "ftp://login.example",
            "hunter2",
        ] {
            assert_eq!(refused(&OAuth { token_url: url.to_owned(), ..good() }), ["oauth.token_url"], "{url}");
        }
        let outside = Policy { allow_private: false };
        let here = OAuth { token_url: "https://10.0.0.1/token".to_owned(), ..good() };
        assert_eq!(check(&here, &outside).unwrap_err()[0].rule, Rule::UrlGuard);
    }
}
