//! How TLS settings are shown: what the certificates say of themselves. The key never comes back.

use serde::Serialize;
use toolplane_proto::admin as wire;

/// Most authorities that are told by name; a bundle may hold hundreds.
const MAX_NAMED: usize = 3;

/// TLS settings in the form that is printed.
#[derive(Debug, Serialize)]
pub(super) struct Tls {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorities: Vec<Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Certificate>,
}

#[derive(Debug, Serialize)]
struct Certificate {
    subject: String,
    issuer: String,
    fingerprint: String,
    not_before: Option<String>,
    not_after: Option<String>,
}

impl From<wire::UpstreamTls> for Tls {
    fn from(tls: wire::UpstreamTls) -> Self {
        // The others are never sent.
        let wire::UpstreamTls { ca: _, client_certificate: _, client_key: _, authorities, client } = tls;
        Self {
            authorities: authorities.into_iter().map(Certificate::from).collect(),
            client: client.map(Certificate::from),
        }
    }
}

impl From<wire::Certificate> for Certificate {
    fn from(certificate: wire::Certificate) -> Self {
        let wire::Certificate { subject, issuer, fingerprint, not_before, not_after } = certificate;
        let (not_before, not_after) =
            (not_before.map(|at| at.to_string()), not_after.map(|at| at.to_string()));
        Self { subject, issuer, fingerprint, not_before, not_after }
    }
}

impl Tls {
    /// Whom the upstream's certificate has to come from, in words; empty: the system's authorities.
    pub(super) fn authorities(&self) -> String {
        let mut shown: Vec<String> =
            self.authorities.iter().take(MAX_NAMED).map(Certificate::named).collect();
        match self.authorities.len().saturating_sub(MAX_NAMED) {
            0 => {}
            more => shown.push(format!("and {more} more")),
        }
        shown.join("; ")
    }

    /// What is shown to the upstream, in words.
    pub(super) fn client(&self) -> String {
        let Some(client) = &self.client else { return String::new() };
        format!("{}, issued by {}", client.named(), client.issuer)
    }
}

impl Certificate {
    fn named(&self) -> String {
        let until = self.not_after.as_deref().unwrap_or("an unknown time");
        format!("{} (until {until}, sha256 {})", self.subject, self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn certificate(subject: &str) -> wire::Certificate {
        wire::Certificate {
            subject: subject.to_owned(),
            issuer: "CN=root".to_owned(),
            fingerprint: "ab12".to_owned(),
            not_before: None,
            not_after: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        }
    }

    #[test]
    fn certificates_are_told_by_name_fingerprint_and_end() {
        let tls = Tls::from(wire::UpstreamTls {
            authorities: ["a", "b", "c", "d", "e"].map(certificate).to_vec(),
            client: Some(certificate("CN=gateway")),
            ..wire::UpstreamTls::default()
        });
        assert_eq!(tls.client(), "CN=gateway (until 2023-11-14T22:13:20Z, sha256 ab12), issued by CN=root");
        assert!(tls.authorities().starts_with("a (until 2023-11-14T22:13:20Z, sha256 ab12); b "));
        assert!(tls.authorities().ends_with("; and 2 more"), "{}", tls.authorities());
    }
}
