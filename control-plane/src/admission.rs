//! May this upstream enter? Pure checks that collect every reason to say no.
//!
//! Owns the rules for an upstream's configuration. Never connects, never stores; whether the upstream answers
//! is the business of [`crate::refresh`], which of its tools are admitted that of `toolplane_registry::ingest`.

use http::header::AUTHORIZATION;
use toolplane_registry::policy::Globs;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Rejection, Rule};
use toolplane_upstream::{auth, guard, oauth, tls};

use crate::store::Millis;

/// Longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 4096;
/// Most headers one upstream may have.
pub const MAX_HEADERS: usize = 64;
/// Most globs in one list.
pub const MAX_GLOBS: usize = 1024;

/// Checks an upstream's configuration; all mistakes at once.
pub fn check(upstream: &Upstream, guard: &guard::Policy) -> Result<(), Vec<Rejection>> {
    let subject = format!("upstream `{}`", upstream.domain);
    let mut rejections = Vec::new();
    for url in addresses(upstream) {
        rejections.extend(guard::check_url(url, guard).err());
    }
    if upstream.description.chars().count() > MAX_DESCRIPTION_CHARS {
        let reason = format!("the description is longer than {MAX_DESCRIPTION_CHARS} characters");
        rejections.push(Rejection::new(&subject, Rule::Limit, reason));
    }
    if upstream.description.contains('\0') {
        rejections.push(Rejection::new(&subject, Rule::Setting, "the description holds a NUL character"));
    }
    if upstream.headers.len() > MAX_HEADERS {
        let reason = format!("more than {MAX_HEADERS} headers are configured");
        rejections.push(Rejection::new(&subject, Rule::Limit, reason));
    }
    rejections.extend(upstream.headers.iter().filter_map(|header| check_header(&subject, header).err()));
    let filter = &upstream.filter;
    let lists = [upstream.forward_headers.as_ref(), filter.allowed.as_ref(), Some(&filter.denied)];
    for globs in lists.into_iter().flatten() {
        if globs.len() > MAX_GLOBS {
            let reason = format!("a list has more than {MAX_GLOBS} globs");
            rejections.push(Rejection::new(&subject, Rule::Limit, reason));
        } else {
            rejections.extend(Globs::compile(globs).err());
        }
    }
    rejections.extend(oauth::check(&upstream.oauth, guard).err().into_iter().flatten());
    if !upstream.oauth.is_default()
        && upstream.headers.iter().any(|header| header.name == AUTHORIZATION.as_str())
    {
        let reason = "would never be used: an `authorization` header is configured too";
        rejections.push(Rejection::new("oauth", Rule::Setting, reason));
    }
    if !upstream.tls.is_default() && !is_secured(upstream) {
        let reason = "secures nothing: the address does not begin with `https://`";
        rejections.push(Rejection::new("tls", Rule::Setting, reason));
    }
    let limits = upstream.limits.check().err().into_iter().flatten();
    rejections
        .extend(limits.map(|found| {
            Rejection::new(&subject, found.rule, format!("{} {}", found.subject, found.reason))
        }));
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

/// Checks credentials that are not held already, at a time; all mistakes at once. What is held stays acceptable, be it
/// over by now: it must not stand in the way of other changes.
pub fn check_credentials(
    upstream: &Upstream,
    held: Option<&Upstream>,
    now: Millis,
) -> Result<(), Vec<Rejection>> {
    let mut rejections = check_userinfo(upstream, held).err().unwrap_or_default();
    if held.is_none_or(|held| held.tls != upstream.tls) {
        rejections.extend(tls::check(&upstream.tls, now.div_euclid(1000)).err().into_iter().flatten());
    }
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

/// Whether there is anything that TLS settings would secure.
pub fn is_secured(upstream: &Upstream) -> bool {
    addresses(upstream).any(|url| guard::is_https(url))
}

/// Refuses an address with credentials in it, unless it is the one that is held: addresses are shown to whoever may
/// read, and only headers are sealed.
pub fn check_userinfo(upstream: &Upstream, held: Option<&Upstream>) -> Result<(), Vec<Rejection>> {
    let known: Vec<&String> = held.into_iter().flat_map(addresses).collect();
    let given = addresses(upstream).filter(|url| !known.contains(url) && guard::has_userinfo(url));
    let reason =
        "holds a user name or password, which would be readable: give an `authorization` header instead";
    let rejections: Vec<Rejection> = given.map(|_| Rejection::new("url", Rule::Setting, reason)).collect();
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

fn addresses(upstream: &Upstream) -> impl Iterator<Item = &String> {
    std::iter::once(&upstream.url).chain(upstream.discovery_url.as_ref())
}

/// Checks one configured header; the rejection is filed under the subject.
pub fn check_header(subject: &str, header: &Header) -> Result<(), Rejection> {
    auth::check_header(&header.name, header.value.expose())
        .map_err(|found| Rejection::new(subject, found.rule, format!("{}: {}", found.subject, found.reason)))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::{Domain, Limits, Secret, Tls};

    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.into(), value: Secret::new(value.into()) }
    }

    #[test]
    fn every_mistake_is_reported_and_no_value_shows() {
        let upstream = Upstream {
            discovery_url: Some("ftp://x/".into()),
            headers: vec![header("Host", "h"), header("x-ok", "line\r\nbreak s3cr3t"), header(" ", "v")],
            description: "d".repeat(MAX_DESCRIPTION_CHARS + 1),
            limits: Limits { max_concurrency: Some(0), ..Limits::default() },
            ..Upstream::new(Domain::parse("a").unwrap(), "http://169.254.169.254/")
        };
        let rejections = check(&upstream, &guard::Policy::default()).unwrap_err();
        let rules: Vec<_> = rejections.iter().map(|r| r.rule).collect();
        assert_eq!(rules.iter().filter(|rule| **rule == Rule::Header).count(), 3, "{rejections:?}");
        assert!(rules.contains(&Rule::UrlGuard), "{rejections:?}");
        assert_eq!(rules.iter().filter(|rule| **rule == Rule::Limit).count(), 2, "{rejections:?}");
        assert!(format!("{rejections:?}").contains("limit `max_concurrency` is 0"), "{rejections:?}");
        assert!(!format!("{rejections:?}").contains("s3cr3t"));
    }

    #[test]
    fn credentials_in_an_address_are_refused_unless_they_are_held_already() {
        let with = |url: &str| Upstream::new(Domain::parse("a").unwrap(), url);
        let found = check_userinfo(&with("http://user:s3cr3t@127.0.0.1:9/mcp"), None).unwrap_err();
        assert!(found.len() == 1 && found[0].reason.contains("header"), "{found:?}");
        assert!(!format!("{found:?}").contains("s3cr3t"));
        let held = with("http://user@127.0.0.1:9/mcp");
        assert_eq!(check_userinfo(&held, Some(&held)), Ok(()));
        assert!(check_userinfo(&with("http://user@127.0.0.1:8/mcp"), Some(&held)).is_err());
        assert_eq!(check_userinfo(&with("http://127.0.0.1:9/m@cp?a=b@c"), None), Ok(()));
    }

    #[test]
    fn tls_settings_are_looked_at_when_they_change_and_need_something_to_secure() {
        let with = |url: &str, ca: &str| Upstream {
            tls: Tls { ca: Some(Secret::new(ca.into())), ..Tls::default() },
            ..Upstream::new(Domain::parse("a").unwrap(), url)
        };
        let (held, plain) = (with("https://a/mcp", "hunter2"), with("http://a/mcp", "hunter2"));
        let found = check_credentials(&held, None, 0).unwrap_err();
        assert!(found.len() == 1 && found[0].subject == "tls.ca", "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"));
        assert_eq!(
            check_credentials(&Upstream { description: "x".into(), ..held.clone() }, Some(&held), 0),
            Ok(())
        );
        assert!(check_credentials(&with("https://a/mcp", "hunter3"), Some(&held), 0).is_err());
        assert_eq!(check(&held, &guard::Policy::default()), Ok(()));
        let found = check(&plain, &guard::Policy::default()).unwrap_err();
        assert!(found.len() == 1 && found[0].subject == "tls", "{found:?}");
        let elsewhere = Upstream { discovery_url: Some("HTTPS://b/mcp".into()), ..plain };
        assert_eq!(check(&elsewhere, &guard::Policy::default()), Ok(()));
    }

    #[test]
    fn credentials_for_the_upstream_are_welcome() {
        let upstream = Upstream {
            headers: vec![header("authorization", "Bearer x"), header("x-api-key", "k")],
            ..Upstream::new(Domain::parse("a").unwrap(), "http://127.0.0.1:9/mcp")
        };
        assert_eq!(check(&upstream, &guard::Policy::default()), Ok(()));
    }
}
