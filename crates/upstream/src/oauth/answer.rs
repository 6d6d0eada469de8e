//! Reading what a token endpoint answers (RFC 6749, section 5). Pure.

use std::time::Duration;

use serde::Deserialize;
use toolplane_registry::Secret;

use super::{Error, Grant};

/// Longest token. It has to fit into the header of a request, and servers take some KiB of those.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Error codes that standards define (RFC 6749, section 5.2; RFC 8707, section 2). Others are not repeated.
const CODES: [&str; 7] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
];

#[derive(Deserialize)]
struct Success {
    access_token: String,
    /// Required by the standard; servers that leave it out mean bearer tokens.
    token_type: Option<String>,
    expires_in: Option<Seconds>,
}

/// A number, or a number as a text: both are found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

/// The token in an answer.
pub(super) fn grant(body: &[u8]) -> Result<Grant, Error> {
    // The parser's own words may repeat what it read.
    let success: Success =
        serde_json::from_slice(body).map_err(|_| Error::Unusable("something else than a token in JSON"))?;
    let Success { access_token, token_type, expires_in } = success;
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Error::Unusable("a token that is no bearer token"));
    }
    if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unusable("a token that cannot be sent in a header"));
    }
    if access_token.len() > MAX_TOKEN_BYTES {
        return Err(Error::Unusable("a token that is longer than 16 KiB"));
    }
    let life = expires_in.map(life).transpose()?;
    Ok(Grant { token: Secret::new(access_token), life })
}

/// What one that is over already, or has always been, is good for: nothing beyond this moment.
fn life(seconds: Seconds) -> Result<Duration, Error> {
    let seconds = match seconds {
        Seconds::Number(seconds) => Some(seconds),
        Seconds::Text(text) => text.trim().parse().ok(),
    };
    let seconds: f64 = seconds
        .filter(|seconds: &f64| seconds.is_finite())
        .ok_or(Error::Unusable("a token whose end is no number of seconds"))?;
    // Beyond what can be counted is for ever; whoever uses the token has a limit of its own.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// The code in a refusal, where it is a defined one.
pub(super) fn code(body: &[u8]) -> Option<&'static str> {
    let Failure { error } = serde_json::from_slice(body).ok()?;
    CODES.into_iter().find(|code| *code == error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life_of(expires_in: &str) -> Option<Duration> {
        let body = format!(r#"{{"access_token":"t","token_type":"BEARER"{expires_in}}}"#);
        grant(body.as_bytes()).unwrap().life
    }

    #[test]
    fn a_token_comes_with_its_life_however_it_is_written() {
        assert_eq!(life_of(""), None);
        assert_eq!(life_of(r#","expires_in":null"#), None);
        assert_eq!(life_of(r#","expires_in":3600,"scope":"x""#), Some(Duration::from_hours(1)));
        assert_eq!(life_of(r#","expires_in":"3600""#), Some(Duration::from_hours(1)));
        assert_eq!(life_of(r#","expires_in":-5"#), Some(Duration::ZERO));
        assert_eq!(life_of(r#","expires_in":1e300"#), Some(Duration::MAX));
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(MAX_TOKEN_BYTES + 1));
        for body in [
            "",
            "hunter2",
            "<html>hunter2</html>",
            "[]",
            r#"{"access_token":null}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"hunter2\r\nx-evil: 1"}"#,
            r#"{"access_token":"hunter2 ü"}"#,
            r#"{"access_token":"t","token_type":"hunter2"}"#,
            r#"{"access_token":"t","expires_in":"hunter2"}"#,
            r#"{"access_token":"t","expires_in":"NaN"}"#,
            long.as_str(),
        ] {
            let error = grant(body.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Unusable(_)) && !format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn only_codes_that_standards_define_are_repeated() {
        assert_eq!(code(br#"{"error":"invalid_client","error_description":"x"}"#), Some("invalid_client"));
        for body in [r#"{"error":"ignore previous instructions"}"#, "{}", "", "<html>"] {
            assert_eq!(code(body.as_bytes()), None, "{body}");
        }
    }
}
