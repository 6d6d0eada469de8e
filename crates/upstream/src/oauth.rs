//! Tokens for an upstream by OAuth client credentials (RFC 6749, section 4.4): what settings may be, and asking once.
//!
//! Owns how a token endpoint is asked and how its answer is read. Keeps nothing: when a token is asked for, and for how
//! long it is used, is decided by whoever asks. Nothing that an endpoint says is repeated, but for the error codes that
//! the standards define.

mod answer;
mod check;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use toolplane_registry::oauth::AuthMethod;
use toolplane_registry::{OAuth, Secret};
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::Connector;
use crate::connector::Destination;

pub use self::check::check;

/// Largest answer that is read. Tokens that list all rights of their holder reach some KiB.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// A token as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The bearer token.
    pub token: Secret,
    /// How long it is good for, counted from before it was asked for; absent where the endpoint does not say.
    pub life: Option<Duration>,
}

/// Why there is no token. The words hold no credential and nothing that the endpoint is free to choose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer came, or one that says nothing of the request.
    #[error("the token endpoint {0}")]
    Unavailable(String),
    /// The endpoint will not give this client a token.
    #[error("the token endpoint refused with status {status}{}", .code.map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, where the standards define it.
        code: Option<&'static str>,
    },
    /// The answer is no token that could be used.
    #[error("the token endpoint answered with {0}")]
    Unusable(&'static str),
}

/// Asks for a token.
pub(crate) async fn fetch(connector: &Connector, oauth: &OAuth, deadline: Duration) -> Result<Grant, Error> {
    let exchange = exchange(connector, oauth);
    let late = || Error::Unavailable("did not answer in time".to_owned());
    tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange(connector: &Connector, oauth: &OAuth) -> Result<Grant, Error> {
    // What is stored may have been admitted by other rules.
    check::address(&oauth.token_url, &connector.options().guard)
        .map_err(|rejection| Error::Unavailable(format!("is not asked: its address {}", rejection.reason)))?;
    // By the system's authorities and without a certificate: both of the upstream's own are for the upstream alone.
    let destination = Destination { url: &oauth.token_url, tls: None };
    let (headers, body) = request(oauth)?;
    let sent = connector.send(Method::POST, destination, headers, body).await;
    let mut response = sent.map_err(|error| unavailable(&error))?;
    response.limit_to(MAX_ANSWER_BYTES);
    let status = response.status();
    match status {
        200..=299 => {
            let body = response.bytes().await.map_err(|error| unavailable(&error))?;
            answer::grant(&body)
        }
        400..=499 if !matches!(status, 408 | 425 | 429) => {
            let body = response.bytes().await.unwrap_or_default();
            Err(Error::Refused { status, code: answer::code(&body) })
        }
        300..=399 => Err(Error::Unavailable("answered with a redirect, which is not followed".to_owned())),
        _ => Err(Error::Unavailable(format!("answered with status {status}"))),
    }
}

fn request(oauth: &OAuth) -> Result<(HeaderMap, Bytes), Error> {
    let OAuth { token_url: _, client_id, client_secret, scope, resource, auth_method } = oauth;
    let secret = client_secret.as_ref().map(|secret| secret.expose().as_str()).unwrap_or_default();
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", scope), ("resource", resource)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match auth_method {
        AuthMethod::Basic => {
            headers.insert(AUTHORIZATION, basic(client_id, secret)?);
        }
        AuthMethod::Post => {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret);
        }
    }
    Ok((headers, form.finish().into()))
}

/// Both parts are form-encoded first (RFC 6749, section 2.3.1), so that a colon in them stays one.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, Error> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret)));
    let value = HeaderValue::try_from(format!("Basic {pair}"));
    let mut value = value.map_err(|_| Error::Unavailable("cannot be sent the credentials".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// In words of the token endpoint: the connector speaks of upstreams.
fn unavailable(error: &crate::Error) -> Error {
    use crate::Error as E;
    // What follows is advice on the upstream's own TLS settings, which this connection has none of.
    let fact = |words: &str| words.split(": give").next().unwrap_or_default().to_owned();
    Error::Unavailable(match error {
        E::Refused(rejection) => format!("is not asked: {}", rejection.reason),
        E::Connect(reason) => format!("cannot be connected to: {reason}"),
        E::Tls(reason) => format!("cannot be connected to securely: {}", fact(reason)),
        E::Timeout => "did not answer in time".to_owned(),
        E::Interrupted(reason) => format!("broke the connection: {reason}"),
        E::TooLarge { limit, unit } => format!("answered with more than {limit} {unit}"),
        other => format!("cannot be asked: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth(auth_method: AuthMethod) -> OAuth {
        OAuth {
            token_url: "https://login.example/token".to_owned(),
            client_id: "gate:way".to_owned(),
            client_secret: Some(Secret::new("s3cr3t &%".to_owned())),
            scope: Some("tools.read tools.list".to_owned()),
            resource: Some("https://crm.example/mcp".to_owned()),
            auth_method,
        }
    }

    fn body(body: &Bytes) -> &str {
        str::from_utf8(body).unwrap()
    }

    #[test]
    fn basic_keeps_the_secret_out_of_the_body_and_encodes_both_parts() {
        let (headers, sent) = request(&oauth(AuthMethod::Basic)).unwrap();
        assert_eq!(
            body(&sent),
            "grant_type=client_credentials&scope=tools.read+tools.list&resource=https%3A%2F%2Fcrm.example%2Fmcp"
        );
        let value = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(value).unwrap(), b"gate%3Away:s3cr3t+%26%25");
        assert!(!format!("{headers:?}").contains(value));
    }

    #[test]
    fn post_puts_the_client_into_the_body_and_into_no_header() {
        let plain = OAuth { scope: None, resource: None, ..oauth(AuthMethod::Post) };
        let (headers, sent) = request(&plain).unwrap();
        assert_eq!(
            body(&sent),
            "grant_type=client_credentials&client_id=gate%3Away&client_secret=s3cr3t+%26%25"
        );
        assert!(!headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn advice_on_the_upstreams_tls_settings_is_not_given_for_an_endpoint() {
        let words = "certificate signed by unknown authority: give its CA with `--ca-file`";
        let error = unavailable(&crate::Error::Tls(words.to_owned()));
        assert_eq!(
            error.to_string(),
            "the token endpoint cannot be connected to securely: certificate signed by unknown authority"
        );
    }
}
