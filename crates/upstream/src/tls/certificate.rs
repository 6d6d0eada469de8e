//! What a certificate says of itself (RFC 5280).

use rustls::pki_types::CertificateDer;
use toolplane_registry::Digest;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate, X509Name};

/// Longest name that is shown.
const MAX_NAME_CHARS: usize = 256;

/// A certificate as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// For instance `CN=gateway, O=Example`.
    pub subject: String,
    /// The same of the authority that signed it.
    pub issuer: String,
    /// SHA-256 over its DER form.
    pub fingerprint: Digest,
    /// From when on it is good, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Until when it is good, in seconds since the Unix epoch.
    pub not_after: i64,
}

impl Certificate {
    /// Reads one; `None` where it is none.
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        rest.is_empty().then(|| Self {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            fingerprint: Digest::of(der),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    /// Why it is not good at a time, in seconds since the Unix epoch.
    pub(super) fn objection(&self, now: i64) -> Option<String> {
        match () {
            () if now > self.not_after => Some(format!("has expired on {}", day(self.not_after))),
            () if now < self.not_before => Some(format!("is not valid before {}", day(self.not_before))),
            () => None,
        }
    }
}

/// On one line, and without a say over the terminal: whoever made the certificate chose the name.
fn name(name: &X509Name<'_>) -> String {
    let is_shown = |c: &char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(c);
    name.to_string().chars().filter(is_shown).take(MAX_NAME_CHARS).collect()
}

fn day(seconds: i64) -> String {
    ASN1Time::from_timestamp(seconds)
        .map_or_else(|_| "an unknown day".to_owned(), |time| time.to_datetime().date().to_string())
}
