//! The url guard: which addresses an upstream may have.
//!
//! Owns two pure checks. [`check_url`] looks at what is written down, in every spelling; [`check_addr`] looks at
//! the address actually connected to, so that a name cannot pass the first and lead elsewhere later. Never
//! resolves or connects; that is [`crate::connector`].

mod address;

use std::net::IpAddr;

use toolplane_registry::{Rejection, Rule};
use url::{Host, ParseError, Url};

use address::Class;

/// Names under which cloud providers serve machine credentials.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// What the guard lets through beyond public addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether private, loopback and carrier-grade NAT addresses may be used, and plain `http`. Cloud-metadata,
    /// link-local, multicast and unspecified addresses are refused all the same.
    pub allow_private: bool,
}

impl Default for Policy {
    /// Upstreams inside the cluster are the normal case.
    fn default() -> Self {
        Self { allow_private: true }
    }
}

/// Checks an upstream's address as it is written down.
pub fn check_url(text: &str, policy: &Policy) -> Result<Url, Rejection> {
    let url = parse(text)?;
    match url.host() {
        Some(Host::Ipv4(ip)) => check_addr(ip.into(), policy)?,
        Some(Host::Ipv6(ip)) => check_addr(ip.into(), policy)?,
        Some(Host::Domain(name)) => check_name(name, policy)?,
        None => return Err(malformed("has no host")),
    }
    if url.scheme() == "http" && !policy.allow_private {
        return Err(refused("plain `http` is not permitted for public addresses; use `https`"));
    }
    Ok(url)
}

/// Checks an address that is about to be connected to.
pub fn check_addr(ip: IpAddr, policy: &Policy) -> Result<(), Rejection> {
    match address::classify(ip) {
        Class::Forbidden(kind) => Err(refused(format!("address {ip} is {kind}"))),
        Class::Private(kind) if !policy.allow_private => Err(refused(format!("address {ip} is {kind}"))),
        Class::Private(_) | Class::Public => Ok(()),
    }
}

/// Whether an address is one of TLS.
pub fn is_https(text: &str) -> bool {
    parse(text).is_ok_and(|url| url.scheme() == "https")
}

/// Whether an address carries a user name or a password. One that cannot be read carries none that would be used.
pub fn has_userinfo(text: &str) -> bool {
    parse(text).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// An address for logs and errors: without userinfo, query and fragment.
pub fn display_url(text: &str) -> String {
    let Ok(mut url) = parse(text) else { return "(unreadable url)".to_owned() };
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail for a URL with a host.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return "(unreadable url)".to_owned();
    }
    url.into()
}

/// Reads an absolute `http` or `https` URL. Stricter than browsers, which repair what is missing or misspelt:
/// a repaired address is not the one that somebody reviewed.
fn parse(text: &str) -> Result<Url, Rejection> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(malformed("holds white space, control characters or backslashes"));
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(malformed("must begin with `http://` or `https://`"));
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(malformed("must begin with `http://` or `https://`"));
    };
    if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
        return Err(malformed("has no host"));
    }
    Url::parse(text).map_err(|error| match error {
        ParseError::InvalidPort => malformed("has an invalid port"),
        ParseError::EmptyHost => malformed("has no host"),
        _ => malformed("has no valid host"),
    })
}

fn check_name(name: &str, policy: &Policy) -> Result<(), Rejection> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return Err(malformed("has no host"));
    }
    if METADATA_NAMES.contains(&name.as_str()) {
        return Err(refused("the host name is a cloud-metadata service"));
    }
    let is_local = name == "localhost" || name.ends_with(".localhost");
    if is_local && !policy.allow_private {
        return Err(refused("the host name is `localhost`"));
    }
    Ok(())
}

fn malformed(reason: &str) -> Rejection {
    Rejection::new("url", Rule::Url, reason)
}

fn refused(reason: impl Into<String>) -> Rejection {
    Rejection::new("url", Rule::UrlGuard, reason)
}

#[cfg(test)]
mod tests;
