//! An address, read and checked once for all the requests that go there.
//!
//! Owns what of a URL goes into a request. The guard looks at it when a place is made; nothing else makes one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use url::{Host, Url};

use crate::Error;
use crate::guard::{self, Policy};

/// Whom to connect to. Requests of equal origins share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_secure: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// An address that the guard let pass.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) origin: Origin,
    /// As HTTP/1.1 asks for it: path and query.
    pub(super) path: Uri,
    /// As HTTP/2 asks for it: without userinfo and fragment.
    pub(super) whole: Uri,
    /// The header that goes with the path.
    pub(super) host: HeaderValue,
    /// Of userinfo, for requests that bring no credentials of their own.
    pub(super) credentials: Option<HeaderValue>,
}

impl Place {
    /// Reads an address and has the guard look at it.
    pub(super) fn new(text: &str, policy: &Policy) -> Result<Self, Error> {
        let url = guard::check_url(text, policy).map_err(Error::Refused)?;
        Self::of(&url).ok_or_else(|| Error::Setup("the address cannot be put into a request".to_owned()))
    }

    fn of(url: &Url) -> Option<Self> {
        let origin = Origin {
            is_secure: url.scheme() == "https",
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        };
        let path = match url.query() {
            None => url.path().to_owned(),
            Some(query) => format!("{}?{query}", url.path()),
        };
        let path = PathAndQuery::try_from(path).ok()?;
        let authority = match url.port() {
            None => url.host_str()?.to_owned(),
            Some(port) => format!("{}:{port}", url.host_str()?),
        };
        let whole = Uri::builder().scheme(url.scheme()).authority(authority.as_str());
        Some(Self {
            origin,
            whole: whole.path_and_query(path.clone()).build().ok()?,
            path: path.into(),
            host: HeaderValue::try_from(authority).ok()?,
            credentials: credentials(url),
        })
    }
}

/// Userinfo as a header says it.
fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = unescaped(url.username());
    pair.push(b':');
    pair.extend(unescaped(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The bytes of a part of a URL.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits =
            tail.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::new(text, &Policy::default()).unwrap()
    }

    #[test]
    fn a_place_says_what_each_version_of_http_asks_for() {
        for (text, whole, path, host) in [
            ("http://h/mcp?a=1#f", "http://h/mcp?a=1", "/mcp?a=1", "h"),
            ("https://H:443", "https://h/", "/", "h"),
            ("http://u:p@h:8080/a%20b", "http://h:8080/a%20b", "/a%20b", "h:8080"),
            ("http://[::1]:99/", "http://[::1]:99/", "/", "[::1]:99"),
        ] {
            let place = place(text);
            assert_eq!(
                (place.whole.to_string(), place.path.to_string(), place.host.to_str().unwrap()),
                (whole.to_owned(), path.to_owned(), host)
            );
        }
    }

    #[test]
    fn origins_are_equal_where_connections_can_be_shared() {
        assert_eq!(place("https://h/a").origin, place("https://u@H:443/b?c").origin);
        assert_ne!(place("http://h/a").origin, place("https://h/a").origin);
        assert_ne!(place("http://h/a").origin, place("http://h:81/a").origin);
    }

    #[test]
    fn userinfo_becomes_a_credential_that_debug_output_does_not_show() {
        let found = place("http://us%65r:p%3Ass@h/").credentials.unwrap();
        assert_eq!(found.to_str().unwrap(), format!("Basic {}", BASE64_STANDARD.encode("user:p:ss")));
        assert!(!format!("{found:?}").contains("Basic"));
        assert!(place("http://h/").credentials.is_none());
        assert_eq!(unescaped("%zz%+4%4"), b"%zz%+4%4");
    }
}
