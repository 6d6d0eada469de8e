//! How the connection to one upstream is secured, where that is not left to the system.
//!
//! Owns the plain data: PEM texts as an operator gave them. Never reads one, never connects; that is the business of
//! `toolplane-upstream`.

use crate::Secret;

/// TLS settings of one upstream. All of them go in and never come out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The only authorities to trust, PEM; absent trusts the system's.
    pub ca: Option<Secret>,
    /// The certificate that is shown to the upstream, with those that lead to its authority, PEM.
    pub client_certificate: Option<Secret>,
    /// Its private key, PEM.
    pub client_key: Option<Secret>,
}

/// One of the settings, for whatever treats them alike: columns, manifests, update masks, flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// [`Tls::ca`]
    Ca,
    /// [`Tls::client_certificate`]
    ClientCertificate,
    /// [`Tls::client_key`]
    ClientKey,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Ca, Self::ClientCertificate, Self::ClientKey];

    /// The name in manifests and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::ClientCertificate => "client_certificate",
            Self::ClientKey => "client_key",
        }
    }

    /// The name in update masks and rejections.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ca => "tls.ca",
            Self::ClientCertificate => "tls.client_certificate",
            Self::ClientKey => "tls.client_key",
        }
    }

    /// Finds one by its name in update masks.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.path() == path)
    }
}

impl Tls {
    /// Whether nothing is set, so that the system decides.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is set that proves who calls.
    pub fn has_identity(&self) -> bool {
        self.client_certificate.is_some() || self.client_key.is_some()
    }

    /// What was set.
    pub fn get(&self, part: Part) -> Option<&Secret> {
        match part {
            Part::Ca => self.ca.as_ref(),
            Part::ClientCertificate => self.client_certificate.as_ref(),
            Part::ClientKey => self.client_key.as_ref(),
        }
    }

    /// Sets one, or leaves it to the system again.
    pub fn put(&mut self, part: Part, value: Option<Secret>) {
        match part {
            Part::Ca => self.ca = value,
            Part::ClientCertificate => self.client_certificate = value,
            Part::ClientKey => self.client_key = value,
        }
    }

    /// Takes away what proves who calls.
    pub fn forget_identity(&mut self) {
        self.client_certificate = None;
        self.client_key = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_what_one_gets_and_nothing_shows() {
        for part in Part::ALL {
            let mut tls = Tls::default();
            tls.put(part, Some(Secret::new("s3cr3t".to_owned())));
            assert_eq!(tls.get(part).map(|value| value.expose().as_str()), Some("s3cr3t"), "{part:?}");
            assert_eq!(Part::ALL.into_iter().filter(|part| tls.get(*part).is_some()).count(), 1, "{part:?}");
            assert_eq!((Part::at(part.path()), tls.is_default()), (Some(part), false));
            assert_eq!(tls.has_identity(), part != Part::Ca);
            assert!(!format!("{tls:?}").contains("s3cr3t"));
            tls.put(part, None);
            assert!(tls.is_default());
        }
        assert_eq!(Part::at("tls"), None);
    }

    #[test]
    fn authorities_outlive_the_identity() {
        let secret = || Some(Secret::new("x".to_owned()));
        let mut tls = Tls { ca: secret(), client_certificate: secret(), client_key: secret() };
        tls.forget_identity();
        assert_eq!(tls, Tls { ca: secret(), ..Tls::default() });
    }
}
