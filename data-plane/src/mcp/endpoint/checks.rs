//! What the headers of a request have to say before its body is read.

use http::header::{self, HeaderMap};
use http::{StatusCode, Uri};

use super::{Denial, JSON};
use crate::options::is_loopback_host;

/// Whether the client sends and reads JSON.
pub(super) fn check_media_types(headers: &HeaderMap) -> Result<(), Denial> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(JSON) {
        return Err(Denial::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
    }
    let acceptable = |range: &str| {
        let essence = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(essence.as_str(), "*/*" | "application/*" | JSON | "text/event-stream")
    };
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    let accepts_anything = accepted.peek().is_none();
    let accepts_ours =
        accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(acceptable);
    if accepts_anything || accepts_ours {
        return Ok(());
    }
    Err(Denial::Http(StatusCode::NOT_ACCEPTABLE, "the client must accept application/json"))
}

/// Whether the client says by name that it reads event streams.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

/// Whether a browser reached a loopback address under somebody else's name, or for somebody else's page.
pub(super) fn is_rebound(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let host_is_ours = authority
        .and_then(|text| text.parse::<http::uri::Authority>().ok())
        .is_some_and(|authority| is_loopback_host(authority.host()));
    let origin_is_ours = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok())
        .is_some_and(|uri| uri.host().is_some_and(is_loopback_host));
    !(host_is_ours && origin_is_ours)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn browsers_on_other_names_are_refused_and_programs_are_not() {
        for (pairs, rebound) in [
            (&[("host", "evil.example")][..], false),
            (&[("host", "evil.example"), ("origin", "http://evil.example")], true),
            (&[("host", "127.0.0.1:8000"), ("origin", "http://evil.example")], true),
            (&[("host", "127.0.0.1:8000"), ("origin", "null")], true),
            (&[("host", "localhost:8000"), ("origin", "http://localhost:3000")], false),
            (&[("host", "[::1]:8000"), ("origin", "http://[::1]:8000")], false),
        ] {
            assert_eq!(is_rebound(&Uri::from_static("/mcp"), &headers(pairs)), rebound, "{pairs:?}");
        }
    }

    #[test]
    fn media_types_are_read_leniently() {
        let json = ("content-type", "Application/JSON; charset=utf-8");
        for accept in ["*/*", "application/json", "text/html, application/*;q=0.5", "text/event-stream"] {
            assert!(check_media_types(&headers(&[json, ("accept", accept)])).is_ok(), "{accept}");
        }
        assert!(check_media_types(&headers(&[json])).is_ok());
        let refused = |pairs: &[(&'static str, &'static str)]| {
            check_media_types(&headers(pairs)).unwrap_err().into_response().status()
        };
        assert_eq!(refused(&[json, ("accept", "text/html")]), StatusCode::NOT_ACCEPTABLE);
        assert_eq!(refused(&[("content-type", "text/plain")]), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused(&[]), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
