//! Where control planes and hook services answer, and whether anybody can read along on the way.

use std::path::PathBuf;

use tonic::transport::Uri;
use toolplane_registry::{Rejection, Rule};

/// Where a control plane or a hook service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `http://host:port` or `https://host:port`.
    Tcp(Uri),
    /// `unix:/path/to/socket`.
    Unix(PathBuf),
}

impl Address {
    /// Reads `http://…`, `https://…` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let refuse = |reason: &str| Rejection::new(format!("control plane `{text}`"), Rule::Url, reason);
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(refuse("names no absolute path"))
            };
        }
        let uri: Uri = text.parse().map_err(|_| refuse("is no URL"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(_)) => Ok(Self::Tcp(uri)),
            _ => Err(refuse("must begin with http://, https:// or unix:/")),
        }
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp(uri) if uri.scheme_str() == Some("https"))
    }

    /// Whether nobody on the way can read along.
    pub fn is_private(&self) -> bool {
        self.is_tls()
            || match self {
                Self::Unix(_) => true,
                Self::Tcp(uri) => uri.host().is_some_and(is_loopback_host),
            }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // An authority may hold a password; host and port say enough.
            Self::Tcp(uri) => {
                write!(f, "{}://{}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())?;
                uri.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether a host, with or without the brackets of an IPv6 literal, is this machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_credentials() {
        let unix = Address::parse("unix:/run/toolplane.sock").unwrap();
        assert_eq!(unix, Address::Unix("/run/toolplane.sock".into()));
        let tcp = Address::parse("https://user:pw@cp.example:7400/x").unwrap();
        assert_eq!(tcp.to_string(), "https://cp.example:7400");
        for bad in ["cp:7400", "ftp://x", "unix:relative", "", "http://"] {
            assert_eq!(Address::parse(bad).unwrap_err().rule, Rule::Url, "{bad}");
        }
    }
}
