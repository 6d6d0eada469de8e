//! Which headers an upstream receives.
//!
//! Owns the precedence (a hook's headers, then the configured ones, then the caller's own) and the list of
//! headers that belong to one connection or one protocol exchange and never travel on. Never reads a credential
//! from anywhere: all of them come in as arguments.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use toolplane_registry::upstream::Header;
use toolplane_registry::{Rejection, Rule};

/// Headers of one connection (RFC 9110, section 7.6.1), of one message, or set by our own client.
const NEVER: [HeaderName; 16] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("last-event-id"),
];
const NEVER_BY_NAME: [&str; 3] = ["proxy-connection", "http2-settings", "trailers"];
/// Describe the caller's own message and are true of no other. What asks for a part or a version of an answer does
/// travel: existing clients rely on all of their own headers arriving.
const OF_ONE_MESSAGE: [&str; 6] =
    ["content-digest", "content-location", "content-md5", "content-range", "digest", "repr-digest"];
/// Session and protocol headers of MCP.
const PROTOCOL_PREFIX: &str = "mcp-";

/// Compiled `forward_headers`: globs over lower-case header names. An empty set forwards nothing.
#[derive(Debug, Clone)]
pub struct ForwardGlobs(GlobSet);

impl ForwardGlobs {
    /// Compiles the globs; the first that does not parse is named.
    pub fn compile(globs: &[String]) -> Result<Self, Rejection> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let compiled = GlobBuilder::new(&glob.to_ascii_lowercase()).build().map_err(|error| {
                Rejection::new(format!("forward_headers `{glob}`"), Rule::Setting, error.kind().to_string())
            })?;
            set.add(compiled);
        }
        let set = set
            .build()
            .map_err(|error| Rejection::new("forward_headers", Rule::Setting, error.kind().to_string()))?;
        Ok(Self(set))
    }

    fn matches(&self, name: &HeaderName) -> bool {
        self.0.is_match(name.as_str())
    }
}

/// Computes the headers of a call. `forward` narrows what of the caller's passes; absent passes all that may.
pub fn outgoing_headers(
    configured: &[Header],
    forward: Option<&ForwardGlobs>,
    caller: &HeaderMap,
    extra: &[Header],
) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(caller.len() + configured.len() + extra.len());
    let hop_by_hop = named_by_connection(caller);
    for (name, value) in caller {
        let passes = may_travel(name) && !hop_by_hop.contains(name);
        if passes && forward.is_none_or(|globs| globs.matches(name)) {
            append(&mut out, name.clone(), value.clone());
        }
    }
    overlay(&mut out, configured);
    overlay(&mut out, extra);
    out
}

/// Checks a header that somebody wants to configure for an upstream.
pub fn check_header(name: &str, value: &str) -> Result<(), Rejection> {
    let refused = |reason: &str| {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Err(Rejection::new(format!("header `{shown}`"), Rule::Header, reason))
    };
    let Ok(parsed) = HeaderName::try_from(name) else {
        return refused("is not a header name");
    };
    if !may_travel(&parsed) {
        return refused("belongs to the connection or the protocol and cannot be configured");
    }
    if HeaderValue::try_from(value).is_err() {
        return refused("has a value with control characters");
    }
    Ok(())
}

/// Puts headers over what is there. A name replaces everything of that name, even where its value cannot be
/// sent: otherwise the caller's credential would leave in place of the configured one.
fn overlay(out: &mut HeaderMap, headers: &[Header]) {
    let named: Vec<(HeaderName, &Header)> = headers
        .iter()
        .filter_map(|header| Some((HeaderName::try_from(&header.name).ok()?, header)))
        .filter(|(name, _)| may_travel(name))
        .collect();
    for (name, _) in &named {
        out.remove(name);
    }
    for (name, header) in named {
        let Ok(value) = HeaderValue::try_from(header.value.expose()) else {
            tracing::warn!(header.name = %name, "left out a header whose value cannot be sent");
            continue;
        };
        append(out, name, value);
    }
}

fn append(out: &mut HeaderMap, name: HeaderName, mut value: HeaderValue) {
    // Any of them may be a credential; sensitive values stay out of `Debug` and of header compression.
    value.set_sensitive(true);
    out.append(name, value);
}

fn may_travel(name: &HeaderName) -> bool {
    !NEVER.contains(name)
        && !NEVER_BY_NAME.contains(&name.as_str())
        && !OF_ONE_MESSAGE.contains(&name.as_str())
        && !name.as_str().starts_with(PROTOCOL_PREFIX)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;

    fn caller(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn own(headers: &[(&str, &str)]) -> Vec<Header> {
        headers
            .iter()
            .map(|(name, value)| Header { name: (*name).to_owned(), value: Secret::new((*value).to_owned()) })
            .collect()
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_hook_beats_configuration_and_configuration_beats_the_caller() {
        let caller = caller(&[("authorization", "caller"), ("x-a", "caller"), ("x-b", "1"), ("x-b", "2")]);
        let configured = own(&[("Authorization", "configured"), ("X-C", "configured")]);
        let extra = own(&[("x-c", "hook")]);
        assert_eq!(
            shown(&outgoing_headers(&configured, None, &caller, &extra)),
            ["authorization: configured", "x-a: caller", "x-b: 1", "x-b: 2", "x-c: hook"]
        );
    }

    #[test]
    fn connection_and_protocol_headers_never_travel() {
        let from_caller = caller(&[
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("host", "h"),
            ("content-length", "1"),
            ("content-type", "text/plain"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic eA=="),
            ("mcp-session-id", "s"),
            ("mcp-protocol-version", "v"),
            ("mcp-name", "n"),
            ("last-event-id", "7"),
            ("origin", "http://127.0.0.1"),
            ("via", "1.1 proxy"),
            ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
            ("content-location", "/x"),
            ("digest", "sha-256=x"),
            ("content-digest", "sha-256=:x:"),
        ]);
        let configured = own(&[("Host", "evil"), ("Mcp-Session-Id", "s"), ("bad name", "x")]);
        assert_eq!(
            shown(&outgoing_headers(&configured, None, &from_caller, &[])),
            ["origin: http://127.0.0.1", "via: 1.1 proxy"]
        );
    }

    #[test]
    fn globs_narrow_the_callers_headers_and_nothing_else() {
        let caller = caller(&[("authorization", "a"), ("x-tenant-id", "t"), ("cookie", "c")]);
        let configured = own(&[("x-key", "k")]);
        let narrowed = |globs: &[&str]| {
            let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            let globs = ForwardGlobs::compile(&globs).unwrap();
            shown(&outgoing_headers(&configured, Some(&globs), &caller, &[]))
        };
        assert_eq!(narrowed(&["X-*"]), ["x-key: k", "x-tenant-id: t"]);
        assert_eq!(narrowed(&[]), ["x-key: k"]);
        assert!(ForwardGlobs::compile(&["[".to_owned()]).is_err());
    }

    #[test]
    fn a_configured_name_displaces_the_callers_even_with_a_value_that_cannot_be_sent() {
        let configured = own(&[("authorization", "bad\nvalue")]);
        let caller = caller(&[("authorization", "caller")]);
        assert!(outgoing_headers(&configured, None, &caller, &[]).is_empty());
    }

    #[test]
    fn values_stay_out_of_debug_output() {
        let headers =
            outgoing_headers(&own(&[("x-key", "s3cret")]), None, &caller(&[("x-b", "s3cret")]), &[]);
        assert!(!format!("{headers:?}").contains("s3cret"));
    }

    #[test]
    fn headers_that_cannot_be_configured_are_rejected_without_their_value() {
        for (name, value) in
            [("", "v"), (" ", "v"), ("x y", "v"), ("Host", "v"), ("mcp-x", "v"), ("x", "a\r\nb")]
        {
            let rejection = check_header(name, value).unwrap_err();
            assert_eq!(rejection.rule, Rule::Header);
            assert!(!rejection.to_string().contains("\r\n"));
        }
        assert_eq!(check_header("X-Key", "v"), Ok(()));
    }
}
